/** @file Loss and accuracy over the iterations: every step faintly, epochs boldly, evaluations as points. */
import { type Ink, inks } from "./color.js";
import {
  type Box,
  drawCurve,
  drawFrame,
  drawMark,
  extentOf,
  type FrameOptions,
  leftMargin,
  polyline,
  reduceTo,
} from "./frame.js";
import { drawLegend, type LegendEntry, legendWidth } from "./legend.js";
import { linearScale, logScale, type Scale } from "./scale.js";
import { Svg, type Theme } from "./svg.js";

/** One figure of one set of images at the end of each epoch; NaN or null where it was not measured. */
export interface EpochSeries {
  readonly label: string;
  readonly part: "train" | "validation" | "test";
  readonly values: readonly (number | null)[];
}

export interface TrainingCurvesData {
  /** Iteration of every point of `perStep`. */
  readonly steps: ArrayLike<number>;
  /** Drawn faintly behind: the loss of each batch. */
  readonly perStep?: readonly {
    readonly label: string;
    readonly part: "train" | "validation";
    readonly values: ArrayLike<number>;
  }[];
  /** Last iteration of each epoch. */
  readonly epochSteps: readonly number[];
  readonly perEpoch: readonly EpochSeries[];
  /** Marked: the iteration at the end of the selected epoch, and what the mark says. */
  readonly selected?: { readonly step: number; readonly label: string };
  readonly title?: string;
  readonly xLabel?: string;
  readonly yLabel?: string;
  /** Default 760 × 340. */
  readonly width?: number;
  readonly height?: number;
  readonly theme?: Theme;
}

const inkOf = (part: "train" | "validation" | "test"): Ink => inks[part];

/** Cross-entropy over iterations. The axis begins at 0, and is logarithmic where the losses span more than a factor of 100. */
export function lossCurves(data: TrainingCurvesData): string {
  const rows = allRows(data);
  const [low, high] = extentOf(rows) ?? [0, 1];
  const positive = extentOf(rows, (v) => v > 0);
  const log = positive !== null && low > 0 && high / low > 100;
  const y = log ? logScale(low, high) : linearScale(Math.min(0, low), high, { nice: true });
  return trainingCurves({ yLabel: "Loss (cross-entropy)", ...data }, y);
}

/** Share of right predictions over iterations, in percent, from a round value below the lowest up to 100 %. */
export function accuracyCurves(data: TrainingCurvesData): string {
  const [low] = extentOf(allRows(data)) ?? [0, 1];
  const bottom = Math.max(0, Math.min(Math.floor(low * 10 - 0.2) / 10, 0.9));
  const format = (value: number, decimals: number) => (100 * value).toFixed(Math.max(0, decimals - 2));
  const y = linearScale(bottom, 1, { format });
  return trainingCurves({ yLabel: "Accuracy (%)", ...data }, y);
}

const allRows = (data: TrainingCurvesData): ArrayLike<number>[] => [
  ...(data.perStep ?? []).map((s) => s.values),
  ...data.perEpoch.map((s) => numbers(s.values)),
];

const numbers = (values: readonly (number | null)[]): number[] => values.map((v) => v ?? Number.NaN);

function trainingCurves(data: TrainingCurvesData & { readonly yLabel: string }, y: Scale): string {
  const { title, xLabel = "Iteration", yLabel, width = 760, height = 340, perStep = [], perEpoch } = data;
  const entries = [...perStep.map(stepEntry), ...perEpoch.map(epochEntry)];
  const left = leftMargin(y);
  const top = title === undefined ? 18 : 40;
  const box: Box = {
    left,
    top,
    width: Math.max(width - left - legendWidth(entries), 120),
    height: height - top - 52,
  };
  const [first, last] = extentOf([data.steps, data.epochSteps]) ?? [0, 1];
  const x = linearScale(last > first && first > 0 ? 0 : first, last, { count: 6, whole: true });
  const frame: FrameOptions = { ...(title === undefined ? {} : { title }), xLabel, yLabel, x, y, box };
  const svg = new Svg(width, height, data.theme ?? { mode: "light" }, title ?? `${yLabel} over iterations`);
  drawFrame(svg, frame);
  const clip = svg.clip(box.left, box.top - 2, box.width + 4, box.height + 4);
  const reduced = reduceTo(
    box,
    data.steps,
    perStep.map((s) => s.values),
  );
  for (const [i, { part }] of perStep.entries()) {
    const style = { ink: inkOf(part), width: 1, opacity: 0.5, clip };
    drawCurve(svg, frame, reduced.steps, reduced.values[i]!, style); // one row a series
  }
  if (data.selected !== undefined) drawMark(svg, frame, data.selected.step, data.selected.label, inks.muted);
  for (const { part, values } of perEpoch) {
    const ys = numbers(values);
    const dots = ys.length <= 40; // more would touch each other
    drawCurve(svg, frame, data.epochSteps, ys, { ink: inkOf(part), width: 2, clip, dots: !dots });
    if (!dots) continue;
    for (const [e, value] of ys.entries()) {
      const px = box.left + x.at(data.epochSteps[e] ?? Number.NaN) * box.width;
      const py = box.top + (1 - y.at(value)) * box.height;
      if (Number.isFinite(px + py)) svg.circle(px, py, 2.6, { ink: inkOf(part) });
    }
  }
  drawLegend(svg, box, entries);
  return svg.toString();
}

const stepEntry = (s: { readonly label: string; readonly part: "train" | "validation" }): LegendEntry => ({
  label: s.label,
  ink: inkOf(s.part),
  width: 1.2,
  opacity: 0.5,
});

const epochEntry = (s: EpochSeries): LegendEntry => {
  const values = numbers(s.values);
  const known = values.filter(Number.isFinite).length;
  const epochs = values.map((_, e) => e);
  const alone = known > 0 && polyline(epochs, values).dots.length === known;
  return { label: s.label, ink: inkOf(s.part), width: 2.2, ...(alone ? { marker: "dot" } : {}) };
};
