/** @file A studio for tests: a folder with made-up runs, and a stand-in for the command line that trains nothing. */
import { appendFileSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { trainForm } from "../../cli/train/form.js";
import { dataPathOf } from "../../cli/train/stored.js";
import { nodeFiles } from "../../platform/node/files.js";
import { nodePlatform } from "../../platform/node/index.js";
import { formatEvent, type RunConfig } from "../../records/schema.js";
import { type SyntheticOptions, syntheticConfig, syntheticEvents } from "../../records/synthetic.testing.js";
import { figuresOf } from "../../training/dice.js";
import type { Evaluation, TrainingEvent } from "../../training/types.js";
import { type Studio, type StudioOptions, startStudio } from "./index.js";

/** run.json of a made-up run. */
export const infoOf = (config: RunConfig, created = "2026-03-01T09:30:00.000Z"): string =>
  JSON.stringify({ format: "metalr-run", version: 1, created, ...config });

/** Writes a made-up run, all of it or its first events. @returns all its events */
export function writeRun(
  folder: string,
  options: SyntheticOptions & {
    readonly keep?: number;
    readonly config?: Partial<RunConfig>;
    readonly created?: string;
  } = {},
): TrainingEvent[] {
  mkdirSync(folder, { recursive: true });
  writeFileSync(join(folder, "run.json"), infoOf({ ...syntheticConfig(options), ...options.config }, options.created));
  const events = syntheticEvents(options);
  writeFileSync(
    join(folder, "events.jsonl"),
    events
      .slice(0, options.keep ?? events.length)
      .map(formatEvent)
      .join(""),
  );
  return events;
}

/**
 * A made-up run of a segmentation: the voxels of its evaluations are nearly all right, its Dice are not. Of `volumes` test volumes the k-th
 * (k = 0, 1, …) has (k + 1) / (volumes + 1) in either foreground class.
 */
export function writeSegmentation(folder: string, { volumes = 3, seed = 0 } = {}): void {
  const of = (e: Evaluation, shift = 0): Evaluation => {
    const each = Array.from({ length: volumes }, (_, k) => {
      const dice = (k + 1) / (volumes + 1) - shift;
      return { name: `scan_${k + 1}`, dice: [0.99, dice, dice] };
    });
    return { ...e, accuracy: 0.97, macroAuc: null, dice: figuresOf(each, 3) };
  };
  const options = { ...syntheticConfig().options, loss: "dice+cross-entropy" };
  const classes = ["background", "anterior", "posterior"];
  const events = writeRun(folder, { seed, config: { options, classes } });
  const changed = events.map((event): TrainingEvent => {
    if (event.type === "step") return { ...event, trainAccuracy: 0.96, trainDice: 0.4 };
    if (event.type === "epoch") {
      const validation = event.validation && of(event.validation, 0.1);
      return { ...event, trainAccuracy: 0.96, trainDice: 0.45, ...(validation && { validation }) };
    }
    if (event.type !== "end" || !event.test || !event.testLast) return event;
    return { ...event, test: of(event.test), testLast: of(event.testLast, 0.05) };
  });
  writeFileSync(join(folder, "events.jsonl"), changed.map(formatEvent).join(""));
}

export const append = (folder: string, events: readonly TrainingEvent[]): void =>
  appendFileSync(join(folder, "events.jsonl"), events.map(formatEvent).join(""));

/**
 * "Trains" as the command line does: `train … --out FOLDER` writes the record of a run step by step, Ctrl-C ends it after the
 * step under way, `--resume FOLDER` goes on. A seed of 13 fails.
 */
const standIn = `
import { appendFileSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
const [info, events] = JSON.parse(readFileSync(new URL("./stand-in.json", import.meta.url), "utf8"));
const words = process.argv.slice(2);
const after = (name) => words[words.indexOf(name) + 1];
if (words.includes("--seed=13")) { console.error("images: have no labels"); process.exit(1); }
const resume = words.includes("--resume");
const folder = resume ? after("--resume") : after("--out");
let stopped = false;
process.on("SIGINT", () => { stopped = true; });
console.log("training");
mkdirSync(folder, { recursive: true });
const log = folder + "/events.jsonl";
let at = 0;
if (resume) {
  const lines = readFileSync(log, "utf8").split("\\n").filter((l) => l && !l.includes('"type":"end"'));
  at = lines.length;
  writeFileSync(log + ".tmp", lines.join("\\n") + "\\n");
  renameSync(log + ".tmp", log);
} else writeFileSync(folder + "/run.json", info);
writeFileSync(folder + "/writer.json", JSON.stringify({ pid: process.pid, host: (await import("node:os")).hostname() }));
for (; at < events.length; at++) {
  if (stopped) {
    const step = Math.max(0, ...events.slice(0, at).map((e) => e.step ?? 0));
    appendFileSync(log, JSON.stringify({ type: "end", reason: "stopped", epoch: 0, step, select: "validation", selectedEpoch: 0, elapsedMs: 1 }) + "\\n");
    rmSync(folder + "/writer.json");
    process.exit(130);
  }
  appendFileSync(log, JSON.stringify(events[at]) + "\\n");
  await new Promise((r) => setTimeout(r, 40));
}
rmSync(folder + "/writer.json");
`;

export interface TestStudio extends Studio {
  /** Of the runs. */
  readonly runs: string;
  /** Lines that were logged. */
  readonly logged: string[];
  /** `path` of this studio with its token, as a page asks. */
  ask(path: string, init?: RequestInit): Promise<Response>;
  end(): Promise<void>;
}

/** @param prepare what is there before the studio starts */
export async function testStudio(
  prepare: (runs: string) => void = () => {},
  changes: Partial<StudioOptions> = {},
): Promise<TestStudio> {
  const folder = mkdtempSync(join(tmpdir(), "metalr-studio-"));
  const runs = join(folder, "runs");
  mkdirSync(runs);
  prepare(runs);
  const program = join(folder, "stand-in.mjs");
  writeFileSync(program, standIn);
  const synthetic = { epochs: 40, stepsPerEpoch: 20 }; // half a minute: nobody waits for its end
  writeFileSync(
    join(folder, "stand-in.json"),
    JSON.stringify([infoOf(syntheticConfig(synthetic)), syntheticEvents(synthetic)]),
  );
  const logged: string[] = [];
  const quoted = (words: readonly string[]) => ["metalr", ...words].join(" ");
  const studio = await startStudio({
    folders: [runs],
    platform: nodePlatform,
    dataOf: (info) => dataPathOf(nodeFiles, info),
    form: trainForm(nodeFiles, quoted),
    program: [process.execPath, program],
    quoted,
    log: (line) => logged.push(line),
    root: folder,
    ...changes,
  });
  const { origin, searchParams } = new URL(studio.url);
  return {
    ...studio,
    runs,
    logged,
    ask: (path, init = {}) =>
      fetch(`${origin}${path}`, {
        ...init,
        headers: { authorization: `Bearer ${searchParams.get("token")}`, ...init.headers },
      }),
    async end() {
      await studio.close();
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

/** The messages of a stream, as they come. */
export async function* messagesOf<T>(response: Response): AsyncGenerator<T> {
  let text = "";
  const reader = (response.body ?? new ReadableStream()).pipeThrough(new TextDecoderStream()).getReader();
  for (;;) {
    const { value, done } = await reader.read();
    if (done) return;
    text += value;
    for (let end = text.indexOf("\n\n"); end >= 0; end = text.indexOf("\n\n")) {
      const data = text
        .slice(0, end)
        .split("\n")
        .filter((line) => line.startsWith("data: "));
      text = text.slice(end + 2);
      if (data.length > 0) yield JSON.parse(data.map((line) => line.slice(6)).join("\n")) as T; // what the server's types say
    }
  }
}

/** The first message that fits. */
export async function until<T>(messages: AsyncGenerator<T>, fits: (message: T) => boolean): Promise<T> {
  for (;;) {
    const { value, done } = await messages.next();
    if (done) throw new Error("the stream has ended");
    if (fits(value)) return value;
  }
}
