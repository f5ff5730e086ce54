/** @file What a checkpoint holds, as plain rows for `inspect` and for choosing a model. */
import { bytesPerElement, type DType, type Shape, sizeOf, type Tensor } from "../common/tensor.js";

export interface WeightRow {
  readonly name: string;
  readonly dtype: DType;
  readonly shape: Shape;
  readonly elements: number;
}

export interface WeightsDescription {
  /** In the order of the file. */
  readonly rows: readonly WeightRow[];
  /** Elements of all tensors that are not statistics of batch norm. */
  readonly parameters: number;
  /** In memory, all tensors together. */
  readonly bytes: number;
}

/** Running means and variances, and the counter beside them. */
const isStatistic = (name: string): boolean => /(^|\.)(running_mean|running_var|num_batches_tracked)$/.test(name);

/** Running means and variances only. */
export const isRunning = (name: string): boolean => /(^|\.)(running_mean|running_var)$/.test(name);

export function describeWeights(tensors: ReadonlyMap<string, Tensor>): WeightsDescription {
  const rows = [...tensors].map(([name, { dtype, shape }]) => ({ name, dtype, shape, elements: sizeOf(shape) }));
  return {
    rows,
    parameters: rows.reduce((sum, row) => sum + (isStatistic(row.name) ? 0 : row.elements), 0),
    bytes: rows.reduce((sum, row) => sum + row.elements * bytesPerElement(row.dtype), 0),
  };
}
