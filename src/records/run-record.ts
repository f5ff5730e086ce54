/** @file What is known of a run, built event by event in bounded memory: what every plot, table and report is made from. */
import type {
  CheckpointEvent,
  EndEvent,
  EpochEvent,
  Evaluation,
  StartEvent,
  StepEvent,
  TrainingEvent,
} from "../training/types.js";
import { CurveBuffer } from "./curves.js";
import type { RunInfo } from "./schema.js";

/** Per step; long runs are reduced to minima and maxima (`CurveBuffer`). NaN where a step has no such value. */
export interface RunCurves {
  readonly steps: Float64Array;
  readonly trainLoss: Float64Array;
  readonly trainAccuracy: Float64Array;
  /** Loss at the look-ahead parameters; all NaN for methods without a validation pass. */
  readonly validationLoss: Float64Array;
  /** By layer group. */
  readonly lr: readonly Float64Array[];
  readonly hypergradient: readonly Float64Array[];
}

export interface RunTiming {
  /** Wall time of training, summed over the processes that a resumed run had. */
  readonly elapsedMs: number;
  /** Sums over all steps. */
  readonly stepMs: number;
  readonly waitMs: number;
  readonly images: number;
  readonly steps: number;
}

export interface RunRecord {
  readonly info: RunInfo;
  /** One for every process: the first one, and one after each resume. */
  readonly starts: readonly StartEvent[];
  /** Last step and epoch that were recorded; 0 before the first. */
  readonly step: number;
  readonly epoch: number;
  readonly curves: RunCurves;
  /** By layer group: after the first and after the last step; empty before the first. */
  readonly firstLr: readonly number[];
  readonly lastLr: readonly number[];
  readonly epochs: readonly EpochEvent[];
  readonly checkpoints: readonly CheckpointEvent[];
  /** Each once, in order. */
  readonly warnings: readonly string[];
  /** null while the run goes on, or where it was killed. */
  readonly end: EndEvent | null;
  readonly timing: RunTiming;
}

/** Consumes events in order; `record()` is what is known so far. */
export class RunBuilder {
  private readonly buffer: CurveBuffer;
  private readonly starts: StartEvent[] = [];
  private readonly epochs: EpochEvent[] = [];
  private readonly checkpoints: CheckpointEvent[] = [];
  private readonly warnings = new Set<string>();
  private end: EndEvent | null = null;
  private first: StepEvent | null = null;
  private last: StepEvent | null = null;
  private earlierMs = 0;
  private processMs = 0;
  private readonly sums = { stepMs: 0, waitMs: 0, images: 0, steps: 0 };

  constructor(
    readonly info: RunInfo,
    /** Most points of a curve, halved; see `CurveBuffer`. */
    capacity = 1024,
  ) {
    this.buffer = new CurveBuffer(3 + 2 * info.groups.length, capacity);
  }

  add(event: TrainingEvent): void {
    if ("elapsedMs" in event) this.processMs = Math.max(this.processMs, event.elapsedMs);
    switch (event.type) {
      case "start":
        this.starts.push(event);
        this.earlierMs += this.processMs;
        this.processMs = 0;
        this.end = null;
        break;
      case "step":
        this.addStep(event);
        break;
      case "epoch":
        // A run killed between this event and its checkpoint ends the epoch once more after the resume.
        if (this.epochs.at(-1)?.epoch === event.epoch) this.epochs.pop();
        this.epochs.push(event);
        break;
      case "checkpoint":
        this.checkpoints.push(event);
        break;
      case "warning":
        this.warnings.add(event.message);
        break;
      case "end":
        this.end = event;
        break;
    }
  }

  record(): RunRecord {
    const d = this.info.groups.length;
    const { steps, values } = this.buffer.points();
    return {
      info: this.info,
      starts: [...this.starts],
      step: this.last?.step ?? 0,
      epoch: this.last?.epoch ?? 0,
      curves: {
        steps,
        // the buffer has these three series, then two for each group
        trainLoss: values[0]!,
        trainAccuracy: values[1]!,
        validationLoss: values[2]!,
        lr: values.slice(3, 3 + d),
        hypergradient: values.slice(3 + d),
      },
      firstLr: this.first?.lr ?? [],
      lastLr: this.last?.lr ?? [],
      epochs: [...this.epochs],
      checkpoints: [...this.checkpoints],
      warnings: [...this.warnings],
      end: this.end,
      timing: { elapsedMs: this.earlierMs + this.processMs, ...this.sums },
    };
  }

  private addStep(event: StepEvent): void {
    const d = this.info.groups.length;
    this.buffer.push(event.step, (j) => {
      if (j === 0) return event.trainLoss;
      if (j === 1) return event.trainAccuracy;
      if (j === 2) return event.validationLoss ?? Number.NaN;
      return (j < 3 + d ? event.lr[j - 3] : event.hypergradient?.[j - 3 - d]) ?? Number.NaN;
    });
    this.first ??= event;
    this.last = event;
    this.sums.stepMs += event.stepMs;
    this.sums.waitMs += event.waitMs;
    this.sums.images += event.images;
    this.sums.steps++;
  }
}

/** The result of a run in one place: which epoch, how it was chosen, and what it does on the test images. */
export interface Headline {
  /** The selected epoch; 0 where a stopped run has none yet. */
  readonly epoch: number;
  /** Epochs done. */
  readonly epochs: number;
  readonly finished: boolean;
  /** "chosen on validation images", "the last one", "leaky: chosen on the test images themselves". */
  readonly chosen: string;
  readonly leaky: boolean;
  /** On the test images, with the weights of the selected epoch and of the last one; null where not evaluated. */
  readonly selected: Evaluation | null;
  readonly last: Evaluation | null;
  /** On the validation images, at the selected epoch. */
  readonly validation: Evaluation | null;
}

/** How an epoch was chosen, in words; a choice by the test images carries the word "leaky". */
export const choiceInWords = (select: RunInfo["select"]): string =>
  ({
    validation: "chosen on validation images",
    last: "the last one",
    test: "leaky: chosen on the test images themselves",
  })[select];

/** The headline of a finished or stopped run; null before that. */
export function headlineOf(record: RunRecord): Headline | null {
  const { end, epochs } = record;
  if (end === null) return null;
  return {
    epoch: end.selectedEpoch,
    epochs: end.epoch,
    finished: end.reason === "finished",
    chosen: choiceInWords(end.select),
    leaky: end.select === "test",
    selected: end.test ?? null,
    last: end.testLast ?? (end.selectedEpoch === end.epoch ? (end.test ?? null) : null),
    validation: epochs.find((e) => e.epoch === end.selectedEpoch)?.validation ?? null,
  };
}
