/** @file How many images per second the data pipeline gives: transforms alone, and batches of 128 at 64×64 with 0, 1 and 2 threads. */
import { parseArgs } from "node:util";
import { Random } from "../src/common/random.js";
import { tensor } from "../src/common/tensor.js";
import { datasetFromArrays } from "../src/data/arrays.js";
import { openBatches } from "../src/data/batches.js";
import { openDataset } from "../src/data/open.js";
import { openPreparer } from "../src/data/preparer.js";
import { createTransform, releasedTransforms } from "../src/data/transforms.js";
import type { Dataset } from "../src/data/types.js";
import { nodePlatform } from "../src/platform/node/index.js";

const help = `Images per second of the data pipeline, median of the epochs.

usage: tsx bench/data-pipeline.ts [options]

  -d DATA        a data set (default: 1,721 images of 96×96 with random pixels, the size of the POCUS data)
  --epochs N     epochs measured after the first (default: 5)
  --step MS      also: waiting time for batches when the main thread is blocked for MS between them (default: 400)
`;

const { values } = parseArgs({
  options: {
    data: { type: "string", short: "d" },
    epochs: { type: "string", default: "5" },
    step: { type: "string", default: "400" },
    help: { type: "boolean", short: "h" },
  },
});
if (values.help) {
  console.log(help);
  process.exit(0);
}
const epochs = Number(values.epochs);
const stepMs = Number(values.step);
const batchSize = 128;

const open = (): Promise<Dataset> =>
  values.data === undefined ? randomImages() : openDataset(values.data, { platform: nodePlatform });

function randomImages(): Promise<Dataset> {
  const random = new Random(0);
  const count = 1721;
  const pixels = Uint8Array.from({ length: count * 3 * 96 * 96 }, () => random.uint32() & 255);
  return datasetFromArrays({
    path: "random",
    parts: [
      {
        what: "",
        imagesName: "x",
        labelsName: "y",
        images: tensor("uint8", [count, 3, 96, 96], pixels),
        labels: Array.from({ length: count }, (_, i) => i % 3),
      },
    ],
    division: "none",
    classes: null,
    groups: null,
    notes: [],
  });
}

const median = (xs: number[]): number => xs.sort((a, b) => a - b)[xs.length >> 1] ?? Number.NaN;
const perSecond = (images: number, ms: number): number => Math.round((images / ms) * 1000);
const row = (...cells: (string | number)[]) => console.log(`| ${cells.join(" | ")} |`);

async function transformsAlone(dataset: Dataset): Promise<void> {
  const images = await Promise.all(Array.from({ length: 256 }, (_, i) => dataset.image(i % dataset.count)));
  const { train, evaluation } = releasedTransforms;
  for (const [what, spec, keep] of [
    ["training transform, all of it", train, false],
    ["training transform, resized image kept", train, true],
    ["evaluation transform, all of it", evaluation, false],
    ["evaluation transform, resized image kept", evaluation, true],
  ] as const) {
    const t = createTransform(spec);
    const out = new Float32Array(t.length);
    const kept = images.map((image) => t.resize(image, ""));
    const rates: number[] = [];
    for (let round = 0; round < 7; round++) {
      const began = performance.now();
      for (let k = 0; k < 2048; k++) {
        const image = keep ? kept[k % kept.length] : t.resize(images[k % images.length] ?? images[0]!, ""); // 256 of them
        if (image !== undefined) t.finish(image, t.draw(new Random(0, "augment", round, k)), out, 0);
      }
      if (round > 1) rates.push(perSecond(2048, performance.now() - began));
    }
    row(what, "this thread", "", median(rates));
  }
}

/** The main thread at work on something else, without giving way. */
function block(ms: number): void {
  const end = performance.now() + ms;
  while (performance.now() < end);
}

async function batches(workers: number): Promise<void> {
  for (const [what, transform] of Object.entries(releasedTransforms)) {
    const dataset = await open();
    const preparer = openPreparer({ platform: nodePlatform, workers });
    const indices = Uint32Array.from({ length: dataset.count }, (_, i) => i);
    const all = openBatches(dataset, { preparer, transform, indices, batchSize, seed: 0, stream: "train" });
    const rates: number[] = [];
    let before = performance.now();
    let images = 0;
    for (let epoch = 0; epoch <= epochs; epoch++) {
      before = performance.now();
      images = 0;
      for await (const batch of all.epoch(epoch)) images += batch.y.length;
      rates.push(perSecond(images, performance.now() - before));
    }
    const [first = 0, ...later] = rates;
    const waits: number[] = [];
    if (what === "train") {
      for await (const _ of all.epoch(epochs + 1)) {
        if (before > 0) waits.push(performance.now() - before);
        block(stepMs);
        before = performance.now();
      }
    }
    preparer.close();
    row(
      `batches of ${batchSize}, ${what}`,
      workers,
      first,
      median(later),
      waits.length > 0 ? `${median(waits.slice(2)).toFixed(1)} ms` : "",
    );
  }
}

row(
  "what",
  "threads",
  "images/s, first epoch",
  "images/s, later",
  `wait a step, main thread blocked ${stepMs} ms a step`,
);
row("---", "---", "---", "---", "---");
await transformsAlone(await open());
for (const workers of [0, 1, 2]) await batches(workers);
