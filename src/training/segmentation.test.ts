/** @file Tests of segmentations: the figures by hand, windows, training end to end, resuming, every method, what is refused. */
import { describe, expect, test } from "vitest";
import type { Tensor } from "../common/tensor.js";
import { messageOf } from "../formats/messages.testing.js";
import { finetune, lastLayer, type Method, metalr } from "../methods/index.js";
import { methodByName } from "../methods/registry.js";
import { nodePlatform } from "../platform/node/index.js";
import { nodeExecutor } from "../platform/node/onnxRuntime.js";
import { figuresOf } from "./dice.js";
import { Evaluator } from "./evaluator.js";
import { fineTune, isBetter } from "./fine-tune.js";
import { figureOf, mergeEvaluations } from "./metrics.js";
import type { EpochSums, FineTuneOptions, Snapshot } from "./options.js";
import { SegmentationAccumulator, volumeLoss } from "./segmentation.js";
import { addSums, rightOf } from "./task.js";
import { recorder, stepsOf, stripes, tinyModel } from "./tiny.testing.js";
import { split, tinySegmentation, tinySegmenter } from "./tiny-volumes.testing.js";
import type { StepEvent } from "./types.js";
import { usualPatch, volumeTransforms } from "./volume-transforms.js";
import { segmentVolume } from "./volumes.js";

const executor = nodeExecutor({ threads: 1 });

describe("figures by hand", () => {
  test("a class's mean is over the volumes that have it; the mean leaves the background out", () => {
    const volumes = [
      { name: "a", dice: [1, 0.5, null] },
      { name: "b", dice: [0.9, 0.7, 0.2] },
    ];
    const { perClass, mean } = figuresOf(volumes, 3);
    expect(perClass.map((d) => d?.toFixed(6))).toEqual(["0.950000", "0.600000", "0.200000"]);
    expect(mean).toBeCloseTo(0.4, 12);
  });

  test("the loss of a volume is −log p and the overlap of its own probabilities", () => {
    const probabilities = Float32Array.of(0.75, 0.5, 0.25, 0.5); // class 0, then class 1, of two voxels
    const truth = Uint8Array.of(0, 1);
    const entropy = -(Math.log(0.75) + Math.log(0.5)) / 2;
    const dice = 1 - (2 * 0.5 + 1) / (0.75 + 1 + 1);
    expect(volumeLoss("cross-entropy", probabilities, truth, 2)).toBeCloseTo(entropy, 7);
    expect(volumeLoss("dice", probabilities, truth, 2)).toBeCloseTo(dice, 7);
    expect(volumeLoss("dice+cross-entropy", probabilities, truth, 2)).toBeCloseTo(entropy + dice, 7);
  });

  test("sums of steps give the epoch's Dice; patches without foreground give none", () => {
    const parts: EpochSums[] = [
      { loss: 1, correct: 5, images: 1, voxels: [3, 1, 0, 2] },
      { loss: 2, correct: 5, images: 1, voxels: [1, 0, 1, 4] },
    ];
    const sums = parts.reduce(addSums);
    expect(sums).toEqual({ loss: 3, correct: 10, images: 2, voxels: [4, 1, 1, 6] });
    expect(rightOf(sums)).toEqual({ trainAccuracy: 10 / 12, trainDice: 12 / 14 });
    expect(rightOf({ loss: 0, correct: 4, images: 1, voxels: [4, 0, 0, 0] })).toEqual({
      trainAccuracy: 1,
      trainDice: null,
    });
  });

  test("predictions survive their file, and parts of a set are one set", () => {
    const [one, two] = [new SegmentationAccumulator(2), new SegmentationAccumulator(2)];
    one.add("a", Uint8Array.of(0, 1, 1, 1), Uint8Array.of(0, 1, 1, 0), 0.5);
    two.add("b", Uint8Array.of(0, 0, 0, 0), Uint8Array.of(1, 0, 0, 0), 1.5);
    const merged = mergeEvaluations([one.evaluate(), two.evaluate()]);
    expect(merged.dice).toEqual({
      mean: 0.4,
      perClass: [(2 / 3 + 6 / 7) / 2, 0.4],
      volumes: [
        { name: "a", dice: [2 / 3, 0.8] },
        { name: "b", dice: [6 / 7, 0] },
      ],
    });
    expect(merged.confusion).toEqual([
      [4, 1],
      [1, 2],
    ]);
    expect(figureOf(merged)).toBe(0.4);
    expect(SegmentationAccumulator.fromTensors(one.toTensors())?.evaluate()).toEqual(one.evaluate());
    expect(SegmentationAccumulator.fromTensors(new Map<string, Tensor>())).toBeNull();
  });

  test("an epoch is better by its Dice, not by the voxels that are right", () => {
    const of = (accuracy: number, mean: number) => ({
      ...new SegmentationAccumulator(2).evaluate(),
      loss: 1,
      accuracy,
      dice: { mean, perClass: [], volumes: [] },
    });
    expect(isBetter(of(0.9, 0.6), of(0.95, 0.5))).toBe(true);
    expect(isBetter(of(0.95, 0.5), of(0.9, 0.6))).toBe(false);
  });
});

test("windows together are what one window over the whole volume is, where the network looks at single voxels", async () => {
  const model = tinySegmenter();
  // The first layer's kernels see their middle only.
  const weights = new Map(model.weights);
  const kernel = weights.get("c1.weight")!; // a layer of the network
  weights.set("c1.weight", { ...kernel, data: kernel.data.map((w, i) => (i % 27 === 13 ? w : 0)) });
  const data = Float32Array.from({ length: 7 * 6 * 9 }, (_, i) => Math.sin(i));
  const volume = { channels: 1, depth: 7, height: 6, width: 9, data };
  const through = async (size: [number, number, number], n: number) => {
    const transform = { ...tinySegmentation().transforms.evaluation, size };
    const evaluator = new Evaluator({ executor, model, batch: [n, 1, ...size] });
    const result = await segmentVolume(evaluator, weights, volume, transform, 3);
    await evaluator.close();
    return result;
  };
  const [whole, pieces, padded] = [
    await through([7, 6, 9], 1),
    await through([4, 4, 4], 3),
    await through([8, 8, 16], 1),
  ];
  expect(whole).toHaveLength(3 * data.length);
  for (const other of [pieces, padded]) {
    for (const [i, p] of whole.entries()) expect(Math.abs(p - other[i]!), `element ${i}`).toBeLessThan(1e-5); // float32
  }
});

interface Recorded {
  readonly steps: StepEvent[];
  readonly snapshots: Snapshot[];
}

async function run(over: Partial<FineTuneOptions> = {}): Promise<Recorded & { readonly figure: number }> {
  const kept = recorder();
  const result = await fineTune({
    ...tinySegmentation(),
    executor,
    platform: nodePlatform,
    report: kept.report,
    save: kept.save,
    ...over,
  });
  return { steps: stepsOf(kept.events), snapshots: kept.snapshots, figure: result.accuracy };
}

describe("training", async () => {
  const method = metalr({ lr: 0.05, backboneRatio: 1, bounds: [1e-6, 0.1], roundDecimals: 6 });
  const whole = await run({ epochs: 16, method });

  test("learns what is bright and what is dark", () => {
    expect(whole.figure).toBeGreaterThan(0.8);
    expect(whole.steps[0]?.trainDice).toBeLessThan(0.5);
  });

  test("an epoch has the patches of every volume that were asked for", () => {
    // 5 volumes, 2 patches each, 3 in a step: the last one alone is left out
    expect(whole.steps.slice(0, 4).map((s) => [s.epoch, s.images])).toEqual([
      [1, 3],
      [1, 3],
      [1, 3],
      [2, 3],
    ]);
  });

  test("goes on to the same bits from any snapshot", async () => {
    const resume = whole.snapshots.find((s) => s.progress.stepInEpoch > 0);
    if (!resume) throw new Error("no snapshot inside an epoch");
    const rest = await run({ epochs: 16, method, resume });
    expect(rest.steps).toEqual(whole.steps.filter((s) => s.step > resume.progress.step));
    expect(rest.figure).toBe(whole.figure);
  });

  test("a snapshot of another loss is refused", async () => {
    const resume = whole.snapshots[0];
    if (!resume) throw new Error("no snapshot");
    const model = { ...tinySegmenter(), loss: "dice" } as const;
    await expect(run({ epochs: 16, method, resume, model })).rejects.toThrow(
      "checkpoint: is of a run with another loss",
    );
  });

  test.each([
    ["finetune", finetune()],
    ["lastLayer", lastLayer()],
    ["l2sp", methodByName("l2sp", {})],
    ["autoRgn", methodByName("autoRgn", {})],
    ["metalr every second step", metalr({ metaEvery: 2 })],
  ] as [string, Method][])("%s trains it, too", async (_, method) => {
    const { steps } = await run({ method, epochs: 1 });
    expect(steps).toHaveLength(3);
    expect(steps.every((s) => Number.isFinite(s.trainLoss))).toBe(true);
  });
});

test("slices of volumes train a network for images", async () => {
  const base = tinySegmentation();
  const { unet } = await import("../models/unet.js");
  const model = unet("unet2d", { classes: 3, width: 1 });
  const { dataset } = base.data;
  const transforms = volumeTransforms({ model, dataset, train: split.train });
  expect(transforms.train.size).toEqual([16, 8]); // 9 × 8, up to a multiple of 8
  const { steps, figure } = await run({ model, transforms, epochs: 1, method: finetune() });
  expect(steps).toHaveLength(2);
  expect(figure).toBeGreaterThanOrEqual(0);
});

describe("sizes", () => {
  const { model, data } = tinySegmentation();
  const o = { model, dataset: data.dataset, train: split.train };

  test("the usual patch is the median volume, up to a multiple of eight", () => {
    expect(usualPatch(o)).toEqual([16, 16, 8]);
  });

  test.each([
    [{ patch: [8, 8] }, "patch size: does not fit tiny\n  expected depth, height and width\n  got      8×8"],
    [{ overlap: 1 }, "overlap: is out of range\n  expected 0 … below 1\n  got      1"],
    [{ perEpoch: 0 }, "patches per volume: is out of range\n  expected a whole number from 1\n  got      0"],
  ])("%j is refused", async (over, message) => {
    expect(await messageOf(() => volumeTransforms({ ...o, ...over }))).toBe(message);
  });
});

describe("what does not go together is refused", () => {
  test("a network for images with one class, and volumes", async () => {
    expect(await messageOf(() => run({ model: tinyModel(3) }))).toBe(
      [
        "tiny: is a network for classification, and the data have a class for every pixel or voxel",
        "  hint     choose a network for segmentation: unet2d, unet3d, or an .onnx file of one",
      ].join("\n"),
    );
  });

  test("a network for volumes, and images with one class each", async () => {
    const data = { dataset: await stripes(9), split };
    expect(await messageOf(() => run({ data, model: tinySegmenter(2) }))).toBe(
      [
        "tiny: is a network for segmentation, and the data have one class an image",
        "  hint     give a folder with images/ and labels/",
      ].join("\n"),
    );
  });

  test("validation batches balanced by class", async () => {
    expect(await messageOf(() => run({ metaBatches: "balanced" }))).toBe(
      "metaBatches: balanced by class is for images that have one class\n  hint     leave it out",
    );
  });
});
