/** @file Tests of MetaLR's validation batches from another data set: what they change, what they do not, and resuming. */
import { expect, test } from "vitest";
import { type MetaImages, metaImages } from "../data/meta.js";
import { finetune, metalr } from "../methods/index.js";
import { nodePlatform } from "../platform/node/index.js";
import { nodeExecutor } from "../platform/node/onnxRuntime.js";
import { fineTune } from "./fine-tune.js";
import type { FineTuneOptions } from "./options.js";
import { range, recorder, split, stepsOf, stripes, tinyTraining } from "./tiny.testing.js";

const executor = nodeExecutor({ threads: 1 });

async function run(meta: MetaImages | null, over: Partial<FineTuneOptions> = {}) {
  const kept = recorder();
  const tiny = await tinyTraining();
  await fineTune({
    ...tiny,
    data: { ...tiny.data, ...(meta && { meta }) },
    epochs: 2,
    executor,
    platform: nodePlatform,
    workers: 0,
    report: kept.report,
    save: kept.save,
    ...over,
  });
  return { steps: stepsOf(kept.events), snapshots: kept.snapshots };
}

const data = await stripes(40);
/** The same images under another fingerprint, so that they count as another data set. */
const copy = { ...data, fingerprint: "another file" };
const other = async () => metaImages(data, await stripes(12));

test("the same images from another file give the same bits", async () => {
  const meta = { ...metaImages(data, copy), indices: split.meta };
  expect((await run(meta)).steps).toEqual((await run(null)).steps);
});

test("other images change the rates, not the training batches", async () => {
  const [own, elsewhere] = [await run(null), await run(await other())];
  expect(elsewhere.steps[0]?.trainLoss).toBe(own.steps[0]?.trainLoss);
  expect(elsewhere.steps[0]?.validationLoss).not.toBe(own.steps[0]?.validationLoss);
  expect(elsewhere.steps.at(-1)?.lr).not.toEqual(own.steps.at(-1)?.lr);
});

test("labels of the other data set balance its batches", async () => {
  const from = await other();
  const labels = from.dataset.labels.map((l) => 1 - l);
  const balanced = { metaBatches: "balanced" } as const;
  const flipped = { ...from, dataset: { ...from.dataset, labels } };
  expect((await run(flipped, balanced)).steps[0]?.validationLoss).not.toBe(
    (await run(from, balanced)).steps[0]?.validationLoss,
  );
});

test("a run goes on to the same bits, and only with the images it began with", async () => {
  const meta = await other();
  const whole = await run(meta);
  const middle = whole.snapshots[1];
  if (!middle) throw new Error("no snapshot");
  const rest = await run(meta, { resume: middle });
  expect(rest.steps).toEqual(whole.steps.filter((s) => s.step > middle.progress.step));
  const fewer = { ...meta, indices: range(0, 6) };
  await expect(run(fewer, { resume: middle })).rejects.toThrow(
    "checkpoint: is of a run with another data set for the learning rates",
  );
  await expect(run(null, { resume: middle })).rejects.toThrow(
    "checkpoint: is of a run with another data set for the learning rates",
  );
});

test("a method that learns no rates does not look at them", async () => {
  const colour = { ...copy, imageShape: { ...copy.imageShape, channels: 3 } };
  const meta = metaImages(data, colour);
  await run(meta, { method: finetune(), epochs: 1 });
  await expect(run(meta, { method: metalr(), epochs: 1 })).rejects.toThrow(/another\.npz|stripes\.npz/);
});

test("groups of another data set are no groups of this one", async () => {
  await expect(run(await other(), { metaDisjoint: true })).rejects.toThrow(
    "metaDisjoint: has no meaning with validation images of another data set\n  hint     leave one of them out",
  );
});
