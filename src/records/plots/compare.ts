/** @file Methods side by side: every fold or seed as a point, the mean with its interval above them. */
import { fitText, textWidth } from "./_measure.js";
import { inks } from "./color.js";
import { drawFrame, extentOf, type FrameOptions, fontSizes } from "./frame.js";
import { linearScale } from "./scale.js";
import { Svg, type Theme } from "./svg.js";

export interface ComparedMethod {
  readonly name: string;
  /** One value per fold or seed, in 0 … 1; NaN is left out. */
  readonly values: readonly number[];
  /** Default: the mean of `values`. */
  readonly mean?: number;
  /** Ends of the interval around the mean; none is drawn where it is absent. */
  readonly interval?: readonly [low: number, high: number];
  /** The method that the others are held against: a line through its mean. */
  readonly reference?: boolean;
}

export interface CompareData {
  readonly methods: readonly ComparedMethod[];
  readonly title?: string;
  /** Default "Accuracy (%)". */
  readonly xLabel?: string;
  /** Says below the plot what bars and points are: "bars: 95 % interval of the mean over 5 folds". */
  readonly note?: string;
  readonly width?: number;
  readonly theme?: Theme;
}

const ROW = 40;

/** One row a method, in the given order. Values are drawn in percent. */
export function comparePlot(data: CompareData): string {
  const { methods, title, xLabel = "Accuracy (%)", note, width = 760 } = data;
  const size = fontSizes.label;
  const names = methods.map((m) => fitText(m.name, size, 220));
  const left = Math.ceil(Math.max(40, ...names.map((n, i) => textWidth(n, size, methods[i]?.reference === true)))) + 26;
  const top = title === undefined ? 16 : 42;
  const figures = methods.map((m) => ({ ...m, mean: m.mean ?? meanOf(m.values) }));
  const rightLabels = 64;
  const box = {
    left,
    top,
    width: Math.max(width - left - rightLabels - 14, 120),
    height: ROW * Math.max(methods.length, 1),
  };
  const height = top + box.height + 50 + (note === undefined ? 0 : 18);
  const [low, high] = extentOf(figures.map((m) => [...m.values, m.mean, ...(m.interval ?? [])])) ?? [0, 1];
  const margin = Math.max(0.06 * (high - low), 0.005);
  const inside = (v: number) => Math.min(Math.max(v, low >= 0 ? 0 : low - margin), high <= 1 ? 1 : high + margin);
  const format = (value: number, decimals: number) => (100 * value).toFixed(Math.max(0, decimals - 2));
  const x = linearScale(inside(low - margin), inside(high + margin), { format, count: 7 });
  const y = { ...linearScale(0, methods.length), ticks: [] };
  const frame: FrameOptions = { ...(title === undefined ? {} : { title }), xLabel, yLabel: "", x, y, box };
  const svg = new Svg(width, height, data.theme ?? { mode: "light" }, title ?? `${xLabel} by method`);
  const px = (value: number) => box.left + x.at(value) * box.width;
  for (const tick of x.ticks) svg.line(px(tick.value), top, px(tick.value), top + box.height, { ink: inks.grid });
  drawFrame(svg, frame);
  for (const m of figures) {
    if (!m.reference || !Number.isFinite(m.mean)) continue;
    svg.line(px(m.mean), top, px(m.mean), top + box.height, { ink: inks.muted, dash: "3 3" });
  }
  for (const [i, m] of figures.entries()) {
    const middle = top + (i + 0.5) * ROW;
    svg.text(left - 12, middle + 0.36 * size, names[i] ?? "", { size, anchor: "end", bold: m.reference === true });
    const points = m.values.filter(Number.isFinite);
    for (const [k, value] of points.length > 1 ? points.entries() : []) {
      const tip = `${m.name}: ${(100 * value).toFixed(2)} %`;
      svg.circle(px(value), middle + 9 + spread(k, points.length), 2.8, { ink: inks.train, opacity: 0.55, tip });
    }
    if (!Number.isFinite(m.mean)) continue;
    const at = middle - 5;
    if (m.interval?.every(Number.isFinite)) {
      const [from, to] = m.interval.map(px) as [number, number]; // two ends stay two
      svg.line(from, at, to, at, { ink: inks.text, width: 1.6 });
      for (const end of [from, to]) svg.line(end, at - 4, end, at + 4, { ink: inks.text, width: 1.6 });
    }
    svg.circle(px(m.mean), at, 4.2, { ink: inks.text });
    const label = (100 * m.mean).toFixed(1);
    svg.text(box.left + box.width + 14, middle - 5 + 0.36 * size, label, { size, bold: m.reference === true });
  }
  if (note !== undefined) svg.text(left, height - 8, note, { size: 9.5, ink: inks.muted });
  return svg.toString();
}

const meanOf = (values: readonly number[]): number => {
  const known = values.filter(Number.isFinite);
  return known.reduce((sum, v) => sum + v, 0) / known.length;
};

/** Neighbouring points a little apart, so that equal values are still counted by eye. */
const spread = (k: number, count: number): number => (count > 1 ? ((k % 3) - 1) * 3 : 0);
