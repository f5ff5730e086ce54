/** @file The finished trainings of a comparison's folder, also of one that is still under way: whole seeds only, so that methods stay paired. */
import type { FileSystem } from "../../src/platform/types.js";
import { type FinishedCell, folderName, type MethodRow } from "../../src/records/compare-plan.js";
import { type DataFigures, summariseComparison } from "../../src/records/compare-summary.js";
import { join } from "../../src/records/files.js";
import { readRun } from "../../src/records/read.js";

/** One data set of a comparison, as far as it has got. */
export interface Collected {
  readonly figures: DataFigures;
  readonly cells: readonly FinishedCell[];
  /** Seeds of which every method has every split. */
  readonly seeds: readonly number[];
  /** Methods that are not through their first seed yet. */
  readonly missing: readonly string[];
  /** Trainings that are finished but belong to a seed that is not whole. */
  readonly beyond: number;
}

const folders = async (files: FileSystem, path: string): Promise<string[]> =>
  (await files.kind(path)) === "folder"
    ? (await files.list(path)).filter((e) => e.kind === "folder").map((e) => e.name)
    : [];

/** @returns null where the folder has no whole seed of any data set yet */
export async function collect(
  files: FileSystem,
  folder: string,
  titleOf: (method: string) => string,
): Promise<readonly Collected[] | null> {
  const protocolPath = join(folder, "compare.json");
  if ((await files.kind(protocolPath)) !== "file") return null;
  // compare.json is our own: methods by their text, and the paths of the data in order.
  const protocol = JSON.parse(await files.readText(protocolPath)) as {
    methods: Record<string, unknown>;
    data: readonly string[];
  };
  const keys = Object.keys(protocol.methods);
  const order = protocol.data.map((path) => folderName((path.split("/").at(-1) ?? "").replace(/\..*$/, "")));
  const names = (await folders(files, folder)).sort((a, b) => order.indexOf(a) - order.indexOf(b));
  const collected: Collected[] = [];
  for (const data of names) {
    const cells: FinishedCell[] = [];
    for (const method of keys) {
      const root = join(folder, join(data, folderName(method)));
      for (const seedFolder of await folders(files, root)) {
        const seed = Number(/^seed-(\d+)$/.exec(seedFolder)?.[1] ?? Number.NaN);
        if (Number.isNaN(seed)) continue; // another learning rate: these experiments try none
        for (const split of await folders(files, join(root, seedFolder))) {
          const path = join(root, join(seedFolder, split));
          if ((await files.kind(join(path, "run.json"))) !== "file") continue;
          const { record } = await readRun(files, path);
          if (record.end?.reason !== "finished") continue;
          cells.push({ data, method, factor: 1, seed, split, folder: path, record });
        }
      }
    }
    const splits = [...new Set(cells.map((c) => c.split))];
    // Folds that no run has reached yet would make a seed look whole: the released layout and --by-group here have five.
    if (splits.some((s) => s.startsWith("fold-")) && splits.length < 5) continue;
    const all = [...new Set(cells.map((c) => c.seed))].sort((a, b) => a - b);
    const whole = (method: string, seed: number) =>
      cells.filter((c) => c.method === method && c.seed === seed).length === splits.length;
    let done = keys;
    let seeds = all.filter((seed) => keys.every((method) => whole(method, seed)));
    if (seeds.length === 0) {
      // Not one seed has been through all methods: the first seed's methods that are through, if the reference is.
      seeds = all.slice(0, 1);
      done = keys.filter((method) => seeds.every((seed) => whole(method, seed)));
    }
    if (!done.includes("finetune") || done.length < 2) continue;
    const used = cells
      .filter((c) => seeds.includes(c.seed) && done.includes(c.method))
      .sort(
        (a, b) => a.seed - b.seed || keys.indexOf(a.method) - keys.indexOf(b.method) || (a.split < b.split ? -1 : 1),
      );
    const methods: MethodRow[] = done.map((key) => ({ key, title: titleOf(key), about: "" }));
    const [figures] = summariseComparison(
      { cells: used, tuning: [], trainings: used.length },
      { methods, seeds, grid: [1], reference: "finetune", now: "" },
    ).data;
    const missing = keys.filter((key) => !done.includes(key));
    if (figures) collected.push({ figures, cells: used, seeds, missing, beyond: cells.length - used.length });
  }
  return collected.length === 0 ? null : collected;
}
