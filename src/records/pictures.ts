/** @file The pictures of one run, from its record: what the run folder and the reports show. */
import { figureOf } from "../training/metrics.js";
import type { EpochEvent, Evaluation } from "../training/types.js";
import { confusionMatrix } from "./plots/confusion.js";
import { lrCurves } from "./plots/lr-curves.js";
import type { Theme } from "./plots/svg.js";
import { accuracyCurves, type EpochSeries, lossCurves } from "./plots/training-curves.js";
import { headlineOf, type RunRecord } from "./run-record.js";

export interface PictureOptions {
  readonly title?: string;
  readonly theme?: Theme;
  readonly width?: number;
  readonly height?: number;
}

/** Learning rates of every layer group; null before the first step. */
export function lrPicture(record: RunRecord, options: PictureOptions = {}): string | null {
  const { curves, info, starts } = record;
  if (curves.steps.length === 0) return null;
  const bounds = boundsOf(info.options["lrBounds"]);
  const stepsPerEpoch = starts.at(-1)?.stepsPerEpoch;
  return lrCurves({
    groups: info.groups,
    steps: curves.steps,
    lr: curves.lr,
    ...(bounds === null ? {} : { bounds }),
    ...(stepsPerEpoch === undefined ? {} : { stepsPerEpoch }),
    ...options,
  });
}

/** The same over the epochs, as in the paper: the rates at the end of each, from those of the first step on; null before the first. */
export function lrEpochPicture(record: RunRecord, options: PictureOptions = {}): string | null {
  const { epochs, info, firstLr } = record;
  if (epochs.length === 0) return null;
  const bounds = boundsOf(info.options["lrBounds"]);
  return lrCurves({
    groups: info.groups,
    steps: [0, ...epochs.map((e) => e.epoch)],
    lr: info.groups.map((_, j) => [firstLr[j] ?? Number.NaN, ...epochs.map((e) => e.lr[j] ?? Number.NaN)]),
    xLabel: "Epoch",
    ...(bounds === null ? {} : { bounds }),
    ...options,
  });
}

/** Whether a run's classes are those of pixels or voxels. */
export const segments = ({ epochs, end }: RunRecord): boolean =>
  epochs.some((e) => e.trainDice !== undefined || e.validation?.dice !== undefined) || end?.test?.dice !== undefined;

/** Loss of every batch, and of the sets at the end of each epoch; null before the first step. */
export function lossPicture(record: RunRecord, options: PictureOptions = {}): string | null {
  const { curves, epochs } = record;
  if (curves.steps.length === 0) return null;
  const lookAhead = curves.validationLoss.some((v) => !Number.isNaN(v));
  return lossCurves({
    steps: curves.steps,
    perStep: [
      { label: "Training batches", part: "train", values: curves.trainLoss },
      ...(lookAhead
        ? [{ label: "Look-ahead batches", part: "validation" as const, values: curves.validationLoss }]
        : []),
    ],
    epochSteps: epochs.map((e) => e.step),
    perEpoch: epochSeries(
      record,
      (e) => e.trainLoss,
      (e) => e.loss,
    ),
    ...selectedMark(record),
    ...options,
  });
}

/** Accuracy, of segmentations mean Dice, at the end of each epoch; null before the first. */
export function accuracyPicture(record: RunRecord, options: PictureOptions = {}): string | null {
  const { epochs } = record;
  if (epochs.length === 0) return null;
  return accuracyCurves({
    steps: [],
    epochSteps: epochs.map((e) => e.step),
    perEpoch: epochSeries(record, (e) => e.trainDice ?? e.trainAccuracy, figureOf),
    ...(segments(record) && { yLabel: "Mean Dice of the foreground (%)" }),
    ...selectedMark(record),
    ...options,
  });
}

/** Confusion matrix of the selected epoch on the test images; null where there is none, and for segmentations. */
export function confusionPicture(record: RunRecord, options: PictureOptions = {}): string | null {
  const evaluation = headlineOf(record)?.selected ?? null;
  return evaluation === null || evaluation.dice
    ? null
    : confusionMatrix({ classes: record.info.classes, ...evaluation, ...options });
}

function epochSeries(
  { epochs, end }: RunRecord,
  ofTraining: (event: EpochEvent) => number,
  ofEvaluation: (evaluation: Evaluation) => number,
): EpochSeries[] {
  const value = (e: Evaluation | undefined) => (e === undefined ? null : ofEvaluation(e));
  const test = epochs.map((e) => {
    if (e.test !== undefined) return value(e.test);
    if (end !== null && e.epoch === end.selectedEpoch) return value(end.test);
    return end !== null && e.epoch === end.epoch ? value(end.testLast) : null;
  });
  const series: EpochSeries[] = [
    { label: "Training", part: "train", values: epochs.map(ofTraining) },
    { label: "Validation", part: "validation", values: epochs.map((e) => value(e.validation)) },
    { label: end?.select === "test" ? "Test (leaky)" : "Test", part: "test", values: test },
  ];
  return series.filter((s) => s.values.some((v) => v !== null));
}

function selectedMark({ end, epochs }: RunRecord): { selected?: { step: number; label: string } } {
  if (end === null || end.selectedEpoch === end.epoch) return {};
  const step = epochs.find((e) => e.epoch === end.selectedEpoch)?.step;
  return step === undefined ? {} : { selected: { step, label: `selected: epoch ${end.selectedEpoch}` } };
}

/** The bounds of the rates, where the configuration has them as a pair of numbers. */
function boundsOf(value: unknown): readonly [number, number] | null {
  if (!Array.isArray(value) || value.length !== 2) return null;
  const [low, high]: unknown[] = value;
  return typeof low === "number" && typeof high === "number" ? [low, high] : null;
}
