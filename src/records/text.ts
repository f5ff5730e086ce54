/** @file Tables and figures for a terminal, as plain strings; the caller says how bold or dim looks. */
import type { Evaluation } from "../training/types.js";
import { formatCount, formatFactor, formatNumber, formatPercent, formatRate, formatShare, NONE } from "./format.js";
import type { Headline, RunRecord } from "./run-record.js";
import type { CrossValidationSummary, Spread } from "./schema.js";
import { segmentationText } from "./segmentation-text.js";
import { type TextStyle, table } from "./text-table.js";

export { type Column, displayWidth, type TextStyle, table } from "./text-table.js";

const same = (text: string): string => text;

/** Confusion matrix, precision and recall of every class, and total accuracy: what the released program prints. */
export function evaluationText(evaluation: Evaluation, classes: readonly string[], style: TextStyle = {}): string {
  const { bold = same, dim = same } = style;
  const { dice } = evaluation;
  if (dice) return segmentationText({ ...evaluation, dice }, classes, style);
  const { count, confusion, precision, recall } = evaluation;
  const right = confusion.reduce((sum, row, c) => sum + (row[c] ?? 0), 0);
  const matrix = table(
    [{ header: "truth \\ predicted", align: "left" }, ...classes.map((header) => ({ header }))],
    confusion.map((row, t) => [classes[t] ?? String(t), ...row.map(String)]),
    style,
  );
  const perClass = table(
    [{ header: "class", align: "left" }, { header: "precision" }, { header: "recall" }, { header: "images" }],
    classes.map((name, c) => [
      name,
      formatShare(precision[c], 4),
      formatShare(recall[c], 4),
      formatCount((confusion[c] ?? []).reduce((sum, n) => sum + n, 0)),
    ]),
    style,
  );
  const total = `total accuracy ${formatShare(evaluation.accuracy, 4)}`;
  const others = [
    `balanced ${formatShare(evaluation.balancedAccuracy, 4)}`,
    `macro AUC ${formatShare(evaluation.macroAuc, 4)}`,
    `loss ${formatNumber(evaluation.loss, 4)}`,
  ];
  return [
    matrix,
    perClass,
    `${bold(total)} ${dim(`(${formatCount(right)} of ${formatCount(count)})`)}, ${others.join(", ")}`,
  ].join("\n\n");
}

const BLOCKS = "▁▂▃▄▅▆▇█";
const ASCII = "_.-=^";

/** Factor between the lowest and the highest sign of a curve at least: a change of one percent must not look like a landslide. */
const LEAST_FACTOR = 2;

/**
 * A curve in `width` characters on a logarithmic scale from its own minimum to its maximum, or over a factor of 2 where it moves by
 * less. A space where there is no value above 0.
 */
export function sparkline(values: ArrayLike<number>, width = 24, ascii = false): string {
  const signs = ascii ? ASCII : BLOCKS;
  const cells = Array.from({ length: Math.min(width, values.length) }, (_, c, n = Math.min(width, values.length)) => {
    let sum = 0;
    let count = 0;
    const end = Math.floor(((c + 1) * values.length) / n);
    for (let i = Math.floor((c * values.length) / n); i < end; i++) {
      const value = values[i]!; // i is below the length
      if (!(value > 0)) continue;
      sum += Math.log(value);
      count++;
    }
    return sum / count; // NaN for a cell without a value
  });
  const known = cells.filter((v) => !Number.isNaN(v));
  const [low, high] = [Math.min(...known), Math.max(...known)];
  const span = Math.max(high - low, Math.log(LEAST_FACTOR));
  const last = signs.length - 1;
  // A level curve lies on a sign, not between two, where rounding would make it tremble.
  const bottom = high - low < span ? (low + high) / 2 - (span * Math.ceil(last / 2)) / last : low;
  return cells
    .map((v) => {
      if (Number.isNaN(v)) return " ";
      const level = Math.min(((v - bottom) / span) * last, last);
      return signs[Math.round(level)] ?? " ";
    })
    .join("");
}

/** Layer group, first and last rate, their ratio, and the way between as a sparkline. */
export function lrTable(record: RunRecord, style: TextStyle & { readonly ascii?: boolean } = {}): string {
  const { info, curves, firstLr, lastLr } = record;
  return table(
    [
      { header: "layer group", align: "left" },
      { header: "first rate" },
      { header: "last rate" },
      { header: "change" },
      { header: "over the run", align: "left" },
    ],
    info.groups.map((group, j) => [
      group,
      formatRate(firstLr[j]),
      formatRate(lastLr[j]),
      formatFactor(firstLr[j], lastLr[j]),
      sparkline(curves.lr[j] ?? [], 24, style.ascii),
    ]),
    style,
  );
}

/** Which epoch, how it was chosen, and its figures on the test (else validation) images; the last epoch's beside it. */
export function headlineText(headline: Headline, style: TextStyle = {}): string {
  const { bold = same, warn = same } = style;
  const { epoch, epochs, finished, chosen, leaky, selected, last, validation } = headline;
  if (epoch === 0) return "no epoch was completed";
  const figures = (e: Evaluation) =>
    e.dice
      ? `mean Dice ${bold(formatShare(e.dice.mean, 4))} (${e.dice.perClass
          .slice(1)
          .map((d) => formatShare(d, 4))
          .join(", ")}), voxel accuracy ${formatPercent(e.accuracy, 2)}`
      : `accuracy ${bold(formatPercent(e.accuracy, 2))}, balanced ${formatPercent(e.balancedAccuracy, 2)}, macro AUC ${formatShare(e.macroAuc)}`;
  const how = `epoch ${epoch} of ${epochs} (${leaky ? warn(chosen) : chosen})`;
  if (selected === null) {
    const why = finished ? "no test images" : "test images are evaluated when the run is finished";
    return validation === null ? `${how}; ${why}` : `validation images, ${how}: ${figures(validation)}; ${why}`;
  }
  const lines = [`test images, ${how}: ${figures(selected)}`];
  if (epoch !== epochs && last !== null) lines.push(`test images, last epoch (${epochs}): ${figures(last)}`);
  return lines.join("\n");
}

/**
 * Folds below each other, with mean and deviation, and all test images pooled: one table for the selected epochs and one for the
 * last ones, which fit into a terminal of 80 columns.
 */
export function summaryText(summary: CrossValidationSummary, style: TextStyle = {}): string {
  const { folds, pooled, spread, select } = summary;
  const chosen = { validation: "selected epoch", last: "last epoch", test: "leaky best epoch" }[select];
  const tableOf = (header: string, epoch: "selectedEpoch" | "lastEpoch", which: "selected" | "last"): string => {
    const segments = folds.some((f) => f[which]?.dice);
    const row = (name: string, at: string, e: Evaluation | null): string[] => [
      name,
      at,
      ...(segments ? [formatShare(e?.dice?.mean)] : []),
      formatPercent(e?.accuracy, 2),
      formatPercent(e?.balancedAccuracy, 2),
      formatShare(e?.macroAuc),
    ];
    const { accuracy, balancedAccuracy, macroAuc, dice } = spread[which];
    return table(
      [
        { header, align: "left" },
        { header: "epoch" },
        ...(segments ? [{ header: "mean Dice" }] : []),
        { header: "accuracy" },
        { header: "balanced" },
        { header: "macro AUC" },
      ],
      [
        ...folds.map((f) => row(f.name, `${f[epoch]}/${f.lastEpoch}`, f[which])),
        [
          "mean ± deviation",
          "",
          ...(segments ? [inShares(dice ?? { mean: null, deviation: null })] : []),
          inPercent(accuracy),
          inPercent(balancedAccuracy),
          inShares(macroAuc),
        ],
        row("pooled", "", pooled[which]),
      ],
      style,
    );
  };
  const tables = [tableOf(chosen, "selectedEpoch", "selected")];
  // Where every fold ended with the epoch that counts, the second table would say the same again.
  const same = folds.every((f) => f.selectedEpoch === f.lastEpoch);
  if (select !== "last" && !same) tables.push(tableOf("last epoch", "lastEpoch", "last"));
  return tables.join("\n\n");
}

const spreadText = ({ mean, deviation }: Spread, scale: number, digits: number): string =>
  mean === null
    ? NONE
    : `${(scale * mean).toFixed(digits)}${deviation === null ? "" : ` ± ${(scale * deviation).toFixed(digits)}`}`;
const inPercent = (spread: Spread): string => {
  const text = spreadText(spread, 100, 2);
  return text === NONE ? text : `${text} %`;
};
const inShares = (spread: Spread): string => spreadText(spread, 1, 3);
