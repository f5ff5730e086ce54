/** @file How convolutions become ONNX: the gradients of Conv as Conv again, where that is what runtimes do fastest. */
import type { Shape } from "../common/tensor.js";
import type { ConvAttributes } from "./conv.js";
import { int, ints, type Lowering } from "./lowering.js";

const onnxConv = (a: Attributes) => ({
  strides: ints(a.strides),
  pads: ints([...a.padsBegin, ...a.padsEnd]),
  dilations: ints(a.dilations),
  group: int(a.group),
});

/** A convolution x [N, C, …] ⋆ w [M, C/group, …] + b; for WebGPU in a form that ONNX Runtime 1.30 computes rightly there. */
export function lowerConv(
  [x, w, b]: readonly [x: string, w: string, b?: string],
  low: Lowering,
  a: Attributes,
  [channels, filters]: readonly [channels: number, filters: number],
): string {
  const emit = (x: string, w: string) => low.emit("Conv", b ? [x, w, b] : [x, w], onnxConv(a));
  if (a.group === 1) {
    // 6, 9, 15, 18, … channels are read three at a time into places for four (microsoft/onnxruntime#29651). The weight gradient's
    // channels are the batch. Zeros up to the next multiple of four change nothing else.
    const misread = channels > 3 && channels % 3 === 0 && channels % 4 !== 0 && filters % 4 === 0;
    if (!low.webgpu || !misread || a.strides.length > 2) return emit(x, w);
    const space = a.strides.map(() => 0);
    const pads = low.vector([0, 0, ...space, 0, 4 - (channels % 4), ...space]);
    return emit(low.emit("Pad", [x, pads]), low.emit("Pad", [w, pads]));
  }
  // Four filters at a time, though they may belong to two groups.
  const each = filters / a.group;
  return each > 4 && each % 4 !== 0 ? low.onProcessor(emit(x, w)) : emit(x, w);
}

type Attributes = Pick<ConvAttributes, "strides" | "padsBegin" | "padsEnd" | "dilations"> & { readonly group: number };

/** ∂input as ConvTranspose of dy [N, M, …] with w [M, C/group, …]. */
export function lowerTransposed(w: string, dy: string, low: Lowering, a: Attributes, over: Shape, ws: Shape): string {
  const dx = low.emit("ConvTranspose", [dy, w], { ...onnxConv(a), output_padding: ints(over) });
  // WebGPU has none in three dimensions, and takes wrong channels where a group has one channel and several filters.
  const fails = a.strides.length > 2 || (a.group > 1 && ws[1] === 1 && ws[0]! > a.group);
  return fails ? low.onProcessor(dx) : dx;
}

/** Every kernel turned round: reversed along all of its space axes. */
function turned(w: string, low: Lowering, dims: number): string {
  const each = (v: number) => low.vector(new Array<number>(dims).fill(v));
  const axes = low.vector(Array.from({ length: dims }, (_, i) => i + 2));
  return low.emit("Slice", [w, each(-1), each(-(2 ** 31)), axes, each(-1)]);
}

/** Pads of the convolution that goes the other way: extent − 1 − pad; null where that is below 0, which Conv does not know. */
function backPads(a: ConvAttributes, kernel: Shape): readonly number[] | null {
  const pads = [a.padsBegin, a.padsEnd].flatMap((side) =>
    side.map((p, i) => a.dilations[i]! * ((kernel[i] ?? 1) - 1) - p),
  );
  return pads.every((p) => p >= 0) ? pads : null;
}

/**
 * ∂input of volumes with stride 1 as Conv with turned, transposed kernels: ONNX Runtime's ConvTranspose takes 15 times as long in
 * three dimensions (its inverse of im2col is not vectorised there).
 */
export function lowerInputGradAsConv(
  w: string,
  dy: string,
  low: Lowering,
  a: ConvAttributes,
  ws: Shape,
): string | null {
  const dims = ws.length - 2;
  const pads = backPads(a, ws.slice(2));
  if (dims < 3 || a.group !== 1 || pads === null || a.strides.some((s) => s !== 1)) return null;
  const perm = ints([1, 0, ...Array.from({ length: dims }, (_, i) => i + 2)]);
  const kernels = low.emit("Transpose", [turned(w, low, dims)], { perm });
  return low.emit("Conv", [dy, kernels], {
    strides: ints(a.strides),
    dilations: ints(a.dilations),
    pads: ints(pads),
    group: int(1),
  });
}

/** What a stride leaves over at the far end: the rows of x that no window reached. */
export const leftover = (space: number, kernel: number, out: number, a: ConvAttributes, axis: number): number =>
  space -
  ((out - 1) * a.strides[axis]! + a.dilations[axis]! * (kernel - 1) + 1 - a.padsBegin[axis]! - a.padsEnd[axis]!);

/**
 * Conv whose channels are the batch: x [N,C,…] → [C/g, g·N, …], dy [N,M,…] → [M, N, …], strides and dilations exchanged.
 * Padding at the far end is cut by what the stride left over, so that the result has exactly the kernel's size.
 */
export function lowerWeightGrad(
  x: string,
  dy: string,
  low: Lowering,
  a: ConvAttributes & { kernel: Shape },
  xs: Shape,
  dys: Shape,
): string {
  const [n, c] = [xs[0]!, xs[1]!]; // [N, C, …]
  const space = xs.slice(2);
  const axes = space.map((_, i) => i);
  // The tensor with fewer channels is the one that im2col unfolds, in three dimensions the larger part of the work.
  const back = backPads(a, a.kernel);
  const plain = a.group === 1 && [...a.strides, ...a.dilations].every((s) => s === 1);
  if (space.length >= 3 && plain && back !== null && dys[1]! < c) {
    const perm = ints([1, 0, ...axes.map((i) => i + 2)]);
    const [images, kernels] = [dy, x].map((t) => low.emit("Transpose", [t], { perm })) as [string, string]; // two
    const one = ints(a.strides);
    const dw = low.emit("Conv", [images, kernels], { strides: one, dilations: one, pads: ints(back), group: int(1) });
    return turned(dw, low, space.length);
  }
  let channels: string;
  if (a.group === 1) channels = low.emit("Transpose", [x], { perm: ints([1, 0, ...axes.map((i) => i + 2)]) });
  else {
    const split = low.emit("Reshape", [x, low.vector([n, a.group, c / a.group, ...space])]);
    const moved = low.emit("Transpose", [split], { perm: ints([2, 1, 0, ...axes.map((i) => i + 3)]) });
    channels = low.emit("Reshape", [moved, low.vector([c / a.group, a.group * n, ...space])]);
  }
  const filters = low.emit("Transpose", [dy], { perm: ints([1, 0, ...axes.map((i) => i + 2)]) });
  const over = space.map((d, i) => leftover(d, a.kernel[i]!, dys[i + 2]!, a, i));
  const padsEnd = a.padsEnd.map((p, i) => p - over[i]!);
  // A negative pad is a crop, which Conv does not know.
  if (padsEnd.some((p) => p < 0)) {
    const ends = space.map((d, i) => d + Math.min(0, padsEnd[i]!));
    channels = low.emit("Slice", [
      channels,
      low.vector(ends.map(() => 0)),
      low.vector(ends),
      low.vector(axes.map((i) => i + 2)),
    ]);
  }
  const other = { ...a, strides: a.dilations, dilations: a.strides, padsEnd: padsEnd.map((p) => Math.max(0, p)) };
  const dw = lowerConv([channels, filters], low, other, [a.group * n, dys[1]!]);
  return low.emit("Transpose", [dw], { perm: ints([1, 0, ...axes.map((i) => i + 2)]) });
}
