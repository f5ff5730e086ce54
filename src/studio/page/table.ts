/** @file The order of the table of runs, and which of them a filter shows. */
import type { RunSummary } from "../protocol.js";

/** Columns that can be sorted by. */
export type Key =
  | "name"
  | "state"
  | "method"
  | "data"
  | "progress"
  | "trainLoss"
  | "validationAccuracy"
  | "testAccuracy"
  | "elapsedMs"
  | "created";

const keyOf = (run: RunSummary, key: Key): string | number | null =>
  key === "progress" ? (run.steps > 0 ? run.step / run.steps : 0) : run[key];

/** Missing figures last, whichever the direction; equal ones by name. */
export function sorted<R extends RunSummary>(runs: readonly R[], key: Key, down: boolean): R[] {
  const byName = (a: RunSummary, b: RunSummary) => a.name.localeCompare(b.name, "en", { numeric: true });
  return [...runs].sort((a, b) => {
    const [x, y] = [keyOf(a, key), keyOf(b, key)];
    if (x === null || y === null) return x === y ? byName(a, b) : x === null ? 1 : -1;
    const order =
      typeof x === "string" && typeof y === "string"
        ? x.localeCompare(y, "en", { numeric: true })
        : Number(x) - Number(y);
    return (down ? -order : order) || byName(a, b);
  });
}

/** Every word has to occur somewhere. */
export function fits(run: RunSummary, words: string): boolean {
  const text = [run.name, run.method, run.data, run.network, run.state].join(" ").toLowerCase();
  return words
    .toLowerCase()
    .split(/\s+/)
    .every((word) => text.includes(word));
}

/** A row of the table: a run, or the folds of a cross-validation as one. */
export interface TableRow extends RunSummary {
  /** Runs that it stands for: its own id, or those of the folds. */
  readonly ids: readonly string[];
  /** "5 folds, 3 finished"; empty for a run. */
  readonly parts: string;
}

const alone = (run: RunSummary): TableRow => ({ ...run, ids: [run.id], parts: "" });

/** One row for every run, or with `together` one for all folds of a cross-validation. */
export function rowsOf(runs: readonly RunSummary[], together: boolean): TableRow[] {
  if (!together) return runs.map(alone);
  const folds = new Map<string, RunSummary[]>();
  for (const run of runs) {
    if (run.folds !== null) folds.set(run.folds.id, [...(folds.get(run.folds.id) ?? []), run]);
  }
  return [...runs.filter((r) => r.folds === null).map(alone), ...[...folds.values()].flatMap(joined)];
}

/** Sums and means over folds; figures of those that have them. */
function joined(folds: readonly RunSummary[]): TableRow[] {
  const [first] = folds;
  if (first === undefined || first.folds === null) return [];
  const sum = (of: (run: RunSummary) => number) => folds.reduce((total, run) => total + of(run), 0);
  const mean = (of: (run: RunSummary) => number | null): number | null => {
    const known = folds.map(of).filter((x) => x !== null);
    return known.length === 0 ? null : known.reduce((total, x) => total + x, 0) / known.length;
  };
  const states = folds.map((run) => run.state);
  const state = (["running", "interrupted", "stopped"] as const).find((s) => states.includes(s)) ?? "finished";
  const shown = folds.find((run) => run.state === "running") ?? folds.at(-1) ?? first;
  const ended = states.filter((s) => s === "finished").length;
  return [
    {
      ...shown,
      id: first.folds.id,
      name: first.folds.name,
      state,
      created: folds.map((run) => run.created).sort()[0] ?? first.created,
      step: sum((run) => run.step),
      steps: sum((run) => run.steps),
      epoch: sum((run) => run.epoch),
      epochs: sum((run) => run.epochs),
      elapsedMs: sum((run) => run.elapsedMs),
      leftMs: mean((run) => run.leftMs),
      trainLoss: mean((run) => run.trainLoss),
      validationAccuracy: mean((run) => run.validationAccuracy),
      testAccuracy: mean((run) => run.testAccuracy),
      testAuc: mean((run) => run.testAuc),
      ids: folds.map((run) => run.id),
      parts: `${folds.length} ${folds.length === 1 ? "fold" : "folds"}, ${ended === folds.length ? "all" : ended} finished`,
    },
  ];
}
