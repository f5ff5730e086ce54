/** @file Convolution in any number of space axes, and its two gradients as ops of their own. */
import { ShapeError } from "../common/errors.js";
import { formatShape, type Shape } from "../common/tensor.js";
import type { Value } from "../graph/value.js";
import { leftover, lowerConv, lowerInputGradAsConv, lowerTransposed, lowerWeightGrad } from "./_conv-lowering.js";
import { nd, stridesOf } from "./_nd.js";
import { apply, defineOp, type Op } from "./define.js";
import { add } from "./elementwise.js";
import { reduceSum } from "./reduce.js";
import { reshape } from "./shape.js";

/** One number a space axis in each list. */
export interface ConvAttributes {
  readonly [name: string]: readonly number[] | number;
  readonly strides: readonly number[];
  readonly padsBegin: readonly number[];
  readonly padsEnd: readonly number[];
  readonly dilations: readonly number[];
  readonly group: number;
}
const none: ConvAttributes = { strides: [], padsBegin: [], padsEnd: [], dilations: [], group: 1 };

/** ⌊(size + pads − dilation·(kernel − 1) − 1) / stride⌋ + 1 along one axis. */
const convLength = (size: number, kernel: number, a: ConvAttributes, axis: number): number =>
  Math.floor(
    (size + a.padsBegin[axis]! + a.padsEnd[axis]! - a.dilations[axis]! * (kernel - 1) - 1) / a.strides[axis]!,
  ) + 1; // lists have one number an axis: checkConv

function checkConv(op: string, x: Shape, w: Shape, a: ConvAttributes): void {
  const dims = x.length - 2;
  if (dims < 1 || w.length !== x.length) {
    throw new ShapeError(op, {
      problem: "input and weight differ in their number of axes",
      expected: "[N, C, …space] and [M, C/group, …kernel]",
      got: `${formatShape(x)} and ${formatShape(w)}`,
    });
  }
  for (const key of ["strides", "padsBegin", "padsEnd", "dilations"] as const) {
    if (a[key].length !== dims) {
      throw new ShapeError(op, {
        problem: `${key} needs one number for each space axis`,
        expected: `${dims} numbers`,
        got: `[${a[key].join(",")}]`,
      });
    }
  }
  if (x[1] !== w[1]! * a.group) {
    throw new ShapeError(op, {
      problem: "input has the wrong number of channels",
      expected: `${w[1]! * a.group} (weight ${formatShape(w)}, group ${a.group})`,
      got: `${x[1]} (input ${formatShape(x)})`,
      ...(x[1] === 1 && { hint: 'open the images with channels: "repeat" to turn grey into colour' }),
    });
  }
  if (w[0]! % a.group !== 0) {
    throw new ShapeError(op, {
      problem: "output channels do not divide into groups",
      got: `${w[0]} channels, group ${a.group}`,
    });
  }
}

/** Calls `visit(xIndex, wIndex, yIndex)` for every product of the convolution. */
function eachProduct(
  x: Shape,
  w: Shape,
  y: Shape,
  a: ConvAttributes,
  visit: (x: number, w: number, y: number) => void,
) {
  const dims = x.length - 2;
  const [xs, ws, ys] = [stridesOf(x), stridesOf(w), stridesOf(y)];
  const perGroup = w[0]! / a.group;
  const space = y.slice(2);
  const kernel = w.slice(2);
  const positions = space.reduce((n, d) => n * d, 1);
  const taps = kernel.reduce((n, d) => n * d, 1);
  const split = (flat: number, shape: Shape) => {
    const at = new Array<number>(shape.length);
    let rest = flat;
    for (let i = shape.length - 1; i >= 0; i--) {
      at[i] = rest % shape[i]!;
      rest = Math.floor(rest / shape[i]!);
    }
    return at;
  };
  const outs = Array.from({ length: positions }, (_, i) => split(i, space));
  const kernels = Array.from({ length: taps }, (_, i) => split(i, kernel));
  for (let o = 0; o < positions; o++)
    for (let k = 0; k < taps; k++) {
      let from = 0;
      let inside = true;
      for (let i = 0; i < dims && inside; i++) {
        const p = outs[o]![i]! * a.strides[i]! + kernels[k]![i]! * a.dilations[i]! - a.padsBegin[i]!;
        inside = p >= 0 && p < x[i + 2]!;
        from += p * xs[i + 2]!;
      }
      if (!inside) continue;
      for (let n = 0; n < x[0]!; n++)
        for (let m = 0; m < w[0]!; m++) {
          const first = Math.floor(m / perGroup) * w[1]!;
          for (let c = 0; c < w[1]!; c++)
            visit(n * xs[0]! + (first + c) * xs[1]! + from, m * ws[0]! + c * ws[1]! + k, n * ys[0]! + m * ys[1]! + o);
        }
    }
}

/** Cases for all three ops: stride, asymmetric padding, dilation, groups, 1-D and 3-D. */
const cases: readonly { x: Shape; w: Shape; attrs: ConvAttributes }[] = [
  {
    x: [2, 3, 5, 5],
    w: [4, 3, 3, 3],
    attrs: { strides: [1, 1], padsBegin: [1, 1], padsEnd: [1, 1], dilations: [1, 1], group: 1 },
  },
  {
    x: [2, 2, 6, 5],
    w: [3, 2, 3, 3],
    attrs: { strides: [2, 2], padsBegin: [1, 1], padsEnd: [1, 1], dilations: [1, 1], group: 1 },
  },
  {
    x: [1, 4, 6, 6],
    w: [4, 2, 2, 3],
    attrs: { strides: [2, 1], padsBegin: [0, 2], padsEnd: [1, 0], dilations: [1, 2], group: 2 },
  },
  {
    x: [2, 3, 4, 4],
    w: [3, 1, 3, 3],
    attrs: { strides: [1, 1], padsBegin: [1, 1], padsEnd: [1, 1], dilations: [1, 1], group: 3 },
  },
  { x: [2, 2, 7], w: [3, 2, 3], attrs: { strides: [3], padsBegin: [0], padsEnd: [1], dilations: [1], group: 1 } },
  {
    x: [1, 2, 4, 3, 3],
    w: [2, 2, 2, 3, 1],
    attrs: { strides: [2, 1, 2], padsBegin: [0, 1, 0], padsEnd: [0, 1, 0], dilations: [1, 1, 1], group: 1 },
  },
  {
    x: [2, 3, 3, 4, 3],
    w: [2, 3, 3, 3, 2],
    attrs: { strides: [1, 1, 1], padsBegin: [1, 1, 0], padsEnd: [1, 0, 1], dilations: [1, 1, 1], group: 1 },
  },
];
const outShape = (x: Shape, w: Shape, a: ConvAttributes): Shape => [
  x[0]!,
  w[0]!,
  ...x.slice(2).map((d, i) => convLength(d, w[i + 2]!, a, i)),
];

export const Conv: Op = defineOp({
  name: "Conv",
  source: "ONNX Conv-11 with explicit pads; cross-correlation, as PyTorch",
  inputs: ["x", "w"],
  optional: ["b"],
  attrs: none,
  shape: ({ x, w, b }, a) => {
    checkConv("Conv", x.shape, w.shape, a);
    if (b && (b.shape.length !== 1 || b.shape[0] !== w.shape[0])) {
      throw new ShapeError("Conv", {
        problem: "bias has the wrong shape",
        expected: `[${w.shape[0]}]`,
        got: formatShape(b.shape),
      });
    }
    const y = outShape(x.shape, w.shape, a);
    if (y.slice(2).some((d) => d < 1)) {
      throw new ShapeError("Conv", {
        problem: "the image is smaller than the kernel",
        got: `input ${formatShape(x.shape)}, weight ${formatShape(w.shape)}`,
        hint: "use a larger image size",
      });
    }
    return y;
  },
  grad: {
    x: ({ x, w, dy, attrs }) => apply(ConvInputGrad, [w, dy], { ...attrs, space: x.shape.slice(2) }),
    w: ({ x, w, dy, attrs }) => apply(ConvWeightGrad, [x, dy], { ...attrs, kernel: w.shape.slice(2) }),
    b: ({ dy }) =>
      reduceSum(
        dy,
        dy.shape.flatMap((_, i) => (i === 1 ? [] : [i])),
      ),
  },
  linear: {
    x: ({ w, attrs }, d) => apply(Conv, [d, w, null], attrs),
    w: ({ x, attrs }, d) => apply(Conv, [x, d, null], attrs),
  },
  evaluate: ({ x, w, b }, a, types) => {
    const y = nd(types[0]!.shape);
    if (b) {
      const [, channels] = y.shape;
      const space = stridesOf(y.shape)[1]!;
      for (let i = 0; i < y.data.length; i++) y.data[i] = b.data[Math.floor(i / space) % channels!]!;
    }
    eachProduct(x.shape, w.shape, y.shape, a, (i, j, k) => {
      y.data[k] = y.data[k]! + x.data[i]! * w.data[j]!;
    });
    return y;
  },
  lower: ({ x, w, b }, low, a, node) =>
    lowerConv([x, w, b], low, a, [node.inputs[0]!.shape[1]!, node.inputs[1]!.shape[0]!]), // both inputs are required
  samples: cases.map(({ x, w, attrs }, i) => ({
    shapes: i % 2 === 0 ? { x, w, b: [w[0]!] } : { x, w },
    attrs,
  })),
});

export const ConvInputGrad: Op = defineOp({
  name: "ConvInputGrad",
  source: "transpose of Conv in x (ONNX ConvTranspose-11)",
  inputs: ["w", "dy"],
  outputs: ["dx"],
  attrs: { ...none, space: [] as Shape },
  shape: ({ w, dy }, a) => {
    const shape = [dy.shape[0]!, w.shape[1]! * a.group, ...a.space];
    checkConv("ConvInputGrad", shape, w.shape, a);
    return shape;
  },
  grad: {
    w: ({ w, dy, ddx, attrs: { space, ...attrs } }) =>
      apply(ConvWeightGrad, [ddx, dy], { ...attrs, kernel: w.shape.slice(2) }),
    dy: ({ w, ddx, attrs: { space, ...attrs } }) => apply(Conv, [ddx, w, null], attrs),
  },
  evaluate: ({ w, dy }, a, types) => {
    const dx = nd(types[0]!.shape);
    eachProduct(dx.shape, w.shape, dy.shape, a, (i, j, k) => {
      dx.data[i] = dx.data[i]! + w.data[j]! * dy.data[k]!;
    });
    return dx;
  },
  lower: ({ w, dy }, low, a, node) => {
    const [ws, dys] = [node.inputs[0]!.shape, node.inputs[1]!.shape]; // both inputs are required
    const asConv = lowerInputGradAsConv(w, dy, low, a, ws);
    if (asConv !== null) return asConv;
    const over = a.space.map((d, i) => leftover(d, ws[i + 2]!, dys[i + 2]!, a, i));
    return lowerTransposed(w, dy, low, a, over, ws);
  },
  samples: cases.map(({ x, w, attrs }) => ({
    shapes: { w, dy: outShape(x, w, attrs) },
    attrs: { ...attrs, space: x.slice(2) },
  })),
});

export const ConvWeightGrad: Op = defineOp({
  name: "ConvWeightGrad",
  source:
    "transpose of Conv in w: dw[m,c,k] = Σ_{n,o} dy[n,m,o]·x[n,c,o·s + k·d − p], a Conv with the batch as channels",
  inputs: ["x", "dy"],
  outputs: ["dw"],
  attrs: { ...none, kernel: [] as Shape },
  shape: ({ x, dy }, a) => {
    const shape = [dy.shape[1]!, x.shape[1]! / a.group, ...a.kernel];
    checkConv("ConvWeightGrad", x.shape, shape, a);
    return shape;
  },
  grad: {
    x: ({ x, dy, ddw, attrs: { kernel, ...attrs } }) =>
      apply(ConvInputGrad, [ddw, dy], { ...attrs, space: x.shape.slice(2) }),
    dy: ({ x, ddw, attrs: { kernel, ...attrs } }) => apply(Conv, [x, ddw, null], attrs),
  },
  evaluate: ({ x, dy }, a, types) => {
    const dw = nd(types[0]!.shape);
    eachProduct(x.shape, dw.shape, dy.shape, a, (i, j, k) => {
      dw.data[j] = dw.data[j]! + x.data[i]! * dy.data[k]!;
    });
    return dw;
  },
  lower: ({ x, dy }, low, a, node) => lowerWeightGrad(x, dy, low, a, node.inputs[0]!.shape, node.inputs[1]!.shape),
  samples: cases.map(({ x, w, attrs }) => ({
    shapes: { x, dy: outShape(x, w, attrs) },
    attrs: { ...attrs, kernel: w.slice(2) },
  })),
});

/** One number, or one for each space axis. */
type PerAxis = number | readonly number[];

/**
 * Cross-correlation. x [N, C, …space], w [M, C/group, …kernel], b [M] or null → [N, M, …].
 * Defaults: stride 1, padding 0 (the same on both sides), dilation 1, group 1.
 */
export function conv(
  x: Value,
  w: Value,
  b: Value | null = null,
  o: { stride?: PerAxis; padding?: PerAxis; dilation?: PerAxis; group?: number; name?: string } = {},
): Value {
  const dims = x.shape.length - 2;
  const list = (v: PerAxis | undefined, otherwise: number) =>
    v === undefined || typeof v === "number" ? new Array<number>(Math.max(dims, 0)).fill(v ?? otherwise) : v;
  const padding = list(o.padding, 0);
  const attrs: ConvAttributes = {
    strides: list(o.stride, 1),
    padsBegin: padding,
    padsEnd: padding,
    dilations: list(o.dilation, 1),
    group: o.group ?? 1,
  };
  return apply(Conv, [x, w, b], attrs, o.name);
}

/**
 * Transposed convolution without padding: x [N, C, …space], w [C, M, …kernel], b [M] or null → [N, M, …(space − 1)·stride + kernel],
 * as PyTorch's ConvTranspose.
 */
export function convTranspose(
  x: Value,
  w: Value,
  b: Value | null = null,
  o: { stride?: number; name?: string } = {},
): Value {
  const stride = o.stride ?? 1;
  const space = x.shape.slice(2);
  const zero = space.map(() => 0);
  const attrs = {
    strides: space.map(() => stride),
    padsBegin: zero,
    padsEnd: zero,
    dilations: space.map(() => 1),
    group: 1,
    space: space.map((d, i) => (d - 1) * stride + (w.shape[i + 2] ?? 1)),
  };
  const y = apply(ConvInputGrad, [w, x], attrs, o.name);
  const broadcast = y.shape.map((d, i) => (i === 1 ? d : 1));
  return b ? add(y, reshape(b, broadcast)) : y;
}
