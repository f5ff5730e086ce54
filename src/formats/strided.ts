/** @file Arrays laid out by strides, copied into C order. */
import type { Shape } from "../common/tensor.js";

/** The element type does not matter here: typed arrays of one kind, or plain arrays. */
interface Elements {
  readonly length: number;
  [index: number]: unknown;
}

/** Strides, in elements, of a shape in C order (last index fastest) or Fortran order (first index fastest). */
export function stridesOf(shape: Shape, order: "C" | "F"): number[] {
  const strides = new Array<number>(shape.length).fill(1);
  let step = 1;
  for (let k = 0; k < shape.length; k++) {
    const axis = order === "F" ? k : shape.length - 1 - k;
    strides[axis] = step;
    step *= shape[axis]!; // axis < rank
  }
  return strides;
}

/**
 * out[i, j, …] = source[offset + i·strides[0] + j·strides[1] + …], out in C order. The caller has checked that every
 * index is inside the source and that out has the shape's size.
 */
export function copyStrided<T extends Elements>(out: T, source: T, offset: number, shape: Shape, strides: Shape): T {
  const last = shape.length - 1;
  if (last < 0) {
    out[0] = source[offset];
    return out;
  }
  const inner = shape[last]!; // last < rank
  const step = strides[last]!;
  const index = new Array<number>(last).fill(0);
  let start = offset;
  for (let at = 0; at < out.length; ) {
    for (let i = 0, from = start; i < inner; i++, from += step) out[at++] = source[from];
    for (let axis = last - 1; axis >= 0; axis--) {
      const stride = strides[axis]!; // axis < rank
      start += stride;
      index[axis] = index[axis]! + 1;
      if (index[axis]! < shape[axis]!) break;
      start -= stride * shape[axis]!;
      index[axis] = 0;
    }
  }
  return out;
}

/** Whether the strides are those of C order; axes of length 1 may have any. */
export function isContiguous(shape: Shape, strides: Shape): boolean {
  const wanted = stridesOf(shape, "C");
  return shape.every((n, axis) => n === 1 || strides[axis] === wanted[axis]);
}
