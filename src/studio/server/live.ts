/** @file One run that somebody looks at: its curves so far, then every new step as it is written. */
import { readdir } from "node:fs/promises";
import { join } from "node:path";
import { runFiles } from "../../records/files.js";
import { formatValue } from "../../records/format.js";
import { choiceInWords, headlineOf, RunBuilder, type RunRecord } from "../../records/run-record.js";
import { parseEvent, type RunInfo } from "../../records/schema.js";
import type { EpochEvent, StepEvent } from "../../training/types.js";
import {
  bucketsFor,
  type EpochRow,
  type FigureName,
  type RunFacts,
  type RunMessage,
  type RunSummary,
  type ShownEvaluation,
  type StepRow,
} from "../protocol.js";
import { figureIn, figureNameOf, inFigure, listed } from "./figure.js";
import { GrowingFile } from "./lines.js";

/** More new steps than these at once are sent as whole curves. */
const MANY = 1500;
/** Most epochs that are sent. */
const MOST_EPOCHS = 2000;

/** What the page may open from a run folder, with the types. */
export const servedFiles: ReadonlyMap<string, string> = new Map([
  ["report.html", "text/html; charset=utf-8"],
  ["lr-curves.svg", "image/svg+xml"],
  ["lr-curves.png", "image/png"],
  ["model.onnx", "application/octet-stream"],
  ["run.json", "application/json"],
  ["events.jsonl", "application/x-ndjson"],
]);

/** Six digits are more than any screen shows. */
const short = (x: number | null | undefined): number | null =>
  x === undefined || x === null || !Number.isFinite(x) ? null : Number(x.toPrecision(6));

const rowOf = (e: StepEvent, d: number): StepRow => [
  e.step,
  short(e.trainLoss),
  short(e.trainAccuracy),
  short(e.validationLoss),
  ...Array.from({ length: d }, (_, j) => short(e.lr[j])),
  ...Array.from({ length: d }, (_, j) => short(e.hypergradient?.[j])),
];

const epochRow = (e: EpochEvent): EpochRow => ({
  epoch: e.epoch,
  step: e.step,
  trainLoss: short(e.trainLoss),
  trainAccuracy: short(e.trainAccuracy),
  validationLoss: short(e.validation?.loss),
  validationAccuracy: short(figureIn(e.validation)),
  testLoss: short(e.test?.loss),
  testAccuracy: short(figureIn(e.test)),
});

/** Follows one run folder for as many pages as look at it. */
export class LiveRun {
  private readonly log: GrowingFile;
  private builder: RunBuilder;
  private fresh: StepEvent[] = [];
  private restarted = true;
  private readonly figure: FigureName;

  constructor(
    readonly folder: string,
    readonly info: RunInfo,
  ) {
    this.log = new GrowingFile(join(folder, runFiles.events));
    this.figure = figureNameOf(info);
    this.builder = new RunBuilder(info, bucketsFor(info.groups.length) / 2);
  }

  /** Reads what is new. @returns whether there was anything */
  update(): Promise<boolean> {
    return this.log.read(
      () => {
        this.builder = new RunBuilder(this.info, bucketsFor(this.info.groups.length) / 2);
        this.fresh = [];
        this.restarted = true;
      },
      (lines) => {
        for (const line of lines) {
          const parsed = parseEvent(line);
          if (!("event" in parsed)) continue;
          const event = inFigure(parsed.event, this.figure);
          this.builder.add(event);
          if (event.type === "step" && this.fresh.length <= MANY) this.fresh.push(event);
        }
      },
    );
  }

  /** What was new is with everybody: `more` begins from here. */
  settle(): void {
    this.fresh = [];
    this.restarted = false;
  }

  /** Everything so far. */
  async whole(summary: RunSummary): Promise<RunMessage> {
    const record = this.builder.record();
    return { type: "whole", id: summary.id, facts: await this.facts(record, summary), steps: rowsOf(record) };
  }

  /** What came since the last call: new steps, or everything where they are many or the run was resumed. */
  async more(summary: RunSummary): Promise<RunMessage> {
    const { fresh, restarted } = this;
    this.settle();
    if (restarted || fresh.length > MANY) return this.whole(summary);
    const d = this.info.groups.length;
    const facts = await this.facts(this.builder.record(), summary);
    return { type: "more", id: summary.id, facts, steps: fresh.map((e) => rowOf(e, d)) };
  }

  private async facts(record: RunRecord, summary: RunSummary): Promise<RunFacts> {
    const { info } = this;
    const present = new Set(await readdir(this.folder).catch(() => []));
    return {
      summary,
      groups: info.groups,
      classes: info.classes,
      stepsPerEpoch: record.starts.at(-1)?.stepsPerEpoch ?? 0,
      configuration: configurationOf(info),
      warnings: record.warnings.slice(0, 50),
      epochs: record.epochs.slice(-MOST_EPOCHS).map(epochRow),
      shown: shownOf(record),
      selectedEpoch: record.end?.selectedEpoch ?? null,
      firstLr: record.firstLr,
      lastLr: record.lastLr,
      lrBounds: boundsOf(info.options["lrBounds"]),
      files: [...servedFiles.keys()].filter((name) => present.has(name)),
    };
  }
}

function rowsOf({ curves, info }: RunRecord): StepRow[] {
  const d = info.groups.length;
  return Array.from(curves.steps, (step, i) => [
    step,
    short(curves.trainLoss[i]),
    short(curves.trainAccuracy[i]),
    short(curves.validationLoss[i]),
    ...Array.from({ length: d }, (_, j) => short(curves.lr[j]?.[i])),
    ...Array.from({ length: d }, (_, j) => short(curves.hypergradient[j]?.[i])),
  ]);
}

/** Test images once they were evaluated, validation images before that. */
function shownOf(record: RunRecord): ShownEvaluation | null {
  const headline = headlineOf(record);
  if (headline?.selected) {
    return {
      title: `Test images, epoch ${headline.epoch} (${choiceInWords(record.info.select)})`,
      ...listed(headline.selected),
    };
  }
  const last = record.epochs.findLast((e) => e.validation !== undefined || e.test !== undefined);
  const evaluation = last?.validation ?? last?.test;
  if (last === undefined || evaluation === undefined) return null;
  return { title: `${last.validation ? "Validation" : "Test"} images, epoch ${last.epoch}`, ...listed(evaluation) };
}

const boundsOf = (value: unknown): readonly [number, number] | null => {
  if (!Array.isArray(value) || value.length !== 2) return null;
  const [min, max]: unknown[] = value;
  return typeof min === "number" && typeof max === "number" ? [min, max] : null;
};

function configurationOf(info: RunInfo): RunFacts["configuration"] {
  const flat = (value: Readonly<Record<string, unknown>>, prefix = ""): [string, string][] =>
    Object.entries(value).flatMap(([key, v]): [string, string][] => {
      if (key === "arguments") return [];
      const plain = typeof v !== "object" || v === null || Array.isArray(v);
      return plain
        ? [[prefix + key, formatValue(v).slice(0, 300)]]
        : flat(v as Record<string, unknown>, `${prefix}${key}.`); // an object that is no array
    });
  const parts = Object.entries(info.data.parts).map(([part, n]) => `${part} ${n}`);
  return [
    {
      heading: "Training",
      lines: [
        ["method", info.method],
        ["epoch chosen by", info.select === "test" ? "test (leaky)" : info.select],
        ...flat(info.options),
      ],
    },
    { heading: "Network", lines: flat(info.model) },
    {
      heading: "Data",
      lines: [
        ["file", info.data.name],
        [figureNameOf(info) === "dice" ? "volumes" : "images", parts.join(", ")],
        ["classes", info.classes.join(", ")],
        ["fingerprint", info.data.fingerprint],
      ],
    },
    { heading: "Versions", lines: Object.entries(info.versions) },
    ...(info.command === undefined ? [] : [{ heading: "Command", lines: [["", info.command] as const] }]),
  ];
}
