/** @file Physical layouts of values in the blocked lowering, and the conversions between them. */
import { type Shape, sizeOf } from "../../common/tensor.js";
import { int, ints } from "../../ops/lowering.js";
import type { Emitter } from "../emitter.js";

/**
 * How a value lies in memory, for a block of b channels (16 with AVX-512, 8 with AVX2):
 * - plain: as its shape says, C order;
 * - image: [N, C, H, W] as [N, C/b, H, W, b], the layout of ONNX Runtime's `nchwc` operators;
 * - strip: [N, C, H, W] as [C/b, H, N·(W + 1), b]: all images of the batch side by side in one wide image, a column of padding
 *   after each. A convolution then sees long rows (small images fill its vector registers) and needs no code for borders;
 * - weight: [O, I, kh, kw] as [O/b, I/b, kh, kw, b of I, b of O], what `nchwc` Conv reads. Parameters and slots stay in it between steps.
 */
export type Layout = "plain" | "image" | "strip" | "weight";

export const NCHWC = "com.microsoft.nchwc";

/** Whether a [N, C, H, W] value can be blocked. */
export const isBlockable = (shape: Shape, block: number): boolean =>
  shape.length === 4 && shape[1]! % block === 0 && shape[1]! > 0; // four axes: checked first

/** Whether a convolution's weight [O, I, kh, kw] can be blocked. */
export const isWeight = (shape: Shape, block: number): boolean =>
  isBlockable(shape, block) && shape[0]! % block === 0 && shape[0]! > 0;

/** The shape that `nchwc` operators are told. */
export function declared(shape: Shape, layout: Layout): Shape {
  if (layout !== "strip") return shape;
  const [n, c, h, w] = shape as [number, number, number, number]; // strips are of four axes
  return [1, c, h, n * (w + 1)];
}

/** Emits the conversion of `name` (of the given shape) from one layout to another. */
export function convert(e: Emitter, name: string, shape: Shape, from: Layout, to: Layout, block: number): string {
  if (from === to) return name;
  const [n, c, h, w] = shape as [number, number, number, number]; // only values of four axes have other layouts than plain
  const view = (v: string, s: readonly number[]) => e.emit("Reshape", [v, e.vector(s)]);
  const permute = (v: string, perm: readonly number[]) => e.emit("Transpose", [v], { perm: ints(perm) });
  const k = c / block;
  switch (`${from}>${to}` as const) {
    case "plain>image":
      return e.emit("ReorderInput", [name], {}, NCHWC);
    case "image>plain":
      return e.emit("ReorderOutput", [name], { channels: int(c), channels_last: int(0) }, NCHWC);
    case "image>strip": {
      const rows = permute(view(name, [n, k, h, w, block]), [1, 2, 0, 3, 4]);
      return view(widen(e, rows, [k * h, n, w * block], block), [1, c, h, n * (w + 1)]);
    }
    case "strip>image": {
      const rows = narrow(e, name, [k * h, n, (w + 1) * block], w * block);
      return view(permute(view(rows, [k, h, n, w, block]), [2, 0, 1, 3, 4]), [n, c, h, w]);
    }
    case "plain>strip":
      return convert(e, convert(e, name, shape, "plain", "image", block), shape, "image", "strip", block);
    case "strip>plain":
      return convert(e, convert(e, name, shape, "strip", "image", block), shape, "image", "plain", block);
    case "plain>weight": {
      const split = view(name, [n / block, block, k, block, h, w]);
      return view(permute(split, [0, 2, 4, 5, 3, 1]), shape);
    }
    case "weight>plain": {
      const split = view(name, [n / block, k, h, w, block, block]);
      return view(permute(split, [0, 5, 1, 4, 2, 3]), shape);
    }
    default: {
      const plain = convert(e, name, shape, from, "plain", block);
      return convert(e, plain, shape, "plain", to, block);
    }
  }
}

/** A column of `columns` zeros after each row of rows [a, n, width]; flat. */
export function widen(
  e: Emitter,
  rows: string,
  [a, n, width]: readonly [number, number, number],
  columns: number,
): string {
  const three = e.emit("Reshape", [rows, e.vector([a, n, width])]);
  return e.emit("Pad", [three, e.vector([0, 0, 0, 0, 0, columns])]);
}

/** The first `keep` elements of each row of rows [a, n, width]. */
export function narrow(
  e: Emitter,
  rows: string,
  [a, n, width]: readonly [number, number, number],
  keep: number,
): string {
  const three = e.emit("Reshape", [rows, e.vector([a, n, width])]);
  return e.emit("Slice", [three, e.vector([0]), e.vector([keep]), e.vector([2])]);
}

/** Host data of a convolution weight between C order and the `weight` layout. */
export function reorderWeight(
  data: Float32Array,
  shape: Shape,
  block: number,
  direction: "pack" | "unpack",
): Float32Array {
  const [o, i, h, w] = shape as [number, number, number, number]; // isWeight
  const out = new Float32Array(sizeOf(shape));
  const taps = h * w;
  let at = 0;
  for (let ob = 0; ob < o; ob += block)
    for (let ib = 0; ib < i; ib += block)
      for (let t = 0; t < taps; t++)
        for (let p = 0; p < block; p++)
          for (let q = 0; q < block; q++) {
            const plain = ((ob + q) * i + ib + p) * taps + t;
            if (direction === "pack")
              out[at] = data[plain]!; // both indices run over the whole weight
            else out[plain] = data[at]!;
            at++;
          }
  return out;
}
