/**
 * @file The shortest way: a network pre-trained on one ultrasound scanner learns another one from a few images, with one learning
 * rate per layer. Images are made up, so that it runs anywhere in seconds; with your own, replace the two data sets by
 * `await openDataset("images.npz")` and the model by `await openModel("resnet18", { weights: "weights.pth", classes: 3 })`.
 */
import { createModel, fineTune, finetune, metalr, scanners, syntheticDataset, withFolds } from "metalr";

const images = { seed: 1, size: 32, test: { patients: 6, frames: 2 } };
const many = await syntheticDataset({ ...images, scanner: scanners.a, train: { patients: 24, frames: 2 } });
const few = await syntheticDataset({ ...images, scanner: scanners.b, train: { patients: 12, frames: 2 } });

const settings = { batchSize: 16, epochs: 6, seed: 0, select: "last", imageSize: [32, 32] } as const;
const before = await fineTune({
  ...settings,
  model: createModel("resnet20", { classes: 3, channels: 1, width: 4 }),
  data: withFolds(many).fold(0, { select: "last" }),
  method: finetune({ lr: 0.01, backboneRatio: 1 }),
});
console.log(`scanner A, trained from scratch: ${percent(before.accuracy)} on patients never seen`);

const after = await fineTune({
  ...settings,
  model: before.model,
  data: withFolds(few).fold(0, { select: "last" }),
  method: metalr({ lr: 0.01, hyperLr: 0.1 }),
});
console.log(`scanner B, fine-tuned with MetaLR: ${percent(after.accuracy)}`);
for (const [j, rate] of (after.learningRates.at(-1) ?? []).entries()) {
  console.log(`  ${(after.groups[j] ?? "").padEnd(9)} ${rate.toExponential(2)}`);
}

function percent(share: number): string {
  return `${(100 * share).toFixed(0)} %`;
}
