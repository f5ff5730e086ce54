/** @file The frame of a plot with two axes: title, ticks, grid, labels; and curves drawn into it. */
import { reduceCurves } from "../curves.js";
import { textWidth } from "./_measure.js";
import { type Ink, inks } from "./color.js";
import type { Scale } from "./scale.js";
import { type LineStyle, type Svg, short } from "./svg.js";

export interface Box {
  readonly left: number;
  readonly top: number;
  readonly width: number;
  readonly height: number;
}

export interface FrameOptions {
  readonly title?: string;
  readonly xLabel: string;
  readonly yLabel: string;
  readonly x: Scale;
  readonly y: Scale;
  readonly box: Box;
}

export const fontSizes = { title: 13, label: 11.5, tick: 10.5, legend: 10.5 } as const;

/** Room that y labels need left of the frame: tick labels, the turned axis label and the space between them. */
export function leftMargin(y: Scale): number {
  const widest = Math.max(
    0,
    ...y.ticks.map(({ label }) =>
      label === undefined
        ? 0
        : textWidth(label.text, fontSizes.tick) + textWidth(label.exponent ?? "", 0.74 * fontSizes.tick),
    ),
  );
  return Math.ceil(widest + 40);
}

/** Positions in pixels of the values of two scales inside a box. */
export const project = ({ x, y, box }: Pick<FrameOptions, "x" | "y" | "box">) => ({
  px: (value: number) => box.left + x.at(value) * box.width,
  py: (value: number) => box.top + (1 - y.at(value)) * box.height,
});

/** Grid, axes with ticks outward, labels and title. Curves are drawn after it. */
export function drawFrame(svg: Svg, options: FrameOptions): void {
  const { title, xLabel, yLabel, x, y, box } = options;
  const { px, py } = project(options);
  const right = box.left + box.width;
  const bottom = box.top + box.height;
  for (const tick of y.ticks) {
    const at = py(tick.value);
    if (tick.label !== undefined) svg.line(box.left, at, right, at, { ink: inks.grid });
    svg.line(box.left - (tick.label === undefined ? 3 : 5), at, box.left, at, { ink: inks.axis });
    if (tick.label === undefined) continue;
    const { text, exponent } = tick.label;
    const style = {
      size: fontSizes.tick,
      anchor: "end",
      ...(exponent === undefined ? {} : { superscript: exponent }),
    } as const;
    svg.text(box.left - 9, at + 0.36 * fontSizes.tick, text, style);
  }
  for (const tick of x.ticks) {
    const at = px(tick.value);
    svg.line(at, bottom, at, bottom + 5, { ink: inks.axis });
    if (tick.label === undefined) continue;
    svg.text(at, bottom + 8 + fontSizes.tick, tick.label.text, { size: fontSizes.tick, anchor: "middle" });
  }
  svg.line(box.left, box.top, box.left, bottom, { ink: inks.axis });
  svg.line(box.left, bottom, right, bottom, { ink: inks.axis });
  svg.text(box.left + box.width / 2, bottom + 38, xLabel, { size: fontSizes.label, anchor: "middle" });
  const middle = box.top + box.height / 2;
  svg.text(18, middle, yLabel, { size: fontSizes.label, anchor: "middle", rotate: -90 });
  if (title !== undefined) svg.text(box.left, box.top - 16, title, { size: fontSizes.title, bold: true });
}

/**
 * The `d` of a polyline in tenths of a pixel; what is not finite breaks it. Points alone between two gaps are listed
 * apart, for a dot.
 */
export function polyline(xs: ArrayLike<number>, ys: ArrayLike<number>): { d: string; dots: [x: number, y: number][] } {
  let d = "";
  const dots: [number, number][] = [];
  let run = 0;
  let at: [number, number] = [0, 0];
  const endRun = () => {
    if (run === 1) dots.push([at[0] / 10, at[1] / 10]);
    run = 0;
  };
  for (let i = 0; i < xs.length; i++) {
    const point: [number, number] = [Math.round(10 * xs[i]!), Math.round(10 * ys[i]!)]; // i is below the length
    if (!Number.isFinite(point[0] + point[1])) {
      endRun();
      continue;
    }
    const [dx, dy] = [point[0] - at[0], point[1] - at[1]];
    if (run === 0) d += `M${short(point[0] / 10)} ${short(point[1] / 10)}`;
    else if (dx !== 0 || dy !== 0) d += `l${short(dx / 10)}${dy < 0 ? "" : " "}${short(dy / 10)}`;
    at = point;
    run++;
  }
  endRun();
  return { d, dots };
}

/** A curve; a value alone between gaps becomes a dot, unless the caller draws its own (`dots: false`). */
export function drawCurve(
  svg: Svg,
  frame: Pick<FrameOptions, "x" | "y" | "box">,
  steps: ArrayLike<number>,
  values: ArrayLike<number>,
  style: LineStyle & { readonly clip?: string; readonly dots?: boolean },
): void {
  const { px, py } = project(frame);
  const xs = Float64Array.from(steps, px);
  const ys = Float64Array.from(values, py);
  const { d, dots } = polyline(xs, ys);
  if (d !== "") svg.path(d, style);
  if (style.dots === false) return;
  for (const [x, y] of dots) svg.circle(x, y, 1.2 + (style.width ?? 1), { ink: style.ink });
}

/** Curves reduced to what a box of this width can show: two points a pixel at most. */
export const reduceTo = (box: Box, steps: ArrayLike<number>, values: readonly ArrayLike<number>[]) =>
  reduceCurves(steps, values, Math.ceil(box.width));

/** Smallest and largest of all finite values that satisfy `accept`; null where there is none. */
export function extentOf(
  rows: readonly ArrayLike<number>[],
  accept: (value: number) => boolean = () => true,
): [low: number, high: number] | null {
  let [low, high] = [Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY];
  for (const row of rows) {
    for (let i = 0; i < row.length; i++) {
      const value = row[i]!; // i is below the length
      if (!Number.isFinite(value) || !accept(value)) continue;
      low = Math.min(low, value);
      high = Math.max(high, value);
    }
  }
  return low <= high ? [low, high] : null;
}

/** A vertical mark at one step, with its word at the top: the selected epoch. */
export function drawMark(
  svg: Svg,
  frame: Pick<FrameOptions, "x" | "y" | "box">,
  step: number,
  text: string,
  ink: Ink,
): void {
  const { box } = frame;
  const x = project(frame).px(step);
  if (!(x >= box.left - 0.5 && x <= box.left + box.width + 0.5)) return;
  svg.line(x, box.top, x, box.top + box.height, { ink, dash: "2 3" });
  const anchor = x > box.left + box.width / 2 ? "end" : "start";
  svg.text(anchor === "end" ? x - 5 : x + 5, box.top + 9, text, { size: 9.5, ink: inks.muted, anchor });
}
