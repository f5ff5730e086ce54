/** @file A run folder in words: how far, how good, which rates. */
import { createModel } from "../../models/index.js";
import type { Model } from "../../models/types.js";
import type { FileSystem } from "../../platform/types.js";
import { join, summaryFile } from "../../records/files.js";
import { formatDuration, formatValue } from "../../records/format.js";
import { readRun, readSummary } from "../../records/read.js";
import { headlineOf, type RunRecord } from "../../records/run-record.js";
import { headlineText, lrTable, summaryText, type TextStyle } from "../../records/text.js";
import { groupFacts, groupLines } from "./groups.js";
import type { Inspected } from "./types.js";

export async function describeRun(
  files: FileSystem,
  folder: string,
  groups: boolean,
  style: TextStyle,
): Promise<Inspected> {
  const { record, damaged, torn } = await readRun(files, folder);
  const { info, epoch, step, end, timing, starts, warnings } = record;
  const headline = headlineOf(record);
  const model = groups ? networkOf(record) : null;
  const epochs = starts.at(-1)?.epochs;
  const state = end?.reason ?? "not ended";
  const facts = {
    kind: "run",
    state,
    info,
    epoch,
    step,
    epochs: epochs ?? null,
    selectedEpoch: end?.selectedEpoch ?? null,
    test: headline?.selected ?? null,
    testLast: headline?.last ?? null,
    firstLr: record.firstLr,
    lastLr: record.lastLr,
    elapsedMs: timing.elapsedMs,
    warnings,
    damagedLines: damaged.length,
    torn,
    ...(model && { groups: groupFacts(model) }),
  };
  const parts = Object.entries(info.data.parts).map(([name, n]) => `${name} ${n}`);
  const text = [
    `${folder}: a run of ${info.method}, ${state === "not ended" ? "not ended (going on, or killed)" : state}`,
    `  started  ${info.created}`,
    ...(info.command === undefined ? [] : [`  command  ${info.command}`]),
    `  data     ${info.data.name}: ${parts.join(", ")} images, ${info.classes.length} classes (${info.classes.join(", ")})`,
    ...(info.data.meta ? [`           learning rates judged on ${info.data.meta.name}`] : []),
    `  network  ${Object.entries(info.model)
      .map(([k, v]) => `${k} ${formatValue(v)}`)
      .join(", ")
      .slice(0, 300)}`,
    `  progress epoch ${epoch}${epochs === undefined ? "" : ` of ${epochs}`}, step ${step}, ${formatDuration(timing.elapsedMs)}`,
    ...warnings.map((w) => `  note: ${w}`),
    ...(damaged.length > 0 ? [`  note: ${damaged.length} lines of events.jsonl are damaged and left out`] : []),
    ...(headline ? ["", headlineText(headline, style)] : []),
    ...(step > 0 ? ["", lrTable(record, style)] : []),
    ...(model ? ["", "layer groups:", ...groupLines(model).map((l) => `  ${l}`)] : []),
  ].join("\n");
  return { facts, text };
}

export async function describeFolds(
  files: FileSystem,
  folder: string,
  folds: readonly string[],
  style: TextStyle,
): Promise<Inspected> {
  const done = (await files.kind(join(folder, summaryFile))) === "file" ? await readSummary(files, folder) : null;
  const runs = await Promise.all(
    folds.map(async (fold) => {
      const { record } = await readRun(files, join(folder, fold));
      return {
        fold,
        state: record.end?.reason ?? "not ended",
        epoch: record.epoch,
        epochs: record.starts.at(-1)?.epochs ?? null,
      };
    }),
  );
  const text = [
    `${folder}: a cross-validation, ${folds.length === 1 ? "1 fold" : `${folds.length} folds`} so far`,
    ...runs.map((r) => `  ${r.fold}  ${r.state}, epoch ${r.epoch}${r.epochs === null ? "" : ` of ${r.epochs}`}`),
    ...(done ? ["", summaryText(done, style)] : []),
  ].join("\n");
  return { facts: { kind: "folds", runs, summary: done }, text };
}

/** A built-in network again from its configuration; null for others. */
function networkOf({ info }: RunRecord): Model | null {
  const { architecture, classes, channels, width } = info.model;
  if (typeof architecture !== "string" || typeof classes !== "number" || architecture === "onnx") return null;
  return createModel(architecture, {
    classes,
    ...(typeof channels === "number" && { channels }),
    ...(typeof width === "number" && { width }),
  });
}
