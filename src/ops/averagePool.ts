/** @file Average pooling in any number of space axes. */
import { ShapeError } from "../common/errors.js";
import { type Shape, sizeOf } from "../common/tensor.js";
import { scalar } from "../graph/build.js";
import type { Value } from "../graph/value.js";
import { nd, stridesOf } from "./_nd.js";
import { apply, defineOp, type NdArray, type Op } from "./define.js";
import { mul } from "./elementwise.js";
import { ints } from "./lowering.js";
import { type Matrix, mapAxis, transposed } from "./mapAxis.js";
import { pooledShape } from "./maxPool.js";
import { expand, reshape } from "./shape.js";
import { pad } from "./slice.js";

/** One number a space axis in each list. */
interface AverageAttributes {
  readonly [name: string]: readonly number[];
  readonly kernel: readonly number[];
  readonly strides: readonly number[];
  readonly padsBegin: readonly number[];
  readonly padsEnd: readonly number[];
}
const attrs: AverageAttributes = { kernel: [], strides: [], padsBegin: [], padsEnd: [] };

const outShape = (x: Shape, a: AverageAttributes): Shape =>
  pooledShape("AveragePool", x, { ...a, dilations: a.kernel.map(() => 1) });

/** Averaging along one axis as a matrix [out, in]: 1/count at the places of each window that exist. */
function poolMatrix(size: number, out: number, a: AverageAttributes, axis: number): Matrix {
  const [k, s, p] = [a.kernel[axis]!, a.strides[axis]!, a.padsBegin[axis]!]; // the shape rule checked the lists
  const data = new Float64Array(out * size);
  for (let o = 0; o < out; o++) {
    const [from, to] = [Math.max(0, o * s - p), Math.min(size, o * s - p + k)];
    for (let i = from; i < to; i++) data[o * size + i] = 1 / (to - from);
  }
  return { rows: out, columns: size, data };
}

/** Windows that tile the input exactly: then the gradient is dy spread, without a matrix product. */
const tiles = (space: Shape, a: AverageAttributes): boolean =>
  space.every(
    (d, i) => a.kernel[i] === a.strides[i] && a.padsBegin[i] === 0 && a.padsEnd[i] === 0 && d % a.kernel[i]! === 0,
  );

function spread(dy: Value, shape: Shape, kernel: readonly number[]): Value {
  const inner = dy.shape.slice(2).flatMap((d) => [d, 1]);
  const outer = dy.shape.slice(2).flatMap((d, i) => [d, kernel[i]!]);
  const lead = dy.shape.slice(0, 2);
  const scaled = mul(dy, scalar(1 / sizeOf(kernel)));
  return reshape(expand(reshape(scaled, [...lead, ...inner]), [...lead, ...outer]), shape);
}

export const AveragePool: Op = defineOp({
  name: "AveragePool",
  source: "ONNX AveragePool-19, count_include_pad 0: every window is divided by the number of its places inside",
  inputs: ["x"],
  attrs,
  shape: ({ x }, a) => {
    const y = outShape(x.shape, a);
    y.slice(2).forEach((d, i) => {
      const last = (d - 1) * a.strides[i]! - a.padsBegin[i]!; // the shape above has one size a kernel axis
      if (a.padsBegin[i]! >= a.kernel[i]! || last >= x.shape[i + 2]!) {
        throw new ShapeError("AveragePool", {
          problem: "a window lies wholly in the padding",
          expected: `pads below the window [${a.kernel.join(",")}]`,
          got: `[${a.padsBegin.join(",")}] and [${a.padsEnd.join(",")}]`,
        });
      }
    });
    return y;
  },
  grad: {
    x: ({ x, dy, attrs: a }) => {
      const space = x.shape.slice(2);
      if (tiles(space, a)) return spread(dy, x.shape, a.kernel);
      return space.reduce((d, size, i) => mapAxis(d, i + 2, transposed(poolMatrix(size, dy.shape[i + 2]!, a, i))), dy);
    },
  },
  linear: { x: ({ attrs: a }, d) => apply(AveragePool, [d], a) },
  evaluate: ({ x }, a, types) => {
    // Averaging is separable: one axis after the other.
    let current: NdArray = x;
    const target = types[0]!.shape;
    for (let axis = 2; axis < target.length; axis++) {
      const m = poolMatrix(x.shape[axis]!, target[axis]!, a, axis - 2);
      const next = nd(current.shape.map((d, i) => (i === axis ? m.rows : d)));
      const inner = stridesOf(current.shape)[axis]!;
      for (let i = 0; i < next.data.length; i++) {
        const [after, at] = [i % inner, Math.floor(i / inner) % m.rows];
        const base = Math.floor(i / (inner * m.rows)) * inner * m.columns + after;
        let sum = 0;
        for (let j = 0; j < m.columns; j++) {
          const w = m.data[at * m.columns + j]!;
          if (w !== 0) sum += w * current.data[base + j * inner]!;
        }
        next.data[i] = sum;
      }
      current = next;
    }
    return current;
  },
  lower: ({ x }, low, a) =>
    low.emit("AveragePool", [x], {
      kernel_shape: ints(a.kernel),
      strides: ints(a.strides),
      pads: ints([...a.padsBegin, ...a.padsEnd]),
    }),
  samples: [
    { shapes: { x: [2, 2, 5, 5] }, attrs: { kernel: [3, 3], strides: [2, 2], padsBegin: [1, 1], padsEnd: [1, 1] } },
    { shapes: { x: [1, 3, 4, 6] }, attrs: { kernel: [2, 2], strides: [2, 2], padsBegin: [0, 0], padsEnd: [0, 0] } },
    { shapes: { x: [2, 2, 7] }, attrs: { kernel: [3], strides: [2], padsBegin: [0], padsEnd: [1] } },
    {
      shapes: { x: [1, 2, 4, 3, 5] },
      attrs: { kernel: [2, 3, 2], strides: [2, 1, 1], padsBegin: [0, 1, 0], padsEnd: [0, 1, 1] },
    },
  ],
});

/**
 * Averages over windows of x [N, C, …]. Defaults: stride as the kernel, no padding.
 *
 * @param o.countPadding true divides by the whole window, zeros of the padding included (PyTorch's default); false by the places inside
 */
export function averagePool(
  x: Value,
  kernel: readonly number[],
  o: {
    stride?: readonly number[];
    padsBegin?: readonly number[];
    padsEnd?: readonly number[];
    countPadding?: boolean;
    name?: string;
  } = {},
): Value {
  const zero = kernel.map(() => 0);
  const [begin, end] = [o.padsBegin ?? zero, o.padsEnd ?? zero];
  const strides = o.stride ?? kernel;
  if (!o.countPadding) return apply(AveragePool, [x], { kernel, strides, padsBegin: begin, padsEnd: end }, o.name);
  const padded = pad(x, [0, 0, ...begin], [0, 0, ...end]);
  return apply(AveragePool, [padded], { kernel, strides, padsBegin: zero, padsEnd: zero }, o.name);
}
