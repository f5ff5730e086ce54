/** @file What a run is judged by, accuracy or Dice, and its events and evaluations in the form that the page shows. */
import type { RunInfo } from "../../records/schema.js";
import { volumesShown } from "../../records/segmentation-text.js";
import { figureOf } from "../../training/metrics.js";
import type { Evaluation, TrainingEvent } from "../../training/types.js";
import type { FigureName } from "../protocol.js";

/** Only runs of segmentations record which loss they had: of images with one class each there is one. */
export const figureNameOf = (info: Pick<RunInfo, "options">): FigureName =>
  typeof info.options["loss"] === "string" ? "dice" : "accuracy";

/** An event whose `trainAccuracy` is the run's figure; NaN where the batch had no foreground. */
export const inFigure = <E extends TrainingEvent>(event: E, name: FigureName): E =>
  name === "dice" && (event.type === "step" || event.type === "epoch")
    ? { ...event, trainAccuracy: event.trainDice ?? Number.NaN }
    : event;

/** What an evaluation is compared by; null where there is no number. */
export function figureIn(evaluation: Evaluation | undefined): number | null {
  const figure = evaluation === undefined ? Number.NaN : figureOf(evaluation);
  return Number.isFinite(figure) ? figure : null;
}

/** An evaluation as the page lists it: of many volumes the worst, and in words which. */
export function listed<E extends Evaluation | null>(
  evaluation: E,
): { readonly evaluation: E; readonly volumes: string | null } {
  if (!evaluation?.dice) return { evaluation, volumes: null };
  const { shown, words } = volumesShown(evaluation.dice.volumes);
  return { evaluation: { ...evaluation, dice: { ...evaluation.dice, volumes: shown } }, volumes: words };
}
