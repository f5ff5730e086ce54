/** @file Reductions over axes: sum, mean, max. */
import { sizeOf } from "../common/tensor.js";
import { scalar } from "../graph/build.js";
import type { Value } from "../graph/value.js";
import { nd, normalizeAxes, reducedShape, reduceNd } from "./_nd.js";
import { apply, defineOp, type Sample } from "./define.js";
import { cast, div, equal, mul } from "./elementwise.js";
import { int } from "./lowering.js";
import { expand, reshape } from "./shape.js";

interface ReduceAttributes {
  readonly [name: string]: readonly number[] | boolean;
  readonly axes: readonly number[];
  readonly keepDims: boolean;
}
const attrs: ReduceAttributes = { axes: [], keepDims: false };
const samples: readonly Sample[] = [
  { shapes: { x: [2, 3, 4] }, attrs: { axes: [0, 2], keepDims: false } },
  { shapes: { x: [2, 3, 4] }, attrs: { axes: [-1], keepDims: true } },
  { shapes: { x: [3] }, attrs: { axes: [0], keepDims: false } },
];
const restore = (v: Value, x: Value, axes: readonly number[]) =>
  reshape(v, reducedShape(x.shape, normalizeAxes("Reduce", axes, x.shape.length), true));
const count = (shape: readonly number[], axes: readonly number[]) =>
  axes.reduce((n, a) => n * shape[a < 0 ? a + shape.length : a]!, 1); // axes were checked by the shape rule

export const ReduceSum = defineOp({
  name: "ReduceSum",
  source: "ONNX ReduceSum-13 with known axes",
  inputs: ["x"],
  attrs,
  shape: ({ x }, { axes, keepDims }) =>
    reducedShape(x.shape, normalizeAxes("ReduceSum", axes, x.shape.length), keepDims),
  grad: { x: ({ x, dy, attrs: { axes } }) => expand(restore(dy, x, axes), x.shape) },
  evaluate: ({ x }, { axes, keepDims }) =>
    reduceNd(x, normalizeAxes("ReduceSum", axes, x.shape.length), keepDims, 0, (a, v) => a + v),
  lower: ({ x }, low, { axes, keepDims }) =>
    low.emit("ReduceSum", [x, low.vector(axes)], { keepdims: int(keepDims ? 1 : 0) }),
  samples,
});

export const ReduceMean = defineOp({
  name: "ReduceMean",
  source: "ONNX ReduceMean-18 with known axes",
  inputs: ["x"],
  attrs,
  shape: ({ x }, { axes, keepDims }) =>
    reducedShape(x.shape, normalizeAxes("ReduceMean", axes, x.shape.length), keepDims),
  grad: {
    x: ({ x, dy, attrs: { axes } }) => expand(mul(restore(dy, x, axes), scalar(1 / count(x.shape, axes))), x.shape),
  },
  evaluate: ({ x }, { axes, keepDims }) => {
    const sum = reduceNd(x, normalizeAxes("ReduceMean", axes, x.shape.length), keepDims, 0, (a, v) => a + v);
    return nd(
      sum.shape,
      sum.data.map((v) => v / count(x.shape, axes)),
    );
  },
  lower: ({ x }, low, { axes, keepDims }) =>
    low.emit("ReduceMean", [x, low.vector(axes)], { keepdims: int(keepDims ? 1 : 0) }),
  samples,
});

export const ReduceMax = defineOp({
  name: "ReduceMax",
  source: "ONNX ReduceMax-18 with known axes; equal maxima share the gradient, as PyTorch's amax",
  inputs: ["x"],
  attrs,
  shape: ({ x }, { axes, keepDims }) =>
    reducedShape(x.shape, normalizeAxes("ReduceMax", axes, x.shape.length), keepDims),
  grad: {
    x: ({ x, y, dy, attrs: { axes } }) => {
      const hit = cast(equal(x, restore(y, x, axes)), "float32");
      return mul(hit, div(restore(dy, x, axes), apply(ReduceSum, [hit], { axes, keepDims: true })));
    },
  },
  evaluate: ({ x }, { axes, keepDims }) =>
    reduceNd(x, normalizeAxes("ReduceMax", axes, x.shape.length), keepDims, Number.NEGATIVE_INFINITY, Math.max),
  lower: ({ x }, low, { axes, keepDims }) =>
    low.emit("ReduceMax", [x, low.vector(axes)], { keepdims: int(keepDims ? 1 : 0) }),
  samples,
});

export const reduceSum = (x: Value, axes: readonly number[], keepDims = false): Value =>
  axes.length === 0 ? x : apply(ReduceSum, [x], { axes, keepDims });
export const reduceMean = (x: Value, axes: readonly number[], keepDims = false): Value =>
  axes.length === 0 ? x : apply(ReduceMean, [x], { axes, keepDims });
export const reduceMax = (x: Value, axes: readonly number[], keepDims = false): Value =>
  axes.length === 0 ? x : apply(ReduceMax, [x], { axes, keepDims });
/** Sum of all elements, a scalar of shape []. */
export const sumAll = (x: Value): Value =>
  x.shape.length === 0 ? x : reshape(reduceSum(reshape(x, [sizeOf(x.shape)]), [0]), []);
