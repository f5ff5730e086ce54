/** @file The intermediate representation: values with a static shape and dtype, and the nodes that make them. */
import type { DType, Shape, Tensor } from "../common/tensor.js";

/** Attributes of a node: plain data, so that a graph prints, hashes and exports. */
export type Attribute = number | string | boolean | readonly number[] | readonly string[] | Tensor | undefined;
export type Attributes = Readonly<Record<string, Attribute>>;

/** What the graph needs to know of an operator; `ops` knows the rest. */
export interface Operator {
  readonly name: string;
  /** Names of the inputs in order; "…" at the end of the last one marks a variadic input. */
  readonly inputs: readonly string[];
  readonly outputs: readonly string[];
}

/** One result of a node. Immutable; the graph is what is reachable from its outputs. */
export interface Value {
  readonly node: Node;
  /** Which output of the node. */
  readonly index: number;
  readonly dtype: DType;
  readonly shape: Shape;
}

export interface Node {
  readonly op: Operator;
  /** null where an optional input is absent. */
  readonly inputs: readonly (Value | null)[];
  readonly attrs: Attributes;
  readonly outputs: readonly Value[];
  /** For messages and the printer: "layer1.0.conv1", or "" where nobody named it. */
  readonly name: string;
}

/** A graph is its named inputs and named outputs; the nodes follow from the outputs. */
export interface Graph {
  readonly name: string;
  readonly inputs: ReadonlyMap<string, Value>;
  readonly outputs: ReadonlyMap<string, Value>;
}
