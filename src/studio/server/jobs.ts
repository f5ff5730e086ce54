/** @file Processes that the studio starts: the command line itself, as anyone would call it; one trains, the others wait. */
import { type ChildProcess, spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { resolve } from "node:path";
import type { Job } from "../protocol.js";
import type { Task } from "./queue.js";

/** Characters of output that are kept of a process. */
const KEPT = 6000;
/** Ended ones that are still listed. */
const LISTED = 20;

interface Running {
  readonly id: string;
  readonly task: Task;
  readonly words: readonly string[];
  readonly folder: string;
  state: Job["state"];
  output: string;
  child: ChildProcess | null;
}

export interface JobsOptions {
  /** Program and first arguments: [node, bin.js]. */
  readonly program: readonly [string, ...string[]];
  /** The command line for a task: "train" and what follows. */
  readonly words: (task: Task) => readonly string[];
  /** How a command line is shown. */
  readonly quoted: (words: readonly string[]) => string;
  /** Runs below a folder, by id. */
  readonly runsIn: (folder: string) => readonly string[];
  /** Told what is still to be done, whenever that changes. */
  readonly keep?: (tasks: readonly (Task & { readonly started: boolean })[]) => void;
}

export class Jobs {
  private readonly jobs: Running[] = [];
  private count = 0;
  private closing = false;

  constructor(private readonly options: JobsOptions) {}

  list(): Job[] {
    return this.jobs.map((job) => ({
      id: job.id,
      command: this.options.quoted(job.words),
      state: job.state,
      runs: this.options.runsIn(job.folder),
      output: job.output,
    }));
  }

  /** Whether a process of ours works in that folder or above it. */
  worksIn(folder: string): boolean {
    return this.at(folder) !== null;
  }

  /** Whether a process has that folder, or is going to. One that stops does not: what is added now comes after it. */
  has(folder: string): boolean {
    const due = ({ state, child }: Running) => state === "queued" || (child !== null && state !== "stopping");
    return this.jobs.some((job) => job.folder === resolve(folder) && due(job));
  }

  /** Whether that folder is spoken for, also by what stops and what is held. */
  claims(folder: string): boolean {
    return this.has(folder) || this.worksIn(folder) || this.heldAt(folder) !== undefined;
  }

  private heldAt(folder: string): Running | undefined {
    return this.jobs.find((job) => job.state === "held" && job.folder === resolve(folder));
  }

  /** Does a task, now or after those that are on their way; one that was held for the same folder is this one. */
  add(task: Task): string {
    const held = this.heldAt(task.folder);
    if (held !== undefined) this.jobs.splice(this.jobs.indexOf(held), 1);
    return this.push(task, "queued");
  }

  /** Lists a task that an earlier studio has left; nothing happens before `release`. */
  hold(task: Task): string {
    return this.push(task, "held");
  }

  private push(task: Task, state: "queued" | "held"): string {
    const id = `job${++this.count}`;
    const words = this.options.words(task);
    this.jobs.push({ id, task, words, folder: resolve(task.folder), state, output: "", child: null });
    this.next();
    return id;
  }

  /** Puts one that was held into the queue. @returns false where there is none */
  release(id: string): boolean {
    const job = this.jobs.find((j) => j.id === id && j.state === "held");
    if (job === undefined) return false;
    job.state = "queued";
    this.next();
    return true;
  }

  /**
   * Asks the process that works in a folder to stop after the step under way, and to stop at once where it was asked before.
   * @returns false where there is none
   */
  stop(folder: string): boolean {
    const job = this.at(folder);
    if (job === null) return false;
    job.state = "stopping";
    job.child?.kill("SIGINT");
    return true;
  }

  /** Takes a waiting one out, or stops a running one. @returns false where there is none */
  cancel(id: string): boolean {
    const job = this.jobs.find((j) => j.id === id);
    if (job === undefined) return false;
    if (job.child !== null) return this.stop(job.folder);
    this.jobs.splice(this.jobs.indexOf(job), 1);
    this.next();
    return true;
  }

  /** Asks all to stop and waits for them, at most `ms`. */
  async close(ms = 10_000): Promise<void> {
    this.closing = true;
    const children = this.jobs.flatMap((job) => job.child ?? []);
    const ended = children.map((child) => new Promise((done) => child.once("exit", done)));
    for (const child of children) child.kill("SIGINT");
    const late = new Promise((done) => setTimeout(done, ms).unref());
    if (ended.length > 0) await Promise.race([Promise.all(ended), late]);
    for (const child of children) child.kill("SIGTERM");
  }

  get active(): number {
    return this.jobs.filter((job) => job.child !== null).length;
  }

  private at(folder: string): Running | null {
    const path = `${resolve(folder)}/`;
    return this.jobs.find((job) => job.child !== null && path.startsWith(`${job.folder}/`)) ?? null;
  }

  private next(): void {
    if (!this.closing && this.active === 0) {
      const job = this.jobs.find((j) => j.state === "queued");
      if (job !== undefined) this.launch(job);
    }
    while (this.jobs.length > LISTED) {
      const old = this.jobs.findIndex((j) => j.state === "ended" || j.state === "failed");
      if (old < 0) break;
      this.jobs.splice(old, 1);
    }
    const due = this.jobs.filter((j) => j.child !== null || j.state === "queued" || j.state === "held");
    this.options.keep?.(due.map((j) => ({ ...j.task, started: j.child !== null })));
  }

  private launch(job: Running): void {
    const [program, ...first] = this.options.program;
    // A group of its own: a Ctrl-C in the terminal reaches the studio, which then asks its processes once.
    const child = spawn(program, [...first, ...job.words], {
      detached: true,
      windowsHide: true,
      stdio: ["ignore", "pipe", "pipe"],
    });
    job.child = child;
    job.state = "starting";
    const hear = (bytes: Buffer) => {
      job.output = (job.output + bytes.toString("utf8")).slice(-KEPT);
      if (job.state === "starting") job.state = "running";
    };
    child.stdout.on("data", hear);
    child.stderr.on("data", hear);
    const done = (failed: boolean) => {
      if (job.child === null) return;
      job.child = null;
      job.state = failed ? "failed" : "ended";
      this.next();
    };
    child.once("error", (error) => {
      job.output += `\n${error.message}`;
      done(true);
    });
    // 130: stopped as asked.
    child.once("exit", (code, signal) => done(code !== 0 && code !== 130 && signal !== "SIGINT"));
  }
}

/** `base`, with a number where that is there already or spoken for. */
export function freshFolder(base: string, spokenFor: (folder: string) => boolean): string {
  for (let n = 1; ; n++) {
    const folder = n === 1 ? base : `${base}-${n}`;
    if (!existsSync(folder) && !spokenFor(folder)) return folder;
  }
}
