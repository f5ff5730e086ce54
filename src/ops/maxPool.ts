/** @file Max pooling in any number of space axes, with the places of the maxima, and its gradient. */
import { ShapeError } from "../common/errors.js";
import { formatShape, type Shape, sizeOf } from "../common/tensor.js";
import type { Value } from "../graph/value.js";
import { nd, stridesOf } from "./_nd.js";
import { apply, defineOp, type Op, type Type } from "./define.js";
import { int, ints } from "./lowering.js";

/** One number a space axis in each list. */
export interface PoolAttributes {
  readonly [name: string]: readonly number[];
  readonly kernel: readonly number[];
  readonly strides: readonly number[];
  readonly padsBegin: readonly number[];
  readonly padsEnd: readonly number[];
  readonly dilations: readonly number[];
}
const attrs: PoolAttributes = { kernel: [], strides: [], padsBegin: [], padsEnd: [], dilations: [] };

/** Output shape of a pooling window. @throws {ShapeError} */
export function pooledShape(op: string, x: Shape, a: PoolAttributes): Shape {
  const space = x.slice(2);
  if (space.length < 1 || a.kernel.length !== space.length) {
    throw new ShapeError(op, {
      problem: "kernel needs one number for each space axis",
      expected: String(space.length),
      got: `[${a.kernel.join(",")}]`,
    });
  }
  const y = space.map(
    (d, i) =>
      Math.floor((d + a.padsBegin[i]! + a.padsEnd[i]! - a.dilations[i]! * (a.kernel[i]! - 1) - 1) / a.strides[i]!) + 1,
  );
  if (y.some((d) => d < 1)) {
    throw new ShapeError(op, {
      problem: "the image is smaller than the window",
      got: `input ${formatShape(x)}, window [${a.kernel.join(",")}]`,
      hint: "use a larger image size",
    });
  }
  return [x[0]!, x[1]!, ...y]; // at least three axes: checked above
}

const samples = [
  {
    shapes: { x: [2, 2, 5, 5] },
    attrs: { kernel: [3, 3], strides: [2, 2], padsBegin: [1, 1], padsEnd: [1, 1], dilations: [1, 1] },
  },
  { shapes: { x: [1, 2, 6] }, attrs: { kernel: [2], strides: [2], padsBegin: [0], padsEnd: [0], dilations: [1] } },
  {
    shapes: { x: [1, 2, 4, 4, 4] },
    attrs: { kernel: [2, 2, 2], strides: [2, 2, 2], padsBegin: [0, 0, 0], padsEnd: [0, 0, 0], dilations: [1, 1, 1] },
  },
  {
    shapes: { x: [1, 1, 7, 6] },
    attrs: { kernel: [3, 2], strides: [1, 2], padsBegin: [0, 0], padsEnd: [1, 1], dilations: [2, 1] },
  },
];

/** y, and for every y the flat index into x of its maximum (the first one at a tie, as PyTorch). */
export const MaxPool: Op = defineOp({
  name: "MaxPool",
  source: "ONNX MaxPool-12 with explicit pads; at a tie the first place in reading order, as PyTorch",
  inputs: ["x"],
  outputs: ["y", "indices"],
  attrs,
  shape: ({ x }, a): readonly Type[] => {
    const shape = pooledShape("MaxPool", x.shape, a);
    return [
      { dtype: x.dtype, shape },
      { dtype: "int64", shape },
    ];
  },
  grad: { x: ({ x, indices, dy }) => apply(MaxPoolGrad, [indices, dy], { shape: x.shape }) },
  evaluate: ({ x }, a, types) => {
    const [y, places] = [nd(types[0]!.shape), nd(types[0]!.shape)]; // two outputs of one shape
    const space = x.shape.slice(2);
    const out = y.shape.slice(2);
    const [own, outs, taps] = [stridesOf(space), stridesOf(out), stridesOf(a.kernel)];
    const [inner, outer, window] = [sizeOf(space), sizeOf(out), sizeOf(a.kernel)];
    for (let i = 0; i < y.data.length; i++) {
      let best = Number.NEGATIVE_INFINITY;
      let place = -1;
      const base = Math.floor(i / outer) * inner;
      for (let k = 0; k < window; k++) {
        let at = base;
        const inside = space.every((d, axis) => {
          const o = Math.floor((i % outer) / outs[axis]!) % out[axis]!;
          const t = Math.floor(k / taps[axis]!) % a.kernel[axis]!;
          const p = o * a.strides[axis]! + t * a.dilations[axis]! - a.padsBegin[axis]!;
          at += p * own[axis]!;
          return p >= 0 && p < d;
        });
        if (inside && (place < 0 || x.data[at]! > best)) {
          best = x.data[at]!;
          place = at;
        }
      }
      y.data[i] = best;
      places.data[i] = place;
    }
    return [y, places];
  },
  lower: ({ x }, low, a) => {
    const attributes = {
      kernel_shape: ints(a.kernel),
      strides: ints(a.strides),
      pads: ints([...a.padsBegin, ...a.padsEnd]),
      dilations: ints(a.dilations),
    };
    return low.used(1) ? low.emitMany("MaxPool", [x], 2, attributes) : [low.emit("MaxPool", [x], attributes), ""];
  },
  samples,
});

export const MaxPoolGrad: Op = defineOp({
  name: "MaxPoolGrad",
  source: "dy added at the places of the maxima",
  inputs: ["indices", "dy"],
  outputs: ["dx"],
  attrs: { shape: [] as Shape },
  shape: ({ dy }, { shape }): readonly Type[] => [{ dtype: dy.dtype, shape }],
  grad: { indices: "none", dy: "none" },
  evaluate: ({ indices, dy }, { shape }) => {
    const dx = nd(shape);
    dy.data.forEach((v, i) => {
      const at = indices.data[i]!;
      dx.data[at] = dx.data[at]! + v;
    });
    return dx;
  },
  lower: ({ indices, dy }, low, { shape }) => {
    const zeros = low.emit("ConstantOfShape", [low.vector([sizeOf(shape)])]);
    const flat = low.vector([-1]);
    const scattered = low.emit(
      "ScatterElements",
      [zeros, low.emit("Reshape", [indices, flat]), low.emit("Reshape", [dy, flat])],
      { axis: int(0), reduction: { type: "string", value: "add" } },
    );
    return low.emit("Reshape", [scattered, low.vector(shape)]);
  },
  samples: [
    { shapes: { indices: [1, 1, 2, 2], dy: [1, 1, 2, 2] }, attrs: { shape: [1, 1, 4, 4] }, ints: { indices: 16 } },
  ],
});

/** Pooled x [N, C, …]. Defaults: stride as the kernel, no padding, no dilation. */
export function maxPool(
  x: Value,
  kernel: readonly number[],
  o: { stride?: readonly number[]; padding?: readonly number[]; dilation?: readonly number[]; name?: string } = {},
): Value {
  const zero = kernel.map(() => 0);
  const padding = o.padding ?? zero;
  return apply(
    MaxPool,
    [x],
    {
      kernel,
      strides: o.stride ?? kernel,
      padsBegin: padding,
      padsEnd: padding,
      dilations: o.dilation ?? kernel.map(() => 1),
    },
    o.name,
  );
}
