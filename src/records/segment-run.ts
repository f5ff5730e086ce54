/** @file The network of a segmentation run on whole volumes: judged by their labels, or written as label volumes. */
import { DataError } from "../common/errors.js";
import type { NiftiImage } from "../data/nifti/pairs.js";
import { encodeLabelNifti } from "../data/nifti/write.js";
import { openPatchFeed, prepareVolume } from "../data/patch-feed.js";
import type { Dataset } from "../data/types.js";
import { Evaluator } from "../training/evaluator.js";
import type { SegmentationAccumulator } from "../training/segmentation.js";
import { evaluateVolumes, windowsAtOnce } from "../training/task.js";
import { largestOf, segmentVolume } from "../training/volumes.js";
import type { OpenedRun, UseRunOptions } from "./train-options.js";

/** Windows at once, where nobody says otherwise; as many as fit by their size. */
const batchOf = ({ batchSize = 8 }: Pick<UseRunOptions, "batchSize">, size: readonly number[]): number =>
  windowsAtOnce({ batchSize }, size);

const evaluatorOf = ({ model, transforms }: OpenedRun, o: UseRunOptions): Evaluator => {
  const { channels, size } = transforms.evaluation;
  return new Evaluator({ executor: o.executor, model, batch: [batchOf(o, size), channels, ...size] });
};

/** @throws {FileError | DataError} volumes that cannot be read */
export async function evaluateSegmentation(
  run: OpenedRun,
  dataset: Dataset,
  indices: Uint32Array,
  o: UseRunOptions,
): Promise<SegmentationAccumulator> {
  const { model, transforms } = run;
  const transform = transforms.evaluation;
  checkChannels(run, dataset.imageShape.channels, dataset.name);
  const evaluator = evaluatorOf(run, o);
  const feed = openPatchFeed({ dataset, transform, seed: 0 });
  try {
    const what = { evaluator, feed, dataset, part: indices, transform, model };
    return await evaluateVolumes(what, model.weights, o.signal);
  } finally {
    feed.close();
    await evaluator.close();
  }
}

/** One volume with the classes that a network sees in it. */
export interface SegmentedVolume {
  readonly name: string;
  /** Class of every voxel, [depth, height, width]. */
  readonly labels: Uint8Array;
  /** Voxels of each class, and how much they take up. */
  readonly voxels: readonly number[];
  readonly millilitres: readonly number[];
  /** A .nii.gz file with the image's geometry. */
  readonly nifti: Uint8Array;
}

/**
 * Segments volumes one after another.
 * @param run of a segmentation (`openRun`)
 * @throws {DataError} a run of a classification, volumes with other channels; @throws {FileError} damaged volumes
 */
export async function* segmentImages(
  run: OpenedRun,
  images: readonly NiftiImage[],
  o: UseRunOptions,
): AsyncGenerator<SegmentedVolume, void, undefined> {
  const { model, transforms, classes, folder } = run;
  const transform = transforms.evaluation;
  if (model.task !== "segmentation" || transform.volume === undefined) {
    throw new DataError(folder, { problem: "is no run of a segmentation", got: model.task });
  }
  const evaluator = evaluatorOf(run, o);
  try {
    for (const image of images) {
      checkChannels(run, image.channels, image.name);
      const volume = prepareVolume(await image.image(), transform.volume);
      const probabilities = await segmentVolume(evaluator, model.weights, volume, transform, classes.length, o.signal);
      const labels = largestOf(probabilities, classes.length);
      const voxels = new Array<number>(classes.length).fill(0);
      for (const c of labels) voxels[c]! += 1; // a class of the network
      const [depth, height, width] = image.spacingMm;
      yield {
        name: image.name,
        labels,
        voxels,
        millilitres: voxels.map((n) => (n * depth * height * width) / 1000),
        nifti: encodeLabelNifti(await image.head(), labels, image.name),
      };
    }
  } finally {
    await evaluator.close();
  }
}

function checkChannels({ model }: OpenedRun, channels: number, name: string): void {
  if (channels === model.input.channels) return;
  throw new DataError(name, {
    problem: "has another number of channels than the network takes",
    expected: String(model.input.channels),
    got: String(channels),
  });
}
