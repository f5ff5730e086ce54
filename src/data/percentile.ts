/** @file Percentiles, as numpy.percentile: linear between neighbours. */

/**
 * @param sorted ascending, without NaN
 * @param q 0 … 100
 * @returns 0 of nothing
 */
export function percentile(sorted: Float32Array | Float64Array, q: number): number {
  if (sorted.length === 0) return 0;
  const at = (q / 100) * (sorted.length - 1);
  const below = sorted[Math.floor(at)]!; // q is 0 … 100
  const above = sorted[Math.ceil(at)]!;
  return below + (above - below) * (at - Math.floor(at));
}
