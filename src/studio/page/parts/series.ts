/** @file Curves of a run as lines of a chart. */
import type { Curves } from "../../../records/curves.js";
import type { EpochRow } from "../../protocol.js";

/** NaN becomes a gap. */
export const plain = (values: ArrayLike<number> | undefined): (number | null)[] =>
  Array.from(values ?? [], (v) => (Number.isNaN(v) ? null : v));

/** On a log axis there is nothing at or below 0. */
export const positive = (values: ArrayLike<number> | undefined): (number | null)[] =>
  Array.from(values ?? [], (v) => (v > 0 ? v : null));

/** A figure of every epoch at the point of the curves where the epoch ended. */
export function atEpochs(
  curves: Curves,
  epochs: readonly EpochRow[],
  figure: (e: EpochRow) => number | null,
): (number | null)[] {
  const out = new Array<number | null>(curves.steps.length).fill(null);
  let i = 0;
  for (const epoch of epochs) {
    while (i + 1 < curves.steps.length && (curves.steps[i + 1] ?? 0) <= epoch.step) i++;
    if (i < out.length) out[i] = figure(epoch);
  }
  return out;
}

/** A mean over about the last fortieth of the curve, so that a drift shows through the noise of single batches. */
export function runningMean(values: readonly (number | null)[]): (number | null)[] {
  const share = 2 / (Math.max(10, values.length / 40) + 1);
  let [mean, weight] = [0, 0]; // the weight starts at 0 and goes to 1, so that the first values do not count too much
  return values.map((v) => {
    if (v === null) return null;
    mean += share * (v - mean);
    weight += share * (1 - weight);
    return values.length > 400 && weight < 0.25 ? null : mean / weight; // a long curve does without its noisy beginning
  });
}

export const some = (values: readonly (number | null)[]): boolean => values.some((v) => v !== null);
