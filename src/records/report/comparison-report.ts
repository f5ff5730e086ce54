/** @file A report of several named runs side by side: methods, figures on unseen images, learning rates. */
import { figureOf } from "../../training/metrics.js";
import { formatDuration, NONE } from "../format.js";
import { confusionPicture, lrPicture, segments } from "../pictures.js";
import { type ComparedMethod, comparePlot } from "../plots/compare.js";
import { confusionMatrix } from "../plots/confusion.js";
import { headlineOf, type RunRecord } from "../run-record.js";
import { figure, Html, type HtmlColumn, html, htmlTable, notes, page } from "./html.js";
import {
  classTable,
  configuration,
  diceTable,
  evaluationCells,
  evaluationColumns,
  footer,
  rateTable,
  segmentationColumns,
} from "./parts.js";

export interface ComparedRun {
  /** "MetaLR", "Full fine-tuning". */
  readonly name: string;
  /** What it does, in a sentence. */
  readonly about?: string;
  readonly record: RunRecord;
  /** Held against the others. */
  readonly reference?: boolean;
}

/** The figures of one data set over several runs a method. */
export interface ComparedSection {
  readonly title: string;
  readonly methods: readonly ComparedMethod[];
  readonly note: string;
  readonly tables: readonly {
    readonly columns: readonly HtmlColumn[];
    /** One a method. */
    readonly rows: readonly (readonly string[])[];
  }[];
  /** What the numbers allow one to say. */
  readonly paragraphs: readonly string[];
  /** Of all runs of a method together. */
  readonly confusions: readonly {
    readonly name: string;
    readonly classes: readonly string[];
    readonly confusion: readonly (readonly number[])[];
  }[];
}

export interface ComparisonData {
  readonly title: string;
  /** Paragraphs above everything: what was compared, on what. */
  readonly introduction?: readonly string[];
  readonly runs: readonly ComparedRun[];
  /** Figures over several runs a method, instead of the figure and the table of `runs`, whose learning rates are still shown. */
  readonly sections?: readonly ComparedSection[];
  /** Rows of the figure; default: the accuracy, or the mean Dice, of each run on its test images, without intervals. */
  readonly methods?: readonly ComparedMethod[];
  readonly note?: string;
  /** Paragraphs below the table: what the numbers allow one to say. */
  readonly conclusion?: readonly string[];
  /** Example images and the like. */
  readonly figures?: readonly { readonly png: Uint8Array; readonly caption: string; readonly width: number }[];
}

/** One self-contained page. */
export function comparisonReport(data: ComparisonData): string {
  const { title, introduction = [], runs, conclusion = [], figures = [] } = data;
  const warnings = runs.flatMap(({ name, record }) => record.warnings.map((w) => `${name}: ${w}`));
  const first = runs[0]?.record.info;
  const leaky = runs.filter(({ record }) => record.end?.select === "test").map(({ name }) => name);
  return page(title, [
    html`<h1>${title}</h1>
${introduction.map((text) => html`<p>${text}</p>\n`)}
${figures.map(
  ({
    png,
    caption,
    width,
  }) => html`<figure><img alt="${caption}" width="${width}" src="data:image/png;base64,${base64(png)}"><figcaption>${caption}</figcaption></figure>
`,
)}
`,
    ...(data.sections ?? []).map(comparedSection),
    data.sections
      ? null
      : html`<h2>Images never seen in training</h2>
${figure(
  comparePlot({
    width: 920,
    methods: data.methods ?? methodsOf(runs),
    theme: { mode: "auto", id: "compare" },
    xLabel: xLabelOf(runs),
    ...(data.note === undefined ? {} : { note: data.note }),
  }),
)}
${[false, true].map((dice) => {
  const alike = runs.filter(({ record }) => segments(record) === dice);
  return alike.length === 0 ? null : comparisonTable(alike, dice ? segmentationColumns : evaluationColumns);
})}
`,
    html`${leaky.length === 0 ? null : html`<p><strong>Leaky:</strong> ${leaky.join(", ")} chose the epoch by the test images themselves, which makes them look better than they are on new images.</p>`}
${conclusion.map((text) => html`<p>${text}</p>\n`)}
`,
    notes(warnings, "Warnings"),
    ...runs.map(({ name, about, record }, k) => runSection(name, about, record, k)),
    first === undefined ? null : configuration(first),
    first === undefined ? null : footer(first),
  ]);
}

function comparedSection(s: ComparedSection, k: number): Html {
  const theme = (id: string) => ({ mode: "auto", id }) as const;
  return html`<h2>${s.title}</h2>
${figure(comparePlot({ width: 920, methods: s.methods, note: s.note, theme: theme(`compare${k}`) }))}
${s.tables.map(({ columns, rows }) => htmlTable(columns, rows))}
${s.paragraphs.map((text) => html`<p>${text}</p>\n`)}
<h3>Confusion matrices, all runs of a method together</h3>
<div class="pair">${s.confusions.map(
    ({ name, classes, confusion }, m) =>
      html`<div><p>${name}</p>${figure(confusionMatrix({ classes, confusion, theme: theme(`all${k}-${m}`) }))}</div>`,
  )}</div>
`;
}

const methodsOf = (runs: readonly ComparedRun[]): ComparedMethod[] =>
  runs.map(({ name, record, reference = false }) => {
    const selected = headlineOf(record)?.selected;
    const leaky = record.end?.select === "test" ? " (leaky)" : "";
    return { name: `${name}${leaky}`, values: selected ? [figureOf(selected)] : [], reference };
  });

function xLabelOf(runs: readonly ComparedRun[]): string {
  const dice = runs.filter(({ record }) => segments(record)).length;
  return dice === 0 ? "Accuracy (%)" : dice === runs.length ? "Mean Dice (%)" : "Accuracy, or mean Dice (%)";
}

/** Of runs that are all of images with one class each, or all of segmentations. */
function comparisonTable(runs: readonly ComparedRun[], columns: readonly HtmlColumn[]): Html {
  return htmlTable(
    [{ header: "Method" }, ...columns, { header: "Epoch" }, { header: "Chosen by", text: true }, { header: "Time" }],
    runs.map(({ name, record }) => {
      const headline = headlineOf(record);
      return [
        name,
        ...evaluationCells(headline?.selected ?? null),
        headline === null ? NONE : `${headline.epoch} of ${headline.epochs}`,
        headline === null ? "not ended" : record.info.select === "test" ? "test (leaky)" : record.info.select,
        formatDuration(record.timing.elapsedMs),
      ];
    }),
  );
}

function runSection(name: string, about: string | undefined, record: RunRecord, k: number): Html {
  const selected = headlineOf(record)?.selected ?? null;
  const { classes } = record.info;
  const figures =
    selected === null
      ? null
      : selected.dice
        ? diceTable({ ...selected, dice: selected.dice }, classes)
        : classTable(selected, classes);
  return html`<h2>${name}</h2>
${about === undefined ? null : html`<p>${about}</p>`}
${figure(lrPicture(record, { width: 920, height: 360, theme: { mode: "auto", id: `lr${k}` } }), `${name}: learning rate of every layer group.`)}
<div class="pair"><div>${record.step > 0 ? rateTable(record) : null}</div>
<div>${figures}${figure(confusionPicture(record, { theme: { mode: "auto", id: `confusion${k}` } }))}</div></div>
`;
}

function base64(bytes: Uint8Array): Html {
  let text = "";
  for (let i = 0; i < bytes.length; i += 0x8000) text += String.fromCharCode(...bytes.subarray(i, i + 0x8000));
  return new Html(btoa(text));
}
