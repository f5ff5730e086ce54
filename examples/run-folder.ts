/** @file A run folder: training that is stopped in the middle and goes on, then its predictions for other images. */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createModel, evaluateRun, metalr, predict, scanners, syntheticDataset, train, withFolds } from "metalr";

const folder = join(await mkdtemp(join(tmpdir(), "metalr-example-")), "run");
const data = withFolds(
  await syntheticDataset({
    scanner: scanners.a,
    seed: 2,
    size: 24,
    train: { patients: 18, frames: 2 },
    test: { patients: 6, frames: 2 },
  }),
);
const options = {
  model: createModel("resnet20", { classes: 3, channels: 1, width: 2 }),
  data: data.fold(0),
  method: metalr(),
  epochs: 3,
  batchSize: 8,
  imageSize: [24, 24],
} as const;

// Somebody presses Ctrl-C in the second epoch: the step under way is finished, and a checkpoint written.
const stop = new AbortController();
const stopped = await train(folder, {
  ...options,
  signal: stop.signal,
  report: (event) => {
    if (event.type === "step" && event.epoch === 2) stop.abort();
  },
});
console.log(`${stopped.reason} after step ${stopped.step}`);

// The same call with `resume` goes on from there; the result is bit for bit that of a run never stopped.
const run = await train(folder, { ...options, resume: true });
console.log(`${run.reason} after step ${run.step}, epoch ${run.selectedEpoch} chosen on validation images`);

const { evaluation } = await evaluateRun(folder, data);
console.log(
  `test images: accuracy ${evaluation.accuracy.toFixed(2)}, confusion ${JSON.stringify(evaluation.confusion)}`,
);

const { classes, predicted, probabilities } = await predict(folder, data);
console.log(`first image: ${classes[predicted[0] ?? 0]}, p = ${Math.max(...probabilities.subarray(0, 3)).toFixed(2)}`);

await rm(join(folder, ".."), { recursive: true });
