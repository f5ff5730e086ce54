/**
 * @file A contender is a process of its own, so that its peak memory is its own: JSON lines in, JSON lines out.
 *
 *     {"cmd":"load","workload":{…},"kind":"metalr",…}  →  {"adam":"foreach",…}    facts worth a line
 *     {"cmd":"step","kind":"metalr"}                   →  {"ms":512.3}            measured inside the process
 *     {"cmd":"peak"}                                   →  {"mb":1834.2}           peak resident memory, 10^6 bytes
 *
 * Any of them may answer {"error":"…"} instead.
 */
import { type ChildProcess, spawn } from "node:child_process";
import { createInterface } from "node:readline";
import type { Workload } from "./workloads.js";

/** Kinds of step; "metalr" is ours, "released" and "twoPass" are the peers', "pipeline" is a batch of images, the rest is for both sides. */
export type StepKind =
  | "metalr"
  | "released"
  | "twoPass"
  | "finetune"
  | "inference"
  | "trainingPass"
  | "validationPass"
  | "update"
  | "pipeline";

export interface LoadOptions {
  /** The step that will be measured; a contender may prepare for it alone. */
  readonly kind: StepKind;
  /** For the peers: weights and images in channels_last. */
  readonly channelsLast?: boolean;
  /** For ours: "auto", or the executor to use. */
  readonly executor?: string;
  /** For ours: "cpu", or the device to use. */
  readonly device?: string;
  /** For ours: "auto", "blocked" or "portable". */
  readonly lowering?: string;
  /** For ours: of images between operators, float32 or bfloat16. */
  readonly precision?: string;
  /** For ours: number of layer groups, instead of the model's own. */
  readonly groups?: number;
  /** For ours: images of a step that are computed at once; default all. */
  readonly microBatch?: number;
  /** For the data pipeline: threads that prepare images. */
  readonly workers?: number;
}

export type Facts = Readonly<Record<string, unknown>>;

const isObject = (x: unknown): x is Readonly<Record<string, unknown>> => typeof x === "object" && x !== null;

/** One process that answers one request at a time. */
export class Contender {
  readonly name: string;
  private readonly child: ChildProcess;
  private readonly answers: AsyncIterator<string>;
  private lastWords = "";

  constructor(name: string, command: string, args: readonly string[]) {
    this.name = name;
    // Two threads each: PyTorch and oneDNN take the number from here before they start any.
    const env = { ...process.env, OMP_NUM_THREADS: "2", MKL_NUM_THREADS: "2" };
    this.child = spawn(command, args, { stdio: ["pipe", "pipe", "pipe"], env });
    // "pipe" for all three: the streams are there. A command that is missing shows as the end of its output.
    this.child.on("error", (error) => (this.lastWords = error.message));
    this.child.stdin!.on("error", () => {}); // EPIPE when it died: `ask` reports that
    this.child.stderr!.on("data", (bytes: Buffer) => (this.lastWords = (this.lastWords + bytes).slice(-2000)));
    this.answers = createInterface({ input: this.child.stdout! })[Symbol.asyncIterator]();
  }

  /** @throws {Error} with the process's own words when it fails or ends */
  private async ask(request: object): Promise<Facts> {
    this.child.stdin!.write(`${JSON.stringify(request)}\n`);
    const { value, done } = await this.answers.next();
    if (done) {
      const lines = this.lastWords.trim().split("\n");
      const words = lines.find((l) => /^\w*Error\b/.test(l)) ?? lines.at(-1);
      throw new Error(`${this.name} ended: ${words || `exit code ${this.child.exitCode}`}`);
    }
    const answer: unknown = JSON.parse(value);
    if (!isObject(answer)) throw new Error(`${this.name} answered ${value}`);
    if ("error" in answer) throw new Error(`${this.name}: ${answer["error"]}`);
    return answer;
  }

  private async number(request: object, key: string): Promise<number> {
    const value = (await this.ask(request))[key];
    if (typeof value !== "number") throw new Error(`${this.name} answered without ${key}`);
    return value;
  }

  load(workload: Workload, options: LoadOptions): Promise<Facts> {
    return this.ask({ cmd: "load", workload, ...options });
  }

  /** Milliseconds of one step. */
  step(kind: StepKind): Promise<number> {
    return this.number({ cmd: "step", kind }, "ms");
  }

  /** Peak resident memory so far, in MB. */
  peak(): Promise<number> {
    return this.number({ cmd: "peak" }, "mb");
  }

  async close(): Promise<void> {
    if (this.child.exitCode !== null || this.child.signalCode !== null || this.child.pid === undefined) return;
    const ended = new Promise((resolve) => this.child.once("exit", resolve));
    this.child.stdin!.end();
    const late = setTimeout(() => this.child.kill("SIGKILL"), 5000);
    await ended;
    clearTimeout(late);
  }
}
