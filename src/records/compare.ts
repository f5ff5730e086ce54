/** @file A comparison's trainings: data sets × methods × seeds × folds, each in its own run folder, finished ones skipped. */
import { UsageError } from "../common/errors.js";
import type { FileSystem } from "../platform/types.js";
import { join, runFiles } from "./files.js";
import { readRun } from "./read.js";
import { headlineOf, type RunRecord } from "./run-record.js";

/** A row of the comparison. */
export interface MethodRow {
  /** As it was asked for: "metalr:direction=optimizer"; names the folder, too. */
  readonly key: string;
  readonly title: string;
  /** One sentence. */
  readonly about: string;
}

/** One training. */
export interface Cell {
  readonly data: string;
  readonly method: string;
  /** Factor on the learning rate. */
  readonly factor: number;
  readonly seed: number;
  /** Name of the split: "run", "fold-1", … */
  readonly split: string;
  /** Its run folder. */
  readonly folder: string;
}

/** One data set opened for one seed. */
export interface OpenedCells {
  readonly splits: readonly string[];
  /** Trains a cell into its folder, or goes on with it. @returns false when it was stopped */
  train(cell: Cell): Promise<boolean>;
  close(): Promise<void>;
}

export interface ComparisonPlan {
  readonly folder: string;
  readonly files: FileSystem;
  /** Names of the data sets, for folders and tables. */
  readonly data: readonly string[];
  readonly methods: readonly MethodRow[];
  readonly seeds: readonly number[];
  /** Factors on the learning rate that every method tries with the first seed; [1] tries nothing. */
  readonly grid: readonly number[];
  open(data: string, seed: number): Promise<OpenedCells>;
  readonly signal?: AbortSignal;
  /** Called before every cell that counts, finished ones included. */
  readonly onCell?: (
    cell: Cell,
    progress: { readonly done: number; readonly of: number; readonly finished: boolean },
  ) => void;
}

export interface FinishedCell extends Cell {
  readonly record: RunRecord;
}

/** How a method's factor was chosen on one data set. */
export interface Tuning {
  readonly data: string;
  readonly method: string;
  /** Mean validation accuracy at the selected epochs over the first seed's folds, by factor. */
  readonly tried: readonly { readonly factor: number; readonly validation: number }[];
  readonly chosen: number;
}

export interface FinishedComparison {
  /** Cells of the chosen factors: those that are compared. */
  readonly cells: readonly FinishedCell[];
  readonly tuning: readonly Tuning[];
  /** All trainings, those of factors that were not chosen included. */
  readonly trainings: number;
}

/** A name that is a folder on every system: "metalr:ema=0.9" → "metalr-ema-0.9". */
export const folderName = (text: string): string => text.replace(/[^\w.]+/g, "-").replace(/^[-.]+|-+$/g, "") || "_";

/** Where a cell's run lies. */
export const cellFolder = (root: string, c: Omit<Cell, "folder">): string =>
  join(
    root,
    [
      folderName(c.data),
      folderName(c.method),
      ...(c.factor === 1 ? [] : [`lr-x${c.factor}`]),
      `seed-${c.seed}`,
      c.split,
    ].join("/"),
  );

/**
 * Trains every cell that is not finished. With the first seed all factors of the grid are tried on all folds; the factor of the best
 * mean validation accuracy (of equal ones the first) is taken for the other seeds: every method has the same budget.
 *
 * @returns null when it was stopped
 * @throws {UsageError} nothing to compare, names that fall together, a grid without validation images to choose by
 */
export async function runComparison(o: ComparisonPlan): Promise<FinishedComparison | null> {
  check(o);
  const cells: FinishedCell[] = [];
  const tuning: Tuning[] = [];
  let [trainings, done] = [0, 0];
  for (const data of o.data) {
    const factors = new Map<string, number>();
    for (const seed of o.seeds) {
      if (o.signal?.aborted) return null;
      const opened = await o.open(data, seed);
      try {
        const first = seed === o.seeds[0];
        const perSeed = o.methods.length * opened.splits.length;
        const total = o.data.length * perSeed * (o.grid.length + o.seeds.length - 1);
        /** A method's cells at one factor; null when stopped. */
        const train = async (method: string, factor: number): Promise<FinishedCell[] | null> => {
          const out: FinishedCell[] = [];
          for (const split of opened.splits) {
            const place = { data, method, factor, seed, split };
            const cell = { ...place, folder: cellFolder(o.folder, place) };
            if (o.signal?.aborted) return null;
            const before = await finishedRecord(o.files, cell.folder);
            o.onCell?.(cell, { done: done++, of: total, finished: before !== null });
            if (before === null && !(await opened.train(cell))) return null;
            const record = before ?? (await finishedRecord(o.files, cell.folder));
            if (record === null) return null;
            trainings++;
            out.push({ ...cell, record });
          }
          return out;
        };
        for (const { key } of o.methods) {
          if (!first) {
            const trained = await train(key, factors.get(key) ?? 1);
            if (trained === null) return null;
            cells.push(...trained);
            continue;
          }
          const tried: { factor: number; validation: number; cells: FinishedCell[] }[] = [];
          for (const factor of o.grid) {
            const trained = await train(key, factor);
            if (trained === null) return null;
            tried.push({ factor, validation: validationOf(trained), cells: trained });
          }
          const best = tried.reduce((a, b) => (b.validation > a.validation ? b : a));
          if (o.grid.length > 1 && !Number.isFinite(best.validation)) throw noValidation();
          factors.set(key, best.factor);
          cells.push(...best.cells);
          tuning.push({
            data,
            method: key,
            tried: tried.map(({ factor, validation }) => ({ factor, validation })),
            chosen: best.factor,
          });
        }
      } finally {
        await opened.close();
      }
    }
  }
  return { cells, tuning, trainings };
}

/** The record of a run that is finished, else null. */
async function finishedRecord(files: FileSystem, folder: string): Promise<RunRecord | null> {
  if ((await files.kind(join(folder, runFiles.info))) === "missing") return null;
  const { record } = await readRun(files, folder);
  return record.end?.reason === "finished" ? record : null;
}

/** Mean validation accuracy at the selected epochs; NaN where a run has none. */
const validationOf = (cells: readonly FinishedCell[]): number =>
  cells.reduce((sum, { record }) => sum + (headlineOf(record)?.validation?.accuracy ?? Number.NaN), 0) / cells.length;

function check({ data, methods, seeds, grid }: ComparisonPlan): void {
  const refuse = (where: string, problem: string, got?: string): never => {
    throw new UsageError(where, { problem, ...(got !== undefined && { got }) });
  };
  if (data.length === 0) refuse("data", "there is no data set to compare on");
  if (methods.length === 0) refuse("methods", "there is no method to compare");
  if (seeds.length === 0) refuse("seeds", "there is no seed");
  if (grid.length === 0 || !grid.every((f) => f > 0 && Number.isFinite(f))) {
    refuse("grid", "is not a list of factors > 0", grid.join(", "));
  }
  for (const [where, names] of [
    ["data", data],
    ["methods", methods.map((m) => m.key)],
    ["seeds", seeds.map(String)],
    ["grid", grid.map(String)],
  ] as const) {
    const folders = names.map(folderName);
    const twice = names.find((_, i) => folders.indexOf(folders[i] ?? "") !== i);
    if (twice !== undefined) refuse(where, "are not all different", twice);
  }
}

const noValidation = (): UsageError =>
  new UsageError("grid", {
    problem: "cannot be chosen from: the runs have no validation images",
    hint: "choose the epoch on validation images (--select validation), or compare without a grid",
  });
