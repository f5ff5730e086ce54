/** @file MetaLR and its rivals behind one interface: a comparison changes one word. */
export { type FineTuneMethodOptions, finetune, lastLayer } from "./finetune.js";
export {
  initialRates,
  type LrUpdate,
  type MetaLrOptions,
  type MetaLrVariant,
  metaLrVariants,
  metalr,
} from "./metalr.js";
export { adam, type Optimizer, sgd } from "./optimizers.js";
export { defineStep, inferenceGraph, type PerParameter, type Step, type StepResult } from "./step.js";
export type { Clock, Method, StateSpec, StepProgram, StepShapes } from "./types.js";
