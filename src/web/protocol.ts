/** @file What a page and its training worker say to each other. */
import type { TrainField, TrainValues } from "../cli/train/fields.js";
import type { PackedError } from "../platform/thread-errors.js";
import type { PickedFile } from "../platform/web/files.js";
import type { WebExecutorOptions } from "../platform/web/onnxRuntime.js";
import type { RunInfo } from "../records/schema.js";
import type { Evaluation, TrainingEvent } from "../training/types.js";

/** What a training is made of: data, and weights and groups where there are any. */
export interface TrainerFiles {
  readonly data: readonly PickedFile[];
  readonly weights: PickedFile | null;
  /** CSV with the patient or video of every image. */
  readonly groups?: PickedFile | null;
}

/** Where the worker finds what it needs besides its own script. */
export interface TrainerSetup {
  readonly runtime: WebExecutorOptions;
  /** Addresses of files of npm packages by their path there: the DICOM codecs. */
  readonly packageFiles: Readonly<Record<string, string>>;
}

/** A small picture of one image; its bitmap is the receiver's. */
export interface Thumbnail {
  /** Index of its class. */
  readonly label: number;
  readonly bitmap: ImageBitmap;
}

export interface PartCounts {
  readonly train: number;
  readonly validation: number;
  readonly test: number;
}

/** The data as they were understood. */
export interface DataFacts {
  readonly name: string;
  readonly count: number;
  readonly classes: readonly { readonly name: string; readonly count: number }[];
  /** Distinct patients, videos …; null where they are not known. */
  readonly groups: number | null;
  readonly notes: readonly string[];
  readonly thumbnails: readonly Thumbnail[];
}

/** What would be trained. */
export interface PlanFacts {
  readonly parts: PartCounts;
  /** Images by class and part. */
  readonly classes: readonly PartCounts[];
  /** "fold 1 of 5"; null for data that are one run. */
  readonly fold: string | null;
  readonly network: string;
  readonly layerGroups: readonly string[];
  readonly parameters: number;
  /** Tensors of the checkpoint that were taken, and those of the network that are new; null for random weights and .onnx. */
  readonly matched: { readonly taken: number; readonly fresh: readonly string[] } | null;
  readonly method: string;
  readonly epochs: number;
  readonly stepsPerEpoch: number;
  readonly notes: readonly string[];
}

/** Data and plan; the plan is refused with a reason where the options or the weights do not fit. */
export interface Look {
  readonly data: DataFacts;
  readonly plan: PlanFacts | null;
  readonly problem: PackedError | null;
}

export interface TrainRequest {
  readonly values: TrainValues;
  /** Folder of the run below "/runs"; letters, digits, dots, hyphens. */
  readonly folder: string;
  readonly resume: boolean;
}

/** The end of a training, or of a part of it. */
export interface Trained {
  readonly folder: string;
  readonly reason: "finished" | "stopped";
  readonly step: number;
  readonly epoch: number;
  readonly selectedEpoch: number;
  readonly accuracy: number;
  readonly evaluation: Evaluation | null;
  /** What computed: "onnxruntime-web 1.30.0, 4 threads, wasm". */
  readonly executor: string;
}

/** A run that the browser keeps. */
export interface StoredRun {
  readonly folder: string;
  readonly info: RunInfo;
  readonly state: "finished" | "stopped";
  readonly step: number;
  readonly epoch: number;
  readonly accuracy: number | null;
}

export interface Requests {
  readonly setup: { readonly ask: TrainerSetup; readonly answer: null };
  readonly fields: { readonly ask: null; readonly answer: readonly TrainField[] };
  readonly check: { readonly ask: TrainValues; readonly answer: Readonly<Record<string, string>> };
  readonly open: { readonly ask: TrainerFiles; readonly answer: null };
  readonly look: { readonly ask: TrainValues; readonly answer: Look };
  readonly train: { readonly ask: TrainRequest; readonly answer: Trained };
  readonly stop: { readonly ask: null; readonly answer: null };
  readonly runs: { readonly ask: null; readonly answer: readonly StoredRun[] };
  readonly events: {
    readonly ask: string;
    readonly answer: { readonly info: RunInfo; readonly events: readonly TrainingEvent[] };
  };
  /** A file of a run, by its path: "RUN/model.onnx". */
  readonly file: { readonly ask: string; readonly answer: File };
  readonly remove: { readonly ask: string; readonly answer: null };
}

export type RequestName = keyof Requests;

export interface Request {
  readonly id: number;
  readonly name: RequestName;
  readonly ask: unknown;
}

export type Reply =
  | { readonly id: number; readonly answer: unknown }
  | { readonly id: number; readonly error: PackedError }
  | { readonly event: TrainingEvent };
