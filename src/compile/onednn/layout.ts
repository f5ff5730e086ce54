/** @file Layouts of values in native programs, by the numbers that native/onednn.h knows them by. */
import { type Shape, sizeOf } from "../../common/tensor.js";
import type { ElementType } from "./program.js";

/**
 * How a value lies in memory, for a block of b channels (16 with AVX-512, else 8):
 * - plain: as its shape says, C order;
 * - blocked: [N, C, …space] as [N, C/b, …space, b];
 * - weight: [O, I, kh, kw] as [O/b, I/b, kh, kw, b of I, b of O], the same that the blocked lowering keeps between steps.
 * Channels fill their blocks exactly, so every layout of a value has the same number of elements.
 */
export type Layout = "plain" | "blocked" | "weight";
export const layoutNumber: Readonly<Record<Layout, number>> = { plain: 0, blocked: 1, weight: 2 };

/** Element types of buffers, by the numbers of native/program.h. */
export const typeNumber: Partial<Readonly<Record<ElementType, number>>> = {
  float32: 0,
  bfloat16: 1,
  bool: 2,
  int64: 3,
};

/** Whether [N, C, …] can be blocked: one to three space axes, channels that fill blocks. */
export const canBlock = (shape: Shape, block: number): boolean =>
  shape.length >= 3 && shape.length <= 5 && shape[1]! > 0 && shape[1]! % block === 0; // three axes: checked first

/** Whether a convolution's weight can be kept in blocks. */
export const canBlockWeight = (shape: Shape, block: number): boolean =>
  shape.length === 4 && canBlock(shape, block) && shape[0]! > 0 && shape[0]! % block === 0;

/** Positions of one channel. */
export const spaceOf = (shape: Shape): number => sizeOf(shape.slice(2));

/** How a broadcast operand's index follows from that of the result; the numbers of `Mode` in native/pointwise.cc. */
export interface Broadcast {
  readonly mode: 0 | 1 | 2 | 3 | 4;
  readonly inner: number;
  readonly count: number;
}
const full: Broadcast = { mode: 0, inner: 1, count: 1 };
const one: Broadcast = { mode: 1, inner: 1, count: 1 };

/** The operand's addressing in C order against a result of shape `out`, or null where it needs a copy first. */
export function plainBroadcast(operand: Shape, out: Shape): Broadcast | null {
  if (sizeOf(operand) === 1) return one;
  if (sizeOf(operand) === sizeOf(out)) return full;
  const lead = out.length - operand.length;
  const spans = out.map((d, i) => (i >= lead && operand[i - lead] === d && d !== 1 ? 1 : 0));
  const first = spans.indexOf(1);
  const last = spans.lastIndexOf(1);
  // Between the first and the last axis that the operand has, it must have all (axes of one element count as had).
  for (let i = first; i <= last; i++) if (spans[i] === 0 && out[i] !== 1) return null;
  return { mode: 2, inner: sizeOf(out.slice(last + 1)), count: sizeOf(out.slice(first, last + 1)) };
}

/** The same for a result in blocks; the operand itself is in C order. */
export function blockedBroadcast(operand: Shape, out: Shape): Broadcast | null {
  if (sizeOf(operand) === 1) return one;
  const lead = out.length - operand.length;
  const has = (axis: number) => (axis >= lead ? operand[axis - lead] : 1);
  const [n, c] = [out[0]!, out[1]!]; // blocked values have three axes at least
  const space = spaceOf(out);
  if (sizeOf(operand) === c && has(1) === c) return { mode: 3, inner: space, count: c };
  if (sizeOf(operand) === n * c && has(0) === n && has(1) === c) return { mode: 4, inner: space, count: n * c };
  return null;
}
