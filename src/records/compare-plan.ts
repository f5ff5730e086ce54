/** @file What a comparison consists of: data sets × methods × seeds × folds, and the folder of each training. */
import { UsageError } from "../common/errors.js";
import type { FileSystem } from "../platform/types.js";
import { join } from "./files.js";
import type { RunRecord } from "./run-record.js";

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

/** What is known of a data set before anything is trained on it. */
export interface PreparedData {
  readonly splits: readonly string[];
  /** Refuses a finished training that is of other images or options than this comparison's. @throws {MetalrError} */
  check?(cell: Cell, record: RunRecord): Promise<void>;
  close?(): Promise<void>;
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
  /** Called once for each data set, one after the other, before the first training. */
  prepare(data: string): Promise<PreparedData>;
  /** Called before each training of a job (0 … jobs − 1); false ends the job, the others take over its work. */
  readonly mayTake?: (job: number) => Promise<boolean>;
  /**
   * Trains a cell into its folder, or goes on with it. The signal stops it gently, also because another job failed.
   * @returns false when it was stopped
   */
  train(cell: Cell, job: number, signal: AbortSignal): Promise<boolean>;
  readonly signal?: AbortSignal;
  /** Called before every cell that counts, finished ones included. */
  readonly onCell?: (
    cell: Cell,
    progress: { readonly done: number; readonly of: number; readonly finished: boolean; readonly job: number },
  ) => void;
  /**
   * Called once, before the first training: how many there are, those of them that are finished already, and those that are not.
   * @returns how many jobs train at once; without this it is one. What comes out is the same
   */
  readonly begin?: (work: {
    readonly of: number;
    readonly finished: readonly FinishedCell[];
    readonly waiting: readonly Pick<Cell, "data" | "method">[];
  }) => number;
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

/** Every cell that may be needed: each seed with each factor. */
export function* possibleCells(o: ComparisonPlan, data: string, splits: readonly string[]): Generator<Cell> {
  for (const seed of o.seeds)
    for (const { key: method } of o.methods)
      for (const factor of o.grid) for (const split of splits) yield placed(o, { data, method, factor, seed, split });
}

export const placed = ({ folder }: ComparisonPlan, cell: Omit<Cell, "folder">): Cell => ({
  ...cell,
  folder: cellFolder(folder, cell),
});

/** @throws {UsageError} nothing to compare, names that fall together */
export function checkPlan({ data, methods, seeds, grid }: ComparisonPlan): void {
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
