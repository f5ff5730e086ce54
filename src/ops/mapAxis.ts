/** @file One axis of a tensor through a constant matrix: what resizing and average pooling are, forward and backward. */
import { InternalError } from "../common/errors.js";
import { sizeOf } from "../common/tensor.js";
import { constant } from "../graph/build.js";
import type { Value } from "../graph/value.js";
import { matmul } from "./matmul.js";
import { reshape } from "./shape.js";

/** rows × columns numbers, row after row. */
export interface Matrix {
  readonly rows: number;
  readonly columns: number;
  readonly data: Float64Array;
}

export function transposed(m: Matrix): Matrix {
  const data = new Float64Array(m.data.length);
  for (let r = 0; r < m.rows; r++)
    for (let c = 0; c < m.columns; c++) data[c * m.rows + r] = m.data[r * m.columns + c]!; // inside
  return { rows: m.columns, columns: m.rows, data };
}

/**
 * y[…, i, …] = Σ_j m[i, j]·x[…, j, …] along `axis`, as one matrix product.
 *
 * @param m as many columns as x has places along the axis; y has as many as m has rows
 */
export function mapAxis(x: Value, axis: number, m: Matrix): Value {
  const [n, after] = [x.shape[axis], x.shape.slice(axis + 1)];
  if (n !== m.columns) throw new InternalError(`mapAxis: ${m.columns} columns for ${n} places`);
  const before = x.shape.slice(0, axis);
  const shape = [...before, m.rows, ...after];
  const weights = (w: Matrix) =>
    constant({ dtype: "float32", shape: [w.rows, w.columns], data: Float32Array.from(w.data) });
  if (sizeOf(after) === 1) return reshape(matmul(reshape(x, [sizeOf(before), n]), weights(transposed(m))), shape);
  return reshape(matmul(weights(m), reshape(x, [sizeOf(before), n, sizeOf(after)])), shape);
}
