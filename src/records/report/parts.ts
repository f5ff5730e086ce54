/** @file The parts that reports share: per-class table, configuration, versions, learning rates, headline figures. */
import type { Evaluation, SegmentationFigures, VolumeDice } from "../../training/types.js";
import {
  formatCount,
  formatDuration,
  formatFactor,
  formatNumber,
  formatPercent,
  formatRate,
  formatShare,
  formatValue,
  NONE,
  withSuperscript,
} from "../format.js";
import type { Headline, RunRecord } from "../run-record.js";
import type { RunInfo } from "../schema.js";
import { volumeCells, volumesShown } from "../segmentation-text.js";
import { facts, type Html, html, htmlTable } from "./html.js";

/** Precision and recall of every class, and the total. */
export function classTable(evaluation: Evaluation, classes: readonly string[]): Html {
  const { precision, recall, confusion } = evaluation;
  return htmlTable(
    [{ header: "Class" }, { header: "Precision" }, { header: "Recall" }, { header: "Images" }],
    classes.map((name, c) => [
      name,
      formatShare(precision[c]),
      formatShare(recall[c]),
      formatCount((confusion[c] ?? []).reduce((sum, n) => sum + n, 0)),
    ]),
  );
}

/** One line of figures of an evaluation. */
export const evaluationCells = (e: Evaluation | null): string[] =>
  e === null
    ? [NONE, NONE, NONE, NONE]
    : e.dice
      ? [
          formatShare(e.dice.mean),
          formatPercent(e.accuracy, 2),
          formatPercent(e.balancedAccuracy, 2),
          formatNumber(e.loss),
        ]
      : [
          formatPercent(e.accuracy, 2),
          formatPercent(e.balancedAccuracy, 2),
          formatShare(e.macroAuc),
          formatNumber(e.loss),
        ];

export const evaluationColumns = [
  { header: "Accuracy" },
  { header: "Balanced accuracy" },
  { header: "Macro AUC" },
  { header: "Loss" },
] as const;

/** Of segmentations; the cells are those of `evaluationCells`. */
export const segmentationColumns = [
  { header: "Mean Dice" },
  { header: "Voxel accuracy" },
  { header: "Balanced" },
  { header: "Loss" },
] as const;

/** The figures at the top of a report: on the test images, else on the validation images; and of the last epoch where it is another. */
export function headlineTiles(headline: Headline, testImages: string) {
  const { selected, last, validation, leaky, epoch, epochs } = headline;
  const shown = selected ?? validation;
  if (shown === null) return [];
  const suffix = leaky ? " (leaky)" : "";
  const what = selected === null ? "validation images" : testImages;
  if (shown.dice) {
    return [
      { value: formatShare(shown.dice.mean), label: `mean Dice on ${what}${suffix}`, leaky },
      ...shown.dice.perClass
        .slice(1)
        .map((d, c) => ({ value: formatShare(d), label: `Dice of class ${c + 1}${suffix}`, leaky })),
      ...(epoch === epochs || !last?.dice
        ? []
        : [{ value: formatShare(last.dice.mean), label: `mean Dice of the last epoch (${epochs})` }]),
    ];
  }
  return [
    { value: formatPercent(shown.accuracy, 1), label: `accuracy on ${what}${suffix}`, leaky },
    { value: formatPercent(shown.balancedAccuracy, 1), label: `balanced accuracy${suffix}`, leaky },
    { value: formatShare(shown.macroAuc), label: `macro AUC${suffix}`, leaky },
    ...(epoch === epochs || last === null
      ? []
      : [{ value: formatPercent(last.accuracy, 1), label: `accuracy of the last epoch (${epochs})` }]),
  ];
}

/** Dice of every class but the background, volume by volume. */
export function volumeTable(volumes: readonly VolumeDice[], classes: readonly string[]): Html {
  const { shown, words } = volumesShown(volumes, 200);
  return htmlTable(
    [{ header: "Volume" }, ...classes.slice(1).map((header) => ({ header })), { header: "Mean" }],
    shown.map((v) => [v.name, ...volumeCells(v)]),
    `Dice of ${words}.`,
  );
}

/** Dice, precision and recall of every class. */
export function diceTable(
  evaluation: Evaluation & { readonly dice: SegmentationFigures },
  classes: readonly string[],
): Html {
  const { dice, precision, recall, confusion } = evaluation;
  return htmlTable(
    [{ header: "Class" }, { header: "Dice" }, { header: "Precision" }, { header: "Recall" }, { header: "Voxels" }],
    classes.map((name, c) => [
      name,
      formatShare(dice.perClass[c]),
      formatShare(precision[c]),
      formatShare(recall[c]),
      formatCount((confusion[c] ?? []).reduce((sum, n) => sum + n, 0)),
    ]),
    "Dice is the mean over the volumes; precision and recall are of the voxels of all of them.",
  );
}

/** First and last rate of every layer group and their ratio. */
export function rateTable({ info, firstLr, lastLr }: RunRecord): Html {
  const rate = (lr: number | undefined) => withSuperscript(formatRate(lr));
  return htmlTable(
    [{ header: "Layer group" }, { header: "First rate" }, { header: "Last rate" }, { header: "Change" }],
    info.groups.map((group, j) => [group, rate(firstLr[j]), rate(lastLr[j]), formatFactor(firstLr[j], lastLr[j])]),
  );
}

/** Nested options as "optimizer.name". */
function flatten(options: Readonly<Record<string, unknown>>, prefix = ""): [string, string][] {
  return Object.entries(options).flatMap(([key, value]): [string, string][] =>
    isRecord(value) && Object.keys(value).length > 0
      ? flatten(value, `${prefix}${key}.`)
      : [[`${prefix}${key}`, formatValue(value)]],
  );
}

const isRecord = (value: unknown): value is Record<string, unknown> =>
  typeof value === "object" && value !== null && !Array.isArray(value);

/** Configuration, data and versions, as it all took effect. */
export function configuration(info: RunInfo): Html {
  const { data } = info;
  const parts = Object.entries(data.parts).map(([part, n]) => `${part} ${formatCount(n)}`);
  return html`<h2>Configuration</h2>
${facts([
  ["method", info.method],
  ["epoch chosen by", info.select === "test" ? "test (leaky)" : info.select],
  // The words of the command line stand below, as a whole.
  ...flatten(info.options).filter(([key]) => info.command === undefined || key !== "arguments"),
])}
<h3>Model</h3>
${facts(flatten(info.model))}
<h3>Data</h3>
${facts([
  ["file", data.name],
  ["images", parts.join(", ")],
  ...(data.meta ? [["learning rates judged on", data.meta.name] as const] : []),
  ["classes", info.classes.join(", ")],
  ["fingerprint", html`<code>${data.fingerprint}</code>`],
])}
<h3>Versions</h3>
${facts(Object.entries(info.versions))}
${info.command === undefined ? null : html`<h3>Command</h3><p><code>${info.command}</code></p>`}
`;
}

/** How long it took and how fast it went. */
export function timing({ timing: t, epoch }: RunRecord): Html {
  const seconds = (t.stepMs + t.waitMs) / 1000;
  const perStep = (ms: number) => (t.steps > 0 ? formatDuration(ms / t.steps) : NONE);
  return facts([
    ["steps", `${formatCount(t.steps)} in ${formatCount(epoch)} epochs`],
    ["time", formatDuration(t.elapsedMs)],
    ["a step", `${perStep(t.stepMs)}, and ${perStep(t.waitMs)} of waiting for its images`],
    ["speed", seconds > 0 ? `${formatCount(t.images / seconds)} images/s` : NONE],
  ]);
}

/** "Made by metalr 0.1.0 on 2022-06-03 10:15 UTC". */
export const footer = (info: Pick<RunInfo, "created"> & { readonly versions?: RunInfo["versions"] }): Html =>
  html`<footer>Made by metalr ${info.versions?.["metalr"] ?? ""} · run of ${formatTime(info.created)}</footer>`;

/** ISO 8601 to the minute. */
export const formatTime = (iso: string): string =>
  /^\d{4}-\d\d-\d\dT\d\d:\d\d/.test(iso)
    ? `${iso.slice(0, 10)} ${iso.slice(11, 16)}${iso.endsWith("Z") ? " UTC" : ""}`
    : iso;
