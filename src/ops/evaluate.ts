/** @file Runs a graph in float64 reference arithmetic: for gradient tests and constant folding. */
import { GraphError } from "../common/errors.js";
import { type DType, formatShape, type Tensor, type TensorOf, zeros } from "../common/tensor.js";
import { constantTensor, inputOp, nodesOf } from "../graph/build.js";
import type { Value } from "../graph/value.js";
import { nd } from "./_nd.js";
import { type NdArray, opOf } from "./define.js";

/** A tensor of any dtype as a reference array (int64 exact to 2^53). */
export const toNd = (t: Tensor): NdArray =>
  nd(t.shape, Float64Array.from(t.data as ArrayLike<number | bigint>, Number)); // every DataOf is such a list

/** A reference array as a tensor of the dtype; whole numbers are not rounded, they must be whole already. */
export function fromNd<D extends DType>(dtype: D, x: NdArray): TensorOf<D> {
  const t = zeros(dtype, x.shape);
  if (t.data instanceof BigInt64Array || t.data instanceof BigUint64Array) {
    for (let i = 0; i < x.data.length; i++) t.data[i] = BigInt(x.data[i]!); // i is inside
  } else (t.data as Float64Array).set(x.data); // every other array type sets from numbers
  return t;
}

/**
 * Values of `outputs` given those of the graph's inputs.
 * @throws {GraphError} when an input that is needed was not fed, or has another shape
 */
export function evaluateGraph(outputs: readonly Value[], feeds: ReadonlyMap<Value, NdArray>): NdArray[] {
  const known = new Map<Value, NdArray>(feeds);
  for (const node of nodesOf(outputs)) {
    if (node.op === inputOp) {
      const value = node.outputs[0]!; // Input has one output
      const fed = known.get(value);
      const name = `input "${String(node.attrs["name"])}"`;
      if (!fed) throw new GraphError(name, { problem: "was not fed" });
      if (formatShape(fed.shape) !== formatShape(value.shape)) {
        throw new GraphError(name, {
          problem: "was fed another shape",
          expected: formatShape(value.shape),
          got: formatShape(fed.shape),
        });
      }
      continue;
    }
    const value = node.outputs[0]!;
    const fixed = constantTensor(value);
    if (fixed) known.set(value, toNd(fixed));
    else {
      const results = opOf(node).evaluate(
        node,
        node.inputs.map((v) => (v ? (known.get(v) ?? null) : null)),
      );
      node.outputs.forEach((v, i) => {
        const r = results[i];
        if (r) known.set(v, r);
      });
    }
  }
  return outputs.map((v) => known.get(v)!); // every node was visited
}
