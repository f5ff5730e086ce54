/** @file What training reports while it runs: one JSON object an event, the lines of events.jsonl. */

/** Dice of every class of one volume; null where the class is neither there nor predicted. */
export interface VolumeDice {
  readonly name: string;
  readonly dice: readonly (number | null)[];
}

/** What a segmentation is judged by. */
export interface SegmentationFigures {
  /** Mean over the classes but the background of `perClass`; epochs are chosen by it. */
  readonly mean: number;
  /** By class, background first: the mean over the volumes where the class is there or predicted; null where there are none. */
  readonly perClass: readonly (number | null)[];
  readonly volumes: readonly VolumeDice[];
}

/** Quality of predictions on one set of images. Rates are shares in 0 … 1; NaN (0/0) is written as null. */
export interface Evaluation {
  readonly count: number;
  /** Mean cross-entropy. */
  readonly loss: number;
  readonly accuracy: number;
  /** Mean of the recalls of the classes that occur. */
  readonly balancedAccuracy: number;
  /** Mean over classes of one-against-rest area under the ROC curve; null where a class is absent or alone. */
  readonly macroAuc: number | null;
  /** confusion[truth][predicted], counts. */
  readonly confusion: readonly (readonly number[])[];
  readonly precision: readonly (number | null)[];
  readonly recall: readonly (number | null)[];
  /** Of segmentations. Count, accuracy, confusion, precision and recall then are those of voxels, the loss is the mean over volumes. */
  readonly dice?: SegmentationFigures;
}

export interface StepEvent {
  readonly type: "step";
  /** 1 … over the whole run. */
  readonly step: number;
  /** 1 … */
  readonly epoch: number;
  readonly trainLoss: number;
  /** Share of the batch that was classified rightly by the training pass. */
  readonly trainAccuracy: number;
  /** Of segmentations: mean Dice of the foreground classes over the batch's patches together; null where there is no foreground. */
  readonly trainDice?: number | null;
  /** Loss at the look-ahead parameters; absent for methods without a validation pass. */
  readonly validationLoss?: number;
  /** Per layer group, in loss per unit of learning rate. */
  readonly hypergradient?: readonly number[];
  /** Per layer group: the rates that reached it in this step, after their update and times the schedule, where there is one. */
  readonly lr: readonly number[];
  /** Milliseconds since the run started (of this process), of the step itself, and of waiting for its batches. */
  readonly elapsedMs: number;
  readonly stepMs: number;
  readonly waitMs: number;
  /** Training images of this step. */
  readonly images: number;
}

export interface EpochEvent {
  readonly type: "epoch";
  readonly epoch: number;
  readonly step: number;
  readonly trainLoss: number;
  readonly trainAccuracy: number;
  /** Of segmentations, over all patches of the epoch together. */
  readonly trainDice?: number | null;
  readonly validation?: Evaluation;
  /** Evaluated every epoch only under --select test; otherwise in the last epoch and at the selected one, in "end". */
  readonly test?: Evaluation;
  readonly lr: readonly number[];
  readonly elapsedMs: number;
}

export interface CheckpointEvent {
  readonly type: "checkpoint";
  readonly epoch: number;
  readonly step: number;
  /** Inside the run folder: "checkpoints/last.safetensors". */
  readonly file: string;
  /** True when it is the best so far by the run's `select`. */
  readonly best: boolean;
}

export interface WarningEvent {
  readonly type: "warning";
  readonly message: string;
}

export interface EndEvent {
  readonly type: "end";
  readonly reason: "finished" | "stopped";
  readonly epoch: number;
  readonly step: number;
  readonly select: "last" | "validation" | "test";
  readonly selectedEpoch: number;
  /** On the test images with the weights of the selected epoch, and of the last one. */
  readonly test?: Evaluation;
  readonly testLast?: Evaluation;
  readonly elapsedMs: number;
}

/** First line after every start; `resumedAt` is the last step that the checkpoint holds. */
export interface StartEvent {
  readonly type: "start";
  /** ISO 8601. */
  readonly time: string;
  readonly resumedAt: number;
  readonly groups: readonly string[];
  readonly classes: readonly string[];
  readonly stepsPerEpoch: number;
  readonly epochs: number;
}

export type TrainingEvent = StartEvent | StepEvent | EpochEvent | CheckpointEvent | WarningEvent | EndEvent;
