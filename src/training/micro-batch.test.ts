/** @file Training over micro-batches: seeded and resumable as any other, and refused where it would mean something else. */
import { expect, test } from "vitest";
import { nodePlatform } from "../platform/node/index.js";
import { nodeExecutor } from "../platform/node/onnxRuntime.js";
import { fineTune } from "./fine-tune.js";
import type { FineTuneOptions } from "./options.js";
import { recorder, tinyModel, tinyTraining } from "./tiny.testing.js";

const executor = nodeExecutor({ threads: 1 });

async function run(over: Partial<FineTuneOptions>) {
  const kept = recorder();
  const result = await fineTune({
    ...(await tinyTraining()),
    executor,
    platform: nodePlatform,
    workers: 0,
    epochs: 2,
    save: kept.save,
    ...over,
  });
  return { result, snapshots: kept.snapshots };
}

const weights = (model: { weights: ReadonlyMap<string, { data: Float32Array }> }) =>
  [...model.weights].map(([name, { data }]) => [name, [...data]]);

test("a run resumed in the middle has the bits of one that was not, and a run without micro-batches is another one", async () => {
  const whole = await run({ microBatch: 2 });
  const [snapshot] = whole.snapshots; // after the second step
  const resumed = await run({ microBatch: 2, resume: snapshot! });
  expect(weights(resumed.result.lastModel)).toEqual(weights(whole.result.lastModel));
  await expect(run({ resume: snapshot! })).rejects.toThrow(
    [
      "checkpoint: is of a run with another size of micro-batches",
      "  expected 2",
      "  got      nothing",
      "  hint     resume with the options that the run was started with, or start a new run",
    ].join("\n"),
  );
});

test("one image alone is refused for a network with batch norm, and a loss of whole batches at all", async () => {
  await expect(run({ microBatch: 1 })).rejects.toThrow(
    "microBatch: one image alone has no batch statistics, which the network's batch norm needs\n  expected 2 or more images",
  );
  await expect(run({ microBatch: 2, model: { ...tinyModel(), loss: "dice" } })).rejects.toThrow(
    "microBatch: has no meaning with the loss dice, which is of a whole batch at once\n" +
      "  hint     leave micro-batches out and use smaller batches, or train by cross-entropy",
  );
  await expect(run({ microBatch: 1.5 })).rejects.toThrow("microBatch: is not a whole number ≥ 0\n  got      1.5");
});
