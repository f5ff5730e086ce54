/** @file Batches for training and evaluation from a data set, made ahead of time. */
import { Random } from "../common/random.js";
import { createTransform } from "../data/transforms.js";
import type { Batch, Dataset } from "../data/types.js";
import type { Platform } from "../platform/types.js";
import type { Transforms } from "./options.js";

/** Makes batches, in any order; the same request gives the same bits. */
export interface Feed {
  /** @param epoch of the augmentation; null: evaluation's transform, without augmentation */
  batch(indices: Uint32Array, epoch: number | null): Promise<Batch>;
  close(): Promise<void>;
}

export interface FeedOptions {
  readonly dataset: Pick<Dataset, "labels" | "image" | "imageName">;
  readonly transforms: Transforms;
  readonly seed: number;
  readonly workers: number;
  readonly platform?: Platform | undefined;
}

export function openFeed({ dataset, transforms, seed }: FeedOptions): Feed {
  const train = createTransform(transforms.train);
  const evaluation = createTransform(transforms.evaluation);
  return {
    async batch(indices, epoch) {
      const t = epoch === null ? evaluation : train;
      const x = new Float32Array(indices.length * t.length);
      const y = new Uint32Array(indices.length);
      for (const [row, index] of indices.entries()) {
        const image = t.resize(await dataset.image(index), dataset.imageName(index));
        t.finish(image, t.draw(new Random(seed, "augment", epoch ?? 0, index)), x, row * t.length);
        y[row] = dataset.labels[index] ?? 0;
      }
      return { x, shape: [indices.length, t.spec.channels, ...t.spec.size], y, indices };
    },
    close: async () => {},
  };
}
