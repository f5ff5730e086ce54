import { expect, test } from "vitest";
import type { Dataset } from "../data/types.js";
import { defaultTransforms } from "./default-transforms.js";
import { range, stripes, tinyModel } from "./tiny.testing.js";

const dataset = await stripes(10);
const model = tinyModel();
const train = range(0, 10);

/** Two images of 1×2 pixels: 0, 51 and 102, 255 (0, 0.2, 0.4, 1). */
const four: Dataset = {
  ...dataset,
  image: async (i) => ({ channels: 1, height: 1, width: 2, data: Uint8Array.from(i === 0 ? [0, 51] : [102, 255]) }),
};

test("mean and deviation of the training images, in units of [0, 1] pixels", async () => {
  const { evaluation, source } = await defaultTransforms({ model, dataset: four, train: range(0, 2) });
  expect(source).toBe("training images");
  expect(evaluation.normalization.mean).toEqual([0.4]);
  expect(evaluation.normalization.std).toEqual([0.374166]); // √((0.16 + 0.04 + 0 + 0.36) / 4)
});

test("the released size, crop and flip for training; resize and normalise alone for evaluation", async () => {
  const { train: t, evaluation } = await defaultTransforms({ model, dataset, train });
  expect(t).toMatchObject({ size: [64, 64], channels: 1, augment: { crop: { scale: [0.8, 1] }, flip: 0.5 } });
  expect(evaluation).toEqual({ ...t, augment: null });
});

test("data of the released layout and classes get the released normalisation", async () => {
  const classes = ["covid19", "pneumonia", "regular"];
  const folds = [range(0, 5), range(5, 10)];
  const pocus: Dataset = { ...dataset, classes, division: { kind: "folds", folds } };
  const { evaluation, source } = await defaultTransforms({ model, dataset: pocus, train });
  expect([evaluation.normalization, source]).toEqual([{ mean: [0.18], std: [0.24] }, "released"]);
});

test("weights that say their normalisation are believed, and what is given counts before all", async () => {
  const normalization = { mean: [0.5], std: [0.25] };
  const own = await defaultTransforms({ model: { ...model, normalization }, dataset, train });
  expect([own.evaluation.normalization, own.source]).toEqual([normalization, "weights"]);
  const given = await defaultTransforms({ model, dataset, train, normalization, size: [32, 48], augment: null });
  expect([given.train.normalization, given.train.size, given.train.augment, given.source]).toEqual([
    normalization,
    [32, 48],
    null,
    "given",
  ]);
});

test("grey images for a network of three channels have one value for all", async () => {
  const { evaluation } = await defaultTransforms({
    model: { input: { channels: 3, size: null, dimensions: 2 } },
    dataset: four,
    train: range(0, 2),
  });
  expect(evaluation.channels).toBe(3);
  expect(evaluation.normalization).toEqual({ mean: [0.4], std: [0.374166] });
});
