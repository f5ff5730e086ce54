/** @file A data set with its runs: one call gives the images of a fold, divided into parts. */
import { UsageError } from "../common/errors.js";
import { metaImages } from "../data/meta.js";
import { planSplits, type SplitOptions } from "../data/splits.js";
import type { Dataset } from "../data/types.js";
import type { TrainingData } from "./options.js";

/** How folds are made; see `SplitOptions`. */
export interface FoldOptions extends Partial<Omit<SplitOptions, "metaData">> {
  /**
   * Where MetaLR's validation batches come from: the training images ("train", default), a held-out part of them ("split"), or
   * another data set with the same classes, such as a few labelled images of the site where the model will be used.
   */
  readonly metaData?: SplitOptions["metaData"] | Dataset;
}

export interface OpenedDataset extends Dataset {
  /**
   * One run of the data: a fold of cross-validation (0 …), or 0 for data with official parts. A part of the training images is held
   * out for choosing the epoch unless `select` is "last" or "test".
   * @throws {UsageError} there is no such fold; @throws {DataError} `metaData` of other classes
   */
  fold(index: number, options?: FoldOptions): TrainingData;
  /** All runs. */
  folds(options?: FoldOptions): TrainingData[];
}

/** `fold` and `folds` for a data set made by other means. */
export function withFolds(dataset: Dataset): OpenedDataset {
  const folds = ({ metaData = "train", ...o }: FoldOptions = {}): TrainingData[] => {
    const [from, other] = typeof metaData === "string" ? [metaData, null] : (["train", metaData] as const);
    const meta = other && metaImages(dataset, other);
    return planSplits(dataset, { select: "validation", seed: 0, ...o, metaData: from }).map((split) => ({
      dataset,
      split,
      ...(meta && { meta }),
    }));
  };
  return {
    ...dataset,
    folds,
    fold(index, o) {
      const all = folds(o);
      const found = all[index];
      if (found) return found;
      throw new UsageError(dataset.name, {
        problem: "there is no such fold",
        expected: all.length === 1 ? "0" : `0 … ${all.length - 1}`,
        got: String(index),
      });
    },
  };
}
