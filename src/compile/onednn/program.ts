/** @file Native programs: buffers, instructions over them, and what a planned program is. */
import { bytesPerElement, type DType, type Shape } from "../../common/tensor.js";
import type { Compiled } from "../types.js";

/** Where a buffer lies: working memory, the program's constants, or a tensor of the caller. */
export type Space = "arena" | "constants" | "input" | "output";

/** What buffers hold: the dtypes of tensors, and bfloat16, which never leaves a program. */
export type ElementType = DType | "bfloat16";
export const bytesOf = (t: ElementType): number => (t === "bfloat16" ? 2 : bytesPerElement(t));

/** A piece of memory that instructions read and write. */
export interface Region {
  readonly space: Space;
  readonly dtype: ElementType;
  /** Elements. */
  readonly size: number;
  /** Number of the input or output; in the arena and the constants the offset in units of 64 bytes, once planned. */
  at: number;
}

/** The numbers are those of `Program::make` in native/addon.cc. */
export const instructionNumber = {
  Convolution: 1,
  Matmul: 2,
  Reorder: 3,
  Pointwise: 4,
  NormStatistics: 5,
  NormApply: 6,
  NormGradient: 7,
  MaxPool: 8,
  MaxPoolGradient: 9,
  Copy: 10,
  Fill: 11,
  Reduce: 12,
  Softmax: 13,
  Dot: 14,
  Winograd: 15,
} as const;
export type InstructionKind = keyof typeof instructionNumber;

/** One word or operand of an instruction: a 32-bit whole number, a 64-bit one, a float, a buffer or none. */
export type Word = { readonly int: number } | { readonly size: number } | { readonly real: number } | Region | null;

export interface Instruction {
  readonly kind: InstructionKind;
  /** Node that it comes from, for printing and profiles. */
  readonly label: string;
  readonly words: readonly Word[];
  readonly reads: readonly Region[];
  readonly writes: readonly Region[];
  /** Floating-point operations and bytes moved, for profiles. */
  readonly flops: number;
}

/** Nodes that the native code does not know, run by another executor between two native stretches. */
export interface Foreign {
  readonly compiled: Compiled;
  readonly inputs: readonly { readonly name: string; readonly buffer: Region; readonly shape: Shape }[];
  readonly outputs: readonly { readonly name: string; readonly buffer: Region; readonly shape: Shape }[];
}

/** Native instructions up to (not including) `end`, or a foreign graph. */
export type Stage = { readonly end: number } | { readonly foreign: Foreign };

/** Of images and their gradients between operators; parameters, statistics and sums are float32 always. */
export type Precision = "float32" | "bfloat16";

/** What a program is planned for: a processor and its oneDNN. */
export interface Machine {
  /** Channels in a block: what the native module reports for this processor (16 with AVX-512, else 8). */
  readonly block: number;
  /** Of images and their gradients between operators; default float32. */
  readonly precision?: Precision;
  /** Whether oneDNN has the Winograd algorithm here; default no. */
  readonly winograd?: boolean;
}

/** A planned program, ready to be loaded. */
export interface NativeProgram {
  readonly precision: Precision;
  readonly block: number;
  readonly instructions: readonly Instruction[];
  readonly words: Int32Array;
  readonly constants: Uint8Array;
  readonly arenaBytes: number;
  readonly stages: readonly Stage[];
  /** Buffers between stages, beyond the graph's own inputs and outputs; each is an input and an output of the native program. */
  readonly bridges: readonly Region[];
}
