/** @file Facts of what the studio shows beside curves: worst images with pictures, folds, comparisons; and of deleting. */
import { existsSync, mkdirSync, readdirSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import sharp from "sharp";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import type { Tensor } from "../../common/tensor.js";
import { openDataset } from "../../data/open.js";
import { writeNpz } from "../../formats/npz.js";
import { nodePlatform } from "../../platform/node/index.js";
import { writeTensors } from "../../records/files.js";
import { syntheticPredictions } from "../../records/synthetic.testing.js";
import type { ComparisonFacts, DataFacts, FoldsFacts, ListMessage, RunSummary, WorstFacts } from "../protocol.js";
import { messagesOf, type TestStudio, testStudio, until, writeRun } from "./studio.testing.js";
import { thumbnail } from "./thumbnail.js";

let studio: TestStudio;
let list: AsyncGenerator<ListMessage>;
beforeEach(async () => {
  studio = await testStudio();
  list = messagesOf(await studio.ask("/api/events"));
});
afterEach(() => studio.end());

/** Waits for a run that fits. */
async function nextRun(fits: (run: RunSummary) => boolean): Promise<RunSummary> {
  const message = await until(list, (m) => m.type === "run" && fits(m.run));
  if (message.type !== "run") throw new Error("unreachable: until() has checked it");
  return message.run;
}

const json = async <T>(path: string): Promise<T> => (await (await studio.ask(path)).json()) as T; // as the protocol says

const remove = (path: string, name: string) =>
  studio.ask(path, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ values: { name } }),
  });

describe("worst images", () => {
  /** Four grey images 2×2: all black, …, all white. */
  async function data(path: string, brightest = 255): Promise<string> {
    const pixels = Uint8Array.from({ length: 16 }, (_, i) => Math.round((brightest * Math.floor(i / 4)) / 3));
    const arrays = new Map<string, Tensor>([
      ["train_images", { dtype: "uint8", shape: [4, 2, 2], data: pixels }],
      ["train_labels", { dtype: "uint8", shape: [4], data: Uint8Array.of(0, 1, 2, 0) }],
    ]);
    writeFileSync(path, writeNpz(arrays));
    const dataset = await openDataset(path, { platform: nodePlatform });
    await dataset.close();
    return dataset.fingerprint;
  }

  /** A run on these data whose network takes image 3, of class 0, for class 2. */
  async function wrongRun(folder: string, dataPath: string, fingerprint: string): Promise<RunSummary> {
    writeRun(folder, {
      config: { data: { name: "four.npz", fingerprint, parts: { test: 2 } }, options: { dataPath } },
    });
    mkdirSync(join(folder, "predictions"));
    const tensors = new Map<string, Tensor>([
      ["logits", { dtype: "float32", shape: [2, 3], data: Float32Array.of(0, 5, 0, 0, 0, 5) }],
      ["labels", { dtype: "uint32", shape: [2], data: Uint32Array.of(1, 0) }],
      ["indices", { dtype: "uint32", shape: [2], data: Uint32Array.of(1, 3) }],
    ]);
    const about = { part: "test", epoch: "2" };
    await writeTensors(nodePlatform.files, join(folder, "predictions/selected.safetensors"), tensors, about);
    return nextRun((r) => r.name === "a");
  }

  test("come with their names and pictures; without the data it is said that they are gone", async () => {
    const path = join(dirname(studio.runs), "four.npz");
    const { id } = await wrongRun(`${studio.runs}/a`, "four.npz", await data(path));
    const worst = await json<WorstFacts>(`/api/runs/${id}/worst`);
    expect(worst).toMatchObject({ part: "test", epoch: 2, count: 2, wrong: 1 });
    expect(worst?.images[0]).toMatchObject({ index: 3, truth: 0, predicted: 2 });
    const names = await json<DataFacts>(`/api/runs/${id}/names?ids=3,1,99`);
    expect(names).toEqual({ problem: null, names: ["train, image 3", "train, image 1", null] });
    const answer = await studio.ask(`/api/runs/${id}/images/3`);
    expect(answer.headers.get("content-type")).toBe("image/png");
    const { data: bytes } = await sharp(await answer.arrayBuffer())
      .raw()
      .toBuffer({ resolveWithObject: true });
    expect([...new Set(bytes)]).toEqual([255]);
    for (const wrong of ["4", "-1", "3.5", "..%2f3", "1e1"]) {
      expect((await studio.ask(`/api/runs/${id}/images/${wrong}`)).status).toBe(404);
    }
    rmSync(path);
    expect(await json<DataFacts>(`/api/runs/${id}/names?ids=3`)).toEqual({
      problem: "The data are not there any more: four.npz",
      names: [],
    });
  });

  test("other data under the same name are not shown", async () => {
    const path = join(dirname(studio.runs), "four.npz");
    const fingerprint = await data(path);
    await data(path, 90);
    const { id } = await wrongRun(`${studio.runs}/a`, "four.npz", fingerprint);
    expect((await json<DataFacts>(`/api/runs/${id}/names?ids=3`)).problem).toBe(
      "The data have changed since this run: four.npz",
    );
    expect((await studio.ask(`/api/runs/${id}/images/3`)).status).toBe(404);
  });

  test("before the first evaluation there are none", async () => {
    writeRun(`${studio.runs}/a`);
    const { id } = await nextRun((r) => r.name === "a");
    expect(await json(`/api/runs/${id}/worst`)).toBeNull();
    expect((await json<DataFacts>(`/api/runs/${id}/names?ids=1`)).problem).toBe(
      "Where the data of this run lie is not known.",
    );
  });

  test("16-bit pixels are shown from their lowest to their highest, of a volume the middle slice", async () => {
    const png = await thumbnail({
      channels: 1,
      depth: 3,
      height: 1,
      width: 2,
      data: Uint16Array.of(1000, 3000, 1000, 2000, 3000, 3000),
    });
    const { data: bytes, info } = await sharp(png).raw().toBuffer({ resolveWithObject: true });
    const row = Array.from({ length: info.width }, (_, x) => bytes[x * info.channels]);
    expect(row).toEqual([0, 0, 128, 128]);
  });
});

describe("folds", () => {
  test("those that have ended are pooled, and every fold is beside the others", async () => {
    for (const k of [1, 2]) writeRun(`${studio.runs}/lung/fold-${k}`, { seed: k });
    writeRun(`${studio.runs}/lung/fold-3`, { seed: 3, keep: 12 });
    const predictions = syntheticPredictions(1, 2);
    mkdirSync(`${studio.runs}/lung/fold-1/predictions`);
    await writeTensors(
      nodePlatform.files,
      `${studio.runs}/lung/fold-1/predictions/selected.safetensors`,
      predictions.toTensors(),
    );
    const run = await nextRun((r) => r.name === "lung/fold-3");
    expect(run.folds?.name).toBe("lung");
    const facts = await json<FoldsFacts>(`/api/folds/${run.folds?.id}`);
    expect(facts).toMatchObject({ name: "lung", method: "metalr", ended: 2, report: false });
    expect(facts.folds.map((f) => [f.name, f.selected === null])).toEqual([
      ["fold-1", false],
      ["fold-2", false],
      ["fold-3", true],
    ]);
    const counts = facts.folds.map((f) => f.selected?.count ?? 0);
    expect(facts.pooled.selected?.count).toBe((counts[0] ?? 0) + (counts[1] ?? 0));
    expect(facts.pooled.selected?.macroAuc).toBeNull(); // fold-2 has no predictions to order
    const [a = 0, b = 0] = facts.folds.map((f) => f.selected?.accuracy ?? 0);
    expect(facts.spread.selected.accuracy.mean).toBeCloseTo((a + b) / 2, 12);
    expect((await studio.ask("/api/folds/nothing")).status).toBe(404);
  });
});

describe("comparisons", () => {
  const figures = {
    format: "metalr-comparison",
    version: 1,
    created: "2026-03-01T09:30:00.000Z",
    trainings: 4,
    data: [
      {
        data: "breast",
        unit: "seed",
        units: 2,
        reference: "finetune",
        words: ["Nothing can be said."],
        methods: [
          {
            method: "metalr",
            title: "MetaLR",
            accuracy: { validation: { n: 2, mean: 0.8, deviation: null, low: null, high: null, values: [0.8] } },
            balancedAccuracy: 0.7,
            macroAuc: null,
            trainingMs: 1000,
            test: { difference: { n: 2, mean: 0.01, deviation: null, low: -0.1, high: 0.12 }, p: 0.5, pHolm: 0.5 },
          },
        ],
      },
    ],
  };

  test("come, are shown with their runs, and go; a damaged one is left out", async () => {
    writeRun(`${studio.runs}/cmp/breast/metalr/seed-1/run`);
    writeFileSync(`${studio.runs}/cmp/comparison.json`, JSON.stringify(figures));
    mkdirSync(`${studio.runs}/damaged`);
    writeFileSync(`${studio.runs}/damaged/comparison.json`, '{"format":"metalr-comparison"}');
    const found = await until(list, (m) => m.type === "comparisons" && m.comparisons.length > 0);
    if (found.type !== "comparisons") throw new Error("unreachable: until() has checked it");
    expect(found.comparisons).toMatchObject([{ name: "cmp", methods: ["MetaLR"], data: ["breast"], trainings: 4 }]);
    const facts = await json<ComparisonFacts>(`/api/comparisons/${found.comparisons[0]?.id}`);
    expect(facts.runs).toHaveLength(1);
    expect(facts.report).toBe(false);
    expect(facts.data[0]?.methods[0]).toMatchObject({ pHolm: 0.5, difference: { mean: 0.01 } });
    rmSync(`${studio.runs}/cmp/comparison.json`);
    await until(list, (m) => m.type === "comparisons" && m.comparisons.length === 0);
  });
});

describe("deleting", () => {
  test("a run is gone with everything that is its own", async () => {
    const folder = `${studio.runs}/a`;
    writeRun(folder);
    for (const name of ["checkpoints", "predictions", "tb"]) {
      mkdirSync(join(folder, name));
      writeFileSync(join(folder, name, "x"), "");
    }
    for (const name of ["report.html", "model.onnx", "lr-curves.png"]) writeFileSync(join(folder, name), "");
    const { id } = await nextRun((r) => r.name === "a");
    expect((await remove(`/api/runs/${id}/delete`, "b")).status).toBe(409);
    expect(await (await remove(`/api/runs/${id}/delete`, "a")).json()).toEqual({ note: "" });
    expect(existsSync(folder)).toBe(false);
    await until(list, (m) => m.type === "gone" && m.id === id);
  });

  test("files of others in its folder stay", async () => {
    const folder = `${studio.runs}/a`;
    writeRun(folder);
    mkdirSync(join(folder, "images"));
    writeFileSync(join(folder, "images", "scan.png"), "");
    writeFileSync(join(folder, "notes.txt"), "");
    const { id } = await nextRun((r) => r.name === "a");
    expect(await (await remove(`/api/runs/${id}/delete`, "a")).json()).toEqual({
      note: "The folder holds other files, which stay.",
    });
    expect(readdirSync(folder).sort()).toEqual(["images", "notes.txt"]);
  });

  test("not while it is running, and not through a link", async () => {
    const outside = join(dirname(studio.runs), "outside");
    writeRun(join(outside, "b"));
    symlinkSync(outside, `${studio.runs}/link`);
    writeRun(`${studio.runs}/a`, { keep: 5 });
    const running = await nextRun((r) => r.name === "a" && r.state === "running");
    expect((await remove(`/api/runs/${running.id}/delete`, "a")).status).toBe(409);
    expect(existsSync(`${studio.runs}/a/run.json`)).toBe(true);
    const listed = await json<RunSummary[]>("/api/runs");
    expect(listed.map((r) => r.name)).toEqual(["a"]); // links are not followed
  });

  test("a watched folder that is a run itself is left to its owner", async () => {
    const own = await testStudio((runs) => writeRun(runs));
    const [run] = (await (await own.ask("/api/runs")).json()) as RunSummary[];
    const answer = await own.ask(`/api/runs/${run?.id}/delete`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify({ values: { name: run?.name } }),
    });
    expect(answer.status).toBe(409);
    expect(existsSync(`${own.runs}/run.json`)).toBe(true);
    await own.end();
  });

  test("all folds at once, with what stands over them", async () => {
    for (const k of [1, 2]) writeRun(`${studio.runs}/lung/fold-${k}`);
    for (const name of ["summary.json", "report.html"]) writeFileSync(`${studio.runs}/lung/${name}`, "");
    await nextRun((r) => r.name === "lung/fold-1");
    const run = await nextRun((r) => r.name === "lung/fold-2");
    expect((await remove(`/api/folds/${run.folds?.id}/delete`, "lung")).status).toBe(200);
    expect(existsSync(`${studio.runs}/lung`)).toBe(false);
  });
});
