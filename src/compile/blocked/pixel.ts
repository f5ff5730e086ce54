/**
 * @file 3×3 convolutions of small images as products of few matrices: every pixel, once transformed along both axes (see winograd.ts), is a
 * matrix of images and channels. One batched product does what nine taps did, with a half to a quarter of their multiplications.
 */
import { sizeOf } from "../../common/tensor.js";
import type { Value } from "../../graph/value.js";
import { lowerDot } from "../../ops/index.js";
import { int } from "../../ops/lowering.js";
import type { Context } from "./context.js";
import { type Four, weightLayout } from "./layout.js";
import { type Filtering, filtering, kronecker, type Matrix, transpose } from "./winograd.js";

/** The largest side of images that are convolved so: measured with ResNet-18 at 224×224, where 28 is 15 % faster than 8 or 14. */
const LARGEST = 28;
/** Pixels up to which both axes are transformed at once. */
const AT_ONCE = 16;

/**
 * Images of a batch from which on it goes this way. Below, that gains little (0.9 to 1.3 of the time of strips, but for images of two
 * pixels), and rearranged sums round three to six times as much as plain ones, which a ReLU's choice at zero can feel.
 */
const FEW = 16;

/** Whether a convolution of images x with padding 1 and a 3×3 weight w goes this way. */
export const isSmall = (x: Four, w: Four, stride: number): boolean =>
  stride === 1 && weightLayout(w) === "taps" && x[0] >= FEW && Math.max(x[2], x[3]) <= LARGEST;

/** Rows and columns of an image. */
interface Axes {
  readonly rows: Filtering;
  readonly columns: Filtering;
}
const axesOf = (v: Value): Axes => ({ rows: filtering(v.shape[2]!), columns: filtering(v.shape[3]!) }); // images

const matrix = (c: Context, m: Matrix): string =>
  c.e.constant({ dtype: "float32", shape: [m.length, m[0]?.length ?? 0], data: Float32Array.from(m.flat()) });

const view = (c: Context, v: string, shape: readonly number[]) => c.e.emit("Reshape", [v, c.e.vector(shape)]);

/** [a, b, length] to [rows of `along`, rows of `across`, length]: a matrix on either axis; of images it is declared as they were. */
function transform(c: Context, v: string, along: Matrix, across: Matrix, length: number): string {
  const { e } = c;
  const [a, b] = [along[0]?.length ?? 0, across[0]?.length ?? 0];
  if (a * b <= AT_ONCE || along.length * across.length <= AT_ONCE) {
    return e.emit("MatMul", [matrix(c, kronecker(along, across)), view(c, v, [a * b, length])]);
  }
  // The axis that grows the tensor less comes first.
  const columnsFirst = across.length < b;
  if (columnsFirst) {
    const narrow = e.emit("MatMul", [matrix(c, across), view(c, v, [a, b, length])]);
    return e.emit("MatMul", [matrix(c, along), view(c, narrow, [a, across.length * length])]);
  }
  const tall = e.emit("MatMul", [matrix(c, along), view(c, v, [a, b * length])]);
  return e.emit("MatMul", [matrix(c, across), view(c, tall, [along.length, b, length])]);
}

/** Shape of a transformed image or gradient as a batch of matrices: [rows' products, tiles, columns' products, tiles · N, channels]. */
const batched = ({ rows, columns }: Axes, n: number, channels: number): readonly number[] =>
  rows.tiles * columns.tiles === 1
    ? [rows.products * columns.products, n, channels]
    : [rows.products, rows.tiles, columns.products, columns.tiles * n, channels];

/** A·x of images x. */
function images(c: Context, x: Value, { rows, columns }: Axes): string {
  const [n, ch] = x.shape as unknown as Four; // images
  const v = transform(c, c.get(x, "pixel"), rows.input, columns.input, n * ch);
  return view(c, v, batched({ rows, columns }, n, ch));
}

/** Cᵀ·dy of gradients dy. */
function cotangents(c: Context, dy: Value, { rows, columns }: Axes): string {
  const [n, ch] = dy.shape as unknown as Four; // images
  const v = transform(c, c.get(dy, "pixel"), transpose(rows.output), transpose(columns.output), n * ch);
  return view(c, v, batched({ rows, columns }, n, ch));
}

/** G·w, as a batch of [I, O] that all tiles share. */
function weights(c: Context, w: Value, { rows, columns }: Axes): string {
  const [o, i] = w.shape as unknown as Four; // a 3×3 weight
  const v = c.e.emit("MatMul", [
    matrix(c, kronecker(rows.weight, columns.weight)),
    view(c, c.get(w, "taps"), [9, i * o]),
  ]);
  return view(
    c,
    v,
    rows.tiles * columns.tiles === 1
      ? [rows.products * columns.products, i, o]
      : [rows.products, 1, columns.products, i, o],
  );
}

/** y of x and w, in pixels. */
export function pixelConv(c: Context, x: Value, w: Value): string {
  const axes = axesOf(x);
  const [n, , h, width] = x.shape as unknown as Four; // isSmall
  const o = w.shape[0]!; // a weight
  const products = c.e.emit("MatMul", [images(c, x, axes), weights(c, w, axes)]);
  return view(c, transform(c, products, axes.rows.output, axes.columns.output, n * o), [h, width, n, o]);
}

/** ⟨dy, y⟩ of x, w and dy: of the products themselves, since ⟨dy, C·p⟩ = ⟨Cᵀ·dy, p⟩, and Cᵀ·dy is there for dx. */
export function pixelDot(c: Context, x: Value, w: Value, dy: Value): string {
  const axes = axesOf(x);
  const [n, o] = dy.shape as unknown as Four; // isSmall
  const products = c.e.emit("MatMul", [images(c, x, axes), weights(c, w, axes)]);
  return lowerDot(products, cotangents(c, dy, axes), sizeOf(batched(axes, n, o)), c.e);
}

/** dx of w and dy, in pixels. */
export function pixelInputGrad(c: Context, w: Value, dy: Value): string {
  const axes = axesOf(dy);
  const [n, , h, width] = dy.shape as unknown as Four; // isSmall
  const i = w.shape[1]!; // a weight
  const products = c.e.emit(
    "FusedMatMul",
    [cotangents(c, dy, axes), weights(c, w, axes)],
    { transB: int(1) },
    "com.microsoft",
  );
  const [along, across] = [transpose(axes.rows.input), transpose(axes.columns.input)];
  return view(c, transform(c, products, along, across, n * i), [h, width, n, i]);
}

/** dw of x and dy, in taps. */
export function pixelWeightGrad(c: Context, x: Value, dy: Value): string {
  const { e } = c;
  const axes = axesOf(x);
  const { rows, columns } = axes;
  const [i, o] = [x.shape[1]!, dy.shape[1]!]; // images
  const products = e.emit(
    "FusedMatMul",
    [images(c, x, axes), cotangents(c, dy, axes)],
    { transA: int(1) },
    "com.microsoft",
  );
  const sum = rows.tiles === 1 ? products : e.emit("ReduceSum", [products, e.vector([1])], { keepdims: int(0) });
  const flat = view(c, sum, [rows.products * columns.products, i * o]);
  const taps = e.emit("MatMul", [matrix(c, transpose(kronecker(rows.weight, columns.weight))), flat]);
  return view(c, taps, [o, i, 3, 3]);
}
