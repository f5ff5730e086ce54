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
export function sorted(runs: readonly RunSummary[], key: Key, down: boolean): RunSummary[] {
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
