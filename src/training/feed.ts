/** @file Batches of one data set under a run's two transforms, by any number of threads. */
import { openPreparer } from "../data/preparer.js";
import type { Batch, Dataset } from "../data/types.js";
import type { Platform } from "../platform/types.js";
import type { Transforms } from "./options.js";

/** Makes batches, in any order; the same request gives the same bits. */
export interface Feed {
  /** @param epoch of the augmentation; null: evaluation's transform, without augmentation */
  batch(indices: Uint32Array, epoch: number | null): Promise<Batch>;
  close(): void;
}

export interface FeedOptions {
  readonly dataset: Dataset;
  readonly transforms: Transforms;
  readonly seed: number;
  readonly workers: number;
  readonly platform?: Platform | undefined;
}

/** @throws {UsageError} a transform that makes no sense; @throws {DataError} images that cannot be fed to the network */
export function openFeed({ dataset, transforms, seed, workers, platform }: FeedOptions): Feed {
  const preparer = openPreparer({ workers, ...(platform && { platform }) });
  const train = preparer.source(dataset, transforms.train, seed);
  const evaluation = preparer.source(dataset, transforms.evaluation, seed);
  return {
    batch: (indices, epoch) => (epoch === null ? evaluation.batch(indices, 0) : train.batch(indices, epoch)),
    close: () => preparer.close(),
  };
}
