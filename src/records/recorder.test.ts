import { createHash } from "node:crypto";
import { mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { FileError } from "../common/errors.js";
import { nodePlatform } from "../platform/node/index.js";
import type { FileSystem } from "../platform/types.js";
import type { StartEvent, TrainingEvent } from "../training/types.js";
import { readTensors } from "./files.js";
import { kindOfFolder, readRun } from "./read.js";
import { continueRun, createRun, type RunRecorder } from "./recorder.js";
import { syntheticConfig, syntheticEvents, syntheticPredictions } from "./synthetic.testing.js";

const { files } = nodePlatform;
const now = () => new Date("2022-06-03T10:14:59.000Z");
let root = "";
beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), "metalr-run-"));
});
afterEach(() => rm(root, { recursive: true, force: true }));

const options = { epochs: 3, stepsPerEpoch: 4 };
const events = syntheticEvents(options);
const start = events[0] as StartEvent; // the first event is the start
const config = syntheticConfig(options);
const create = (folder: string, platform: { files: FileSystem } = nodePlatform) =>
  createRun(folder, { platform, config, now, pictures: "end" });

async function recordAll(run: RunRecorder, all: readonly TrainingEvent[]) {
  for (const event of all) await run.record(event);
}

const digest = async (path: string) =>
  createHash("sha256")
    .update(await readFile(path))
    .digest("hex");

describe("a whole run", () => {
  test("leaves a folder with everything, and reads back as what was recorded", async () => {
    const folder = join(root, "run");
    const run = await create(folder);
    await recordAll(run, events.slice(0, -1));
    await run.writePredictions("selected", syntheticPredictions(0, 2));
    await recordAll(run, events.slice(-1));
    expect((await readdir(folder)).sort()).toMatchInlineSnapshot(`
      [
        "accuracy.svg",
        "confusion.svg",
        "events.jsonl",
        "loss.svg",
        "lr-curves.svg",
        "predictions",
        "report.html",
        "run.json",
        "tb",
      ]
    `);
    const read = await readRun(files, folder, { events: true });
    expect(read).toMatchObject({ damaged: [], torn: false, events });
    const { record } = read;
    expect(record.step).toBe(12);
    expect(record.epochs.length).toBe(3);
    expect(record.curves.steps).toEqual(Float64Array.from({ length: 12 }, (_, i) => i + 1));
    const lastStep = events.findLast((e) => e.type === "step");
    expect(record.lastLr).toEqual(lastStep?.lr);
    expect(record.curves.lr.map((row) => row.at(-1))).toEqual(lastStep?.lr);
    expect(record.end).toEqual(events.at(-1));
    expect(record.timing).toMatchObject({ elapsedMs: 620 * 12 + 90, steps: 12, images: 12 * 128 });
    expect(await kindOfFolder(files, folder)).toBe("run");
    expect(await kindOfFolder(files, root)).toBe("none");
  });

  test("pictures are PNG, too, where there is someone to draw them", async () => {
    const drawn: string[] = [];
    const run = await createRun(join(root, "run"), {
      platform: nodePlatform,
      config,
      rasterize: async (svg) => {
        drawn.push(svg.slice(0, 4));
        return new Uint8Array([1, 2, 3]);
      },
    });
    await recordAll(run, events);
    expect(drawn).toEqual(["<svg", "<svg", "<svg", "<svg"]);
    expect((await readdir(join(root, "run"))).filter((f) => f.endsWith(".png")).sort()).toEqual([
      "accuracy.png",
      "confusion.png",
      "loss.png",
      "lr-curves.png",
    ]);
  });

  test("a folder with a run is refused", async () => {
    const folder = join(root, "run");
    await create(folder);
    await expect(create(folder)).rejects.toThrow(
      `${folder}: already holds a run\n  hint     continue it with --resume, or choose another folder with --out`,
    );
  });

  test("another folder is not a run", async () => {
    await expect(readRun(files, root)).rejects.toThrow(
      `${root}: is not a run folder\n  expected a folder with run.json in it\n  hint     name the folder that \`metalr train\` wrote (--out), or one of its folds`,
    );
  });
});

describe("a killed and resumed run", () => {
  /** What was recorded before the kill at step `killed`, and again from the checkpoint at step `resumed`. */
  async function resumedRun(folder: string, killed: number, resumed: number, torn: string) {
    const first = await create(folder);
    await recordAll(first, events.filter((e) => !("step" in e) || e.step <= killed).slice(0, -1));
    await first.flush();
    await files.append(join(folder, "events.jsonl"), torn);
    const second = await continueRun(folder, { platform: nodePlatform, pictures: "end" });
    await second.record({ ...start, resumedAt: resumed });
    await recordAll(
      second,
      events.slice(1).filter((e) => !("step" in e) || e.step > resumed || e.type === "end"),
    );
  }

  test.each([
    [7, 4, '{"type":"step","ste'],
    [8, 8, ""],
    [3, 0, '{"type":'],
  ])(
    "killed at step %i, continued from step %i: the same steps, rates and pictures as never killed",
    async (killed, at, torn) => {
      const [whole, again] = [join(root, "whole"), join(root, "again")];
      await recordAll(await create(whole), events);
      await resumedRun(again, killed, at, torn);
      const [a, b] = [await readRun(files, whole, { events: true }), await readRun(files, again, { events: true })];
      const steps = (all: readonly TrainingEvent[]) => all.filter((e) => e.type === "step" || e.type === "epoch");
      expect(steps(b.events)).toEqual(steps(a.events));
      expect(b).toMatchObject({ damaged: [], torn: false });
      expect(b.record.curves).toEqual(a.record.curves);
      expect(b.record.starts.length).toBe(at === 0 ? 1 : 2);
      expect(await digest(join(again, "lr-curves.svg"))).toBe(await digest(join(whole, "lr-curves.svg")));
      const tensorBoard = async (folder: string) => join(folder, "tb", (await readdir(join(folder, "tb")))[0] ?? "");
      expect(await digest(await tensorBoard(again))).toBe(await digest(await tensorBoard(whole)));
    },
  );

  test("time is summed over the processes", async () => {
    await resumedRun(join(root, "run"), 7, 4, "");
    const { record } = await readRun(files, join(root, "run"));
    // The first process is known up to its checkpoint at step 4, whose epoch event came at 2520 ms.
    expect(record.timing.elapsedMs).toBe(620 * 4 + 40 + 620 * 12 + 90);
  });

  test("an epoch that ended twice, because the kill came before its checkpoint, counts once", async () => {
    const folder = join(root, "run");
    const run = await create(folder);
    await recordAll(run, events.slice(0, 6));
    await recordAll(run, events.slice(5, 6)); // the epoch event once more
    await run.flush();
    expect((await readRun(files, folder)).record.epochs.map((e) => e.epoch)).toEqual([1]);
  });

  test("steps that the checkpoint knows and the log lost are a warning", async () => {
    const folder = join(root, "run");
    const first = await create(folder);
    await recordAll(first, events.slice(0, 3));
    await first.flush();
    const run = await continueRun(folder, { platform: nodePlatform });
    await run.record({ ...start, resumedAt: 4 });
    const { record } = await readRun(files, folder);
    expect(record.warnings).toEqual([
      "2 steps are missing from events.jsonl, up to step 4 of the checkpoint: the curves have a gap there",
    ]);
  });
});

describe("order and failures", () => {
  test("warnings before the start are kept for after it; other events are ours to fix", async () => {
    const folder = join(root, "run");
    const run = await create(folder);
    await run.record({ type: "warning", message: "early" });
    await expect(run.record(events[1]!)).rejects.toThrow("internal: a run begins with a start event\n  got      step");
    await run.record(start);
    await run.flush();
    const { events: read } = await readRun(files, folder, { events: true });
    expect(read.map((e) => e.type)).toEqual(["start", "warning"]);
  });

  test("a checkpoint is written after every event before it", async () => {
    const order: string[] = [];
    const spy: FileSystem = {
      ...files,
      append: async (path, content) => {
        await new Promise((resolve) => setTimeout(resolve, 5));
        await files.append(path, content);
        if (path.endsWith(".jsonl")) order.push("events");
      },
      writeAtomic: async (path, content) => {
        await files.writeAtomic(path, content);
        if (path.endsWith(".safetensors")) order.push("checkpoint");
      },
    };
    const folder = join(root, "run");
    const run = await create(folder, { files: spy });
    await recordAll(run, events.slice(0, 4)); // step events do not wait for the disk
    const tensors = new Map([["w", { dtype: "float32", shape: [2], data: Float32Array.of(1, 2) } as const]]);
    const file = await run.writeCheckpoint("last", tensors, { step: "3" });
    expect(file).toBe("checkpoints/last.safetensors");
    expect(order.at(-1)).toBe("checkpoint");
    expect((await readRun(files, folder)).record.step).toBe(3);
    const read = await readTensors(files, join(folder, file));
    expect([...read.tensors]).toEqual([...tensors]);
    expect(read.metadata).toEqual({ step: "3" });
  });

  test("a checkpoint's name stays inside its folder", async () => {
    const folder = join(root, "run");
    const run = await create(folder);
    await expect(run.writeCheckpoint("../x", new Map())).rejects.toThrow(
      `${folder}: a file of a run has a name that is not allowed\n  expected letters, digits, dots, hyphens and underscores\n  got      "../x"`,
    );
  });

  test("a full disk is told once events cannot be written, and what was good stays", async () => {
    let full = false;
    const disk: FileSystem = {
      ...files,
      append: (path, content) =>
        full
          ? Promise.reject(new FileError(path, { problem: "cannot be written: no space left" }))
          : files.append(path, content),
    };
    const folder = join(root, "run");
    const run = await create(folder, { files: disk });
    await recordAll(run, events.slice(0, 4));
    await run.flush();
    full = true;
    await run.record(events[6]!).catch(() => {}); // a step: its failure may come with the next call
    await expect(run.flush()).rejects.toThrow("cannot be written: no space left");
    await expect(run.record(events[7]!)).rejects.toThrow("cannot be written: no space left");
    expect((await readRun(files, folder)).record.step).toBe(3);
  });

  test("pictures that cannot be drawn are a warning, not the end", async () => {
    const folder = join(root, "run");
    const run = await createRun(folder, {
      platform: nodePlatform,
      config,
      rasterize: () => Promise.reject(new Error("no fonts\nat all")),
    });
    await recordAll(run, events);
    const { record } = await readRun(files, folder);
    expect(record.end?.reason).toBe("finished");
    expect(record.warnings).toEqual(["pictures or report were not written: no fonts"]);
  });

  test("a damaged line is named in the report", async () => {
    const folder = join(root, "run");
    const run = await create(folder);
    await recordAll(run, events.slice(0, 4));
    await run.flush();
    await files.append(join(folder, "events.jsonl"), "garbage\n");
    await recordAll(run, events.slice(4));
    expect(await readFile(join(folder, "report.html"), "utf8")).toContain(
      "events.jsonl, line 5 is damaged and left out: not JSON",
    );
    await writeFile(join(folder, "run.json"), "{}");
    await expect(readRun(files, folder)).rejects.toThrow("is not a run record of this version");
  });
});
