/** @file Inner product of two values of one shape: what hypergradients are made of. */
import { ShapeError } from "../common/errors.js";
import { formatShape, sameShape, sizeOf } from "../common/tensor.js";
import type { Value } from "../graph/value.js";
import { nd } from "./_nd.js";
import { apply, defineOp, type Op } from "./define.js";
import { mul } from "./elementwise.js";
import { int } from "./lowering.js";

/** Rows to split n elements into: shorter float32 sums are more exact, and rows run on different threads. */
function rowsOf(n: number): number {
  for (let rows = Math.min(256, Math.floor(n / 64)); rows > 1; rows--) if (n % rows === 0) return rows;
  return 1;
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
  lower: ({ a, b }, low, _, node) => {
    const n = sizeOf(node.inputs[0]!.shape); // a
    const rows = rowsOf(n);
    const left = low.emit("Reshape", [a, low.vector([rows, 1, n / rows])]);
    const right = low.emit("Reshape", [b, low.vector([rows, n / rows, 1])]);
    const partial = low.emit("MatMul", [left, right]);
    return low.emit("ReduceSum", [partial, low.vector([0, 1, 2])], { keepdims: int(0) });
  },
  samples: [{ shapes: { a: [2, 3], b: [2, 3] } }, { shapes: { a: [256], b: [256] } }, { shapes: { a: [], b: [] } }],
});

export const dot = (a: Value, b: Value): Value => apply(Dot, [a, b]);
