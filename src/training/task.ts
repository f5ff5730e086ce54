/** @file What differs between classifying images and segmenting volumes: where batches come from and how predictions are judged. */
import type { FloatTensor } from "../common/tensor.js";
import { openPatchFeed, type PatchFeed } from "../data/patch-feed.js";
import type { Batch, Dataset, Split } from "../data/types.js";
import { lossNameOf } from "../models/types.js";
import { diceOf, foregroundMean } from "./dice.js";
import { chunks, Evaluator } from "./evaluator.js";
import { type Feed, openFeed } from "./feed.js";
import type { Predicted } from "./metrics.js";
import type { EpochSums, FineTuneOptions, Transforms } from "./options.js";
import { prefetch } from "./prefetch.js";
import { countVoxels, SegmentationAccumulator, volumeLoss } from "./segmentation.js";
import type { Settings } from "./settings.js";
import { largestOf, segmentVolume } from "./volumes.js";

/** Batches of so many steps are made ahead. */
export const AHEAD = 2;

type Weights = ReadonlyMap<string, FloatTensor>;

/** The task of one run. */
export interface Task {
  /** Training images of an epoch, for the schedule: patches of a volume count one by one. */
  readonly train: Uint32Array;
  trainBatch(indices: Uint32Array, epoch: number): Promise<Batch>;
  /** A validation batch of MetaLR. */
  metaBatch(indices: Uint32Array, step: number): Promise<Batch>;
  /** How right the logits of a training batch are, as part of the epoch's sums; the loss is the caller's. */
  judge(logits: Float32Array, batch: Batch): Pick<EpochSums, "correct" | "images" | "voxels">;
  predict(part: Uint32Array, weights: Weights, signal: AbortSignal | undefined): Promise<Predicted>;
  close(): Promise<void>;
}

export interface TaskOptions {
  readonly o: Pick<FineTuneOptions, "executor" | "model" | "data" | "method" | "platform">;
  readonly settings: Settings;
  readonly transforms: Transforms;
}

/** @throws {UsageError | DataError} data that cannot be fed to the network */
export const openTask = (options: TaskOptions): Task =>
  options.o.data.dataset.segmentation ? segmentation(options) : classification(options);

/** Images of a full batch of evaluation. */
const evaluationBatch = ({ batchSize, microBatch }: Settings, { validation, test }: Split): number =>
  Math.min(batchSize, microBatch || batchSize, Math.max(validation.length, test.length, 1));

function classification({ o, settings, transforms }: TaskOptions): Task {
  const { executor, model, platform } = o;
  const { dataset, split } = o.data;
  const { channels, size } = transforms.evaluation;
  const meta = o.method.needsValidation ? o.data.meta : undefined;
  const feeding = { transforms, seed: settings.seed, workers: settings.workers, platform };
  const feed: Feed = openFeed({ dataset, ...feeding });
  const metaFeed = meta ? openFeed({ dataset: meta.dataset, ...feeding }) : feed;
  const evaluator = new Evaluator({ executor, model, batch: [evaluationBatch(settings, split), channels, ...size] });
  return {
    train: split.train,
    trainBatch: (indices, epoch) => feed.batch(indices, epoch),
    metaBatch: (indices) => metaFeed.batch(indices, null),
    judge: (logits, { y }) => ({ correct: countCorrect(logits, y), images: y.length }),
    predict(part, weights, signal) {
      const pieces = chunks(part, evaluator.batchSize);
      const batches = prefetch(0, pieces.length - 1, AHEAD, (i) => feed.batch(pieces[i]!, null)); // i is a piece
      return evaluator.run(weights, batches, signal);
    },
    async close() {
      feed.close();
      if (metaFeed !== feed) metaFeed.close();
      await evaluator.close();
    },
  };
}

function segmentation({ o, settings, transforms }: TaskOptions): Task {
  const { executor, model } = o;
  const { dataset, split } = o.data;
  const { classes } = model;
  const { channels, size } = transforms.evaluation;
  const perEpoch = transforms.train.volume?.perEpoch ?? 1;
  const feed: PatchFeed = openPatchFeed({ dataset, transform: transforms.train, seed: settings.seed });
  const evaluator = new Evaluator({ executor, model, batch: [windowsAtOnce(settings, size), channels, ...size] });
  return {
    // Repetition r of volume i is i + r · count, as `PatchFeed.patches` reads it.
    train: Uint32Array.from({ length: split.train.length * perEpoch }, (_, k) => {
      const r = Math.floor(k / split.train.length);
      return (split.train[k % split.train.length] ?? 0) + r * dataset.count;
    }),
    trainBatch: (indices, epoch) => feed.patches(indices, epoch),
    metaBatch: (indices, step) => feed.metaPatches(indices, settings.metaBatches === "first" ? 1 : step),
    judge(logits, { y, indices }) {
      const voxels = new Uint32Array(classes ** 2);
      const each = y.length / indices.length;
      for (let n = 0; n < indices.length; n++) {
        const row = logits.subarray(n * classes * each, (n + 1) * classes * each);
        countVoxels(voxels, largestOf(row, classes), y.subarray(n * each, (n + 1) * each), classes);
      }
      const correct = Array.from({ length: classes }, (_, c) => voxels[c * classes + c] ?? 0).reduce((a, b) => a + b);
      return { correct, images: indices.length, voxels: Array.from(voxels) };
    },
    predict: (part, weights, signal) =>
      evaluateVolumes({ evaluator, feed, dataset, part, transform: transforms.evaluation, model }, weights, signal),
    async close() {
      feed.close();
      await evaluator.close();
    },
  };
}

/** Windows of so many voxels go through the network together, at least one. */
const atOnce = 200_000;
export const windowsAtOnce = ({ batchSize }: Pick<Settings, "batchSize">, size: readonly number[]): number =>
  Math.max(1, Math.min(batchSize, Math.floor(atOnce / size.reduce((n, d) => n * d, 1))));

export interface VolumesToEvaluate {
  readonly evaluator: Evaluator;
  readonly feed: Pick<PatchFeed, "whole">;
  readonly dataset: Pick<Dataset, "imageName">;
  readonly part: Uint32Array;
  readonly transform: Transforms["evaluation"];
  readonly model: Parameters<typeof lossNameOf>[0] & { readonly classes: number };
  /** Gets every volume's classes [depth, height, width]; awaited. */
  readonly onVolume?: (index: number, predicted: Uint8Array) => void | Promise<void>;
}

/** Segments whole volumes and compares them with their labels. @throws the signal's reason when it is aborted between windows */
export async function evaluateVolumes(
  { evaluator, feed, dataset, part, transform, model, onVolume }: VolumesToEvaluate,
  weights: Weights,
  signal?: AbortSignal,
): Promise<SegmentationAccumulator> {
  const { classes } = model;
  const all = new SegmentationAccumulator(classes);
  for (const index of part) {
    const { image, label } = await feed.whole(index);
    const probabilities = await segmentVolume(evaluator, weights, image, transform, classes, signal);
    const predicted = largestOf(probabilities, classes);
    all.add(
      dataset.imageName(index),
      predicted,
      label.data,
      volumeLoss(lossNameOf(model), probabilities, label.data, classes),
    );
    await onVolume?.(index, predicted);
  }
  return all;
}

/** Sums of two parts of an epoch. */
export function addSums(a: EpochSums, b: EpochSums): EpochSums {
  const { voxels } = b;
  return {
    loss: a.loss + b.loss,
    correct: a.correct + b.correct,
    images: a.images + b.images,
    ...(voxels && { voxels: voxels.map((n, i) => n + (a.voxels?.[i] ?? 0)) }),
  };
}

/** Share of images or voxels that were right; of segmentations the foreground's mean Dice as well (null without foreground). */
export function rightOf({ correct, images, voxels }: EpochSums): { trainAccuracy: number; trainDice?: number | null } {
  if (voxels === undefined) return { trainAccuracy: correct / images };
  const dice = foregroundMean(diceOf(voxels, Math.sqrt(voxels.length)));
  return {
    trainAccuracy: correct / voxels.reduce((a, b) => a + b, 0),
    trainDice: Number.isNaN(dice) ? null : dice,
  };
}

/** Rows of logits [n, classes] whose largest is that of the label (the first of equal ones, as torch.argmax). */
function countCorrect(logits: Float32Array, labels: Uint32Array): number {
  const classes = logits.length / labels.length;
  let correct = 0;
  for (const [i, label] of labels.entries()) {
    const row = logits.subarray(i * classes, (i + 1) * classes);
    if (row.indexOf(row.reduce((a, b) => Math.max(a, b))) === label) correct++;
  }
  return correct;
}
