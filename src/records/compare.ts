/** @file Runs a comparison's trainings, each in its own run folder, by as many jobs as are wanted; finished ones are skipped. */
import { UsageError } from "../common/errors.js";
import type { FileSystem } from "../platform/types.js";
import {
  type Cell,
  type ComparisonPlan,
  checkPlan,
  type FinishedCell,
  type FinishedComparison,
  placed,
  possibleCells,
  type Tuning,
} from "./compare-plan.js";
import { join, runFiles } from "./files.js";
import { readRun } from "./read.js";
import { headlineOf, type RunRecord } from "./run-record.js";

/**
 * Trains every cell that is not finished. With the first seed all factors of the grid are tried on all folds; the factor of the best
 * mean validation accuracy (of equal ones the first) is taken for the other seeds: every method has the same budget.
 *
 * @returns null when it was stopped
 * @throws {UsageError} nothing to compare, names that fall together, a grid without validation images to choose by
 * @throws what a training throws; the others are stopped gently before
 */
export async function runComparison(o: ComparisonPlan): Promise<FinishedComparison | null> {
  checkPlan(o);
  const known = new Map<string, RunRecord>();
  const splits = new Map<string, readonly string[]>();
  for (const data of o.data) {
    if (o.signal?.aborted) return null;
    const prepared = await o.prepare(data);
    try {
      splits.set(data, prepared.splits);
      for (const cell of possibleCells(o, data, prepared.splits)) {
        const record = await finishedRecord(o.files, cell.folder);
        if (record === null) continue;
        await prepared.check?.(cell, record);
        known.set(cell.folder, record);
      }
    } finally {
      await prepared.close?.();
    }
  }
  return new Comparing(o, splits, known).run();
}

/** A training in the order of one job alone; its factor is null until the method's is chosen. */
interface Task extends Omit<Cell, "folder" | "factor"> {
  readonly factor: number | null;
}

/** The trainings of a comparison, by as many jobs as are wanted. */
class Comparing {
  private readonly left: Task[];
  private readonly total: number;
  private readonly finished = new Map<string, FinishedCell>();
  private readonly tuning = new Map<string, Tuning>();
  private readonly stop = new AbortController();
  private started = 0;
  private failure: { readonly error: unknown } | null = null;
  /** Resolved, and made anew, whenever a training has ended. */
  private ended = gate();

  constructor(
    private readonly o: ComparisonPlan,
    private readonly splits: ReadonlyMap<string, readonly string[]>,
    private readonly known: ReadonlyMap<string, RunRecord>,
  ) {
    this.left = o.data.flatMap((data) =>
      o.seeds.flatMap((seed, s) =>
        o.methods.flatMap(({ key: method }) =>
          (s === 0 ? o.grid : [null]).flatMap((factor) =>
            (splits.get(data) ?? []).map((split) => ({ data, seed, method, factor, split })),
          ),
        ),
      ),
    );
    this.total = this.left.length;
  }

  async run(): Promise<FinishedComparison | null> {
    const { o, known } = this;
    const stop = () => this.stop.abort();
    if (o.signal?.aborted) return null;
    o.signal?.addEventListener("abort", stop);
    const cells = o.data.flatMap((data) => [...possibleCells(o, data, this.splits.get(data) ?? [])]);
    const finished = cells.flatMap((cell) => {
      const record = known.get(cell.folder);
      return record ? [{ ...cell, record }] : [];
    });
    // A later seed's factor is not known yet: such a training counts as finished where any of its factors is.
    const has = (t: Task) =>
      finished.some(
        (f) =>
          f.data === t.data &&
          f.method === t.method &&
          f.seed === t.seed &&
          f.split === t.split &&
          (t.factor ?? f.factor) === f.factor,
      );
    const jobs = o.begin?.({ of: this.total, finished, waiting: this.left.filter((t) => !has(t)) }) ?? 1;
    try {
      await Promise.all(Array.from({ length: jobs }, (_, job) => this.work(job)));
    } finally {
      o.signal?.removeEventListener("abort", stop);
    }
    if (this.failure !== null) throw this.failure.error;
    return this.left.length > 0 || this.finished.size < this.total ? null : this.conclude();
  }

  private async work(job: number): Promise<void> {
    const { o } = this;
    try {
      while (this.left.length > 0 && !this.stop.signal.aborted) {
        if (!((await o.mayTake?.(job)) ?? true)) return;
        if (this.stop.signal.aborted || this.left.length === 0) return;
        const cell = this.take();
        if (cell === null) {
          await this.ended.promise;
          continue;
        }
        const before = this.known.get(cell.folder) ?? null;
        o.onCell?.(cell, { done: this.started++, of: this.total, finished: before !== null, job });
        const trained = before !== null || (await o.train(cell, job, this.stop.signal));
        const record = before ?? (trained ? await finishedRecord(o.files, cell.folder) : null);
        if (record === null) {
          this.stop.abort(); // it was stopped: so are the others
          return;
        }
        this.finished.set(cell.folder, { ...cell, record });
        this.tune(cell);
      }
    } catch (error) {
      this.failure ??= { error };
      this.stop.abort();
    } finally {
      this.tell();
    }
  }

  /** Wakes the jobs that wait for a factor. */
  private tell(): void {
    const { open } = this.ended;
    this.ended = gate();
    open();
  }

  /** The next training whose factor is known; null where others have to end first, or none is left. */
  private take(): Cell | null {
    const factorOf = (t: Task) => t.factor ?? this.tuning.get(`${t.data}\n${t.method}`)?.chosen ?? null;
    const at = this.left.findIndex((t) => factorOf(t) !== null);
    const task = this.left[at];
    if (task === undefined) return null;
    this.left.splice(at, 1);
    return placed(this.o, { ...task, factor: factorOf(task) ?? 1 });
  }

  /** Chooses the method's factor once the first seed's trainings are all there. */
  private tune({ data, method }: Cell): void {
    const { o } = this;
    const key = `${data}\n${method}`;
    const seed = o.seeds[0] ?? 0;
    const of = (factor: number) =>
      (this.splits.get(data) ?? []).map((split) =>
        this.finished.get(placed(o, { data, method, factor, seed, split }).folder),
      );
    const all = o.grid.map((factor) => ({ factor, cells: of(factor).filter((c) => c !== undefined) }));
    if (!this.tuning.has(key) && all.every(({ factor, cells }) => cells.length === of(factor).length)) {
      const tried = all.map(({ factor, cells }) => ({ factor, validation: validationOf(cells) }));
      const best = tried.reduce((a, b) => (b.validation > a.validation ? b : a));
      if (o.grid.length > 1 && !Number.isFinite(best.validation)) throw noValidation();
      this.tuning.set(key, { data, method, tried, chosen: best.factor });
    }
    this.tell();
  }

  /** In the order of one job, however many there were. */
  private conclude(): FinishedComparison {
    const { o } = this;
    const tuning = o.data.flatMap((data) => o.methods.flatMap(({ key }) => this.tuning.get(`${data}\n${key}`) ?? []));
    const cells = o.data.flatMap((data) =>
      o.seeds.flatMap((seed) =>
        o.methods.flatMap(({ key: method }) =>
          (this.splits.get(data) ?? []).flatMap((split) => {
            const factor = this.tuning.get(`${data}\n${method}`)?.chosen ?? 1;
            return this.finished.get(placed(o, { data, method, factor, seed, split }).folder) ?? [];
          }),
        ),
      ),
    );
    return { cells, tuning, trainings: this.total };
  }
}

function gate(): { readonly promise: Promise<void>; readonly open: () => void } {
  let open = () => {};
  const promise = new Promise<void>((resolve) => {
    open = resolve;
  });
  return { promise, open };
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

const noValidation = (): UsageError =>
  new UsageError("grid", {
    problem: "cannot be chosen from: the runs have no validation images",
    hint: "choose the epoch on validation images (--select validation), or compare without a grid",
  });
