/** @file What the studio's server and its page say to each other; both sides import these types. */
import type { TrainField, TrainValues } from "../cli/train/fields.js";
import type { EvaluationSpread } from "../records/schema.js";
import type { WorstImages } from "../records/worst.js";
import type { Evaluation } from "../training/types.js";

/**
 * running: its process is alive. interrupted: it has no end and its process is gone (killed, power cut). stopped: it ended
 * before its last epoch, as asked. Both of these can be resumed.
 */
export type RunState = "running" | "finished" | "stopped" | "interrupted";

/** What epochs are compared by: the share of images that are right, or of segmentations the mean Dice over the foreground. */
export type FigureName = "accuracy" | "dice";

/** One row of the table of runs. Rates are shares in 0 … 1; null where there is no figure (yet). */
export interface RunSummary {
  /** Stable for a folder; letters and digits. */
  readonly id: string;
  /** Of the folder, relative to the folder that is watched: "2026-03-01-0930-images/fold-1". */
  readonly name: string;
  readonly method: string;
  readonly data: string;
  readonly network: string;
  readonly state: RunState;
  /** ISO 8601. */
  readonly created: string;
  readonly step: number;
  readonly steps: number;
  readonly epoch: number;
  readonly epochs: number;
  readonly elapsedMs: number;
  /** At the pace of the last steps; null where nothing is running. */
  readonly leftMs: number | null;
  readonly imagesPerSecond: number | null;
  /** Mean over the last epoch; of the last step before there is one. */
  readonly trainLoss: number | null;
  /** How the epoch of the figures is chosen; "test" is leaky. */
  readonly select: "last" | "validation" | "test";
  /** What every "accuracy" of this row, of its epochs and steps is; in segmentations none of them is that of voxels. */
  readonly figure: FigureName;
  /** Best so far on validation images. */
  readonly validationAccuracy: number | null;
  /** On test images at the selected epoch, after the end. */
  readonly testAccuracy: number | null;
  readonly testAuc: number | null;
  /** log10 of some rates over the run, one row a group, for the small picture; rates of 0 are null. */
  readonly sparks: readonly (readonly (number | null)[])[];
  /** The studio started it, so that it can be asked to stop. */
  readonly ours: boolean;
  /** The cross-validation that it is a fold of: an id and the name of its folder; null for a run that stands alone. */
  readonly folds: { readonly id: string; readonly name: string } | null;
}

/** What `metalr compare` has left in a folder. */
export interface ComparisonSummary {
  readonly id: string;
  /** Of the folder, relative to the folder that is watched. */
  readonly name: string;
  readonly data: readonly string[];
  readonly methods: readonly string[];
  readonly trainings: number;
  /** ISO 8601. */
  readonly created: string;
}

/** One method of a comparison on one data set, as text where the comparison has it so. Shares are in 0 … 1. */
export interface ComparedMethod {
  readonly method: string;
  readonly title: string;
  /** By choice of the epoch: "validation", "last", "leaky". */
  readonly accuracy: Readonly<Record<string, Interval>>;
  readonly balancedAccuracy: number | null;
  readonly macroAuc: number | null;
  readonly trainingMs: number | null;
  /** Difference of accuracy to the reference; null for the reference itself. */
  readonly difference: Interval | null;
  /** Paired t test; the second is corrected for all methods (Holm). */
  readonly p: number | null;
  readonly pHolm: number | null;
}

export interface Interval {
  readonly mean: number | null;
  /** 95 %; null for one value. */
  readonly low: number | null;
  readonly high: number | null;
}

export interface ComparisonFacts {
  readonly summary: ComparisonSummary;
  readonly data: readonly {
    readonly data: string;
    readonly unit: string;
    readonly units: number;
    readonly reference: string;
    readonly methods: readonly ComparedMethod[];
    readonly words: readonly string[];
  }[];
  /** Ids of its runs. */
  readonly runs: readonly string[];
  /** Whether report.html is there. */
  readonly report: boolean;
}

/** One fold of a cross-validation. */
export interface FoldFacts {
  readonly id: string;
  /** "fold-1". */
  readonly name: string;
  readonly state: RunState;
  /** 0 before the end. */
  readonly selectedEpoch: number;
  readonly lastEpoch: number;
  /** On its test images, with the weights of the selected and of the last epoch; null before the end. */
  readonly selected: Evaluation | null;
  readonly last: Evaluation | null;
  /** Best so far on validation images. */
  readonly validationAccuracy: number | null;
  readonly elapsedMs: number;
  readonly lastLr: readonly number[];
}

/** A cross-validation: its folds beside each other, and those that have ended as one set of test images. */
export interface FoldsFacts {
  readonly id: string;
  readonly name: string;
  readonly method: string;
  readonly data: string;
  readonly figure: FigureName;
  readonly select: "last" | "validation" | "test";
  readonly classes: readonly string[];
  readonly groups: readonly string[];
  readonly folds: readonly FoldFacts[];
  /** How many folds are in the pooled figures. */
  readonly ended: number;
  readonly pooled: { readonly selected: Evaluation | null; readonly last: Evaluation | null };
  /** Which volumes of a segmentation are in `pooled.selected`, as `ShownEvaluation.volumes`. */
  readonly volumes: string | null;
  readonly spread: { readonly selected: EvaluationSpread; readonly last: EvaluationSpread };
  /** Whether report.html is there. */
  readonly report: boolean;
}

/** The images that a run is most wrong about; null before its first evaluation. */
export type WorstFacts = WorstImages | null;

/** Names of images of the data of a run. */
export interface DataFacts {
  /** In words, why there are no pictures; null where there are. */
  readonly problem: string | null;
  readonly names: readonly (string | null)[];
}

/** A process that the studio started, or is going to start. */
export interface Job {
  readonly id: string;
  /** As a shell reads it. */
  readonly command: string;
  /** "held" waited when an earlier studio ended, and waits for a person to go on. */
  readonly state: "held" | "queued" | "starting" | "running" | "stopping" | "ended" | "failed";
  /** Runs in its folder. */
  readonly runs: readonly string[];
  /** The last lines that it wrote. */
  readonly output: string;
}

/** What `/api/events` sends: everything at first, then what changes. */
export type ListMessage =
  | {
      readonly type: "all";
      readonly runs: readonly RunSummary[];
      readonly jobs: readonly Job[];
      readonly comparisons: readonly ComparisonSummary[];
      readonly where: string;
    }
  | { readonly type: "comparisons"; readonly comparisons: readonly ComparisonSummary[] }
  | { readonly type: "run"; readonly run: RunSummary }
  | { readonly type: "gone"; readonly id: string }
  | { readonly type: "jobs"; readonly jobs: readonly Job[] };

/** Values that are kept of one run's curves: what 62 groups and three more series need for 512 places. */
const VALUES = 65_000;

/**
 * Buckets of steps that a curve of a run has at most (`CurveBuffer`); each is drawn as its lowest and its highest value, so that a
 * plot not wider than this many pixels loses nothing. Few series have more, many have fewer.
 */
export const bucketsFor = (groups: number): number =>
  2 * Math.round(Math.min(Math.max(VALUES / (3 + 2 * groups), 256), 2048) / 2);

/** One step: [step, train loss, train accuracy (or Dice: `RunSummary.figure`), look-ahead loss, rates …, hypergradients …]; null is NaN. */
export type StepRow = readonly (number | null)[];

/** The end of an epoch, without what only its last one needs. */
export interface EpochRow {
  readonly epoch: number;
  readonly step: number;
  readonly trainLoss: number | null;
  readonly trainAccuracy: number | null;
  readonly validationLoss: number | null;
  readonly validationAccuracy: number | null;
  readonly testLoss: number | null;
  readonly testAccuracy: number | null;
}

/** Evaluations that the page shows whole, with what they are of: "test images, epoch 12 (chosen on validation images)". */
export interface ShownEvaluation {
  readonly title: string;
  /** Of a segmentation with the Dice of some volumes only: see `volumes`. */
  readonly evaluation: Evaluation;
  /** Which volumes these are: "the 20 of 65 volumes with the lowest mean"; null of images with one class each. */
  readonly volumes: string | null;
}

/** Everything of one run but its curves. */
export interface RunFacts {
  readonly summary: RunSummary;
  readonly groups: readonly string[];
  readonly classes: readonly string[];
  readonly stepsPerEpoch: number;
  /** Lines of the configuration, by heading. */
  readonly configuration: readonly {
    readonly heading: string;
    readonly lines: readonly (readonly [string, string])[];
  }[];
  readonly warnings: readonly string[];
  readonly epochs: readonly EpochRow[];
  readonly shown: ShownEvaluation | null;
  /** The selected epoch of a run that has ended, how it was chosen; null before. */
  readonly selectedEpoch: number | null;
  readonly firstLr: readonly number[];
  readonly lastLr: readonly number[];
  /** Bounds of the rates; null for none. */
  readonly lrBounds: readonly [number, number] | null;
  /** Files that can be opened: "report.html". */
  readonly files: readonly string[];
}

/** What `/api/follow?ids=…` sends of each run: whole curves at first and after a resume, then what is new. */
export type RunMessage =
  | { readonly type: "whole"; readonly id: string; readonly facts: RunFacts; readonly steps: readonly StepRow[] }
  | { readonly type: "more"; readonly id: string; readonly facts: RunFacts; readonly steps: readonly StepRow[] }
  | { readonly type: "gone"; readonly id: string };

export interface FormCheck {
  /** By field. */
  readonly errors: Readonly<Record<string, string>>;
  /** As a shell reads it. */
  readonly command: string;
}

/** The form of a new run, as the command line understands it: the studio knows nothing of it by itself. */
export interface TrainForm {
  readonly fields: readonly TrainField[];
  check(values: TrainValues): Promise<FormCheck>;
  /** Words of the command line, "train" first. @param folder where the run goes; by default where the command line puts it */
  words(values: TrainValues): readonly string[];
}

/** The answer to a request that is not fulfilled. */
export interface Refusal {
  readonly problem: string;
  readonly hint?: string;
}
