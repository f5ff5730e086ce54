/** @file What the studio has still to do, kept in the folder of new runs: a studio that is started again finds what was waiting. */
import { basename, join, resolve } from "node:path";
import { z } from "zod";
import type { TrainValues } from "../../cli/train/fields.js";
import { MetalrError } from "../../common/errors.js";
import type { FileSystem } from "../../platform/types.js";
import { runFiles } from "../../records/files.js";
import { isOfAnother } from "./alive.js";
import type { Log } from "./guard.js";
import { isInside } from "./remove.js";

/** Beside the runs. It is there only while something waits. */
export const queueFile = "studio-queue.json";

/** What a process is to do: train what a form says into a new folder, or go on with what lies in a folder. */
export type Task =
  | { readonly kind: "train"; readonly values: TrainValues; readonly folder: string }
  | { readonly kind: "resume"; readonly folder: string };

/** Text of the fields of a form, by their names. */
export const valuesSchema = z.record(
  z.string().regex(/^[a-zA-Z][a-zA-Z0-9]{0,39}(\.[a-zA-Z]{1,40})?$/),
  z.string().max(4000),
);

const fileSchema = z.strictObject({
  format: z.literal("metalr-queue"),
  version: z.literal(1),
  pid: z.int().positive(),
  host: z.string().max(1000),
  tasks: z
    .array(
      z.discriminatedUnion("kind", [
        // A new run lies beside this file, whatever the file says.
        z.strictObject({
          kind: z.literal("train"),
          values: valuesSchema,
          name: z.string().regex(/^\w[\w.-]{0,120}$/),
          started: z.boolean(),
        }),
        z.strictObject({ kind: z.literal("resume"), folder: z.string().max(4096), started: z.boolean() }),
      ]),
    )
    .max(1000),
});
type Stored = z.infer<typeof fileSchema>["tasks"][number];

const MOST_BYTES = 1 << 20;

export interface QueueOptions {
  readonly files: FileSystem;
  /** Folder that new runs go into. */
  readonly runsFolder: string;
  /** Folders that are watched: only runs in these are gone on with. */
  readonly folders: readonly string[];
  readonly process: { readonly pid: number; readonly host: string };
  readonly log: Log;
}

export class Queue {
  private readonly path: string;
  private next: readonly (Task & { readonly started: boolean })[] | null = null;
  private writing: Promise<void> = Promise.resolve();
  /** Another studio keeps its queue in this folder. */
  private taken = false;
  /** The file is on the disk, or may be. */
  private there = false;

  constructor(private readonly o: QueueOptions) {
    this.path = join(o.runsFolder, queueFile);
  }

  /** What was waiting when the last studio of this folder ended; a run that had begun by then is a run to resume, and no longer here. */
  async read(): Promise<Task[]> {
    const { files, log } = this.o;
    try {
      if ((await files.kind(this.path)) !== "file") return [];
      if (await isOfAnother(this.path, this.o.process)) {
        this.taken = true;
        log("another studio keeps its queue in this folder: that of this one ends with it");
        return [];
      }
      this.there = true;
      const { tasks } = fileSchema.parse(JSON.parse(await this.text()));
      const found: Task[] = [];
      for (const task of tasks) {
        const kept = await this.taskOf(task);
        if (kept !== null) found.push(kept);
      }
      return found;
    } catch {
      log(`${queueFile} cannot be read: what waited is forgotten`);
      return [];
    }
  }

  private async text(): Promise<string> {
    const source = await this.o.files.open(this.path);
    try {
      if (source.size > MOST_BYTES) throw new RangeError("too large for a queue");
      return new TextDecoder("utf-8", { fatal: true }).decode(await source.read(0, source.size));
    } finally {
      await source.close();
    }
  }

  private async taskOf(stored: Stored): Promise<Task | null> {
    const { files, folders, runsFolder } = this.o;
    if (stored.kind === "resume") {
      const folder = resolve(stored.folder);
      return !stored.started && (await isInside(folders, folder)) ? { kind: "resume", folder } : null;
    }
    const folder = join(runsFolder, stored.name);
    if ((await files.kind(folder)) !== "missing" && (stored.started || (await this.isRun(folder)))) return null;
    return { kind: "train", values: stored.values, folder };
  }

  private async isRun(folder: string): Promise<boolean> {
    return (await this.o.files.kind(join(folder, runFiles.info))) !== "missing";
  }

  /** Keeps what is to be done, in its order; the last call counts. @param started of each: whether its process runs */
  save(tasks: readonly (Task & { readonly started: boolean })[]): void {
    if (this.taken || (tasks.length === 0 && !this.there && this.next === null)) return;
    this.there ||= tasks.length > 0;
    const waits = this.next !== null;
    this.next = tasks;
    if (!waits) this.writing = this.writing.then(() => this.write());
  }

  /** Resolves when everything that was to be kept is on the disk. */
  saved(): Promise<void> {
    return this.writing;
  }

  private async write(): Promise<void> {
    const { files, runsFolder, process, log } = this.o;
    const tasks = this.next ?? [];
    this.next = null;
    try {
      if (tasks.length === 0) {
        await files.remove(this.path);
        return;
      }
      await files.makeFolder(runsFolder);
      const stored = tasks.map(
        (task): Stored =>
          task.kind === "resume"
            ? { kind: "resume", folder: resolve(task.folder), started: task.started }
            : { kind: "train", values: task.values, name: basename(task.folder), started: task.started },
      );
      const content = { format: "metalr-queue", version: 1, ...process, tasks: stored };
      await files.writeAtomic(this.path, `${JSON.stringify(content)}\n`);
    } catch (error) {
      log(`the queue is not kept: ${error instanceof MetalrError ? error.problem : "its file cannot be written"}`);
    }
  }
}
