import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import * as autodiff from "./autodiff/index.js";
import * as compile from "./compile/index.js";
import * as graph from "./graph/index.js";
import * as metalr from "./index.js";
import * as runtime from "./runtime/index.js";

describe("public surface", () => {
  test("metalr", () =>
    expect(Object.keys(metalr).sort()).toMatchInlineSnapshot(`
      [
        "DataError",
        "FileError",
        "GraphError",
        "InternalError",
        "MetalrError",
        "RuntimeError",
        "ShapeError",
        "TrainingError",
        "UsageError",
        "WeightsError",
        "adam",
        "architectures",
        "createModel",
        "crossValidate",
        "defaultTransforms",
        "evaluateRun",
        "exportModel",
        "fineTune",
        "finetune",
        "initialRates",
        "lastLayer",
        "metaLrVariants",
        "metalr",
        "nodeExecutor",
        "nodePlatform",
        "openDataset",
        "openExecutor",
        "openModel",
        "openRun",
        "predict",
        "processorExecutor",
        "readRun",
        "replay",
        "scanners",
        "segment",
        "sgd",
        "syntheticDataset",
        "train",
        "volumeTransforms",
        "withFolds",
      ]
    `));
  test("metalr/graph", () =>
    expect(Object.keys(graph).sort()).toMatchInlineSnapshot(`
    [
      "constant",
      "constantTensor",
      "input",
      "makeGraph",
      "nodesOf",
      "printGraph",
      "scalar",
      "verifyGraph",
    ]
  `));
  test("metalr/autodiff", () =>
    expect(Object.keys(autodiff).sort()).toMatchInlineSnapshot(`
    [
      "directional",
      "gradients",
    ]
  `));
  test("metalr/compile", () =>
    expect(Object.keys(compile).sort()).toMatchInlineSnapshot(`
    [
      "compileBlocked",
      "compilePortable",
      "simplify",
    ]
  `));
  test("metalr/runtime", () =>
    expect(Object.keys(runtime).sort()).toMatchInlineSnapshot(`
      [
        "Stepper",
        "chooseCompiler",
        "deviceNames",
        "onnxRuntimeExecutor",
        "portableCompiler",
        "probeBlock",
      ]
    `));
});

const synthetic = async () =>
  metalr.withFolds(
    await metalr.syntheticDataset({
      scanner: metalr.scanners.a,
      seed: 1,
      size: 24,
      train: { patients: 9, frames: 2 },
      test: { patients: 3, frames: 2 },
    }),
  );
const small = () => metalr.createModel("resnet20", { classes: 3, channels: 1, width: 2 });

test("open, fine-tune, use: the whole way in memory", async () => {
  const data = await synthetic();
  const run = await metalr.fineTune({
    model: small(),
    data: data.fold(0),
    method: metalr.metalr({ lr: 0.01, hyperLr: 0.1 }),
    epochs: 2,
    batchSize: 8,
    imageSize: [24, 24],
    seed: 0,
  });
  expect(run.learningRates.at(-1)).toHaveLength(run.groups.length);
  expect(run.accuracy).toBe(run.test?.evaluation.accuracy);
  expect(data.fold(0).split.validation.length).toBeGreaterThan(0);
  expect(() => data.fold(1)).toThrow("scanner A: there is no such fold\n  expected 0\n  got      1");
});

test("a run folder on Node: pictures in PNG, too, and predictions from it", async () => {
  const home = mkdtempSync(join(tmpdir(), "metalr-index-"));
  try {
    const data = await synthetic();
    const folder = join(home, "run");
    const options = {
      model: small(),
      data: data.fold(0),
      method: metalr.finetune(),
      epochs: 1,
      batchSize: 8,
      imageSize: [24, 24],
    } as const;
    const run = await metalr.train(folder, options);
    expect(existsSync(join(folder, "lr-curves.png"))).toBe(true);
    const predictions = await metalr.predict(folder, data);
    expect(predictions.predicted).toHaveLength(data.count);
    expect((await metalr.evaluateRun(folder, data)).evaluation).toEqual(run.evaluation);
    expect((await metalr.openRun(folder)).classes).toEqual(data.classes);
  } finally {
    rmSync(home, { recursive: true, force: true });
  }
});

const weights = "../shared/data/weights/resnet20-12fca82f.th";
test.skipIf(!existsSync(weights))("openModel reads a checkpoint (skipped without ../shared/data)", async () => {
  const model = await metalr.openModel("resnet20", { weights, classes: 3 });
  expect(model.from?.match?.how).toBe('by name, behind "module."');
  expect(model.from?.match?.unmatched).toEqual(["linear.weight", "linear.bias"]);
});

const zoo = "fixtures/zoo/resnet18-narrow/model.onnx";
test("openModel opens an .onnx file, with a new head where the data have other classes", async () => {
  const model = await metalr.openModel(zoo, { classes: 7, head: "new" });
  expect([model.classes, model.from?.file]).toEqual([7, zoo]);
  await expect(metalr.openModel(zoo, { classes: 3, weights: "w.pth" })).rejects.toThrow(
    `${zoo}: is a network with its weights, and another is named beside it\n  got      w.pth\n  hint     leave one of them out`,
  );
});

const pocus = "../shared/data/pocus/pocus_data_all.zip.001";
test.skipIf(!existsSync(pocus))("openDataset opens the released layout (skipped without ../shared/data)", async () => {
  const data = await metalr.openDataset(pocus);
  expect(data.folds().map(({ split }) => split.name)).toEqual(["fold-1", "fold-2", "fold-3", "fold-4", "fold-5"]);
});
