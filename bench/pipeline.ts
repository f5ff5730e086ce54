/** @file The data pipeline as a contender: batches as training asks for them, of images of the POCUS data's size and number. */
import { createInterface } from "node:readline";
import { Random } from "../src/common/random.js";
import { tensor } from "../src/common/tensor.js";
import { datasetFromArrays } from "../src/data/arrays.js";
import { releasedTransforms } from "../src/data/transforms.js";
import type { Dataset } from "../src/data/types.js";
import { nodePlatform } from "../src/platform/node/index.js";
import { type Feed, openFeed } from "../src/training/feed.js";
import { prefetch } from "../src/training/prefetch.js";
import { Schedule } from "../src/training/schedule.js";
import type { LoadOptions } from "./protocol.js";
import type { Workload } from "./workloads.js";

const [images, side] = [1721, 96];

/** Random pixels. */
function dataset(): Promise<Dataset> {
  const random = new Random(0);
  const pixels = Uint8Array.from({ length: images * 3 * side * side }, () => random.uint32() & 255);
  return datasetFromArrays({
    path: "random",
    parts: [
      {
        what: "",
        imagesName: "x",
        labelsName: "y",
        images: tensor("uint8", [images, 3, side, side], pixels),
        labels: Array.from({ length: images }, (_, i) => i % 3),
      },
    ],
    division: "none",
    classes: null,
    groups: null,
    notes: [],
  });
}

type Request =
  | ({ readonly cmd: "load"; readonly workload: Workload } & LoadOptions)
  | { readonly cmd: "step" }
  | { readonly cmd: "peak" };

let feed: Feed | null = null;
let schedule: Schedule | null = null;
let workers = 0;
let epoch = 0;

/** Milliseconds a batch, over the full batches of one epoch: augmented training images, made ahead as in training. */
async function epochOfBatches(): Promise<number> {
  if (!feed || !schedule) throw new Error("nothing is loaded");
  const [from, perEpoch, source, plan] = [epoch * schedule.stepsPerEpoch, schedule.stepsPerEpoch - 1, feed, schedule];
  epoch++;
  const begin = performance.now();
  const batches = prefetch(from + 1, from + perEpoch, Math.max(2, workers), (step) =>
    source.batch(plan.train(step), epoch),
  );
  for await (const _ of batches); // a step would run here
  return (performance.now() - begin) / perEpoch;
}

async function answer(request: Request): Promise<object> {
  if (request.cmd === "load") {
    const { workload: w } = request;
    workers = request.workers ?? 0;
    const { train, evaluation } = releasedTransforms;
    const size = [w.size, w.size] as const;
    const transforms = { train: { ...train, size }, evaluation: { ...evaluation, size }, source: "released" };
    feed = openFeed({ dataset: await dataset(), transforms, seed: 0, workers, platform: nodePlatform });
    const all = Uint32Array.from({ length: images }, (_, i) => i);
    schedule = new Schedule({ train: all, meta: all }, { batchSize: w.batch, seed: 0, metaBatches: "stream" });
    await epochOfBatches(); // the first epoch also resizes, and keeps what it resized
    return { workers, images, pixels: `${side}×${side}` };
  }
  // maxRSS is in kilobytes of 1024 bytes.
  if (request.cmd === "peak") return { mb: (process.resourceUsage().maxRSS * 1024) / 1e6 };
  return { ms: await epochOfBatches() };
}

for await (const line of createInterface({ input: process.stdin })) {
  // The other end is protocol.ts.
  const reply = await answer(JSON.parse(line) as Request).catch((error: unknown) => ({
    error: error instanceof Error ? error.message : String(error),
  }));
  console.log(JSON.stringify(reply));
}
process.exit(0); // threads may still be there
