/** @file Numbers on their way into events. */

/** The shortest decimal that is this float32 again when rounded: 0.001 instead of 0.0010000000474974513. */
export function shortest(x: number): number {
  if (!Number.isFinite(x) || Math.fround(x) !== x) return x;
  for (let digits = 6; digits < 9; digits++) {
    const short = Number(x.toPrecision(digits));
    if (Math.fround(short) === x) return short;
  }
  return Number(x.toPrecision(9)); // nine digits tell any two float32 numbers apart
}
