/** @file summary.json: the folds of a cross-validation beside each other and pooled, by selected and by last epoch. */
import type { FileSystem } from "../platform/types.js";
import { EvaluationAccumulator, mergeEvaluations, type Predicted, pooledEvaluation } from "../training/metrics.js";
import { SegmentationAccumulator } from "../training/segmentation.js";
import type { Evaluation } from "../training/types.js";
import { join, readTensors, runFiles, summaryFile } from "./files.js";
import { foldFolders, readRun } from "./read.js";
import { foldsReport } from "./report/folds-report.js";
import { headlineOf, type RunRecord } from "./run-record.js";
import type { CrossValidationSummary, EvaluationSpread, FoldSummary, Spread } from "./schema.js";

export interface FoldResult {
  /** "fold-1". */
  readonly folder: string;
  readonly record: RunRecord;
  /** Logits of the fold's test images; without them the pooled macro AUC is null. */
  readonly selected: Predicted | null;
  readonly last: Predicted | null;
}

/** @param folds at least one */
export function summarise(name: string, folds: readonly FoldResult[], created: string): CrossValidationSummary {
  const summaries = folds.map(({ folder, record }): FoldSummary => {
    const headline = headlineOf(record);
    return {
      name: record.info.name,
      folder,
      selectedEpoch: headline?.epoch ?? 0,
      lastEpoch: headline?.epochs ?? record.epoch,
      selected: headline?.selected ?? null,
      last: headline?.last ?? null,
      elapsedMs: record.timing.elapsedMs,
    };
  });
  const first = folds[0]?.record.info;
  return {
    format: "metalr-summary",
    version: 1,
    created,
    name,
    method: first?.method ?? "",
    select: first?.select ?? "last",
    classes: first?.classes ?? [],
    folds: summaries,
    pooled: {
      selected: pool(
        summaries.map((s) => s.selected),
        folds.map((f) => f.selected),
      ),
      last: pool(
        summaries.map((s) => s.last),
        folds.map((f) => f.last),
      ),
    },
    spread: {
      selected: spreadOf(summaries.map((s) => s.selected)),
      last: spreadOf(summaries.map((s) => s.last)),
    },
  };
}

/** Null where a fold has no evaluation: a part must not pass for the whole. */
function pool(
  evaluations: readonly (Evaluation | null)[],
  predictions: readonly (Predicted | null)[],
): Evaluation | null {
  const all = evaluations.filter((e) => e !== null);
  if (all.length === 0 || all.length < evaluations.length) return null;
  const samples = predictions.filter((p) => p instanceof EvaluationAccumulator);
  return samples.length === predictions.length ? pooledEvaluation(samples) : mergeEvaluations(all);
}

function spreadOf(evaluations: readonly (Evaluation | null)[]): EvaluationSpread {
  const of = (key: "accuracy" | "balancedAccuracy" | "macroAuc") =>
    meanAndDeviation(evaluations.map((e) => e?.[key] ?? Number.NaN));
  const dice =
    evaluations.some((e) => e?.dice) && meanAndDeviation(evaluations.map((e) => e?.dice?.mean ?? Number.NaN));
  return {
    accuracy: of("accuracy"),
    balancedAccuracy: of("balancedAccuracy"),
    macroAuc: of("macroAuc"),
    ...(dice && { dice }),
  };
}

/** Mean and sample standard deviation (n − 1) of the values that are numbers. */
export function meanAndDeviation(values: readonly number[]): Spread {
  const known = values.filter((v) => !Number.isNaN(v));
  if (known.length === 0) return { mean: null, deviation: null };
  const mean = known.reduce((sum, v) => sum + v, 0) / known.length;
  if (known.length === 1) return { mean, deviation: null };
  const squares = known.reduce((sum, v) => sum + (v - mean) ** 2, 0);
  return { mean, deviation: Math.sqrt(squares / (known.length - 1)) };
}

/**
 * Reads every `fold-K` under a folder and writes summary.json and report.html beside them.
 *
 * @throws {FileError} a damaged run.json, predictions of another form, no space
 */
export async function writeSummary(
  files: FileSystem,
  folder: string,
  name: string,
  now: () => Date = () => new Date(),
): Promise<CrossValidationSummary> {
  const folds: FoldResult[] = [];
  for (const fold of await foldFolders(files, folder)) {
    const path = join(folder, fold);
    const { record } = await readRun(files, path);
    folds.push({
      folder: fold,
      record,
      selected: await readPredictions(files, path, "selected"),
      last: await readPredictions(files, path, "last"),
    });
  }
  const summary = summarise(name, folds, now().toISOString());
  await files.writeAtomic(join(folder, summaryFile), `${JSON.stringify(summary, null, 2)}\n`);
  await files.writeAtomic(
    join(folder, runFiles.report),
    foldsReport(
      summary,
      folds.map((f) => f.record),
    ),
  );
  return summary;
}

/** What `RunRecorder.writePredictions` wrote; null where it wrote nothing. @throws {FileError | ShapeError} damaged */
export async function readPredictions(
  files: FileSystem,
  folder: string,
  name: "selected" | "last",
): Promise<EvaluationAccumulator | SegmentationAccumulator | null> {
  const path = join(folder, `${runFiles.predictions}/${name}.safetensors`);
  if ((await files.kind(path)) !== "file") return null;
  const { tensors } = await readTensors(files, path);
  return SegmentationAccumulator.fromTensors(tensors) ?? EvaluationAccumulator.fromTensors(tensors);
}
