/** @file Ops that move or copy elements: Reshape, Transpose, Expand, Concat, Slice, Pad. */
import { ShapeError } from "../common/errors.js";
import { formatShape, type Shape, sameShape, sizeOf } from "../common/tensor.js";
import type { Value } from "../graph/value.js";
import { broadcastShapes, map, nd, normalizeAxes, stridesOf, transposeNd, walk } from "./_nd.js";
import { apply, defineOp } from "./define.js";
import { int, ints, text } from "./lowering.js";
import { reduceSum } from "./reduce.js";

export const Reshape = defineOp({
  name: "Reshape",
  source: "ONNX Reshape-14 with a known shape",
  inputs: ["x"],
  attrs: { shape: [] as Shape },
  shape: ({ x }, { shape }) => {
    if (sizeOf(shape) !== sizeOf(x.shape)) {
      throw new ShapeError("Reshape", {
        problem: "the number of elements changes",
        expected: `${sizeOf(x.shape)} (${formatShape(x.shape)})`,
        got: `${sizeOf(shape)} (${formatShape(shape)})`,
      });
    }
    return shape;
  },
  grad: { x: ({ x, dy }) => reshape(dy, x.shape) },
  linear: { x: ({ attrs }, d) => reshape(d, attrs.shape) },
  evaluate: ({ x }, { shape }) => nd(shape, x.data),
  lower: ({ x }, low, { shape }) => low.emit("Reshape", [x, low.vector(shape)]),
  samples: [{ shapes: { x: [2, 6] }, attrs: { shape: [3, 4] } }],
});

export const Transpose = defineOp({
  name: "Transpose",
  source: "ONNX Transpose-13",
  inputs: ["x"],
  attrs: { perm: [] as readonly number[] },
  shape: ({ x }, { perm }) => {
    if (perm.length !== x.shape.length) {
      throw new ShapeError("Transpose", {
        problem: "perm has another length",
        expected: String(x.shape.length),
        got: `[${perm.join(",")}]`,
      });
    }
    normalizeAxes("Transpose", perm, x.shape.length);
    return perm.map((p) => x.shape[p]!); // perm is a permutation of the axes
  },
  grad: {
    x: ({ dy, attrs }) => {
      const back = new Array<number>(attrs.perm.length);
      attrs.perm.forEach((p, i) => {
        back[p] = i;
      });
      return transpose(dy, back);
    },
  },
  evaluate: ({ x }, { perm }) => transposeNd(x, perm),
  lower: ({ x }, low, { perm }) => low.emit("Transpose", [x], { perm: ints(perm) }),
  samples: [{ shapes: { x: [2, 3, 4] }, attrs: { perm: [2, 0, 1] } }],
});

export const Expand = defineOp({
  name: "Expand",
  source: "ONNX Expand-13 with a known shape",
  inputs: ["x"],
  attrs: { shape: [] as Shape },
  shape: ({ x }, { shape }) => broadcastShapes("Expand", x.shape, shape),
  grad: { x: ({ dy }) => dy }, // summed back over the broadcast axes by backward()
  evaluate: ({ x }, { shape }) => map("Expand", (v) => v, x, nd(shape)),
  lower: ({ x }, low, { shape }) => low.emit("Expand", [x, low.vector(shape)]),
  samples: [{ shapes: { x: [3, 1] }, attrs: { shape: [2, 3, 4] } }],
});

export const Concat = defineOp({
  name: "Concat",
  source: "ONNX Concat-13",
  inputs: [],
  variadic: "xs",
  attrs: { axis: 0 },
  shape: ({ xs }, { axis }) => {
    const first = xs[0]!.shape; // defineOp refuses an empty list
    const at = normalizeAxes("Concat", [axis], first.length)[0]!;
    for (const x of xs) {
      if (x.shape.length !== first.length || x.shape.some((d, i) => i !== at && d !== first[i])) {
        throw new ShapeError("Concat", {
          problem: `shapes differ outside axis ${at}`,
          got: xs.map((v) => formatShape(v.shape)).join(", "),
        });
      }
    }
    return first.map((d, i) => (i === at ? xs.reduce((n, x) => n + x.shape[i]!, 0) : d));
  },
  grad: {
    xs: ({ xs, dy, attrs, index }) => {
      const axis = attrs.axis < 0 ? attrs.axis + dy.shape.length : attrs.axis;
      const start = xs.slice(0, index).reduce((n, x) => n + x.shape[axis]!, 0);
      return slice(dy, { axis, start, end: start + xs[index]!.shape[axis]! }); // index is an input of this node
    },
  },
  evaluate: ({ xs }, { axis }, types) => {
    const y = nd(types[0]!.shape); // one output
    const at = axis < 0 ? axis + y.shape.length : axis;
    const own = stridesOf(y.shape);
    let offset = 0;
    for (const x of xs) {
      walk(x.shape, [own], (i, p) => {
        y.data[p[0]! + offset * own[at]!] = x.data[i]!;
      });
      offset += x.shape[at]!;
    }
    return y;
  },
  lower: ({ xs }, low, { axis }) => low.emit("Concat", xs, { axis: int(axis) }),
  samples: [
    {
      shapes: {
        xs: [
          [2, 3],
          [2, 1],
          [2, 2],
        ],
      },
      attrs: { axis: 1 },
    },
    {
      shapes: {
        xs: [
          [1, 2],
          [3, 2],
        ],
      },
      attrs: { axis: -2 },
    },
  ],
});

interface SliceAttributes {
  readonly starts: readonly number[];
  readonly ends: readonly number[];
  readonly axes: readonly number[];
  readonly steps: readonly number[];
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
  grad: { x: ({ x, dy, attrs }) => sliceGrad(dy, x.shape, attrs) },
  evaluate: ({ x }, { starts, axes, steps }, types) => {
    const y = nd(types[0]!.shape);
    const own = stridesOf(x.shape);
    const step = [...own];
    let base = 0;
    axes.forEach((axis, i) => {
      base += starts[i]! * own[axis]!; // checked by the shape rule
      step[axis] = own[axis]! * steps[i]!;
    });
    walk(y.shape, [step], (out, at) => {
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

/** The transpose of Slice: dy put back into zeros of `shape`. */
function sliceGrad(dy: Value, shape: Shape, { starts, axes, steps }: SliceAttributes): Value {
  let v = dy;
  const before = shape.map(() => 0);
  const after = shape.map(() => 0);
  axes.forEach((axis, i) => {
    let [start, step] = [starts[i]!, steps[i]!]; // one each an axis
    const n = v.shape[axis]!;
    if (step < 0) {
      v = slice(v, { axis, start: n - 1, end: -1, step: -1 });
      start += step * (n - 1);
      step = -step;
    }
    if (step > 1 && n > 0) v = dilate(v, axis, step);
    before[axis] = start;
    after[axis] = shape[axis]! - start - v.shape[axis]!;
  });
  return pad(v, before, after);
}

/** step − 1 zeros between the elements of one axis: [a, b] → [a, 0, b] for step 2. */
export function dilate(x: Value, axis: number, step: number): Value {
  const n = x.shape[axis]!; // the caller's axis
  const column = [...x.shape.slice(0, axis + 1), 1, ...x.shape.slice(axis + 1)];
  const zeros = column.map(() => 0);
  const after = column.map((_, i) => (i === axis + 1 ? step - 1 : 0));
  const spread = reshape(
    pad(reshape(x, column), zeros, after),
    x.shape.map((d, i) => (i === axis ? d * step : d)),
  );
  return slice(spread, { axis, start: 0, end: (n - 1) * step + 1 });
}

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

export const reshape = (x: Value, shape: Shape): Value =>
  sameShape(x.shape, shape) ? x : apply(Reshape, [x], { shape });
export const transpose = (x: Value, perm: readonly number[]): Value =>
  perm.every((p, i) => p === i) ? x : apply(Transpose, [x], { perm });
export const expand = (x: Value, shape: Shape): Value =>
  sameShape(x.shape, shape) ? x : apply(Expand, [x], { shape });
export const concat = (xs: readonly Value[], axis: number): Value =>
  xs.length === 1 ? xs[0]! : apply(Concat, xs, { axis });
/** One axis from start to end (exclusive); default step 1. */
export function slice(x: Value, o: { axis: number; start: number; end: number; step?: number }): Value {
  const { axis, start, end, step = 1 } = o;
  if (start === 0 && end === x.shape[axis] && step === 1) return x;
  return apply(Slice, [x], { starts: [start], ends: [end], axes: [axis], steps: [step] });
}
export const pad = (x: Value, before: readonly number[], after: readonly number[], value = 0): Value =>
  before.every((p) => p === 0) && after.every((p) => p === 0) ? x : apply(Pad, [x], { before, after, value });
/** [N, …] → [N, product of the rest]. */
export const flatten = (x: Value): Value => reshape(x, [x.shape[0] ?? 1, sizeOf(x.shape.slice(1))]);
/** x summed over the axes that broadcasting to x.shape would have added: the transpose of a broadcast. */
export function sumTo(x: Value, shape: Shape): Value {
  if (sameShape(x.shape, shape)) return x;
  const lead = x.shape.length - shape.length;
  const axes = x.shape.flatMap((d, i) => (i < lead || (shape[i - lead] === 1 && d !== 1) ? [i] : []));
  return reshape(axes.length > 0 ? reduceSum(x, axes, true) : x, shape);
}
