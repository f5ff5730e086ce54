/** @file Parts of arrays: slices, their gradient, padding and cropping. */
import { ShapeError } from "../common/errors.js";
import { formatShape, type Shape } from "../common/tensor.js";
import type { Value } from "../graph/value.js";
import { nd, stridesOf, walk } from "./_nd.js";
import { apply, defineOp, type Op } from "./define.js";
import { text } from "./lowering.js";

interface SliceAttributes {
  readonly starts: readonly number[];
  readonly ends: readonly number[];
  readonly axes: readonly number[];
  readonly steps: readonly number[];
}
/** Where the slice of an array with these strides begins, and its own strides in there. */
function places(own: readonly number[], { starts, axes, steps }: SliceAttributes) {
  const strides = [...own];
  let base = 0;
  axes.forEach((axis, i) => {
    base += starts[i]! * own[axis]!; // checked by the shape rule
    strides[axis] = own[axis]! * steps[i]!;
  });
  return { base, strides };
}
const sliceLength = (start: number, end: number, step: number) => Math.max(0, Math.ceil((end - start) / step));
export const Slice = defineOp({
  name: "Slice",
  source:
    "ONNX Slice-13 with known, in-range starts and ends; steps may be negative (then end may be −1, one before the first)",
  inputs: ["x"],
  attrs: { starts: [], ends: [], axes: [], steps: [] } as SliceAttributes & Record<string, readonly number[]>,
  shape: ({ x }, { starts, ends, axes, steps }) => {
    const shape = [...x.shape];
    axes.forEach((axis, i) => {
      const d = x.shape[axis];
      const [start, end, step] = [starts[i], ends[i], steps[i]];
      const fits = (n: number | undefined, low: number, high: number) => n !== undefined && n >= low && n <= high;
      if (d === undefined || !step || !fits(start, 0, step > 0 ? d : d - 1) || !fits(end, step > 0 ? 0 : -1, d)) {
        throw new ShapeError("Slice", {
          problem: `axis ${axis} cannot be sliced from ${start} to ${end} by ${step}`,
          got: formatShape(x.shape),
        });
      }
      shape[axis] = sliceLength(start!, end!, step); // both were checked by fits
    });
    return shape;
  },
  grad: {
    x: ({ x, dy, attrs: { starts, ends, axes, steps } }) => {
      if (steps.some((step) => step !== 1))
        return apply(SliceGrad, [dy], { shape: x.shape, starts, ends, axes, steps });
      const before = x.shape.map((_, axis) => starts[axes.indexOf(axis)] ?? 0);
      return pad(
        dy,
        before,
        x.shape.map((d, axis) => d - before[axis]! - dy.shape[axis]!), // as many axes
      );
    },
  },
  evaluate: ({ x }, attrs, types) => {
    const y = nd(types[0]!.shape);
    const { base, strides } = places(stridesOf(x.shape), attrs);
    walk(y.shape, [strides], (out, at) => {
      y.data[out] = x.data[base + at[0]!]!;
    });
    return y;
  },
  lower: ({ x }, low, { starts, ends, axes, steps }) =>
    low.emit("Slice", [
      x,
      low.vector(starts),
      low.vector(ends.map((e) => (e < 0 ? -(2 ** 31) : e))), // before the first element: below −dimension
      low.vector(axes),
      low.vector(steps),
    ]),
  samples: [
    { shapes: { x: [4, 5] }, attrs: { starts: [1], ends: [3], axes: [0], steps: [1] } },
    { shapes: { x: [4, 5] }, attrs: { starts: [0, 1], ends: [4, 5], axes: [0, 1], steps: [2, 3] } },
    { shapes: { x: [4, 5] }, attrs: { starts: [4], ends: [-1], axes: [1], steps: [-1] } },
  ],
});

/** Slice's attributes, and the shape that was sliced. */
interface SliceGradAttributes extends SliceAttributes {
  readonly shape: Shape;
}
export const SliceGrad: Op = defineOp({
  name: "SliceGrad",
  source: "the transpose of ONNX Slice-13: dy at the places that were taken, zeros between them",
  inputs: ["dy"],
  outputs: ["dx"],
  attrs: { shape: [], starts: [], ends: [], axes: [], steps: [] } as SliceGradAttributes &
    Record<string, readonly number[]>,
  shape: (_, { shape }) => shape,
  grad: { dy: ({ ddx, attrs: { starts, ends, axes, steps } }) => apply(Slice, [ddx], { starts, ends, axes, steps }) },
  evaluate: ({ dy }, { shape, ...taken }) => {
    const dx = nd(shape);
    const { base, strides } = places(stridesOf(shape), taken as SliceAttributes); // all of them but the shape
    walk(dy.shape, [strides], (at, p) => {
      dx.data[base + p[0]!] = dy.data[at]!;
    });
    return dx;
  },
  lower: ({ dy }, low, { shape, starts, axes, steps }, node) => {
    const own = [...node.inputs[0]!.shape]; // dy
    const [before, after] = [shape.map(() => 0), shape.map(() => 0)];
    const cut = (v: string, axis: number, start: number, end: number, step: number) =>
      low.emit("Slice", [v, low.vector([start]), low.vector([end]), low.vector([axis]), low.vector([step])]);
    let v: string = dy;
    axes.forEach((axis, i) => {
      let [start, step] = [starts[i]!, steps[i]!]; // one each an axis
      const n = own[axis]!;
      if (step < 0) {
        v = cut(v, axis, n - 1, -(2 ** 31), -1);
        start += step * (n - 1);
        step = -step;
      }
      if (step > 1 && n > 0) {
        // step − 1 zeros behind each element, but the last: [a, b] → [a, 0, b] for step 2.
        const column = [...own.slice(0, axis + 1), 1, ...own.slice(axis + 1)];
        const zeros = column.map((_, k) => (k === axis + 1 ? step - 1 : 0));
        const spread = low.emit("Pad", [
          low.emit("Reshape", [v, low.vector(column)]),
          low.vector([...column.map(() => 0), ...zeros]),
          low.scalar(0),
        ]);
        own[axis] = (n - 1) * step + 1;
        const flat = own.map((d, k) => (k === axis ? n * step : d));
        v = cut(low.emit("Reshape", [spread, low.vector(flat)]), axis, 0, own[axis]!, 1);
      }
      before[axis] = start;
      after[axis] = shape[axis]! - start - own[axis]!;
    });
    return low.emit("Pad", [v, low.vector([...before, ...after]), low.scalar(0)], { mode: text("constant") });
  },
  samples: [
    { shapes: { dy: [2, 2] }, attrs: { shape: [4, 5], starts: [0, 1], ends: [4, 5], axes: [0, 1], steps: [2, 3] } },
    { shapes: { dy: [4, 5] }, attrs: { shape: [4, 5], starts: [4], ends: [-1], axes: [1], steps: [-1] } },
    { shapes: { dy: [1, 3, 2] }, attrs: { shape: [1, 6, 2], starts: [0], ends: [6], axes: [1], steps: [2] } },
  ],
});

export const Pad = defineOp({
  name: "Pad",
  source: "ONNX Pad-13, mode constant, pads ≥ 0 or (cropping) < 0",
  inputs: ["x"],
  attrs: { before: [] as readonly number[], after: [] as readonly number[], value: 0 },
  shape: ({ x }, { before, after }) => {
    const shape = x.shape.map((d, i) => d + (before[i] ?? 0) + (after[i] ?? 0));
    if (before.length !== x.shape.length || after.length !== x.shape.length || shape.some((d) => d < 0)) {
      throw new ShapeError("Pad", {
        problem: "pads do not fit",
        got: `[${before.join(",")}] and [${after.join(",")}] for ${formatShape(x.shape)}`,
      });
    }
    return shape;
  },
  grad: {
    x: ({ dy, attrs }) =>
      pad(
        dy,
        attrs.before.map((p) => -p),
        attrs.after.map((p) => -p),
      ),
  },
  evaluate: ({ x }, { before, value }, types) => {
    const y = nd(types[0]!.shape);
    const own = stridesOf(x.shape);
    const index = new Array<number>(x.shape.length).fill(0);
    for (let out = 0; out < y.data.length; out++) {
      let rest = out;
      for (let a = y.shape.length - 1; a >= 0; a--) {
        index[a] = rest % y.shape[a]!;
        rest = Math.floor(rest / y.shape[a]!);
      }
      const from = index.map((v, a) => v - before[a]!);
      const inside = from.every((v, a) => v >= 0 && v < x.shape[a]!);
      y.data[out] = inside ? x.data[from.reduce((s, v, a) => s + v * own[a]!, 0)]! : value;
    }
    return y;
  },
  lower: ({ x }, low, { before, after, value }) =>
    low.emit("Pad", [x, low.vector([...before, ...after]), low.scalar(value)], { mode: text("constant") }),
  samples: [
    { shapes: { x: [2, 3] }, attrs: { before: [1, 0], after: [0, 2], value: 0 } },
    { shapes: { x: [4, 4] }, attrs: { before: [-1, 1], after: [1, -2], value: 0 } },
  ],
});

/** One axis from start to end (exclusive); default step 1. */
export function slice(x: Value, o: { axis: number; start: number; end: number; step?: number }): Value {
  const { axis, start, end, step = 1 } = o;
  if (start === 0 && end === x.shape[axis] && step === 1) return x;
  return apply(Slice, [x], { starts: [start], ends: [end], axes: [axis], steps: [step] });
}
export const pad = (x: Value, before: readonly number[], after: readonly number[], value = 0): Value =>
  before.every((p) => p === 0) && after.every((p) => p === 0) ? x : apply(Pad, [x], { before, after, value });
