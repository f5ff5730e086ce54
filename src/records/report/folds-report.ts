/** @file report.html of a cross-validation: all folds beside each other and pooled. */
import { formatCount, formatDuration, formatPercent, formatShare, NONE } from "../format.js";
import { lrPicture } from "../pictures.js";
import { confusionMatrix } from "../plots/confusion.js";
import { choiceInWords, type RunRecord } from "../run-record.js";
import type { CrossValidationSummary, EvaluationSpread, Spread } from "../schema.js";
import { figure, type Html, html, htmlTable, notes, page, tiles } from "./html.js";
import { classTable, configuration, evaluationCells, footer, formatTime } from "./parts.js";

/** One self-contained page. @param records of the folds, in the order of `summary.folds` */
export function foldsReport(summary: CrossValidationSummary, records: readonly RunRecord[]): string {
  const { folds, classes, pooled } = summary;
  const title = `${summary.name}: ${summary.method}, ${folds.length} folds`;
  const info = records[0]?.info;
  const warnings = records.flatMap((r) => r.warnings.map((w) => `${r.info.name}: ${w}`));
  return page(title, [
    html`<h1>${title}</h1>
<p class="lead">${classes.length} classes${info === undefined ? null : ` · ${info.groups.length} layer groups`} · ${formatTime(summary.created)}</p>
`,
    headline(summary),
    notes(warnings, "Warnings"),
    html`<h2>Folds</h2>${foldTable(summary)}`,
    pooled.selected === null
      ? null
      : html`<h2>All test images pooled, ${byChoice(summary)}</h2>
<div class="pair"><div><h3>Classes</h3>${classTable(pooled.selected, classes)}</div>
<div><h3>Confusion matrix</h3>${figure(
          confusionMatrix({ classes, confusion: pooled.selected.confusion, theme: { mode: "auto", id: "confusion" } }),
        )}</div></div>
`,
    html`<h2>Learning rates</h2>
${records.map((record, k) => {
  const { name } = record.info;
  return figure(lrPicture(record, { title: name, width: 920, height: 360, theme: { mode: "auto", id: `lr${k}` } }));
})}
`,
    info === undefined ? null : configuration(info),
    footer({ created: summary.created, ...(info === undefined ? {} : { versions: info.versions }) }),
  ]);
}

const byChoice = ({ select }: CrossValidationSummary): string =>
  select === "last" ? "last epoch" : `epoch ${choiceInWords(select)}`;

function headline(summary: CrossValidationSummary): Html {
  const { pooled, select, spread, folds } = summary;
  const leaky = select === "test";
  const suffix = leaky ? " (leaky)" : "";
  const { selected, last } = pooled;
  if (selected === null) {
    return html`<p><strong>Not all folds have ended</strong>; figures over all test images follow when they have.</p>
`;
  }
  return html`${tiles([
    {
      value: formatPercent(selected.accuracy, 1),
      label: `accuracy, all ${formatCount(selected.count)} test images pooled${suffix}`,
      leaky,
    },
    { value: formatPercent(selected.balancedAccuracy, 1), label: `balanced accuracy, pooled${suffix}`, leaky },
    { value: formatShare(selected.macroAuc), label: `macro AUC, pooled${suffix}`, leaky },
    ...(select === "last"
      ? []
      : [{ value: formatPercent(last?.accuracy, 1), label: "accuracy of the last epochs, pooled" }]),
  ])}
<p>In every fold the epoch was ${leaky ? html`<strong>${choiceInWords(select)}</strong>` : choiceInWords(select)}. Accuracy over the
${folds.length} folds: ${spreadText(spread.selected.accuracy)} (mean ± standard deviation).${
    leaky
      ? " A choice by the test images makes them look better than they are on new images; they are no estimate of it."
      : null
  }</p>
`;
}

const spreadText = ({ mean, deviation }: Spread): string =>
  mean === null
    ? NONE
    : `${(100 * mean).toFixed(2)}${deviation === null ? "" : ` ± ${(100 * deviation).toFixed(2)}`} %`;

function foldTable({ folds, pooled, spread, select }: CrossValidationSummary): Html {
  const total = folds.reduce((sum, f) => sum + f.elapsedMs, 0);
  const of = (which: "selected" | "last", caption: string, leaky: boolean) =>
    htmlTable(
      [
        { header: "Fold" },
        { header: "Epoch" },
        ...["Accuracy", "Balanced", "Macro AUC", "Loss"].map((name) => ({ header: leaky ? `${name} (leaky)` : name })),
        { header: "Time" },
      ],
      [
        ...folds.map((f) => [
          html`<a href="${f.folder}/report.html">${f.name}</a>`,
          `${which === "last" ? f.lastEpoch : f.selectedEpoch} of ${f.lastEpoch}`,
          ...evaluationCells(f[which]),
          formatDuration(f.elapsedMs),
        ]),
        ["mean ± deviation", "", ...spreadCells(spread[which]), ""],
        ["all images pooled", "", ...evaluationCells(pooled[which]), formatDuration(total)],
      ],
      caption,
    );
  const last = of("last", "Test images of each fold, weights of the last epoch.", false);
  if (select === "last") return last;
  const caption = `Test images of each fold, weights of the epoch ${choiceInWords(select)}.`;
  return html`${of("selected", caption, select === "test")}${last}`;
}

const spreadCells = ({ accuracy, balancedAccuracy, macroAuc }: EvaluationSpread): string[] => {
  const { mean, deviation } = macroAuc;
  const area = deviation === null ? formatShare(mean) : `${formatShare(mean)} ± ${formatShare(deviation)}`;
  return [spreadText(accuracy), spreadText(balancedAccuracy), area, ""];
};
