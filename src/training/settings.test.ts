import { describe, expect, test } from "vitest";
import { finetune, metalr } from "../methods/index.js";
import { checkIdentity, defaultSettings, resolveTraining, settingsOf } from "./settings.js";
import { split, stripes, tinyModel, tinyTraining } from "./tiny.testing.js";

test("defaults are the released program's where it has the option", () => {
  expect(settingsOf({})).toEqual(defaultSettings);
  expect(defaultSettings).toMatchObject({ epochs: 30, batchSize: 128, valInterval: 1, select: "validation" });
});

test.each([
  [{ batchSize: 0 }, "batchSize: is not a whole number ≥ 1\n  got      0"],
  [{ epochs: 1.5 }, "epochs: is not a whole number ≥ 1\n  got      1.5"],
  [{ workers: -1 }, "workers: is not a whole number ≥ 0\n  got      -1"],
  [{ seed: Number.NaN }, "seed: is not a whole number\n  got      NaN"],
])("%o is refused", (settings, message) => {
  expect(() => settingsOf(settings)).toThrow(message);
});

describe("what does not go together is refused before anything runs", async () => {
  const data = { dataset: await stripes(40), split };
  const refused = async (over: Partial<Parameters<typeof resolveTraining>[0]>, message: string) =>
    expect(resolveTraining({ model: tinyModel(), data, method: metalr(), ...over })).rejects.toThrow(message);

  test("a model of other classes", () =>
    refused(
      { model: tinyModel(3) },
      "tiny: has another number of classes than the data\n  expected 2 (a, b)\n  got      3\n  hint     open the model with classes: 2",
    ));
  test("selecting by validation images that are not there", () =>
    refused(
      { data: { ...data, split: { ...split, validation: new Uint32Array(0) } } },
      'select: there are no validation images to choose the epoch by\n  hint     hold out a part of the training images, or choose select: "last"',
    ));
  test("selecting by test images that are not there", () =>
    refused(
      { select: "test", data: { ...data, split: { ...split, test: new Uint32Array(0) } } },
      'select: there are no test images to choose the epoch by\n  hint     choose select: "last"',
    ));
  test("MetaLR without validation batches", () =>
    refused(
      { data: { ...data, split: { ...split, meta: new Uint32Array(0) } } },
      "metalr: needs validation images for its learning rates, and the split has none (meta)\n" +
        "  hint     draw them from the training images (meta data: train), or hold out a part (split)",
    ));
  test("transforms of another number of channels", async () => {
    const { transforms } = await tinyTraining();
    const wrong = { ...transforms, train: { ...transforms.train, channels: 3 } };
    await refused(
      { transforms: wrong },
      "transforms: give another number of channels than the network takes\n  expected 1\n  got      3",
    );
  });
});

describe("a snapshot of another run", () => {
  test("is refused with the fact in which they differ", async () => {
    const training = await tinyTraining();
    const { identity } = await resolveTraining(training);
    const other = await resolveTraining({ ...training, batchSize: 5 });
    expect(() => checkIdentity(identity, other.identity)).toThrow(
      "checkpoint: is of a run with another batch size\n  expected 4\n  got      5\n" +
        "  hint     resume with the options that the run was started with, or start a new run",
    );
    const method = await resolveTraining({ ...training, method: finetune() });
    expect(() => checkIdentity(identity, method.identity)).toThrow(
      'checkpoint: is of a run with another method\n  expected "metalr"\n  got      "finetune"',
    );
  });

  test("is not refused for what does not change a bit", async () => {
    const training = await tinyTraining();
    const { identity } = await resolveTraining(training);
    const other = await resolveTraining({ ...training, workers: 3, checkpointEvery: 9 });
    expect(() => checkIdentity(identity, other.identity)).not.toThrow();
  });
});
