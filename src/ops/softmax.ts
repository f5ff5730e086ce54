/** @file Softmax, log-softmax, and the cross-entropy that is made of them. */
import { ShapeError } from "../common/errors.js";
import { formatShape, type Shape, sizeOf } from "../common/tensor.js";
import { constant, scalar } from "../graph/build.js";
import type { Value } from "../graph/value.js";
import { nd, normalizeAxes } from "./_nd.js";
import { apply, defineOp, type NdArray } from "./define.js";
import { cast, equal, mul, sub } from "./elementwise.js";
import { int } from "./lowering.js";
import { reduceSum, sumAll } from "./reduce.js";
import { reshape } from "./shape.js";

/** f of each row along `axis`, in place on a copy. */
function rows(x: NdArray, axis: number, f: (row: Float64Array) => void): NdArray {
  const at = axis < 0 ? axis + x.shape.length : axis;
  const [n, inner] = [x.shape[at]!, sizeOf(x.shape.slice(at + 1))]; // the shape rule checked the axis
  const y = nd(x.shape);
  const row = new Float64Array(n);
  for (let outer = 0; outer < x.data.length / (n * inner); outer++)
    for (let i = 0; i < inner; i++) {
      const base = outer * n * inner + i;
      for (let k = 0; k < n; k++) row[k] = x.data[base + k * inner]!;
      f(row);
      for (let k = 0; k < n; k++) y.data[base + k * inner] = row[k]!;
    }
  return y;
}
const logSumExp = (row: Float64Array): number => {
  const top = row.reduce((a, b) => Math.max(a, b), Number.NEGATIVE_INFINITY);
  return top + Math.log(row.reduce((s, v) => s + Math.exp(v - top), 0));
};
const sameShape = (op: string, x: Value, axis: number): Shape => {
  normalizeAxes(op, [axis], x.shape.length);
  return x.shape;
};
const samples = [
  { shapes: { x: [3, 4] }, attrs: { axis: -1 } },
  { shapes: { x: [2, 3, 2] }, attrs: { axis: 1 } },
];

export const Softmax = defineOp({
  name: "Softmax",
  source: "ONNX Softmax-13",
  inputs: ["x"],
  attrs: { axis: -1 },
  shape: ({ x }, { axis }) => sameShape("Softmax", x, axis),
  grad: { x: ({ y, dy, attrs: { axis } }) => mul(y, sub(dy, reduceSum(mul(dy, y), [axis], true))) },
  evaluate: ({ x }, { axis }) =>
    rows(x, axis, (row) => {
      const l = logSumExp(row);
      row.forEach((v, i) => {
        row[i] = Math.exp(v - l);
      });
    }),
  lower: ({ x }, low, { axis }) => low.emit("Softmax", [x], { axis: int(axis) }),
  samples,
});

export const LogSoftmax = defineOp({
  name: "LogSoftmax",
  source: "ONNX LogSoftmax-13",
  inputs: ["x"],
  attrs: { axis: -1 },
  shape: ({ x }, { axis }) => sameShape("LogSoftmax", x, axis),
  grad: { x: ({ x, dy, attrs: { axis } }) => sub(dy, mul(softmax(x, axis), reduceSum(dy, [axis], true))) },
  evaluate: ({ x }, { axis }) =>
    rows(x, axis, (row) => {
      const l = logSumExp(row);
      row.forEach((v, i) => {
        row[i] = v - l;
      });
    }),
  lower: ({ x }, low, { axis }) => low.emit("LogSoftmax", [x], { axis: int(axis) }),
  samples,
});

export const softmax = (x: Value, axis = -1): Value => apply(Softmax, [x], { axis });
export const logSoftmax = (x: Value, axis = -1): Value => apply(LogSoftmax, [x], { axis });

/** Labels int64 [N, …] as float32 [N, classes, …]: 1 at the label's class. */
export function oneHot(labels: Value, classes: number): Value {
  const [n, ...space] = labels.shape;
  const range = BigInt64Array.from({ length: classes }, (_, i) => BigInt(i));
  const ids = constant({ dtype: "int64", shape: [1, classes, ...space.map(() => 1)], data: range });
  return cast(equal(reshape(labels, [n ?? 1, 1, ...space]), ids), "float32");
}

/**
 * Mean softmax cross-entropy −log p(label), over images, or over all positions of a segmentation.
 * @param logits float32 [N, classes, …space]
 * @param labels int64 [N, …space], each 0 … classes − 1
 * @returns a scalar of shape []
 */
export function crossEntropy(logits: Value, labels: Value): Value {
  const [n, classes, ...space] = logits.shape;
  if (classes === undefined || formatShape(labels.shape) !== formatShape([n ?? 0, ...space])) {
    throw new ShapeError("crossEntropy", {
      problem: "labels do not fit the logits",
      expected: `${formatShape([n ?? 0, ...space])} (logits ${formatShape(logits.shape)})`,
      got: formatShape(labels.shape),
    });
  }
  const picked = mul(logSoftmax(logits, 1), oneHot(labels, classes));
  return mul(sumAll(picked), scalar(-1 / sizeOf(labels.shape)));
}
