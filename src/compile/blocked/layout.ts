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
 * - pixel: [N, C, H, W] as [H, W, N, C], declared so: each pixel is a matrix of images and channels. Small images are convolved so, by
 *   matrix products (see pixel.ts);
 * - weight: [O, I, kh, kw] as [O/b, I/b, kh, kw, b of I, b of O], what `nchwc` Conv reads;
 * - taps: [O, I, kh, kw] as [kh, kw, I, O], a matrix for each tap: what products read.
 * Parameters and slots stay in one of the last two between steps.
 */
export type Layout = "plain" | "image" | "strip" | "pixel" | "weight" | "taps";

/** Layouts of images, and of convolution weights. */
export type ImageLayout = "image" | "strip" | "pixel";
export type WeightLayout = "weight" | "taps";

/** The shape of an image [N, C, H, W] or a weight [O, I, kh, kw]: rules check for four axes first. */
export type Four = readonly [number, number, number, number];

export const NCHWC = "com.microsoft.nchwc";

/** Whether a [N, C, H, W] value can be blocked. */
export const isBlockable = (shape: Shape, block: number): boolean =>
  shape.length === 4 && shape[1]! % block === 0 && shape[1]! > 0; // four axes: checked first

/** Whether a convolution's weight [O, I, kh, kw] can be blocked. */
export const isWeight = (shape: Shape, block: number): boolean =>
  isBlockable(shape, block) && shape[0]! % block === 0 && shape[0]! > 0;

/** Channels from which on products of taps pay: below, transforming the images takes longer than what it saves. */
const WIDE = 64;

/** The layout that a convolution's weight is computed and kept in: by its shape alone, so that all steps of a training agree. */
export const weightLayout = (shape: Shape): WeightLayout =>
  shape[2] === 3 && shape[3] === 3 && shape[0]! >= WIDE && shape[1]! >= WIDE ? "taps" : "weight"; // isWeight: four axes

/** The shape that operators are told. */
export function declared(shape: Shape, layout: Layout): Shape {
  if (layout !== "strip" && layout !== "pixel") return shape;
  const [n, c, h, w] = shape as [number, number, number, number]; // images are of four axes
  return layout === "strip" ? [1, c, h, n * (w + 1)] : [h, w, n, c];
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
      const rows = moveRows(e, name, { from: [n, k, h], order: [1, 2, 0], width: w * block });
      return view(widen(e, rows, [k * h, n, w * block], block), [1, c, h, n * (w + 1)]);
    }
    case "strip>image": {
      const rows = narrow(e, name, [k * h, n, (w + 1) * block], w * block);
      return view(moveRows(e, rows, { from: [k, h, n], order: [2, 0, 1], width: w * block }), [n, c, h, w]);
    }
    case "plain>strip":
      return convert(e, convert(e, name, shape, "plain", "image", block), shape, "image", "strip", block);
    case "strip>plain":
      return convert(e, convert(e, name, shape, "strip", "image", block), shape, "image", "plain", block);
    case "plain>pixel":
      return permute(name, [2, 3, 0, 1]);
    case "pixel>plain":
      return permute(name, [2, 3, 0, 1]);
    case "image>pixel":
      return view(moveRows(e, name, { from: [n, k, h, w], order: [2, 3, 0, 1], width: block }), [h, w, n, c]);
    case "pixel>image":
      return view(moveRows(e, name, { from: [h, w, n, k], order: [2, 3, 0, 1], width: block }), shape);
    case "strip>pixel": {
      const taken = [k, h, n, w]; // all but the padding columns
      const rows = moveRows(e, name, { from: [k, h, n, w + 1], taken, order: [1, 3, 2, 0], width: block });
      return view(rows, [h, w, n, c]);
    }
    case "pixel>strip": {
      const taken = [h, w + 1, n, k]; // the padding columns are beyond the last pixel: zeros
      const rows = moveRows(e, name, { from: [h, w, n, k], taken, order: [3, 0, 2, 1], width: block });
      return view(rows, [1, c, h, n * (w + 1)]);
    }
    case "plain>taps":
      return view(permute(name, [2, 3, 1, 0]), shape);
    case "taps>plain":
      return permute(view(name, [h, w, c, n]), [3, 2, 0, 1]);
    case "weight>taps": {
      const from = [n / block, k, h * w, block];
      return view(moveRows(e, name, { from, order: [2, 1, 3, 0], width: block }), shape);
    }
    case "taps>weight": {
      const from = [h * w, k, block, n / block];
      return view(moveRows(e, name, { from, order: [3, 1, 0, 2], width: block }), shape);
    }
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

/** Rows of `width` numbers in an array of rows `from`, to be laid out with the axes in another order. */
interface Move {
  readonly from: readonly number[];
  /** Extent of each axis that is taken, default `from`; rows beyond the array are zeros. */
  readonly taken?: readonly number[];
  /** Axes of the result. */
  readonly order: readonly number[];
  readonly width: number;
}

/** A Transpose of rows as one Gather, which runs on all threads: two to three times as fast. */
export function moveRows(e: Emitter, name: string, { from, taken = from, order, width }: Move): string {
  const count = sizeOf(from);
  const beyond = taken.some((t, axis) => t > from[axis]!); // as many axes
  const index = e.once(`rows ${from} ${taken} ${order}`, () => ({
    dtype: "int32",
    shape: [sizeOf(taken)],
    data: rowsInOrder(from, taken, order),
  }));
  const rows = e.emit("Reshape", [name, e.vector([count, width])]);
  const source = beyond ? e.emit("Pad", [rows, e.vector([0, 0, 1, 0])]) : rows;
  return e.emit("Gather", [source, index], { axis: int(0) });
}

/** Index in `from` of each row of the result; the one behind the last where there is none. */
function rowsInOrder(
  from: readonly number[],
  taken: readonly number[],
  order: readonly number[],
): Int32Array<ArrayBuffer> {
  const rows = new Int32Array(sizeOf(taken));
  let filled = 1; // rows[0] is row 0: places are added axis by axis, from the last to the first, since they take the room of those before
  for (const axis of order) {
    const [count, inside] = [taken[axis]!, from[axis]!]; // axes of `from`
    const step = sizeOf(from.slice(axis + 1));
    for (let r = filled - 1; r >= 0; r--) {
      const row = rows[r]!;
      for (let i = count - 1; i >= 0; i--) rows[r * count + i] = row < 0 || i >= inside ? -1 : row + i * step;
    }
    filled *= count;
  }
  const none = sizeOf(from);
  return rows.map((row) => (row < 0 ? none : row));
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

/** How the host finds a weight that a compiled step keeps in a layout of its own. */
export interface KeptWeight {
  readonly layout: WeightLayout;
  /** Channels in a block of the `weight` layout. */
  readonly block: number;
}

/** Host data of a convolution weight between C order and the layout that it is kept in. */
export function reorderWeight(
  data: Float32Array,
  shape: Shape,
  { layout, block }: KeptWeight,
  direction: "pack" | "unpack",
): Float32Array {
  const [o, i, h, w] = shape as [number, number, number, number]; // isWeight
  const out = new Float32Array(sizeOf(shape));
  const taps = h * w;
  let at = 0;
  const move = (output: number, input: number, tap: number) => {
    const plain = (output * i + input) * taps + tap;
    if (direction === "pack")
      out[at] = data[plain]!; // both indices run over the whole weight
    else out[plain] = data[at]!;
    at++;
  };
  if (layout === "taps") {
    for (let t = 0; t < taps; t++) for (let p = 0; p < i; p++) for (let q = 0; q < o; q++) move(q, p, t);
    return out;
  }
  for (let ob = 0; ob < o; ob += block)
    for (let ib = 0; ib < i; ib += block)
      for (let t = 0; t < taps; t++)
        for (let p = 0; p < block; p++) for (let q = 0; q < block; q++) move(ob + q, ib + p, t);
  return out;
}
