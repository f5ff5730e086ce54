/** @file A method of fine-tuning: it derives, from a model, one graph that is a whole training step. */
import type { DType, Shape, Tensor } from "../common/tensor.js";
import type { Graph, Value } from "../graph/value.js";
import type { Model } from "../models/types.js";

/**
 * One tensor of the training state: parameters and buffers ("model/NAME"), optimizer slots ("adam/m/NAME"), learning rates ("lr").
 * It enters the step as input "state/NAME" and, where `changes`, leaves it as output "next/NAME".
 * Two names mean something to the trainer: "average/NAME" (where it exists) is the value of a parameter or buffer that is evaluated
 * and exported, and "effectiveLr" (where it exists) are the rates that reached the layer groups in the last step.
 */
export interface StateSpec {
  readonly name: string;
  readonly dtype: DType;
  readonly shape: Shape;
  readonly changes: boolean;
  /** Value before the first step. */
  initial(): Tensor;
}

/** The batches of a step. */
export type BatchName = "train" | "validation";

/** A whole step as one graph, with everything that it needs and gives; the trainer, the recorder and checkpoints read it from here. */
export interface StepProgram {
  /**
   * Inputs: "state/…", "train/x" float32 [N,C,…], "train/y" int64 [N,…], "validation/x", "validation/y", "scalar/…" float32 [].
   * Outputs: "next/…", "report/…".
   */
  readonly graph: Graph;
  readonly state: readonly StateSpec[];
  readonly scalars: readonly string[];
  /** Values of the graph that are means over the images of a batch: where it can be cut into micro-batches (`inPieces`). */
  readonly means?: readonly { readonly value: Value; readonly batch: BatchName }[];
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
  /** Given only where the step has a validation pass. */
  readonly validation?: Shape;
  /** Which of the method's phases; absent for methods that have one step for all. */
  readonly phase?: string;
}

/** A method whose steps are not all of one kind has one graph for each kind. */
export interface StepPhase {
  readonly name: string;
  /** Whether such a step needs a validation batch. */
  readonly validation: boolean;
}

export interface Method {
  readonly name: string;
  /** Every option with the value it has, for the run record. */
  readonly options: Readonly<Record<string, unknown>>;
  /** Whether there are steps that need a validation batch. */
  readonly needsValidation: boolean;
  /** The kinds of steps, where there are several; `phaseAt` and `phasesOf` read it. State of the same name is shared by all. */
  readonly phases?: { readonly all: readonly StepPhase[]; at(clock: Clock): StepPhase };
  step(model: Model, shapes: StepShapes): StepProgram;
  /** Values of the program's scalars for one step. */
  scalars(clock: Clock): Readonly<Record<string, number>>;
  /** Learning rates (state "lr") as they go into the next epoch; default: kept. */
  betweenEpochs?(lr: Float32Array): Float32Array;
}

/** Kinds of steps of a method; one without a name where all are alike. */
export const phasesOf = (method: Method): readonly StepPhase[] =>
  method.phases?.all ?? [{ name: "", validation: method.needsValidation }];

/** The kind of one step. */
export const phaseAt = (method: Method, clock: Clock): StepPhase =>
  method.phases?.at(clock) ?? { name: "", validation: method.needsValidation };
