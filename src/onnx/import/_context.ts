/** @file What an import rule sees of one ONNX node: its inputs as values, its attributes, and what is known when the model is opened. */
import { GraphError, InternalError } from "../../common/errors.js";
import { formatShape, type Shape, type Tensor } from "../../common/tensor.js";
import { constantTensor } from "../../graph/build.js";
import type { Attributes, Value } from "../../graph/value.js";
import { apply, ops } from "../../ops/index.js";
import { nodeLabel } from "../_check.js";
import type { OnnxGraph, OnnxNode } from "../model.js";

/** How batch norm normalises; as BatchNormMode of the models. */
export type StatisticsMode = "update" | "batch" | "running";

/** What one forward pass carries from node to node. */
export interface Pass {
  readonly file: string;
  readonly opset: number;
  readonly batchNorm: StatisticsMode;
  /** Size of the batch where the file fixes it. */
  readonly batchInFile: number | null;
  /** A value as it is with the batch that the file fixes, where this pass has another one; null where it has none, or the same. */
  inFile(name: string): Value | null;
  /** Value of a name; null where nobody made it yet. */
  value(name: string): Value | null;
  /** A new running statistic: read from now on under the same name. */
  update(buffer: string, value: Value): void;
  /** Parts of a sequence by its name. */
  readonly sequences: Map<string, readonly Value[]>;
  /** Outputs of a subgraph (If). */
  inline(graph: OnnxGraph): readonly Value[];
}

/** Makes the values of one node; null for an output that is not supported (an error if somebody reads it). */
export type ImportRule = (c: NodeContext) => Value | readonly (Value | null)[];
export type ImportTable = Readonly<Record<string, ImportRule>>;

export class NodeContext {
  constructor(
    readonly node: OnnxNode,
    readonly pass: Pass,
  ) {}

  get opset(): number {
    return this.pass.opset;
  }
  /** For the nodes of our graph: the ONNX node's name. */
  get name(): string {
    return this.node.name || (this.node.outputs[0] ?? "");
  }
  get where(): string {
    return `${this.pass.file}: ${nodeLabel(this.node)}`;
  }

  refuse(problem: string, facts: { expected?: string; got?: string; hint?: string } = {}): never {
    throw new GraphError(this.where, { problem, ...facts });
  }

  /** Input i. @throws {GraphError} when it is absent */
  x(i: number): Value {
    return this.maybe(i) ?? this.refuse(`input ${i} is missing`);
  }
  /** Input i, or null where it is absent. */
  maybe(i: number): Value | null {
    const name = this.node.inputs[i];
    return name ? this.pass.value(name) : null;
  }
  get inputs(): Value[] {
    return this.node.inputs.map((_, i) => this.x(i));
  }

  /** Input i as a tensor that does not depend on the image. @throws {GraphError} when it does */
  tensor(i: number): Tensor {
    return (
      constantTensor(this.x(i)) ??
      this.refuse(`input "${this.node.inputs[i]}" depends on the image or on a parameter`, {
        expected: "a value that is known when the model is opened",
      })
    );
  }
  /** Input i as numbers, or `otherwise` where it is absent. */
  numbers(i: number, otherwise?: readonly number[]): readonly number[] {
    if (this.maybe(i) === null && otherwise !== undefined) return otherwise;
    return Array.from(this.tensor(i).data as ArrayLike<number | bigint>, Number); // every DataOf is such a list
  }
  /** The single number of input i. */
  number(i: number, otherwise?: number): number {
    const [n, ...rest] = this.numbers(i, otherwise === undefined ? undefined : [otherwise]);
    return n === undefined || rest.length > 0 ? this.refuse(`input "${this.node.inputs[i]}" is not one number`) : n;
  }
  /** Whether input i is there and known. */
  isKnown(i: number): boolean {
    const v = this.maybe(i);
    return v !== null && constantTensor(v) !== null;
  }

  /** Shape of input i with the batch that the file fixes; null where this pass has the same batch. */
  shapeInFile(i: number): Shape | null {
    return this.pass.inFile(this.node.inputs[i] ?? "")?.shape ?? null;
  }
  /** Whether the known input i is another one with the batch that the file fixes. */
  grewByItself(i: number): boolean {
    const then = this.pass.inFile(this.node.inputs[i] ?? "");
    const before = then && constantTensor(then);
    return before !== null && String(before.data) !== String(this.tensor(i).data);
  }

  int(key: string, otherwise?: number): number {
    const a = this.node.attributes[key];
    if (a?.type === "int") return Number(a.value);
    return this.absent(key, a?.type, "int", otherwise);
  }
  flag(key: string, otherwise = false): boolean {
    return this.int(key, otherwise ? 1 : 0) !== 0;
  }
  float(key: string, otherwise?: number): number {
    const a = this.node.attributes[key];
    if (a?.type === "float") return a.value;
    return this.absent(key, a?.type, "float", otherwise);
  }
  text(key: string, otherwise?: string): string {
    const a = this.node.attributes[key];
    if (a?.type === "string") return a.value;
    return this.absent(key, a?.type, "string", otherwise);
  }
  ints(key: string, otherwise?: readonly number[]): readonly number[] {
    const a = this.node.attributes[key];
    if (a?.type === "ints") return a.value.map(Number);
    return this.absent(key, a?.type, "ints", otherwise);
  }
  has(key: string): boolean {
    return this.node.attributes[key] !== undefined;
  }

  private absent<T>(key: string, type: string | undefined, expected: string, otherwise: T | undefined): T {
    if (type !== undefined) return this.refuse(`attribute "${key}" has the wrong type`, { expected, got: type });
    return otherwise ?? this.refuse(`attribute "${key}" is missing`);
  }

  /** One node of ours, named like the ONNX node. */
  op(name: string, inputs: readonly (Value | null)[], attrs?: Attributes): Value {
    const op = ops[name];
    if (op === undefined) throw new InternalError(`no op "${name}"`);
    return apply(op, inputs, attrs, this.name);
  }

  /** An axis counted from the end where it is negative. */
  axis(axis: number, rank: number): number {
    const at = axis < 0 ? axis + rank : axis;
    return at >= 0 && at < rank
      ? at
      : this.refuse("axis is out of range", { expected: `${-rank} … ${rank - 1}`, got: String(axis) });
  }
  /** One number for each of `n` space axes. */
  perAxis(key: string, n: number, otherwise: number): readonly number[] {
    const list = this.ints(key, new Array<number>(n).fill(otherwise));
    return list.length === n
      ? list
      : this.refuse(`${key} needs one number for each space axis`, { expected: String(n), got: `[${list.join(",")}]` });
  }
  /** Space axes of an image [N, C, …]. */
  space(x: Value): Shape {
    return x.shape.length >= 3
      ? x.shape.slice(2)
      : this.refuse("input has no space axes", { expected: "[N, C, …space]", got: formatShape(x.shape) });
  }
}
