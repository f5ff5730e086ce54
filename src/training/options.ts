/** @file What fine-tuning is asked for and what it gives: the options and results that the library and the command line share. */
import type { FloatTensor, Tensor } from "../common/tensor.js";
import type { MetaImages } from "../data/meta.js";
import type { Dataset, Split, TransformSpec } from "../data/types.js";
import type { Method } from "../methods/types.js";
import type { Model } from "../models/types.js";
import type { Platform } from "../platform/types.js";
import type { StepperOptions } from "../runtime/stepper.js";
import type { Executor } from "../runtime/types.js";
import type { Predicted } from "./metrics.js";
import type { EpochEvent, Evaluation, TrainingEvent } from "./types.js";

/**
 * How the epoch whose weights are reported is chosen:
 * - "validation": highest accuracy (for segmentation: mean Dice of the foreground) on the validation images, of equal ones the lower loss, of these the earlier epoch;
 * - "last": the last one;
 * - "test": as "validation", but on the test images themselves, as the released program does. Leaky: never a fair figure.
 */
export type Select = "last" | "validation" | "test";

/** Images of one run: a data set and who plays which part. */
export interface TrainingData {
  readonly dataset: Dataset;
  readonly split: Split;
  /** Images of another data set for MetaLR's validation batches (`metaImages`), instead of `split.meta`. */
  readonly meta?: MetaImages;
}

export interface Transforms {
  readonly train: TransformSpec;
  readonly evaluation: TransformSpec;
  /** Where the normalisation comes from, for the run record: "released", "weights", "training images", "given". */
  readonly source: string;
}

/** Everything about the training itself; what is undefined takes its default. */
export interface TrainingSettings {
  /** Passes over the training images; ≥ 1, default 30. */
  readonly epochs?: number;
  /** Training images of a step; ≥ 1, default 128, of segmentations 2 patches. The last batch of an epoch may be smaller; a last batch of one image is left out. */
  readonly batchSize?: number;
  /**
   * Images that a step computes at once, at most: less memory, a little more time, the same step (to rounding) but for batch norm,
   * which then normalises by each micro-batch's statistics. 0 (default): the whole batch. Not for the Dice loss.
   */
  readonly microBatch?: number;
  /** Of shuffling and augmentation; default 0. */
  readonly seed?: number;
  /** Threads that prepare images; 0 does it in the calling thread; default 1 where there are threads. Results do not depend on it. */
  readonly workers?: number;
  /** Default "validation". */
  readonly select?: Select;
  /** Epochs between evaluations; the last epoch is always evaluated. Default 1. */
  readonly valInterval?: number;
  /** Steps between checkpoints inside an epoch; 0 for none; default 50. Every epoch ends with one, and so does a stop. */
  readonly checkpointEvery?: number;
  /**
   * Validation batches of MetaLR: "stream" takes the next ones of the shuffled `split.meta`, "first" always the first
   * `batchSize` images of `split.meta` in stored order, as the released program; "balanced" draws all classes equally often. Default "stream".
   */
  readonly metaBatches?: "stream" | "first" | "balanced";
  /** Validation batches of MetaLR have no group (patient, video) of the step's training batch; default false. */
  readonly metaDisjoint?: boolean;
}

/** What fine-tuning needs from its surroundings. */
export interface TrainingSurroundings {
  readonly executor: Executor;
  /** For threads that prepare images; absent: the calling thread does it. */
  readonly platform?: Platform;
  /** Graph → bytes; default the portable lowering. */
  readonly compile?: StepperOptions["compile"];
  /** Stops after the step under way; a checkpoint is saved, the result says "stopped". */
  readonly signal?: AbortSignal;
  /** Gets every event in order and is awaited; what it throws ends the training. */
  readonly report?: (event: TrainingEvent) => void | Promise<void>;
}

export interface FineTuneOptions extends TrainingSettings, TrainingSurroundings {
  /** With the weights to start from; `classes` of the data set many classes. */
  readonly model: Model;
  readonly data: TrainingData;
  readonly method: Method;
  /** Default `defaultTransforms`. */
  readonly transforms?: Transforms;
  /** Size [height, width] of the network's input under the default transforms; default the network's own, else 64×64. */
  readonly imageSize?: readonly [number, number];
  /**
   * Keeps a snapshot; awaited, so its tensors need no copy. Returns the file's name for the checkpoint event, or nothing
   * (then there is no such event). What it throws ends the training.
   */
  readonly save?: (snapshot: Snapshot) => Promise<string | undefined>;
  /** Continue from here. The other options have to be those of the first start. */
  readonly resume?: Snapshot;
  /** Gets what was predicted at the end of an epoch, in the order of the part's images; awaited. */
  readonly predicted?: (part: "validation" | "test", epoch: number, predictions: Predicted) => void | Promise<void>;
}

/** Where a run is: everything before it is done. */
export interface Progress {
  /** Steps done. */
  readonly step: number;
  /** Epochs done. */
  readonly epoch: number;
  /** Steps done of the epoch under way; 0 between epochs. */
  readonly stepInEpoch: number;
  /** Sums over the steps of the epoch under way. */
  readonly sums: EpochSums;
}

export interface EpochSums {
  /** Σ of loss · images. */
  readonly loss: number;
  /** Images, for segmentation voxels, whose class was right. */
  readonly correct: number;
  readonly images: number;
  /** Of segmentations: voxels, [truth · classes + predicted]. */
  readonly voxels?: readonly number[];
}

/** The epoch that `select` prefers so far. */
export interface Best {
  readonly epoch: number;
  readonly evaluation: Evaluation;
  /** Parameters and buffers of the model by name. */
  readonly weights: ReadonlyMap<string, FloatTensor>;
}

/** Everything that a run needs to go on with the same bits: random numbers follow from seed and progress. */
export interface Snapshot {
  readonly progress: Progress;
  /** `Stepper.state`: "model/…", optimizer slots, "lr". */
  readonly state: ReadonlyMap<string, Tensor>;
  /** null under select "last", and before the first evaluation. */
  readonly best: Best | null;
  /** Events of the epochs done. */
  readonly history: readonly EpochEvent[];
  /** Of the options that decide the bits; a snapshot of other options is refused. */
  readonly identity: string;
}

/** Evaluation on the test images with its logits, so that folds can be pooled. */
export interface TestResult {
  readonly evaluation: Evaluation;
  readonly predictions: Predicted;
}

export interface FineTuneResult {
  readonly reason: "finished" | "stopped";
  /** Steps and epochs done. */
  readonly step: number;
  readonly epoch: number;
  readonly groups: readonly string[];
  readonly classes: readonly string[];
  /** Rates per layer group after every epoch; the last entry is the final rates. */
  readonly learningRates: readonly (readonly number[])[];
  readonly history: readonly EpochEvent[];
  readonly select: Select;
  /** 0 where a stopped run has none yet. */
  readonly selectedEpoch: number;
  /** On the test images with the weights of the selected epoch and of the last one; null for stopped runs and without test images. */
  readonly test: TestResult | null;
  readonly testLast: TestResult | null;
  /**
   * The figure to quote: accuracy (for segmentation: mean Dice of the foreground) on the test images at the selected epoch; without test images that on the validation images,
   * without these that of the last epoch on its training batches; NaN before the first epoch's end.
   */
  readonly accuracy: number;
  /** The whole evaluation behind `accuracy`; null where it comes from training batches. */
  readonly evaluation: Evaluation | null;
  /** With the weights of the selected epoch, and of the last step. */
  readonly model: Model;
  readonly lastModel: Model;
  readonly transforms: Transforms;
}
