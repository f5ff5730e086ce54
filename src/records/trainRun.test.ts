import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, test } from "vitest";
import { FileError } from "../common/errors.js";
import type { Split } from "../data/types.js";
import { finetune } from "../methods/index.js";
import { nodePlatform } from "../platform/node/index.js";
import { nodeExecutor } from "../platform/node/onnxRuntime.js";
import type { FileSystem, Platform } from "../platform/types.js";
import { chooseCompiler } from "../runtime/lowering.js";
import { range, split, stripes, tinyModel, tinyTraining } from "../training/tiny.testing.js";
import { readRun } from "./read.js";
import type { TrainRunOptions } from "./train-options.js";
import { crossValidate, trainRun } from "./trainRun.js";

const home = mkdtempSync(join(tmpdir(), "metalr-run-"));
afterAll(() => rmSync(home, { recursive: true, force: true }));
const executor = nodeExecutor({ threads: 1 });
const platform: Platform = nodePlatform;

async function train(folder: string, over: Partial<TrainRunOptions> = {}) {
  return trainRun(join(home, folder), { ...(await tinyTraining()), workers: 0, executor, platform, ...over });
}
const checkpoint = (folder: string) => readFileSync(join(home, folder, "checkpoints/last.safetensors"));

/** The platform's files, except that one call fails as on a full disk. */
function fullDisk(when: (path: string) => boolean): Platform {
  const files: FileSystem = {
    ...platform.files,
    writeAtomic: (path, bytes) =>
      when(path)
        ? Promise.reject(new FileError(path, { problem: "cannot be written: no space left on the device" }))
        : platform.files.writeAtomic(path, bytes),
  };
  return { ...platform, files };
}

describe("a run folder", async () => {
  const run = await train("whole", { facts: { weights: "w.pth" }, command: "metalr train", versions: { metalr: "0" } });

  test("holds everything that shows the run", () => {
    for (const file of [
      "run.json",
      "events.jsonl",
      "checkpoints/last.safetensors",
      "predictions/selected.safetensors",
      "predictions/last.safetensors",
      "model.onnx",
      "lr-curves.svg",
      "report.html",
    ]) {
      expect(existsSync(join(run.folder, file)), file).toBe(true);
    }
  });

  test("says what it was made with", async () => {
    const { record } = await readRun(platform.files, run.folder);
    expect(record.info).toMatchObject({
      name: "run",
      method: "metalr",
      model: { architecture: "tiny", classes: 2, channels: 1 },
      data: { name: "stripes.npz", parts: { train: 21, meta: 21, validation: 10, test: 9 } },
      select: "validation",
      options: {
        epochs: 4,
        batchSize: 4,
        seed: 5,
        lr: 0.01,
        lrBounds: [1e-6, 1e-2],
        optimizer: { name: "adam", weightDecay: 1e-4 },
        transforms: { source: "given" },
        weights: "w.pth",
      },
      groups: ["one", "two", "head"],
      classes: ["a", "b"],
      versions: { metalr: "0", executor: executor.description, lowering: (await chooseCompiler(executor)).lowering },
      command: "metalr train",
    });
    expect(record.end).toMatchObject({ reason: "finished", selectedEpoch: run.selectedEpoch });
    expect(record.lastLr).toHaveLength(3);
  });

  test("is not written over", async () => {
    await expect(train("whole")).rejects.toThrow(
      `${run.folder}: already holds a run\n  hint     continue it with --resume, or choose another folder with --out`,
    );
  });

  test("once finished is only read", async () => {
    const before = readFileSync(join(run.folder, "events.jsonl"), "utf8");
    const again = await train("whole", { resume: true });
    expect(readFileSync(join(run.folder, "events.jsonl"), "utf8")).toBe(before);
    for (const key of ["step", "epoch", "selectedEpoch", "accuracy", "learningRates", "select"] as const) {
      expect(again[key]).toEqual(run[key]);
    }
    expect(again.test?.evaluation).toEqual(run.test?.evaluation);
    expect([...again.model.weights]).toEqual([...run.model.weights]);
  });

  test("is not continued with other options", async () => {
    await expect(train("whole", { resume: true, epochs: 5 })).rejects.toThrow(
      "checkpoint: is of a run with another number of epochs\n  expected 4\n  got      5\n" +
        "  hint     resume with the options that the run was started with, or start a new run",
    );
  });
});

test("stopped and continued, the bytes are those of a run that never stopped", async () => {
  await train("never");
  const stop = new AbortController();
  const part = await train("stopped", {
    signal: stop.signal,
    report: (e) => {
      if (e.type === "step" && e.step === 8) stop.abort();
    },
  });
  expect(part).toMatchObject({ reason: "stopped", step: 8 });
  expect(existsSync(join(part.folder, "model.onnx"))).toBe(false);
  const rest = await train("stopped", { resume: true });
  expect(rest).toMatchObject({ reason: "finished", step: 20 });
  expect(checkpoint("stopped").equals(checkpoint("never"))).toBe(true);
});

test("a folder whose run died before its first checkpoint is started anew", async () => {
  const disk = fullDisk((path) => path.endsWith("last.safetensors"));
  await expect(train("young", { platform: disk })).rejects.toThrow("no space left");
  // What a kill in the midst of writing that checkpoint leaves.
  const half = join(home, "young", "checkpoints", ".last.safetensors.1-1.tmp");
  mkdirSync(join(home, "young", "checkpoints"), { recursive: true });
  writeFileSync(half, "half of a checkpoint");
  await train("young", { resume: true });
  expect(existsSync(half)).toBe(false);
  expect(checkpoint("young").equals(checkpoint("never"))).toBe(true);
});

test("stopped in the midst of an evaluation, killed after it: the epoch is in the log once", async () => {
  const stop = new AbortController();
  const part = await train("evaluating", {
    signal: stop.signal,
    report: (e) => {
      if (e.type === "step" && e.step === 5) stop.abort(); // the last step of an epoch
    },
  });
  expect(part).toMatchObject({ reason: "stopped", step: 5, epoch: 0 });
  const disk = fullDisk((path) => path.endsWith("last.safetensors"));
  await expect(train("evaluating", { resume: true, platform: disk })).rejects.toThrow("no space left");
  await train("evaluating", { resume: true });
  const { record } = await readRun(platform.files, join(home, "evaluating"));
  expect(record.epochs.map((e) => e.epoch)).toEqual([1, 2, 3, 4]);
  expect(checkpoint("evaluating").equals(checkpoint("never"))).toBe(true);
});

test("a run that died before its first checkpoint may be started with other options", async () => {
  const disk = fullDisk((path) => path.endsWith("last.safetensors"));
  await expect(train("other", { platform: disk })).rejects.toThrow("no space left");
  await train("other", { resume: true, batchSize: 7 });
  const { record } = await readRun(platform.files, join(home, "other"));
  expect(record.info.options["batchSize"]).toBe(7);
});

test("continued by another executor, the log warns that bits may differ", async () => {
  const stop = new AbortController();
  const signal = stop.signal;
  await train("moved", { signal, report: (e) => (e.type === "checkpoint" ? stop.abort() : undefined) });
  await train("moved", { resume: true, executor: { ...executor, description: "another" } });
  const { record } = await readRun(platform.files, join(home, "moved"));
  expect(record.warnings.at(-1)).toBe(
    `the run was started on ${executor.description} and goes on on another: its bits may differ`,
  );
});

describe("what goes wrong leaves the earlier checkpoint whole", () => {
  test("a disk that fills up", async () => {
    let written = 0;
    const disk = fullDisk((path) => path.endsWith("last.safetensors") && ++written > 4);
    await expect(train("full", { platform: disk })).rejects.toThrow(
      `${join(home, "full")}/checkpoints/last.safetensors: cannot be written: no space left on the device`,
    );
    await train("full", { resume: true });
    expect(checkpoint("full").equals(checkpoint("never"))).toBe(true);
  });

  test("a loss that is not a number", async () => {
    const method = finetune({ lr: 1e30 });
    const broken = train("nan", { method, batchSize: 20, checkpointEvery: 1, epochs: 9 });
    await expect(broken).rejects.toThrow(/^step \d+ \(epoch \d\): the training loss is not a finite number/);
    const { record } = await readRun(platform.files, join(home, "nan"));
    expect(record.end).toBeNull();
  });

  test("a truncated checkpoint is told, not used", async () => {
    const bytes = readFileSync(join(home, "never/checkpoints/last.safetensors"));
    await platform.files.writeAtomic(join(home, "never/checkpoints/last.safetensors"), bytes.subarray(0, -100));
    await expect(train("never", { resume: true })).rejects.toThrow(
      /last\.safetensors: is truncated\n {2}expected [\d,]+ bytes of data\n {2}got/,
    );
  });
});

describe("cross-validation", () => {
  const splits: Split[] = [0, 1, 2].map((k) => ({
    ...split,
    name: `fold-${k + 1}`,
    test: range(28 + 4 * k, 32 + 4 * k),
    validation: range(20, 28),
    train: range(0, 20),
    meta: range(0, 20),
  }));
  const cross = async (folder: string, over: Partial<Parameters<typeof crossValidate>[1]> = {}) => {
    const { data: _, model: _m, ...training } = await tinyTraining();
    const dataset = await stripes(40);
    const o = { ...training, dataset, splits, model: () => tinyModel(), workers: 0, epochs: 2, executor, platform };
    return crossValidate(join(home, folder), { ...o, ...over });
  };

  test("runs every fold and pools their test images", async () => {
    const summary = await cross("folds");
    expect(summary?.folds.map((f) => [f.name, f.selected?.count])).toEqual([
      ["fold-1", 4],
      ["fold-2", 4],
      ["fold-3", 4],
    ]);
    expect(summary?.pooled.selected?.count).toBe(12);
    expect(summary?.pooled.last?.count).toBe(12);
    expect(existsSync(join(home, "folds/summary.json"))).toBe(true);
    expect(existsSync(join(home, "folds/report.html"))).toBe(true);
  });

  test("a folder that holds runs is refused before anything is trained", async () => {
    await expect(cross("folds")).rejects.toThrow(
      `${join(home, "folds")}: already holds a run\n  hint     continue it with --resume, or choose another folder with --out`,
    );
  });

  test("stopped in the second fold and continued: finished folds are left alone", async () => {
    const stop = new AbortController();
    const stopped = await cross("stopped-folds", {
      signal: stop.signal,
      report: (e, of) => {
        if (of?.name === "fold-2" && e.type === "step" && e.step === 3) stop.abort();
      },
    });
    expect(stopped).toBeNull();
    expect(existsSync(join(home, "stopped-folds/fold-3"))).toBe(false);
    const seen: [string, boolean][] = [];
    const steps: string[] = [];
    const summary = await cross("stopped-folds", {
      resume: true,
      onRun: ({ split: { name }, finished }) => seen.push([name, finished]),
      report: (e, of) => {
        if (e.type === "step") steps.push(of?.name ?? "");
      },
    });
    expect(seen).toEqual([
      ["fold-1", true],
      ["fold-2", false],
      ["fold-3", false],
    ]);
    expect(steps).toEqual([...new Array<string>(7).fill("fold-2"), ...new Array<string>(10).fill("fold-3")]);
    for (const fold of ["fold-1", "fold-2", "fold-3"]) {
      expect(checkpoint(`stopped-folds/${fold}`).equals(checkpoint(`folds/${fold}`)), fold).toBe(true);
    }
    expect(summary?.pooled.selected?.count).toBe(12);
  });
});
