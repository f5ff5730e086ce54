/** @file Values that depend on nothing but constants become constants, by float64 reference arithmetic. */
import type { DType, Tensor } from "../../common/tensor.js";
import { constant, constantTensor } from "../../graph/build.js";
import type { Value } from "../../graph/value.js";
import { evaluateGraph, fromNd } from "../../ops/index.js";

/** Largest whole numbers that float64 holds below the ends of int64: "until the end" is written as 2^63 − 1. */
const largest = 2 ** 63 - 1024;
const wide = (dtype: DType) => dtype === "int64" || dtype === "uint64";

/** `v` computed now; everything it needs must be constant. */
export function fold(v: Value): Value {
  if (constantTensor(v) !== null) return v;
  const result = evaluateGraph([v], new Map())[0]!; // one value was asked for
  const data = wide(v.dtype) ? result.data.map((x) => Math.max(-largest, Math.min(largest, x))) : result.data;
  return constant(fromNd(v.dtype, { shape: result.shape, data }) as Tensor); // data and dtype belong together: fromNd
}
