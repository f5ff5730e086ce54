/** @file The runs of the watched folders: found, followed and forgotten as they come and go, whoever makes them. */
import { createHash } from "node:crypto";
import { readdir, readFile, stat } from "node:fs/promises";
import { basename, dirname, join, resolve } from "node:path";
import { comparisonFile } from "../../records/compare-report.js";
import { runFiles } from "../../records/files.js";
import { parseRunInfo } from "../../records/schema.js";
import type { ComparisonSummary, RunSummary } from "../protocol.js";
import { isAlive } from "./alive.js";
import { type Comparison, readComparison } from "./comparisons.js";
import { Glance } from "./glance.js";

/** Folders below a watched one in which runs are looked for: comparison / data / method / rate / seed / fold. */
const DEPTH = 6;
/** Most folders that are looked into, so that watching "/" by mistake does no harm. */
const MOST_FOLDERS = 5000;
/** Milliseconds between looks. */
const PERIOD = 350;
const passed = new Set(["checkpoints", "predictions", "tb", "node_modules"]);

interface Entry {
  readonly glance: Glance;
  /** Of run.json: another one is another run in the same folder. */
  readonly stamp: string;
  summary: RunSummary;
  shown: string;
}

export interface StoreEvents {
  run(run: RunSummary): void;
  gone(id: string): void;
  comparisons(all: readonly ComparisonSummary[]): void;
}

interface Found {
  readonly folder: string;
  /** Of comparison.json, so that it is read once. */
  readonly stamp: string;
  readonly comparison: Comparison;
}

/** Letters and digits that say nothing of where the folder is. */
export const idOf = (folder: string): string =>
  createHash("sha256").update(resolve(folder)).digest("base64url").replace(/[-_]/g, "").slice(0, 12);

export class RunStore {
  private readonly entries = new Map<string, Entry>();
  private readonly broken = new Map<string, string>();
  private readonly comparisons = new Map<string, Found>();
  private readonly listeners = new Set<StoreEvents>();
  private timer: NodeJS.Timeout | null = null;
  private closed = false;

  /**
   * @param roots run folders, folders with folds, or folders of either
   * @param ours whether the studio started the run in a folder
   */
  constructor(
    readonly roots: readonly string[],
    private readonly ours: (folder: string) => boolean = () => false,
  ) {}

  /** Looks once, then again and again until `close`. */
  async start(): Promise<void> {
    await this.look();
    const again = async () => {
      await this.look();
      if (!this.closed) this.timer = setTimeout(again, PERIOD);
    };
    if (!this.closed) this.timer = setTimeout(again, PERIOD);
  }

  close(): void {
    this.closed = true;
    if (this.timer !== null) clearTimeout(this.timer);
  }

  all(): RunSummary[] {
    return [...this.entries.values()].map((e) => e.summary);
  }

  get(id: string): { readonly folder: string; readonly glance: Glance; readonly summary: RunSummary } | null {
    const entry = this.entries.get(id);
    return entry === undefined ? null : { folder: entry.glance.folder, glance: entry.glance, summary: entry.summary };
  }

  /** The folds of a cross-validation in order; null where there are none. */
  foldsOf(id: string): {
    readonly folder: string;
    readonly name: string;
    readonly folds: readonly { readonly folder: string; readonly summary: RunSummary }[];
  } | null {
    const folds = [...this.entries.values()].filter((e) => e.summary.folds?.id === id);
    folds.sort((a, b) => a.summary.name.localeCompare(b.summary.name, "en", { numeric: true }));
    const [first] = folds;
    if (first === undefined) return null;
    return {
      folder: dirname(resolve(first.glance.folder)),
      name: first.summary.folds?.name ?? "",
      folds: folds.map((e) => ({ folder: e.glance.folder, summary: e.summary })),
    };
  }

  allComparisons(): ComparisonSummary[] {
    return [...this.comparisons.values()].map((f) => f.comparison.summary);
  }

  comparison(id: string): { readonly folder: string; readonly comparison: Comparison } | null {
    return this.comparisons.get(id) ?? null;
  }

  /** Runs in that folder or below it. */
  below(folder: string): string[] {
    const path = resolve(folder);
    const inside = (f: string) => f === path || f.startsWith(path.endsWith("/") ? path : `${path}/`);
    return [...this.entries.values()].filter((e) => inside(resolve(e.glance.folder))).map((e) => e.glance.id);
  }

  /** @returns a function that ends it */
  listen(listener: StoreEvents): () => void {
    this.listeners.add(listener);
    return () => this.listeners.delete(listener);
  }

  private async look(): Promise<void> {
    const found = new Set<string>();
    const compared = new Set<string>();
    let changed = false;
    let budget = MOST_FOLDERS;
    const walk = async (folder: string, name: string, depth: number): Promise<void> => {
      if (--budget < 0) return;
      const info = await stat(join(folder, runFiles.info)).catch(() => null);
      if (info?.isFile()) {
        found.add(await this.meet(folder, name, `${info.ino}:${info.mtimeMs}:${info.size}`, info.mtimeMs));
        return;
      }
      const figures = await stat(join(folder, comparisonFile)).catch(() => null);
      if (figures?.isFile()) {
        const id = idOf(folder);
        compared.add(id);
        const stamp = `${figures.ino}:${figures.mtimeMs}:${figures.size}`;
        if (this.comparisons.get(id)?.stamp !== stamp && this.broken.get(id) !== stamp) {
          const comparison = await readComparison(folder, id, name === "" ? basename(resolve(folder)) : name);
          changed = true;
          if (comparison === null) {
            this.broken.set(id, stamp);
            this.comparisons.delete(id);
          } else this.comparisons.set(id, { folder, stamp, comparison });
        }
      }
      if (depth === 0) return;
      const inside = await readdir(folder, { withFileTypes: true }).catch(() => []);
      for (const entry of inside) {
        if (!entry.isDirectory() || entry.name.startsWith(".") || passed.has(entry.name)) continue;
        await walk(join(folder, entry.name), name === "" ? entry.name : `${name}/${entry.name}`, depth - 1);
      }
    };
    // A folder that was named itself is called by its own name; what is in a folder of runs, by what it has there.
    for (const root of this.roots) {
      const single = await this.isRunOrFolds(root);
      await walk(root, single ? basename(resolve(root)) : "", DEPTH);
    }
    for (const id of [...this.entries.keys()]) {
      if (found.has(id)) continue;
      this.entries.delete(id);
      for (const listener of this.listeners) listener.gone(id);
    }
    for (const id of [...this.comparisons.keys()]) {
      if (!compared.has(id)) changed = this.comparisons.delete(id);
    }
    if (changed) for (const listener of this.listeners) listener.comparisons(this.allComparisons());
  }

  private async isRunOrFolds(root: string): Promise<boolean> {
    const is = async (path: string) => (await stat(path).catch(() => null))?.isFile() === true;
    return (await is(join(root, runFiles.info))) || (await is(join(root, "fold-1", runFiles.info)));
  }

  /** A folder with run.json, which was written at `madeAt` ms since 1970. */
  private async meet(folder: string, name: string, stamp: string, madeAt: number): Promise<string> {
    const id = idOf(folder);
    let entry = this.entries.get(id);
    if (entry === undefined || entry.stamp !== stamp) {
      if (this.broken.get(id) === stamp) return id;
      try {
        const info = parseRunInfo(await readFile(join(folder, runFiles.info), "utf8"), runFiles.info);
        const glance = new Glance(id, folder, name, info, foldsOfRun(folder, name));
        await glance.update();
        entry = { glance, stamp, summary: glance.summary(false, false), shown: "" };
        this.entries.set(id, entry);
      } catch {
        this.broken.set(id, stamp); // looked at again when it changes
        return id;
      }
    } else await entry.glance.update();
    const { glance } = entry;
    const ours = this.ours(folder);
    // A run that has just been made writes nothing while its first step is being compiled.
    const quietSince = Math.max(glance.changedAt, madeAt);
    const alive = !glance.ended && (ours || (await isAlive(folder, quietSince, glance.stepMs)));
    entry.summary = glance.summary(alive, ours);
    const shown = JSON.stringify(entry.summary);
    if (shown !== entry.shown) {
      entry.shown = shown;
      for (const listener of this.listeners) listener.run(entry.summary);
    }
    return id;
  }
}

/** A run in "fold-K" is a part of what is in the folder above it. */
function foldsOfRun(folder: string, name: string): RunSummary["folds"] {
  const path = resolve(folder);
  if (!/^fold-\d+$/.test(basename(path))) return null;
  const above = name.includes("/") ? name.slice(0, name.lastIndexOf("/")) : basename(dirname(path));
  return { id: idOf(dirname(path)), name: above };
}
