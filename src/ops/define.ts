/** @file `defineOp`: one entry an op (shape rule, gradient rule, float64 reference, lowering, samples), checked once and erased to a plain `Op`. */
import { GraphError, InternalError, ShapeError } from "../common/errors.js";
import { type DType, formatShape, type Shape } from "../common/tensor.js";
import { makeNode } from "../graph/build.js";
import type { Attribute, Attributes, Node, Operator, Value } from "../graph/value.js";
import type { Lowering } from "./lowering.js";

/** A tensor of the reference arithmetic: any dtype held in float64 (integers exact to 2^53), C order. */
export interface NdArray {
  readonly shape: Shape;
  readonly data: Float64Array;
}

type Names = readonly string[];
/** Values by input name; optional inputs may be null, a variadic one is an array. */
type Args<I extends Names, Q extends Names, V extends string, T> = { readonly [K in I[number]]: T } & {
  readonly [K in Q[number]]: T | null;
} & { readonly [K in V]: readonly T[] };
type Cotangents<O extends Names> = { readonly [K in O[number] as `d${K}`]: Value };

/** What a gradient rule sees: inputs, outputs, the cotangent dy of the first output, attributes, and which of a variadic input is asked for. */
export type GradArgs<I extends Names, Q extends Names, V extends string, O extends Names, A> = Args<I, Q, V, Value> & {
  readonly [K in O[number]]: Value;
} & Cotangents<O> & { readonly attrs: A; readonly index: number };

export interface Type {
  readonly dtype: DType;
  readonly shape: Shape;
}

/** Input shapes of one test case, by name; `ints` says that an input takes whole numbers below its value. */
export interface Sample {
  readonly shapes: Readonly<Record<string, Shape | readonly Shape[]>>;
  readonly attrs?: Attributes;
  /** Range of the random values, default [−2, 2]; keep away from kinks and poles. */
  readonly range?: readonly [low: number, high: number];
  /** Range per input, where one differs. */
  readonly ranges?: Readonly<Record<string, readonly [number, number]>>;
  /** Inputs of whole numbers 0 … n − 1 and dtype int64; bool where n is 2. */
  readonly ints?: Readonly<Record<string, number>>;
}

export interface OpSpec<I extends Names, Q extends Names, V extends string, O extends Names, A> {
  readonly name: string;
  /** Where the definition comes from: the ONNX operator and version, a paper, "as PyTorch". */
  readonly source: string;
  readonly inputs: I;
  readonly optional?: Q;
  /** Name of one input that takes any number of values; it comes alone. */
  readonly variadic?: V;
  /** Default ["y"]. Gradients flow through the first output only. */
  readonly outputs?: O;
  /** Attributes with their defaults; this object is their type as well. */
  readonly attrs?: A;
  /** Shape of the output (dtype of the first input), or type of every output in order. */
  readonly shape: (x: Args<I, Q, V, Value>, attrs: A) => Shape | readonly Type[];
  /** One rule an input: a forgotten one does not compile, and "none" says "not differentiable". */
  readonly grad: {
    readonly [K in I[number] | Q[number] | V]: ((x: GradArgs<I, Q, V, O, A>) => Value) | "none";
  };
  /**
   * The op as a linear function of one input, the others held: derivative contractions ⟨∂L/∂w, G⟩ = ⟨dy, f(G)⟩ use it
   * instead of the gradient where that is cheaper. Bias-like inputs must be left out of f.
   */
  readonly linear?: { readonly [K in I[number]]?: (x: GradArgs<I, Q, V, O, A>, direction: Value) => Value };
  /** Reference in float64. */
  readonly evaluate: (x: Args<I, Q, V, NdArray>, attrs: A, types: readonly Type[]) => NdArray | readonly NdArray[];
  /** Emits ONNX nodes; names of the outputs in order. Default: the ONNX op of the same name without attributes. */
  readonly lower?: (x: Args<I, Q, V, string>, low: Lowering, attrs: A, node: Node) => string | readonly string[];
  readonly samples: readonly Sample[];
}

/** An op with its types erased; what autodiff, compile and the tests work on. */
export interface Op extends Operator {
  readonly source: string;
  readonly optional: ReadonlySet<string>;
  readonly variadic: string | null;
  readonly samples: readonly Sample[];
  readonly differentiable: Readonly<Record<string, boolean>>;
  /** Makes a node. @throws {ShapeError} */
  node(inputs: readonly (Value | null)[], attrs?: Attributes, name?: string): Node;
  /** Gradient by input number `i`, before un-broadcasting; null where the rule says "none". */
  gradient(node: Node, i: number, dy: Value): Value | null;
  /** f(direction) of `linear`, or null where the op is not known to be linear in input `i`. */
  push(node: Node, i: number, dy: Value, direction: Value): Value | null;
  evaluate(node: Node, inputs: readonly (NdArray | null)[]): readonly NdArray[];
  lower(node: Node, inputs: readonly string[], low: Lowering): readonly string[];
}

/** The Op behind a node. @throws {InternalError} for Input and Constant, which are no ops */
export function opOf(node: Node): Op {
  if (!("gradient" in node.op)) throw new InternalError(`${node.op.name} has no op entry`);
  return node.op as Op; // the check above: only defineOp makes operators with a gradient
}

const isTypes = (r: Shape | readonly Type[]): r is readonly Type[] => r.length > 0 && typeof r[0] === "object";

/** Checks the entry and returns the erased op. */
export function defineOp<
  const I extends Names,
  const Q extends Names = readonly [],
  const V extends string = never,
  const O extends Names = readonly ["y"],
  A extends Readonly<Record<string, Attribute>> = Readonly<Record<string, never>>,
>(spec: OpSpec<I, Q, V, O, A>): Op {
  const optional: Names = spec.optional ?? [];
  const outputs: Names = spec.outputs ?? ["y"];
  const variadic = spec.variadic ?? null;
  const names: Names = variadic === null ? [...spec.inputs, ...optional] : [`${variadic}…`];
  if (variadic !== null && (spec.inputs.length > 0 || optional.length > 0)) {
    throw new InternalError(`${spec.name}: a variadic input comes alone`);
  }
  // The erased forms: argument objects are built from the node by name, so the casts below hold by construction.
  const args = <T>(values: readonly (T | null)[]) =>
    (variadic === null
      ? Object.fromEntries(names.map((n, i) => [n, values[i] ?? null]))
      : { [variadic]: values }) as unknown as Args<I, Q, V, T>;
  const attrsOf = (attrs: Attributes) => ({ ...spec.attrs, ...attrs }) as unknown as A;
  const rules = spec.grad as Readonly<Record<string, ((x: unknown) => Value) | "none">>;
  const inputName = (i: number) => variadic ?? names[i] ?? "";
  const gradArgs = (node: Node, i: number, dy: Value) => ({
    ...args(node.inputs),
    ...Object.fromEntries(outputs.map((n, k) => [n, node.outputs[k]])),
    [`d${outputs[0] ?? "y"}`]: dy,
    attrs: attrsOf(node.attrs),
    index: i,
  });
  const op: Op = {
    name: spec.name,
    source: spec.source,
    inputs: names,
    outputs,
    optional: new Set(optional),
    variadic,
    samples: spec.samples,
    differentiable: Object.fromEntries(Object.entries(rules).map(([k, r]) => [k, r !== "none"])),
    node(inputs, given = {}, name = "") {
      const where = `${spec.name}${name ? ` "${name}"` : ""}`;
      if (variadic === null) {
        spec.inputs.forEach((n, i) => {
          if (!inputs[i]) throw new GraphError(where, { problem: `input "${n}" is missing` });
        });
        if (inputs.length > names.length) {
          throw new GraphError(where, {
            problem: "too many inputs",
            expected: `at most ${names.length} (${names.join(", ")})`,
            got: String(inputs.length),
          });
        }
      } else if (inputs.length === 0) throw new GraphError(where, { problem: "no inputs" });
      const attrs = attrsOf(given);
      let types: readonly Type[];
      try {
        const result = spec.shape(args<Value>(inputs), attrs);
        types = isTypes(result) ? result : [{ dtype: inputs[0]?.dtype ?? "float32", shape: result }];
      } catch (e) {
        // Shape rules throw ShapeErrors that do not know the node's name.
        if (e instanceof ShapeError && e.where === spec.name && name) {
          throw new ShapeError(where, {
            problem: e.problem,
            ...(e.expected !== undefined && { expected: e.expected }),
            ...(e.got !== undefined && { got: e.got }),
            ...(e.hint !== undefined && { hint: e.hint }),
          });
        }
        throw e;
      }
      // Attributes is the erased form of A.
      return makeNode(op, inputs, attrs as Attributes, types, name);
    },
    gradient(node, i, dy) {
      const rule = rules[inputName(i)];
      if (rule === undefined) throw new InternalError(`${spec.name} has no input ${i}`);
      return rule === "none" ? null : rule(gradArgs(node, i, dy));
    },
    push(node, i, dy, direction) {
      const linear = spec.linear as Readonly<Record<string, (x: unknown, direction: Value) => Value>> | undefined;
      return linear?.[inputName(i)]?.(gradArgs(node, i, dy), direction) ?? null;
    },
    evaluate(node, inputs) {
      const result = spec.evaluate(args<NdArray>(inputs), attrsOf(node.attrs), node.outputs);
      const list = "data" in result ? [result] : result;
      list.forEach((r, k) => {
        const want = node.outputs[k];
        if (want && formatShape(want.shape) !== formatShape(r.shape)) {
          throw new InternalError(
            `${spec.name}: evaluate gave ${formatShape(r.shape)}, shape rule ${formatShape(want.shape)}`,
          );
        }
      });
      return list;
    },
    lower(node, inputs, low) {
      const named = variadic === null ? inputs.map((n) => (n === "" ? "" : n)) : inputs;
      const values = (variadic === null
        ? Object.fromEntries(names.map((n, i) => [n, named[i] ?? ""]))
        : { [variadic]: named }) as unknown as Args<I, Q, V, string>;
      if (!spec.lower) return [low.emit(spec.name, inputs)];
      const result = spec.lower(values, low, attrsOf(node.attrs), node);
      return typeof result === "string" ? [result] : result;
    },
  };
  return op;
}

/** The single output of a node of `op`. */
export const apply = (op: Op, inputs: readonly (Value | null)[], attrs?: Attributes, name?: string): Value =>
  op.node(inputs, attrs, name).outputs[0]!; // every op has a first output
