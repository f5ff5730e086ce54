/** @file How convolutions become ONNX: the gradients of Conv as Conv again, where that is what runtimes do fastest. */
import type { Shape } from "../common/tensor.js";
import type { ConvAttributes } from "./conv.js";
import { int, ints, type Lowering } from "./lowering.js";

export const onnxConv = (a: ConvAttributes) => ({
  strides: ints(a.strides),
  pads: ints([...a.padsBegin, ...a.padsEnd]),
  dilations: ints(a.dilations),
  group: int(a.group),
});

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
  const dw = low.emit("Conv", [channels, filters], {
    strides: ints(a.dilations),
    dilations: ints(a.strides),
    pads: ints([...a.padsBegin, ...padsEnd.map((p) => Math.max(0, p))]),
    group: int(a.group),
  });
  return low.emit("Transpose", [dw], { perm: ints([1, 0, ...axes.map((i) => i + 2)]) });
}
