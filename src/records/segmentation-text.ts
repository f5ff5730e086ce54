/** @file Figures of a segmentation for a terminal: Dice of every class, and of every volume. */

import { foregroundMean } from "../training/dice.js";
import type { Evaluation, SegmentationFigures, VolumeDice } from "../training/types.js";
import { formatCount, formatNumber, formatShare } from "./format.js";
import { type Column, type TextStyle, table } from "./text-table.js";

/** More volumes than these are not listed: the worst ones are. */
const LISTED = 20;

/** The volumes that are shown, and in words which; all in their order, or the worst ones first. */
export function volumesShown(
  volumes: readonly VolumeDice[],
  most = LISTED,
): { readonly shown: readonly VolumeDice[]; readonly words: string } {
  if (volumes.length <= most) return { shown: volumes, words: `${volumes.length} volumes` };
  const mean = (v: VolumeDice) => foregroundMean(v.dice);
  const worst = [...volumes].sort((a, b) => (mean(a) || 0) - (mean(b) || 0)).slice(0, most);
  return { shown: worst, words: `the ${most} of ${volumes.length} volumes with the lowest mean` };
}

/** Dice of the classes but the background, and their mean. */
export const volumeCells = ({ dice }: VolumeDice): string[] => [
  ...dice.slice(1).map((d) => formatShare(d)),
  formatShare(foregroundMean(dice)),
];

/** Dice, precision and recall of every class, Dice of the volumes, and the mean over the foreground. */
export function segmentationText(
  evaluation: Evaluation & { readonly dice: SegmentationFigures },
  classes: readonly string[],
  style: TextStyle,
): string {
  const { dice, precision, recall, confusion } = evaluation;
  const left = (header: string): Column => ({ header, align: "left" });
  const perClass = table(
    [left("class"), { header: "Dice" }, { header: "precision" }, { header: "recall" }, { header: "voxels" }],
    classes.map((name, c) => [
      name,
      formatShare(dice.perClass[c], 4),
      formatShare(precision[c], 4),
      formatShare(recall[c], 4),
      formatCount((confusion[c] ?? []).reduce((sum, n) => sum + n, 0)),
    ]),
    style,
  );
  const { shown, words } = volumesShown(dice.volumes);
  const perVolume = table(
    [left("volume"), ...classes.slice(1).map((header) => ({ header })), { header: "mean" }],
    shown.map((v) => [v.name, ...volumeCells(v)]),
    style,
  );
  const { bold = (t: string) => t, dim = (t: string) => t } = style;
  return [
    perClass,
    `${perVolume}\n${dim(`Dice of ${words}`)}`,
    `${bold(`mean Dice ${formatShare(dice.mean, 4)}`)} over the ${classes.length - 1} classes but ${classes[0] ?? "the first"} in ${dice.volumes.length} volumes, voxel accuracy ${formatShare(evaluation.accuracy, 4)}, loss ${formatNumber(evaluation.loss, 4)}`,
  ].join("\n\n");
}
