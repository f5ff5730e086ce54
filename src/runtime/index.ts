/** @file What runs compiled graphs, and the stepper that keeps a training's state. */
export { chooseCompiler, portableCompiler, probeBlock } from "./lowering.js";
export { type OrtModule, type OrtOptions, onnxRuntimeExecutor } from "./onnxRuntime.js";
export { type LabelledBatch, Stepper, type StepperOptions, type StepReport } from "./stepper.js";
export {
  type Compiler,
  type DeviceName,
  type DeviceTensor,
  deviceNames,
  type Executor,
  type LoadOptions,
  type Program,
  type Tensors,
} from "./types.js";
