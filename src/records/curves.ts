/** @file Curves over the steps of a run in bounded memory: neighbouring steps are merged to their minimum and maximum. */

/** Steps and, for each series, one value a point; NaN is a gap. */
export interface Curves {
  readonly steps: Float64Array;
  /** One array per series, each as long as `steps`. */
  readonly values: readonly Float64Array[];
}

/**
 * Keeps `series` values a step. Up to `capacity` steps every value is kept; beyond, buckets of 2, 4, 8 … steps keep the
 * first and last step and each series' extremes in the order in which they came, so that no spike is lost and a picture
 * that is not wider than `capacity` pixels looks the same. Memory is 17 bytes a series and bucket, whatever the length.
 */
export class CurveBuffer {
  private readonly firstStep: Float64Array;
  private readonly lastStep: Float64Array;
  private readonly low: Float64Array[];
  private readonly high: Float64Array[];
  /** 1 where the lowest value came before the highest. */
  private readonly rising: Uint8Array[];
  /** The value of the last step of all, by series. */
  private readonly final: Float64Array;
  private buckets = 0;
  private bucketSize = 1;
  private inLast = 0;

  /** @param capacity most buckets, even */
  constructor(
    readonly series: number,
    private readonly capacity = 1024,
  ) {
    const rows = () => Array.from({ length: series }, () => new Float64Array(capacity));
    this.firstStep = new Float64Array(capacity);
    this.lastStep = new Float64Array(capacity);
    this.low = rows();
    this.high = rows();
    this.rising = Array.from({ length: series }, () => new Uint8Array(capacity));
    this.final = new Float64Array(series);
  }

  /** @param value the value of series 0 … series − 1 at this step; NaN where there is none */
  push(step: number, value: (series: number) => number): void {
    if (this.buckets === 0 || this.inLast === this.bucketSize) {
      if (this.buckets === this.capacity) this.halve();
      this.firstStep[this.buckets] = step;
      this.inLast = 0;
      this.buckets++;
    }
    const b = this.buckets - 1;
    this.lastStep[b] = step;
    for (let j = 0; j < this.series; j++) {
      const x = value(j);
      const [low, high, rising] = [this.low[j]!, this.high[j]!, this.rising[j]!]; // j is a series
      this.final[j] = x;
      if (this.inLast === 0 || Number.isNaN(low[b])) {
        low[b] = high[b] = x;
        rising[b] = 1;
      } else if (x < low[b]!) {
        low[b] = x;
        rising[b] = 0;
      } else if (x > high[b]!) {
        high[b] = x;
        rising[b] = 1;
      }
    }
    this.inLast++;
  }

  /** One point for a bucket of one step, two for the others; the last point of every series is its last value. */
  points(): Curves {
    const single = (b: number) => this.firstStep[b] === this.lastStep[b];
    let count = 0;
    for (let b = 0; b < this.buckets; b++) count += single(b) ? 1 : 2;
    const steps = new Float64Array(count);
    const values = this.low.map(() => new Float64Array(count));
    let at = 0;
    for (let b = 0; b < this.buckets; b++) {
      const two = !single(b);
      steps[at] = this.firstStep[b]!; // b is a bucket
      if (two) steps[at + 1] = this.lastStep[b]!;
      for (const [j, row] of values.entries()) {
        const [low, high] = [this.low[j]![b]!, this.high[j]![b]!];
        row[at] = this.rising[j]![b] ? low : high;
        if (two) row[at + 1] = this.rising[j]![b] ? high : low;
      }
      at += two ? 2 : 1;
    }
    if (count > 0) for (const [j, row] of values.entries()) row[count - 1] = this.final[j]!;
    return { steps, values };
  }

  /** Merges neighbouring buckets. Called when all are full, so that all have the same number of steps. */
  private halve(): void {
    const half = this.capacity / 2;
    for (let b = 0; b < half; b++) {
      this.firstStep[b] = this.firstStep[2 * b]!; // 2b + 1 is below the capacity
      this.lastStep[b] = this.lastStep[2 * b + 1]!;
    }
    for (let j = 0; j < this.series; j++) {
      const [low, high, rising] = [this.low[j]!, this.high[j]!, this.rising[j]!]; // j is a series
      for (let b = 0; b < half; b++) {
        const [p, q] = [2 * b, 2 * b + 1];
        const [lowP, lowQ, highP, highQ] = [low[p]!, low[q]!, high[p]!, high[q]!];
        const lowFirst = Number.isNaN(lowQ) || lowP <= lowQ; // the lowest is in p
        const highFirst = Number.isNaN(highQ) || highP >= highQ;
        rising[b] = lowFirst === highFirst ? rising[lowFirst ? p : q]! : lowFirst ? 1 : 0;
        low[b] = lowFirst && !Number.isNaN(lowP) ? lowP : lowQ;
        high[b] = highFirst && !Number.isNaN(highP) ? highP : highQ;
      }
    }
    this.buckets = half;
    this.bucketSize *= 2;
    this.inLast = this.bucketSize;
  }
}

/** Curves of at most `2·buckets` points that look the same in a picture not wider than `buckets` pixels. */
export function reduceCurves(steps: ArrayLike<number>, values: readonly ArrayLike<number>[], buckets: number): Curves {
  const capacity = 2 * Math.ceil(buckets / 2);
  if (steps.length <= capacity) {
    return { steps: Float64Array.from(steps), values: values.map((row) => Float64Array.from(row)) };
  }
  const buffer = new CurveBuffer(values.length, capacity);
  for (let i = 0; i < steps.length; i++) buffer.push(steps[i]!, (j) => values[j]![i] ?? Number.NaN); // j is a series
  return buffer.points();
}
