/** @file What compiling gives: ONNX bytes, and the names, dtypes and shapes that go in and come out. */
import type { DType, Shape } from "../common/tensor.js";
import type { KeptWeight } from "./blocked/layout.js";

export interface Port {
  readonly name: string;
  readonly dtype: DType;
  readonly shape: Shape;
  /** Given where the tensor is a convolution weight that does not lie in C order. */
  readonly kept?: KeptWeight;
}

/** `portable`: ONNX's own operators, runs anywhere. `blocked`: channel-blocked layouts, the fast way on x86 CPUs. `onednn`: native programs. */
export type LoweringName = "portable" | "blocked" | "onednn";

export interface Compiled {
  readonly name: string;
  /** An .onnx file. */
  readonly bytes: Uint8Array;
  readonly inputs: readonly Port[];
  readonly outputs: readonly Port[];
  readonly lowering: LoweringName;
  /** Names of nodes that only the processor can run: a device's runtime is told to leave them to it. */
  readonly processorNodes?: readonly string[];
  /** ONNX nodes, for the record. */
  readonly nodes: number;
}
