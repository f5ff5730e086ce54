/** @file The picture of MetaLR: the learning rate of every layer group over the iterations, on a logarithmic axis. */
import { type Ink, inks, rampOf } from "./color.js";
import { drawCurve, drawFrame, extentOf, type FrameOptions, leftMargin, project, reduceTo } from "./frame.js";
import { drawLegend, drawRamp, type LegendEntry, legendWidth } from "./legend.js";
import { linearScale, logScale } from "./scale.js";
import { Svg, type Theme } from "./svg.js";

export interface LrCurvesData {
  /** Names, stem first. */
  readonly groups: readonly string[];
  /** Iteration of every point. */
  readonly steps: ArrayLike<number>;
  /** lr[group][point]; NaN is a gap, 0 is frozen; what is not above 0 cannot stand on the axis and is said below it. */
  readonly lr: readonly ArrayLike<number>[];
  readonly title?: string;
  /** Default "Iteration". */
  readonly xLabel?: string;
  /** Default "Learning rate". */
  readonly yLabel?: string;
  /** Draws the bounds that the rates are clamped to, where they are near. */
  readonly bounds?: readonly [low: number, high: number];
  /** Marks epochs on the upper edge. */
  readonly stepsPerEpoch?: number;
  /** Default 760 × 430. */
  readonly width?: number;
  readonly height?: number;
  readonly theme?: Theme;
}

/** Up to this many groups have a line in the legend each; more share a colour ramp. */
const LIST = 12;

/** Every second line of a listed legend is dashed, so that neighbours differ by more than their colour. */
const DASH = "7 2";
const dashOf = (group: number, groups: number): string | undefined =>
  groups <= LIST && group % 2 === 1 && group < groups - 1 ? DASH : undefined;

/** SVG text. Curves of any length are reduced to two points a pixel that keep every extreme. */
export function lrCurves(data: LrCurvesData): string {
  const { groups, title, xLabel = "Iteration", yLabel = "Learning rate", width = 760, height = 430 } = data;
  const colours = rampOf(groups.length);
  const positive = (rate: number) => rate > 0;
  const extent = extentOf(data.lr, positive) ?? data.bounds ?? [1e-4, 1e-2];
  const y = logScale(...widened(extent, data.bounds));
  const entries = groups.map((label, j): LegendEntry => {
    const row = data.lr[j] ?? [];
    const frozen = row.length > 0 && extentOf([row], (rate) => rate !== 0) === null;
    const dash = dashOf(j, groups.length);
    return {
      label,
      ink: colours[j]!, // one colour a group
      width: 2.2,
      ...(dash === undefined ? {} : { dash }),
      ...(frozen ? { note: "frozen", opacity: 0.35 } : {}),
    };
  });
  const listed = groups.length <= LIST;
  const hidden = countHidden(data.lr);
  const left = leftMargin(y);
  const legend = legendWidth(entries, "Layer group");
  const top = title === undefined ? 18 : 40;
  const above = data.stepsPerEpoch === undefined ? 0 : 20;
  const box = {
    left,
    top: top + above,
    width: Math.max(width - left - legend, 120),
    height: height - top - above - 52 - (hidden > 0 ? 16 : 0),
  };
  const [first, last] = extentOf([data.steps]) ?? [0, 1];
  const x = linearScale(Math.min(first, last > first ? (first === 1 ? 0 : first) : first), last, {
    count: 6,
    whole: true,
  });
  const frame: FrameOptions = { xLabel, yLabel, x, y, box };
  const svg = new Svg(
    width,
    height,
    data.theme ?? { mode: "light" },
    title ?? `${yLabel} over ${xLabel.toLowerCase()}s`,
  );
  drawFrame(svg, frame);
  if (title !== undefined) svg.text(left, top - 16, title, { size: 13, bold: true });
  if (data.bounds !== undefined) drawBounds(svg, frame, data.bounds);
  if (data.stepsPerEpoch !== undefined) drawEpochs(svg, frame, data.stepsPerEpoch);

  const reduced = reduceTo(
    box,
    data.steps,
    data.lr.map((row) => Float64Array.from(row, (rate) => (rate > 0 ? rate : Number.NaN))),
  );
  const lineWidth = groups.length <= LIST ? 1.7 : groups.length <= 30 ? 1.4 : 1.1;
  const clip = svg.clip(box.left, box.top - 2, box.width + 2, box.height + 4);
  const twins = coincident(reduced.values);
  for (const [j, row] of reduced.values.entries()) {
    const twin = twins[j]!; // one entry a curve
    drawCurve(svg, frame, reduced.steps, row, {
      ink: colours[j] ?? inks.text,
      width: lineWidth,
      clip,
      // Curves that are equal everywhere take turns along the line, so that each is seen.
      ...(twin.of > 1
        ? { dash: `10 ${10 * (twin.of - 1)}`, dashOffset: -10 * twin.rank }
        : dashOf(j, groups.length) !== undefined
          ? { dash: DASH }
          : {}),
    });
  }
  if (listed) drawLegend(svg, box, entries, "Layer group");
  else drawRamp(svg, box, entries, "Layer group");
  if (hidden > 0) {
    const words = hidden === 1 ? "1 rate is not above 0 and has" : `${hidden} rates are not above 0 and have`;
    svg.text(left, height - 8, `${words} no place on a logarithmic axis`, { size: 9.5, ink: inks.muted });
  }
  return svg.toString();
}

/** At least a factor of 1.25 around the curves, and the bounds where they are within a factor of 1.5. */
function widened([low, high]: readonly [number, number], bounds?: readonly [number, number]): [number, number] {
  if (bounds !== undefined && bounds[0] > 0 && low < 1.5 * bounds[0]) low = Math.min(low, bounds[0]);
  if (bounds !== undefined && Number.isFinite(bounds[1]) && high > bounds[1] / 1.5) high = Math.max(high, bounds[1]);
  const factor = Math.max(1, Math.sqrt(1.25 / (high / low)));
  return [low / factor, high * factor];
}

function drawBounds(svg: Svg, frame: FrameOptions, bounds: readonly [number, number]): void {
  const { box, y } = frame;
  for (const [i, bound] of bounds.entries()) {
    if (!(bound >= y.domain[0] && bound <= y.domain[1])) continue;
    const at = project(frame).py(bound);
    svg.line(box.left, at, box.left + box.width, at, { ink: inks.muted, dash: "1 3" });
    const below = i === 0;
    const text = below ? "lower bound" : "upper bound";
    svg.text(box.left + 6, below ? at + 11 : at - 5, text, { size: 9, ink: inks.muted });
  }
}

/** Ticks with epoch numbers along the upper edge; few enough to read. */
function drawEpochs(svg: Svg, frame: FrameOptions, stepsPerEpoch: number): void {
  const { box, x } = frame;
  const epochs = Math.floor(x.domain[1] / stepsPerEpoch + 1e-9);
  if (!(epochs >= 1) || !Number.isFinite(epochs)) return;
  const scale = linearScale(0, epochs, { count: 8, whole: true });
  const ink: Ink = inks.muted;
  for (const { value } of scale.ticks) {
    if (value < 1 || value > epochs) continue;
    const at = project(frame).px(value * stepsPerEpoch);
    if (!(at <= box.left + box.width + 0.5)) continue;
    svg.line(at, box.top - 4, at, box.top, { ink });
    svg.text(at, box.top - 8, String(value), { size: 9.5, ink, anchor: "middle" });
  }
  svg.text(box.left, box.top - 8, "Epoch", { size: 9.5, ink });
}

/** Rates that are 0 or below while others of their group are above: frozen groups are named in the legend instead. */
function countHidden(lr: readonly ArrayLike<number>[]): number {
  let hidden = 0;
  for (const row of lr) {
    if (extentOf([row], (rate) => rate !== 0) === null) continue;
    for (let i = 0; i < row.length; i++) if (row[i]! <= 0) hidden++; // i is below the length
  }
  return hidden;
}

/** For each curve how many curves equal it, itself included, and its place among them. */
function coincident(rows: readonly Float64Array[]): { readonly of: number; readonly rank: number }[] {
  const members = new Map<string, number[]>();
  for (const [j, row] of rows.entries()) {
    if (!row.some((v) => !Number.isNaN(v))) continue;
    const key = row.join();
    members.set(key, [...(members.get(key) ?? []), j]);
  }
  const result = rows.map(() => ({ of: 1, rank: 0 }));
  for (const twins of members.values()) {
    for (const [rank, j] of twins.entries()) result[j] = { of: twins.length, rank };
  }
  return result;
}
