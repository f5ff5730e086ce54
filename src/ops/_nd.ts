/** @file Float64 reference arithmetic shared by the ops: broadcasting, strides, reductions. Clear, not fast. */
import { ShapeError } from "../common/errors.js";
import { formatShape, type Shape, sizeOf } from "../common/tensor.js";
import type { NdArray } from "./define.js";

export const nd = (shape: Shape, data?: Float64Array): NdArray => ({
  shape,
  data: data ?? new Float64Array(sizeOf(shape)),
});

/** C-order strides, in elements. */
export function stridesOf(shape: Shape): number[] {
  const strides = new Array<number>(shape.length).fill(1);
  for (let i = shape.length - 2; i >= 0; i--) strides[i] = strides[i + 1]! * shape[i + 1]!; // i + 1 < length
  return strides;
}

/** Shape of a ∘ b under NumPy's broadcasting. @throws {ShapeError} */
export function broadcastShapes(op: string, ...shapes: readonly Shape[]): Shape {
  const rank = Math.max(...shapes.map((s) => s.length));
  return Array.from({ length: rank }, (_, i) => {
    let d = 1;
    for (const s of shapes) {
      const k = s[i - (rank - s.length)] ?? 1;
      if (k !== 1 && d !== 1 && k !== d) {
        throw new ShapeError(op, {
          problem: "shapes do not broadcast",
          expected: "equal dimensions, or 1",
          got: shapes.map(formatShape).join(" and "),
        });
      }
      if (k !== 1) d = k;
    }
    return d;
  });
}

/** Strides of `shape` seen as `target`: 0 along axes that are broadcast. */
function broadcastStrides(shape: Shape, target: Shape): number[] {
  const own = stridesOf(shape);
  const shift = target.length - shape.length;
  return target.map((_, i) => (i < shift || shape[i - shift] === 1 ? 0 : own[i - shift]!)); // i − shift < rank
}

/** Calls `visit` with the flat output index and the flat index into each operand, over all of `shape`. */
export function walk(
  shape: Shape,
  strides: readonly (readonly number[])[],
  visit: (out: number, at: number[]) => void,
) {
  const total = sizeOf(shape);
  const rank = shape.length;
  const index = new Array<number>(rank).fill(0);
  const at = strides.map(() => 0);
  for (let out = 0; out < total; out++) {
    visit(out, at);
    for (let axis = rank - 1; axis >= 0; axis--) {
      index[axis]!++; // axis < rank
      for (let k = 0; k < at.length; k++) at[k]! += strides[k]![axis]!; // one stride list an operand
      if (index[axis]! < shape[axis]!) break;
      for (let k = 0; k < at.length; k++) at[k]! -= strides[k]![axis]! * shape[axis]!;
      index[axis] = 0;
    }
  }
}

/** f applied elementwise with broadcasting. */
export function map(op: string, f: (...x: number[]) => number, ...xs: readonly NdArray[]): NdArray {
  const shape = broadcastShapes(op, ...xs.map((x) => x.shape));
  const y = nd(shape);
  const strides = xs.map((x) => broadcastStrides(x.shape, shape));
  const held = new Array<number>(xs.length);
  walk(shape, strides, (out, at) => {
    for (let k = 0; k < xs.length; k++) held[k] = xs[k]!.data[at[k]!]!; // walk stays inside each operand
    y.data[out] = f(...held);
  });
  return y;
}

/** x with its axes in the order `perm`. */
export function transposeNd(x: NdArray, perm: readonly number[]): NdArray {
  const own = stridesOf(x.shape);
  const y = nd(perm.map((p) => x.shape[p]!));
  walk(y.shape, [perm.map((p) => own[p]!)], (out, at) => {
    y.data[out] = x.data[at[0]!]!;
  });
  return y;
}

/** Negative axes counted from the end, sorted, each once. @throws {ShapeError} */
export function normalizeAxes(op: string, axes: readonly number[], rank: number): number[] {
  const seen = new Set<number>();
  for (const a of axes) {
    const axis = a < 0 ? a + rank : a;
    if (!Number.isInteger(axis) || axis < 0 || axis >= rank || seen.has(axis)) {
      throw new ShapeError(op, {
        problem: "bad axes",
        expected: `different axes in ${-rank} … ${rank - 1}`,
        got: `[${axes.join(",")}]`,
      });
    }
    seen.add(axis);
  }
  return [...seen].sort((p, q) => p - q);
}

export const reducedShape = (shape: Shape, axes: readonly number[], keepDims: boolean): Shape =>
  keepDims ? shape.map((d, i) => (axes.includes(i) ? 1 : d)) : shape.filter((_, i) => !axes.includes(i));

/** Folds x over `axes` (already normalised). */
export function reduceNd(
  x: NdArray,
  axes: readonly number[],
  keepDims: boolean,
  initial: number,
  fold: (acc: number, v: number) => number,
): NdArray {
  const kept = reducedShape(x.shape, axes, true);
  const y = nd(kept, new Float64Array(sizeOf(kept)).fill(initial));
  const own = stridesOf(kept).map((s, i) => (axes.includes(i) ? 0 : s));
  walk(x.shape, [own], (i, at) => {
    y.data[at[0]!] = fold(y.data[at[0]!]!, x.data[i]!);
  });
  return nd(reducedShape(x.shape, axes, keepDims), y.data);
}
