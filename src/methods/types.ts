/** @file A method of fine-tuning: it derives, from a model, one graph that is a whole training step. */
import type { DType, Shape, Tensor } from "../common/tensor.js";
import type { Graph } from "../graph/value.js";
import type { Model } from "../models/types.js";

/**
 * One tensor of the training state: parameters and buffers ("model/NAME"), optimizer slots ("adam/m/NAME"), learning rates ("lr").
 * It enters the step as input "state/NAME" and, where `changes`, leaves it as output "next/NAME".
 */
export interface StateSpec {
  readonly name: string;
  readonly dtype: DType;
  readonly shape: Shape;
  readonly changes: boolean;
  /** Value before the first step. */
  initial(): Tensor;
}

/** A whole step as one graph, with everything that it needs and gives; the trainer, the recorder and checkpoints read it from here. */
export interface StepProgram {
  /**
   * Inputs: "state/…", "train/x" float32 [N,C,…], "train/y" int64 [N,…], "validation/x", "validation/y", "scalar/…" float32 [].
   * Outputs: "next/…", "report/…".
   */
  readonly graph: Graph;
  readonly state: readonly StateSpec[];
  readonly scalars: readonly string[];
  /** Names without "report/": trainLoss [], logits, lr [d]; with a validation pass also validationLoss [], hypergradient [d]. */
  readonly report: readonly string[];
}

/** Where in the run a step is. Step and epoch count from 1. */
export interface Clock {
  readonly step: number;
  readonly epoch: number;
  readonly epochs: number;
  readonly stepsPerEpoch: number;
}

/** What the step is compiled for: shapes of the batches, with the batch. */
export interface StepShapes {
  readonly train: Shape;
  /** Given only where the method has a validation pass. */
  readonly validation?: Shape;
}

export interface Method {
  readonly name: string;
  /** Every option with the value it has, for the run record. */
  readonly options: Readonly<Record<string, unknown>>;
  /** Whether a step needs a validation batch. */
  readonly needsValidation: boolean;
  step(model: Model, shapes: StepShapes): StepProgram;
  /** Values of the program's scalars for one step. */
  scalars(clock: Clock): Readonly<Record<string, number>>;
  /** Learning rates as they go into the next epoch; default: kept. */
  betweenEpochs?(lr: Float32Array): Float32Array;
}
