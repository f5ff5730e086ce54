/** @file What an op's lowering writes to: ONNX nodes and constants, by name. */
import type { DType, Tensor } from "../common/tensor.js";

/** The attribute values that lowerings use; the same shape as the ONNX stage's own. */
export type LoweredAttribute =
  | { readonly type: "int"; readonly value: bigint }
  | { readonly type: "float"; readonly value: number }
  | { readonly type: "string"; readonly value: string }
  | { readonly type: "ints"; readonly value: readonly bigint[] }
  | { readonly type: "floats"; readonly value: readonly number[] };

export const int = (n: number): LoweredAttribute => ({ type: "int", value: BigInt(n) });
export const ints = (ns: readonly number[]): LoweredAttribute => ({ type: "ints", value: ns.map(BigInt) });
export const float = (x: number): LoweredAttribute => ({ type: "float", value: x });
export const text = (s: string): LoweredAttribute => ({ type: "string", value: s });

/** TensorProto.DataType of each of our dtypes. */
export const onnxTypeOf: Readonly<Record<DType, number>> = {
  float32: 1,
  uint8: 2,
  int8: 3,
  uint16: 4,
  int16: 5,
  int32: 6,
  int64: 7,
  bool: 9,
  float64: 11,
  uint32: 12,
  uint64: 13,
};

export type LoweredAttributes = Readonly<Record<string, LoweredAttribute>>;

export interface Lowering {
  /** One ONNX node with one output; its name. "" is an absent input. */
  emit(opType: string, inputs: readonly string[], attributes?: LoweredAttributes, domain?: string): string;
  /** One ONNX node with several outputs. */
  emitMany(
    opType: string,
    inputs: readonly string[],
    outputs: number,
    attributes?: LoweredAttributes,
    domain?: string,
  ): readonly string[];
  /** Whether the nodes are for ONNX Runtime's WebGPU, some of whose kernels are wrong. */
  readonly webgpu: boolean;
  /** The same name; the node that makes it is left to the processor where the device is WebGPU. */
  onProcessor(output: string): string;
  /** A constant; equal ones are kept once. */
  constant(value: Tensor): string;
  /** A float32 scalar constant. */
  scalar(x: number): string;
  /** An int64 vector constant: axes, shapes, pads. */
  vector(ns: readonly number[]): string;
  /** Whether a later node, or the graph's caller, reads output `index` of the node being lowered. */
  used(index: number): boolean;
}
