/** @file Inner product of two values of one shape: what hypergradients are made of. */
import { ShapeError } from "../common/errors.js";
import { formatShape, sameShape, sizeOf } from "../common/tensor.js";
import type { Value } from "../graph/value.js";
import { nd } from "./_nd.js";
import { apply, defineOp, type Op } from "./define.js";
import { mul } from "./elementwise.js";
import { int, type Lowering } from "./lowering.js";

/** Rows to split n elements into: shorter float32 sums are more exact, and rows run on different threads. */
function rowsOf(n: number): number {
  for (let rows = Math.min(256, Math.floor(n / 64)); rows > 1; rows--) if (n % rows === 0) return rows;
  return 1;
}

/** Σ a·b of two ONNX values of n elements and one shape. */
export function lowerDot(a: string, b: string, n: number, low: Lowering): string {
  const rows = rowsOf(n);
  // Products of one row and one column are half as fast in ONNX Runtime.
  const products = low.emit("Reshape", [low.emit("Mul", [a, b]), low.vector([rows, n / rows])]);
  const partial = low.emit("ReduceSum", [products, low.vector([1])], { keepdims: int(0) });
  return low.emit("ReduceSum", [partial, low.vector([0])], { keepdims: int(0) });
}

export const Dot: Op = defineOp({
  name: "Dot",
  source: "Σ a·b over all elements",
  inputs: ["a", "b"],
  shape: ({ a, b }) => {
    if (!sameShape(a.shape, b.shape)) {
      throw new ShapeError("Dot", {
        problem: "operands differ in shape",
        got: `${formatShape(a.shape)} and ${formatShape(b.shape)}`,
      });
    }
    return [];
  },
  grad: { a: ({ b, dy }) => mul(dy, b), b: ({ a, dy }) => mul(dy, a) },
  linear: { a: ({ b }, d) => dot(d, b), b: ({ a }, d) => dot(a, d) },
  evaluate: ({ a, b }) => nd([], Float64Array.of(a.data.reduce((s, v, i) => s + v * b.data[i]!, 0))), // same length
  lower: ({ a, b }, low, _, node) => lowerDot(a, b, sizeOf(node.inputs[0]!.shape), low), // a's
  samples: [{ shapes: { a: [2, 3], b: [2, 3] } }, { shapes: { a: [256], b: [256] } }, { shapes: { a: [], b: [] } }],
});

export const dot = (a: Value, b: Value): Value => apply(Dot, [a, b]);
