/** @file Rules of the native plan: matrix products, reductions, softmax, inner products. */
import { type Shape, sameShape, sizeOf } from "../../common/tensor.js";
import type { Node, Value } from "../../graph/value.js";
import { type Layout, spaceOf } from "./layout.js";
import { elementNumber, int, type Planner, size, sizes } from "./planner.js";
import type { Region } from "./program.js";

/** Plans a node; false where the rule does not apply, and another executor runs it. */
export type Rule = (p: Planner, node: Node) => boolean;

/** y[b, m, n] = op(a)·op(b) (+ c[n]); the batch axes of both must be equal or one of them 1. */
function product(
  p: Planner,
  [a, b, c]: readonly [Value, Value, Value | null],
  y: Value,
  trans: { a: boolean; b: boolean },
): void {
  const [m, n] = y.shape.slice(-2) as [number, number]; // products have two axes
  const k = trans.a ? a.shape.at(-2)! : a.shape.at(-1)!;
  const batch = sizeOf(y.shape.slice(0, -2));
  const words = (to: Region) => [
    ...sizes([batch, m, n, k]),
    int(trans.a ? 1 : 0),
    int(trans.b ? 1 : 0),
    int(batchOf(a) === 1 ? 1 : 0),
    int(batchOf(b) === 1 ? 1 : 0),
    ab,
    bb,
    cb,
    to,
  ];
  const [ab, bb, cb] = [p.get(a, "plain"), p.get(b, "plain"), c ? p.get(c, "plain") : null];
  const to = p.make(y, "plain");
  p.emit("Matmul", words(to), [ab, bb, cb], [to], 2 * sizeOf(y.shape) * k);
}
const batchOf = (v: Value) => sizeOf(v.shape.slice(0, -2));

export const matmulRule: Rule = (p, node) => {
  const [a, b] = node.inputs as [Value, Value]; // MatMul has two inputs
  const y = node.outputs[0]!;
  const batch = y.shape.slice(0, -2);
  const fits = (v: Value) => batchOf(v) === 1 || sameShape(v.shape.slice(0, -2), batch);
  if (y.dtype !== "float32" || sizeOf(y.shape) === 0 || sizeOf(a.shape) === 0 || !fits(a) || !fits(b)) return false;
  product(p, [a, b, null], y, { a: false, b: false });
  return true;
};

export const gemmRule: Rule = (p, node) => {
  const [a, b, c] = node.inputs as [Value, Value, Value | null]; // Gemm's inputs
  const y = node.outputs[0]!;
  if (y.dtype !== "float32" || sizeOf(y.shape) === 0 || sizeOf(a.shape) === 0) return false;
  // A bias of another form than one number a column is rare.
  if (c && !(sizeOf(c.shape) === y.shape[1] && c.shape.at(-1) === y.shape[1])) return false;
  product(p, [a, b, c ?? null], y, { a: node.attrs["transA"] === true, b: node.attrs["transB"] === true });
  return true;
};

const reduceNumber: Readonly<Record<string, number>> = { ReduceSum: 0, ReduceMean: 1, ReduceMax: 2 };

export const reduceRule: Rule = (p, node) => {
  const x = node.inputs[0]!; // reductions have one input
  const y = node.outputs[0]!;
  const kind = reduceNumber[node.op.name];
  if (kind === undefined || x.dtype !== "float32" || sizeOf(x.shape) === 0) return false;
  const axes = new Set((node.attrs["axes"] as readonly number[]).map((a) => (a < 0 ? a + x.shape.length : a)));
  const space = x.shape.slice(2).map((_, i) => i + 2);
  const blocked = p.canBlock(x) && p.has(x, "blocked") && space.length > 0 && space.every((a) => axes.has(a));
  let buffer = p.get(x, blocked ? "blocked" : "plain");
  let shape: Shape = x.shape;
  let left = axes;
  const reduce = (outer: number, n: number, inner: number, last: boolean) => {
    const to = last ? p.make(y, "plain") : p.buffer("float32", outer * inner);
    p.emit("Reduce", [int(kind), elementNumber(buffer), ...sizes([outer, n, inner]), buffer, to], [buffer], [to]);
    buffer = to;
  };
  if (blocked) {
    // Space first, straight from the blocks; what is left is [N, C] in C order.
    left = new Set([...axes].filter((a) => a < 2));
    reduce((x.shape[0]! * x.shape[1]!) / p.block, spaceOf(x.shape), p.block, left.size === 0);
    shape = x.shape.slice(0, 2);
  }
  // One run of neighbouring axes after another, from the last.
  while (left.size > 0) {
    const last = Math.max(...left);
    let first = last;
    while (left.has(first - 1)) first--;
    const rest = new Set([...left].filter((a) => a < first));
    reduce(
      sizeOf(shape.slice(0, first)),
      sizeOf(shape.slice(first, last + 1)),
      sizeOf(shape.slice(last + 1)),
      rest.size === 0,
    );
    shape = [...shape.slice(0, first), ...shape.slice(last + 1)];
    left = rest;
  }
  if (axes.size === 0) p.put(y, "plain", buffer);
  return true;
};

export const softmaxRule: Rule = (p, node) => {
  const x = node.inputs[0]!; // one input
  if (x.dtype !== "float32" || sizeOf(x.shape) === 0) return false;
  const given = Number(node.attrs["axis"]);
  const axis = given < 0 ? given + x.shape.length : given;
  const source = p.get(x, "plain");
  const to = p.make(node.outputs[0]!, "plain");
  const form = sizes([sizeOf(x.shape.slice(0, axis)), x.shape[axis]!, sizeOf(x.shape.slice(axis + 1))]); // the op checked its axis
  p.emit("Softmax", [int(node.op.name === "Softmax" ? 0 : 1), ...form, source, to], [source], [to]);
  return true;
};

export const dotRule: Rule = (p, node) => {
  const [a, b] = node.inputs as [Value, Value]; // Dot has two inputs
  if (a.dtype !== "float32") return false;
  const order: readonly Layout[] = ["weight", "blocked", "plain"];
  const layout =
    order.find((l) => p.has(a, l) && p.has(b, l)) ?? order.find((l) => p.has(a, l) || p.has(b, l)) ?? "plain";
  const [ab, bb] = [p.get(a, layout), p.get(b, layout)];
  const to = p.make(node.outputs[0]!, "plain");
  p.emit("Dot", [size(sizeOf(a.shape)), elementNumber(ab), ab, bb, to], [ab, bb], [to], 2 * sizeOf(a.shape));
  return true;
};
