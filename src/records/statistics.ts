/** @file The statistics of a comparison: intervals of means, paired tests, correction for several tests. */

/** Mean of values with the ends of its confidence interval; ends are null for fewer than two values. */
export interface MeanInterval {
  readonly n: number;
  readonly mean: number;
  /** Sample standard deviation (n − 1); null for fewer than two values. */
  readonly deviation: number | null;
  readonly low: number | null;
  readonly high: number | null;
}

/** Student's t interval of the mean. @param level default 0.95 */
export function meanInterval(values: readonly number[], level = 0.95): MeanInterval {
  const n = values.length;
  const mean = values.reduce((sum, v) => sum + v, 0) / n;
  if (n < 2) return { n, mean, deviation: null, low: null, high: null };
  const deviation = Math.sqrt(values.reduce((sum, v) => sum + (v - mean) ** 2, 0) / (n - 1));
  const half = (tQuantile(0.5 + level / 2, n - 1) * deviation) / Math.sqrt(n);
  return { n, mean, deviation, low: mean - half, high: mean + half };
}

/** Two-sided paired t test of differences; null for fewer than two, or where all are equal (then t has no spread to be held against). */
export function pairedTTest(
  differences: readonly number[],
): { readonly t: number; readonly df: number; readonly p: number } | null {
  const { n, mean, deviation } = meanInterval(differences);
  // Sums of equal decimals may leave a last bit.
  if (deviation === null || deviation <= 1e-12 * Math.max(1e-6, Math.abs(mean))) return null;
  const t = mean / (deviation / Math.sqrt(n));
  return { t, df: n - 1, p: 2 * (1 - tDistribution(Math.abs(t), n - 1)) };
}

/**
 * Wilcoxon's signed-rank test, two-sided, with its exact distribution (all 2ⁿ signs): zeros are left out, equal sizes share the mean of their ranks.
 * @returns null where no difference is left; `rankSum` is that of the rarer sign
 */
export function wilcoxonExact(
  differences: readonly number[],
): { readonly n: number; readonly rankSum: number; readonly p: number } | null {
  const sizes = differences.filter((d) => d !== 0).sort((a, b) => Math.abs(a) - Math.abs(b));
  const n = sizes.length;
  if (n === 0) return null;
  // Ranks times two are whole numbers, ties included.
  const ranks: number[] = [];
  for (let from = 0; from < n; ) {
    let to = from;
    while (to < n && sameSize(sizes[to] ?? 0, sizes[from] ?? 0)) to++;
    for (let i = from; i < to; i++) ranks.push(from + 1 + to);
    from = to;
  }
  const total = ranks.reduce((a, b) => a + b, 0);
  const positive = ranks.reduce((sum, r, i) => sum + ((sizes[i] ?? 0) > 0 ? r : 0), 0);
  const smaller = Math.min(positive, total - positive);
  /** Share of all signs by the doubled rank sum of the positive ones. */
  let shares = new Float64Array(total + 1);
  shares[0] = 1;
  for (const r of ranks) {
    const next = new Float64Array(total + 1);
    for (let s = 0; s <= total; s++) next[s] = 0.5 * ((shares[s] ?? 0) + (s >= r ? (shares[s - r] ?? 0) : 0));
    shares = next;
  }
  const tail = shares.subarray(0, smaller + 1).reduce((a, b) => a + b, 0);
  return { n, rankSum: smaller / 2, p: Math.min(1, 2 * tail) };
}

/** Differences of rates such as 3/40 − 2/40 are equal but for their last bits. */
const sameSize = (a: number, b: number): boolean => Math.abs(Math.abs(a) - Math.abs(b)) <= 1e-9;

/** p values corrected for that many tests (Holm 1979), in the order given. */
export function holm(ps: readonly number[]): number[] {
  const order = ps.map((_, i) => i).sort((a, b) => (ps[a] ?? 1) - (ps[b] ?? 1));
  const out = new Array<number>(ps.length).fill(1);
  let highest = 0;
  order.forEach((i, rank) => {
    highest = Math.max(highest, Math.min(1, (ps.length - rank) * (ps[i] ?? 1)));
    out[i] = highest;
  });
  return out;
}

/** P(T ≤ t) of Student's t with df degrees of freedom. */
export function tDistribution(t: number, df: number): number {
  const tail = 0.5 * incompleteBeta(df / (df + t * t), df / 2, 0.5);
  return t >= 0 ? 1 - tail : tail;
}

/** t with P(T ≤ t) = p, for p in 0.5 … 1. */
export function tQuantile(p: number, df: number): number {
  let [low, high] = [0, 1];
  while (tDistribution(high, df) < p) high *= 2;
  for (let i = 0; i < 200 && high - low > 1e-14 * high; i++) {
    const middle = (low + high) / 2;
    if (tDistribution(middle, df) < p) low = middle;
    else high = middle;
  }
  return (low + high) / 2;
}

/** Regularised incomplete beta function I_x(a, b), by its continued fraction (DLMF 8.17.22, evaluated by Lentz's method). */
function incompleteBeta(x: number, a: number, b: number): number {
  if (x <= 0) return 0;
  if (x >= 1) return 1;
  if (x > (a + 1) / (a + b + 2)) return 1 - incompleteBeta(1 - x, b, a); // where the fraction converges fast
  const front = Math.exp(a * Math.log(x) + b * Math.log1p(-x) + logGamma(a + b) - logGamma(a) - logGamma(b)) / a;
  const apart = (v: number) => (Math.abs(v) < 1e-300 ? 1e-300 : v);
  let c = 1;
  let d = 1 / apart(1 - ((a + b) * x) / (a + 1));
  let fraction = d;
  for (let m = 1; m < 500; m++) {
    const even = (m * (b - m) * x) / ((a + 2 * m - 1) * (a + 2 * m));
    const odd = (-(a + m) * (a + b + m) * x) / ((a + 2 * m) * (a + 2 * m + 1));
    let change = 1;
    for (const term of [even, odd]) {
      d = 1 / apart(1 + term * d);
      c = apart(1 + term / c);
      change = c * d;
      fraction *= change;
    }
    if (Math.abs(change - 1) < 1e-15) break;
  }
  return front * fraction;
}

/** ln Γ(x), x > 0: upwards to x ≥ 15, then Stirling's series. */
function logGamma(x: number): number {
  let shift = 0;
  for (; x < 15; x++) shift -= Math.log(x);
  const i = 1 / (x * x);
  const series = (1 / 12 - i * (1 / 360 - i * (1 / 1260 - i / 1680))) / x;
  return shift + (x - 0.5) * Math.log(x) - x + 0.5 * Math.log(2 * Math.PI) + series;
}
