/** @file What training into a run folder is asked for, and what opening such a folder gives. */
import type { MetaImages } from "../data/meta.js";
import type { Dataset, Split } from "../data/types.js";
import type { Model } from "../models/types.js";
import type { Platform } from "../platform/types.js";
import type { Executor } from "../runtime/types.js";
import type { FineTuneOptions, TrainingData, Transforms } from "../training/options.js";
import type { Evaluation, TrainingEvent } from "../training/types.js";
import type { Rasterize } from "./recorder.js";
import type { RunInfo } from "./schema.js";

/** As `FineTuneOptions`; checkpoints, events and resuming are the folder's. */
export interface TrainRunOptions extends Omit<FineTuneOptions, "save" | "resume" | "platform"> {
  readonly platform: Platform;
  /** Continue the run that the folder holds (a finished one is only read); default false: a folder with a run is refused. */
  readonly resume?: boolean;
  /** Further facts for run.json: file names of weights, … */
  readonly facts?: Readonly<Record<string, unknown>>;
  /** Versions for run.json: { metalr, node, … }; the executor's is added. */
  readonly versions?: Readonly<Record<string, string>>;
  /** SVG to PNG for the pictures; without it they are SVG only. */
  readonly rasterize?: Rasterize;
  /** The command line, for run.json. */
  readonly command?: string;
}

/** One run a split. */
export interface CrossValidationOptions extends Omit<TrainRunOptions, "model" | "data"> {
  readonly dataset: Dataset;
  readonly splits: readonly Split[];
  /** Images of another data set for MetaLR's validation batches, in every run. */
  readonly meta?: MetaImages;
  /** The model that a split starts from. */
  readonly model: (split: Split) => Model | Promise<Model>;
  /** What else differs between splits: transforms measured on the split's own training images, a seed of its own. */
  readonly forSplit?: (
    split: Split,
    model: Model,
  ) => Pick<TrainRunOptions, "seed" | "transforms"> | Promise<Pick<TrainRunOptions, "seed" | "transforms">>;
  /** For summary.json; default the data set's name. */
  readonly name?: string;
  /** Called before each split's run; `folder` is the run's. */
  readonly onRun?: (run: { split: Split; index: number; count: number; folder: string; finished: boolean }) => void;
  /** Every event with the split that it belongs to. */
  readonly report?: (event: TrainingEvent, split?: Split) => void | Promise<void>;
}

export interface OpenRunOptions {
  readonly platform: Platform;
  /** Which weights: those of the selected epoch (default) or of the last step. */
  readonly weights?: "selected" | "last";
}

/** A run folder that is open for use. */
export interface OpenedRun {
  readonly folder: string;
  readonly info: RunInfo;
  readonly model: Model;
  readonly transforms: Transforms;
  readonly classes: readonly string[];
  /** Which epoch the weights are of. */
  readonly epoch: number;
  /** Indices into the run's data set, by part: "train", "meta", "validation", "test". */
  readonly parts: Readonly<Record<string, Uint32Array>>;
}

export interface UseRunOptions extends OpenRunOptions {
  readonly executor: Executor;
  /** Images at once; default 64. */
  readonly batchSize?: number;
  /** Threads that prepare images; default as in training. */
  readonly workers?: number;
  readonly signal?: AbortSignal;
}

export interface EvaluateRunOptions extends UseRunOptions {
  /** Which images of the data set; default "test" where it is the one that the run was trained on, else "all". */
  readonly part?: "test" | "validation" | "train" | "all";
}

/** Images to predict: a data set, or files (`imagesFromFiles`). */
export type ImageSource = Pick<Dataset, "name" | "count" | "imageName" | "image" | "imageShape" | "pixels">;

export interface Predictions {
  readonly classes: readonly string[];
  /** Name of every image, in order. */
  readonly names: readonly string[];
  /** Softmax [images, classes], row by row. */
  readonly probabilities: Float32Array;
  /** Index of the most probable class of every image. */
  readonly predicted: Uint32Array;
}

export interface EvaluatedRun {
  /** Which images they were. */
  readonly part: "test" | "validation" | "train" | "all";
  readonly evaluation: Evaluation;
  /** Without images for segmentations: `segmentRun` gives their classes. */
  readonly predictions: Predictions;
}

export type { TrainingData };
