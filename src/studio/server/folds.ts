/** @file A cross-validation as the page shows it: its folds beside each other, and those that have ended pooled. */
import { stat } from "node:fs/promises";
import { basename, join } from "node:path";
import type { FileSystem } from "../../platform/types.js";
import { runFiles } from "../../records/files.js";
import { readRun } from "../../records/read.js";
import { type FoldResult, readPredictions, summarise } from "../../records/summary.js";
import type { Evaluation } from "../../training/types.js";
import type { FoldFacts, FoldsFacts } from "../protocol.js";
import { figureNameOf, listed } from "./figure.js";
import type { RunStore } from "./store.js";

/** @returns null where there is no such cross-validation (any more) */
export async function foldsFacts(files: FileSystem, store: RunStore, id: string): Promise<FoldsFacts | null> {
  const found = store.foldsOf(id);
  if (found === null) return null;
  const all: FoldResult[] = [];
  const folds: FoldFacts[] = [];
  for (const { folder, summary } of found.folds) {
    const read = await readRun(files, folder).catch(() => null);
    if (read === null) continue; // deleted meanwhile, or damaged
    const { record } = read;
    const ended = record.end?.reason === "finished";
    const fold: FoldResult = {
      folder: basename(folder),
      record,
      selected: ended ? await readPredictions(files, folder, "selected").catch(() => null) : null,
      last: ended ? await readPredictions(files, folder, "last").catch(() => null) : null,
    };
    all.push(fold);
    const [figures] = summarise("", [fold], "").folds;
    const plain = (e: Evaluation | null | undefined) => listed(e ?? null).evaluation;
    folds.push({
      id: summary.id,
      name: basename(folder),
      state: summary.state,
      selectedEpoch: figures?.selectedEpoch ?? 0,
      lastEpoch: figures?.lastEpoch ?? record.epoch,
      selected: plain(figures?.selected),
      last: plain(figures?.last),
      validationAccuracy: summary.validationAccuracy,
      elapsedMs: summary.elapsedMs,
      lastLr: record.lastLr,
    });
  }
  const ended = all.filter(({ record }) => record.end?.reason === "finished");
  const { pooled, spread } = summarise("", ended, "");
  const info = all[0]?.record.info;
  if (info === undefined) return null;
  const selected = listed(pooled.selected);
  const report = await stat(join(found.folder, runFiles.report)).catch(() => null);
  return {
    id,
    name: found.name,
    method: info.method,
    data: info.data.name,
    figure: figureNameOf(info),
    select: info.select,
    classes: info.classes,
    groups: info.groups,
    folds,
    ended: ended.length,
    pooled: { selected: selected.evaluation, last: listed(pooled.last).evaluation },
    volumes: selected.volumes,
    spread,
    report: report?.isFile() === true,
  };
}
