/** @file Makes a graph smaller before it is lowered: folds constants, shares equal nodes, drops arithmetic that does nothing. */
import { sameShape, sizeOf, type Tensor } from "../common/tensor.js";
import { constant, constantOp, constantTensor, inputOp, makeNode, nodesOf } from "../graph/build.js";
import type { Attribute, Graph, Node, Value } from "../graph/value.js";
import { fromNd, opOf, toNd } from "../ops/index.js";

/** Larger constants are cheaper to compute than to store. */
const FOLD_LIMIT = 1 << 16;

/** The same graph with fewer nodes; inputs keep their identity and names. */
export function simplify(graph: Graph): Graph {
  const replaced = new Map<Value, Value>();
  const ids = new Map<object, number>();
  const idOf = (o: object) => ids.get(o) ?? ids.set(o, ids.size).get(o)!; // just set
  const shared = new Map<string, Node>();
  const now = (v: Value): Value => replaced.get(v) ?? v;
  /** The first constant with this content. */
  const once = (value: Value): Value => {
    const key = constantKey(constantTensor(value)!); // callers pass constants
    if (key === null) return value;
    const twin = shared.get(key) ?? value.node;
    shared.set(key, twin);
    return twin.outputs[0]!; // Constant has one output
  };

  for (const node of nodesOf(graph.outputs.values())) {
    if (node.op === inputOp) continue;
    if (node.op === constantOp) {
      const value = node.outputs[0]!; // Constant has one output
      replaced.set(value, once(value));
      continue;
    }
    const inputs = node.inputs.map((v) => (v ? now(v) : null));
    const constantResult = folded(node, inputs);
    const same = constantResult ? once(constantResult) : identity(node, inputs);
    if (same) {
      replaced.set(node.outputs[0]!, same); // both give results for the first output of one-output nodes only
      continue;
    }
    const key = `${idOf(node.op)}(${inputs.map((v) => (v ? `${idOf(v.node)}.${v.index}` : "")).join()})${attributesKey(node.attrs, idOf)}`;
    let twin = shared.get(key);
    if (!twin) {
      const changed = inputs.some((v, i) => v !== node.inputs[i]);
      twin = changed ? makeNode(node.op, inputs, node.attrs, node.outputs, node.name) : node;
      shared.set(key, twin);
    }
    if (twin !== node) {
      for (const v of node.outputs) replaced.set(v, twin.outputs[v.index]!); // a twin has as many outputs
    }
  }
  return { ...graph, outputs: new Map([...graph.outputs].map(([k, v]) => [k, now(v)])) };
}

const constantKey = (t: Tensor): string | null =>
  t.data.length <= 64 ? `${t.dtype}[${t.shape}]${Array.from(t.data as ArrayLike<number | bigint>, zeroSigned)}` : null; // every DataOf is such a list

/** −0 and 0 are different constants. */
const zeroSigned = (x: number | bigint) => (Object.is(x, -0) ? "-0" : String(x));

const attributesKey = (attrs: Node["attrs"], idOf: (o: object) => number): string =>
  JSON.stringify(Object.entries(attrs), (_, a: Attribute) =>
    typeof a === "object" && a !== null && "dtype" in a ? `tensor ${idOf(a)}` : a,
  );

/** The operand that the node returns unchanged (x·1, x + 0, x/1, x − 0), or null. NaN and infinities stay as they are. */
function identity(node: Node, inputs: readonly (Value | null)[]): Value | null {
  const [a, b] = inputs;
  const out = node.outputs[0];
  if (!a || !b || !out || a.dtype !== out.dtype) return null;
  const fills = (v: Value, x: number) => {
    const t = constantTensor(v);
    return (
      t !== null &&
      t.data.length > 0 &&
      t.data.length <= FOLD_LIMIT &&
      t.data.every((e: number | bigint) => Number(e) === x && !Object.is(e, -0))
    );
  };
  const keeps = (v: Value) => sameShape(v.shape, out.shape);
  switch (node.op.name) {
    case "Mul":
      return keeps(a) && fills(b, 1) ? a : keeps(b) && fills(a, 1) ? b : null;
    case "Div":
      return keeps(a) && fills(b, 1) ? a : null;
    case "Add": // −0 + 0 is 0: the sign of a zero may change, nothing else
      return keeps(a) && fills(b, 0) ? a : keeps(b) && fills(a, 0) ? b : null;
    case "Sub":
      return keeps(a) && fills(b, 0) ? a : null;
    default:
      return null;
  }
}

/** The constant that a node of constants makes, when it is small. */
function folded(node: Node, inputs: readonly (Value | null)[]): Value | null {
  const out = node.outputs[0];
  if (!out || node.outputs.length !== 1 || sizeOf(out.shape) > FOLD_LIMIT) return null;
  const tensors = inputs.map((v) => (v ? constantTensor(v) : null));
  if (inputs.some((v, i) => v !== null && tensors[i] === null)) return null;
  const result = opOf(node).evaluate(
    node,
    tensors.map((t) => (t ? toNd(t) : null)),
  )[0]!; // one output
  return constant(fromNd(out.dtype, result) as Tensor, node.name); // a TensorOf of some dtype is a Tensor
}
