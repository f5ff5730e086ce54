/** @file report.html of one run. */
import { formatCount } from "../format.js";
import {
  accuracyPicture,
  confusionPicture,
  lossPicture,
  lrEpochPicture,
  lrPicture,
  type PictureOptions,
  segments,
} from "../pictures.js";
import { headlineOf, type RunRecord } from "../run-record.js";
import { figure, type Html, html, htmlTable, notes, page, tiles } from "./html.js";
import {
  classTable,
  configuration,
  diceTable,
  evaluationCells,
  evaluationColumns,
  footer,
  formatTime,
  headlineTiles,
  rateTable,
  segmentationColumns,
  timing,
  volumeTable,
} from "./parts.js";

/** As wide as the page's text. */
const inPage = (id: string): PictureOptions => ({ width: 920, theme: { mode: "auto", id } });

/** One self-contained page: figures inline, no scripts, nothing fetched. */
export function runReport(record: RunRecord): string {
  const { info, warnings } = record;
  const title = `${info.data.name}: ${info.method}${info.name === "run" ? "" : `, ${info.name}`}`;
  return page(title, [
    html`<h1>${title}</h1>
<p class="lead">${info.groups.length} layer groups, ${info.classes.length} classes · started ${formatTime(info.created)}</p>
`,
    headlineSection(record),
    notes(warnings, "Warnings"),
    html`<h2>Learning rates</h2>
${
  figure(
    lrPicture(record, inPage("lr")),
    "Learning rate of every layer group after each step, on a logarithmic axis.",
  ) ?? html`<p>No step has been made yet.</p>`
}
${
  segments(record)
    ? figure(lrEpochPicture(record, inPage("lre")), "The same at the end of every epoch, from the first step on.")
    : null
}
${record.step > 0 ? rateTable(record) : null}
`,
    trainingSection(record),
    testSection(record),
    html`<h2>Time</h2>${timing(record)}`,
    configuration(info),
    footer(info),
  ]);
}

function headlineSection(record: RunRecord): Html {
  const headline = headlineOf(record);
  if (headline === null) {
    return html`<p><strong>This run has not ended</strong>: it goes on, or it was interrupted after step ${formatCount(record.step)}
(epoch ${record.epoch}); <code>--resume</code> continues it.</p>
`;
  }
  const { epoch, epochs, chosen, leaky, finished, selected } = headline;
  const planned = record.info.data.parts["test"];
  const images = planned === undefined ? "the test images" : `${formatCount(planned)} test images`;
  const cells = headlineTiles(headline, images);
  return html`${cells.length === 0 ? null : tiles(cells)}
${
  epoch === 0
    ? html`<p>No epoch was completed.</p>`
    : html`<p>Figures are those of epoch ${epoch} of ${epochs}, ${leaky ? html`<strong>${chosen}</strong>` : chosen}.${
        leaky
          ? " A choice by the test images makes them look better than they are on new images; they are no estimate of it."
          : null
      }</p>`
}
${
  finished
    ? null
    : html`<p><strong>The run was stopped after step ${formatCount(record.step)}.</strong> <code>--resume</code> continues it;
the test images are evaluated when it is finished.</p>`
}
${finished && selected === null ? html`<p>There were no test images.</p>` : null}
`;
}

function trainingSection(record: RunRecord): Html | null {
  if (record.step === 0) return null;
  const faint = record.curves.validationLoss.some((v) => !Number.isNaN(v))
    ? "Faint: every training batch, and the validation batch at the look-ahead parameters."
    : "Faint: every training batch.";
  return html`<h2>Loss and ${segments(record) ? "Dice" : "accuracy"}</h2>
${figure(lossPicture(record, inPage("loss")), `${faint} Bold: means over an epoch, and evaluations at its end.`)}
${figure(accuracyPicture(record, inPage("accuracy")))}
`;
}

function testSection(record: RunRecord): Html | null {
  const headline = headlineOf(record);
  if (headline === null || headline.selected === null) return null;
  const { epoch, epochs, chosen, selected, last } = headline;
  const { dice } = selected;
  return html`<h2>Test images</h2>
${htmlTable(
  [{ header: "Weights of" }, ...(dice ? segmentationColumns : evaluationColumns)],
  [
    [`epoch ${epoch} (${chosen})`, ...evaluationCells(selected)],
    ...(epoch === epochs ? [] : [[`epoch ${epochs} (the last one)`, ...evaluationCells(last)]]),
  ],
)}
${
  dice
    ? html`<div class="pair"><div><h3>Classes, epoch ${epoch}</h3>${diceTable({ ...selected, dice }, record.info.classes)}</div>
<div><h3>Volumes, epoch ${epoch}</h3>${volumeTable(dice.volumes, record.info.classes)}</div></div>`
    : html`<div class="pair"><div><h3>Classes, epoch ${epoch}</h3>${classTable(selected, record.info.classes)}</div>
<div><h3>Confusion matrix, epoch ${epoch}</h3>${figure(confusionPicture(record, inPage("confusion")))}</div></div>`
}
`;
}
