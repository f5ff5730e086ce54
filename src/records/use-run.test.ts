import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import * as ort from "onnxruntime-node";
import { afterAll, describe, expect, test } from "vitest";
import { createModel } from "../models/index.js";
import { decodeOnnx } from "../onnx/decode.js";
import { nodePlatform as platform } from "../platform/node/index.js";
import { nodeExecutor } from "../platform/node/onnxRuntime.js";
import { openFeed } from "../training/feed.js";
import { EvaluationAccumulator } from "../training/metrics.js";
import { range, stripes, tinyModel, tinyTraining, transforms } from "../training/tiny.testing.js";
import { exportModel, symbolicBatch } from "./export-model.js";
import { trainRun } from "./trainRun.js";
import { evaluateRun, openRun, predictRun } from "./use-run.js";

const home = mkdtempSync(join(tmpdir(), "metalr-use-"));
afterAll(() => rmSync(home, { recursive: true, force: true }));
const executor = nodeExecutor({ threads: 1 });
const use = { executor, platform, workers: 0 };
const folder = join(home, "run");
const training = await tinyTraining();
const model = createModel("resnet20", { classes: 2, channels: 1, width: 2 });
const run = await trainRun(folder, { ...training, model, epochs: 2, batchSize: 8, workers: 0, executor, platform });
const { dataset } = training.data;

test("the network of a run is rebuilt with the weights of either epoch", async () => {
  const selected = await openRun(folder, { platform });
  expect(selected).toMatchObject({ classes: ["a", "b"], epoch: run.selectedEpoch, transforms });
  expect(selected.model.config).toEqual(model.config);
  expect([...selected.model.weights]).toEqual([...run.model.weights]);
  const last = await openRun(folder, { platform, weights: "last" });
  expect([...last.model.weights]).toEqual([...run.lastModel.weights]);
});

test("its own data are evaluated on the test images, as the run did", async () => {
  const { part, evaluation, predictions } = await evaluateRun(folder, dataset, use);
  expect(part).toBe("test");
  expect(evaluation).toEqual(run.test?.evaluation);
  expect(predictions.names).toHaveLength(9);
  const all = await evaluateRun(folder, dataset, { ...use, part: "all" });
  expect(all.evaluation.count).toBe(40);
});

test("other data are evaluated whole, when they have the classes", async () => {
  const { part, evaluation } = await evaluateRun(folder, await stripes(12), use);
  expect([part, evaluation.count]).toEqual(["all", 12]);
  await expect(evaluateRun(folder, await stripes(12, ["a", "c"]), use)).rejects.toThrow(
    "stripes.npz: has other classes than the run\n  expected a, b\n  got      a, c",
  );
  await expect(evaluateRun(folder, await stripes(12), { ...use, part: "test" })).rejects.toThrow(
    'stripes.npz: is not the data set of the run, so it has no test part\n  expected stripes.npz\n  hint     evaluate all of its images: part "all"',
  );
});

test("probabilities of images without labels: they sum to 1, whatever the batch size", async () => {
  const { labels: _, ...images } = dataset;
  const whole = await predictRun(folder, images, use);
  expect(whole.names[3]).toBe("image 3");
  for (let i = 0; i < 40; i++) {
    const [a = 0, b = 0] = whole.probabilities.subarray(2 * i, 2 * i + 2);
    expect(a + b).toBeCloseTo(1, 6);
    expect(whole.predicted[i]).toBe(a >= b ? 0 : 1);
  }
  const small = await predictRun(folder, images, { ...use, batchSize: 7 });
  for (const [i, p] of whole.probabilities.entries()) expect(small.probabilities[i]).toBeCloseTo(p, 5);
});

test("a folder that is no run, and a run without a checkpoint", async () => {
  await expect(openRun(home, { platform })).rejects.toThrow(`${home}: is not a run folder`);
  const young = join(home, "young");
  await platform.files.makeFolder(young);
  await platform.files.writeAtomic(join(young, "run.json"), readFileSync(join(folder, "run.json")));
  await expect(openRun(young, { platform })).rejects.toThrow(
    `${young}: has no checkpoint yet\n  hint     wait for its first epoch, or continue the run with --resume`,
  );
});

describe("model.onnx", () => {
  test("predicts the same for any batch size, in ONNX Runtime alone", async () => {
    const session = await ort.InferenceSession.create(join(folder, "model.onnx"));
    expect([session.inputNames, session.outputNames]).toEqual([["x"], ["logits"]]);
    const feed = openFeed({ dataset, transforms, seed: 0, workers: 0 });
    const predictions = run.test?.predictions;
    const logits = predictions instanceof EvaluationAccumulator ? predictions.samples().logits : [];
    for (const [from, to] of [
      [0, 1],
      [1, 4],
      [0, 9],
    ] as const) {
      const { x, shape } = await feed.batch(range(31 + from, 31 + to), null);
      const { logits: out } = await session.run({ x: new ort.Tensor("float32", x, shape) });
      expect(out?.dims).toEqual([to - from, 2]);
      for (let i = 0; i < 2 * (to - from); i++) expect(Number(out?.data[i])).toBeCloseTo(logits[2 * from + i] ?? 0, 5);
    }
  });

  test("says its classes, size and normalisation", async () => {
    const { metadata, graph } = await decodeOnnx(
      Uint8Array.from(readFileSync(join(folder, "model.onnx"))),
      "model.onnx",
    );
    expect(Object.fromEntries(metadata)).toEqual({
      architecture: "resnet20",
      channels: "1",
      classes: '["a","b"]',
      normalization: '{"mean":[0.4],"std":[0.25]}',
      size: "8×8",
      task: "classification",
    });
    expect(graph.inputs).toEqual([{ name: "x", dtype: "float32", shape: ["N", 1, 8, 8] }]);
    expect(graph.outputs).toEqual([{ name: "logits", dtype: "float32", shape: ["N", 2] }]);
  });

  test.each(["resnet18", "resnet50", "resnet20"])("%s has a free batch size", async (architecture) => {
    const big = createModel(architecture, { classes: 3, width: architecture === "resnet20" ? 16 : 8 });
    const spec = { ...transforms.evaluation, size: [32, 32], channels: 3 } as const;
    const { graph } = await decodeOnnx(await exportModel(big, { classes: ["a", "b", "c"], transform: spec }), "m");
    expect(graph.inputs[0]?.shape).toEqual(["N", 3, 32, 32]);
  });

  test("graphs that differ in more than the batch keep their size", async () => {
    const bytes = await exportModel(tinyModel(), { classes: ["a", "b"], transform: transforms.evaluation });
    const onnx = await decodeOnnx(bytes, "m");
    const at = (n: number) => ({
      ...onnx,
      graph: { ...onnx.graph, inputs: onnx.graph.inputs.map((v) => ({ ...v, shape: [n, 1, 8, 8] })) },
    });
    const initializers = new Map(onnx.graph.initializers);
    const [name = ""] = [...initializers.keys()];
    initializers.set(name, { dtype: "float32", shape: [1], data: Float32Array.of(7) });
    const other = { ...at(3), graph: { ...at(3).graph, initializers } };
    expect(symbolicBatch(at(2), at(3))).not.toBeNull();
    expect(symbolicBatch(at(2), other)).toBeNull();
  });
});
