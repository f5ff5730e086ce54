/** @file MetaLR and its rivals behind one interface: a comparison changes one word. */
export { type AutoRgnOptions, autoRgn } from "./autoRgn.js";
export { type Averaging, averaged, newestShare } from "./average.js";
export {
  type CommonOptions,
  type DecayOptions,
  discriminative,
  type FineTuneMethodOptions,
  finetune,
  type LastGroupsOptions,
  lastGroups,
  lastLayer,
  layerDecay,
} from "./finetune.js";
export type { HyperOptimizer, LrUpdate } from "./hyper.js";
export { type L2SpOptions, l2sp } from "./l2sp.js";
export { type LDogOptions, ldog } from "./ldog.js";
export { type LinearProbeOptions, linearProbe } from "./linearProbe.js";
export { initialRates, type MetaLrOptions, type MetaLrVariant, metaLrVariants, metalr } from "./metalr.js";
export { adam, type Direction, type Optimizer, sgd } from "./optimizers.js";
export { type GatherPiece, inPieces, microBatches, type StepPieces, type SumSpec } from "./pieces.js";
export {
  aboutMethod,
  type MethodChoice,
  type MethodName,
  type MethodOption,
  type MethodSpec,
  methodByName,
  methodNames,
  optionsOfMethod,
  parseMethod,
} from "./registry.js";
export { type ScheduleName, scheduled, scheduleFactor, scheduleNames } from "./schedules.js";
export { defineStep, inferenceGraph, type PerParameter, type Step, type StepResult } from "./step.js";
export {
  type BatchName,
  type Clock,
  type Method,
  phaseAt,
  phasesOf,
  type StateSpec,
  type StepPhase,
  type StepProgram,
  type StepShapes,
} from "./types.js";
