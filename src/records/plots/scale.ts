/** @file Axes: from a range of numbers to positions and to ticks that read well, linear and logarithmic. */

/** A tick with its label: `text`, or `text` with `exponent` raised behind it ("10", "−3"). Minor ticks have no label. */
export interface Tick {
  readonly value: number;
  readonly label?: { readonly text: string; readonly exponent?: string };
}

export interface Scale {
  readonly kind: "linear" | "log";
  /** Both ends of what is shown. */
  readonly domain: readonly [low: number, high: number];
  readonly ticks: readonly Tick[];
  /** 0 … 1 along the axis; NaN for what it cannot show. */
  at(value: number): number;
}

/** The typographic minus. */
const signed = (text: string): string => text.replaceAll("-", "−");

/** Step of 1, 2, 2.5 or 5 times a power of ten that gives at most `count` intervals. */
function niceStep(span: number, count: number): number {
  const power = 10 ** Math.floor(Math.log10(span / count));
  const multiple = [1, 2, 2.5, 5, 10].find((m) => m * power * count >= span * (1 - 1e-9)) ?? 10;
  return multiple * power;
}

/** Decimals that a multiple of `step` needs. */
function decimalsOf(step: number): number {
  for (let d = 0; d < 12; d++) {
    const scaled = step * 10 ** d;
    if (Math.abs(scaled - Math.round(scaled)) < 1e-6 * scaled) return d;
  }
  return 12;
}

const multiples = (low: number, high: number, step: number): number[] => {
  const first = Math.ceil(low / step - 1e-9);
  const last = Math.floor(high / step + 1e-9);
  return Array.from({ length: Math.max(last - first + 1, 0) }, (_, i) => (first + i) * step);
};

export interface LinearOptions {
  /** Most labelled intervals; default 5. */
  readonly count?: number;
  /** Only whole numbers are labelled: iterations, epochs. */
  readonly whole?: boolean;
  /** Default: plain decimals. */
  readonly format?: (value: number, decimals: number) => string;
  /** Extends the domain to the ticks around it. */
  readonly nice?: boolean;
}

/** A linear axis over [low, high]; a range without extent is widened around its value. */
export function linearScale(low: number, high: number, options: LinearOptions = {}): Scale {
  const { count = 5, whole = false, nice = false } = options;
  const format = options.format ?? ((value: number, decimals: number) => withCommas(value.toFixed(decimals)));
  if (!(high > low)) {
    const margin = Math.abs(low) > 0 ? Math.abs(low) * 0.1 : 1;
    [low, high] = [low - margin, low + margin];
  }
  let step = niceStep(high - low, count);
  if (whole) step = Math.max(1, Math.ceil(step));
  if (nice) [low, high] = [Math.floor(low / step + 1e-9) * step, Math.ceil(high / step - 1e-9) * step];
  const decimals = decimalsOf(step);
  const ticks = multiples(low, high, step).map((value) => ({
    value,
    label: { text: signed(format(value, decimals)) },
  }));
  return { kind: "linear", domain: [low, high], ticks, at: (value) => (value - low) / (high - low) };
}

const withCommas = (text: string): string => text.replace(/\B(?=(\d{3})+(?!\d))(?<!\.\d*)/g, ",");

/**
 * A logarithmic axis over [low, high], both > 0, widened by a little so that curves do not run along the frame. Labels are
 * at decades where there are two or more, else at 1, 2, 5, else at round values.
 *
 * @param labels most labels; default 7
 */
export function logScale(low: number, high: number, labels = 7): Scale {
  const margin = Math.max(0.05 * Math.log10(high / low), 0.02);
  const d0 = Math.log10(low) - margin;
  const d1 = Math.log10(high) + margin;
  const at = (value: number) => (value > 0 ? (Math.log10(value) - d0) / (d1 - d0) : Number.NaN);
  const inside = (value: number) => at(value) >= -1e-9 && at(value) <= 1 + 1e-9;
  const domain = [10 ** d0, 10 ** d1] as const;
  const exponents = multiples(Math.floor(d0), Math.ceil(d1), 1);
  const minor = () =>
    d1 - d0 > 12 ? [] : exponents.flatMap((e) => [1, 2, 3, 4, 5, 6, 7, 8, 9].map((m) => m * 10 ** e)).filter(inside);

  const decades = exponents.filter((e) => inside(10 ** e));
  if (decades.length >= 2) {
    const every = Math.ceil(decades.length / labels);
    const major = decades.map((e) => ({
      value: 10 ** e,
      ...(e % every === 0 ? { label: { text: "10", exponent: signed(String(e)) } } : {}),
    }));
    return { kind: "log", domain, ticks: withMinor(major, minor()), at };
  }
  const oneTwoFive = exponents
    .flatMap((e) => [1, 2, 5].map((m) => ({ m, e })))
    .filter(({ m, e }) => inside(m * 10 ** e));
  if (oneTwoFive.length >= 3) {
    const major = oneTwoFive.map(({ m, e }) => ({
      value: m * 10 ** e,
      label: { text: m === 1 ? "10" : `${m}×10`, exponent: signed(String(e)) },
    }));
    return { kind: "log", domain, ticks: withMinor(major, minor()), at };
  }
  // Less than a factor of about five: round values with one common exponent.
  const e = Math.floor(Math.log10(domain[1]) + 1e-9);
  const step = niceStep(domain[1] - domain[0], labels - 1);
  const decimals = decimalsOf(step / 10 ** e);
  const major = multiples(domain[0], domain[1], step).map((value) => ({
    value,
    label: { text: `${(value / 10 ** e).toFixed(decimals)}×10`, exponent: signed(String(e)) },
  }));
  return { kind: "log", domain, ticks: major, at };
}

function withMinor(major: readonly Tick[], minor: readonly number[]): Tick[] {
  const near = (a: number, b: number) => Math.abs(a / b - 1) < 1e-6;
  return [...major, ...minor.filter((m) => !major.some((t) => near(t.value, m))).map((value) => ({ value }))];
}
