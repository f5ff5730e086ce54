/** @file Import of ops over space axes: convolution, transposed convolution, pooling, with ONNX's ways to say padding. */
import { formatShape, type Shape } from "../../common/tensor.js";
import { scalar } from "../../graph/build.js";
import type { Value } from "../../graph/value.js";
import { add, averagePool, mapAxis, mul, pow, reduceMean, reshape } from "../../ops/index.js";
import type { ImportRule, ImportTable, NodeContext } from "./_context.js";

interface Window {
  readonly kernel: readonly number[];
  readonly strides: readonly number[];
  readonly dilations: readonly number[];
  readonly padsBegin: readonly number[];
  readonly padsEnd: readonly number[];
}

/** Length that a kernel covers: dilation·(k − 1) + 1. */
const extent = (w: Pick<Window, "kernel" | "dilations">, i: number) =>
  (w.dilations[i] ?? 1) * ((w.kernel[i] ?? 1) - 1) + 1;

/** Kernel, strides, dilations and explicit pads, whichever way the node says them. */
function windowOf(c: NodeContext, space: Shape, kernel: readonly number[]): Window {
  const n = space.length;
  const strides = c.perAxis("strides", n, 1);
  const dilations = c.perAxis("dilations", n, 1);
  const mode = c.text("auto_pad", "NOTSET");
  if (kernel.length !== n)
    return c.refuse("the kernel has another number of axes", { expected: String(n), got: `[${kernel.join(",")}]` });
  if (mode === "NOTSET") {
    const pads = c.ints("pads", new Array<number>(2 * n).fill(0));
    if (pads.length !== 2 * n)
      return c.refuse("two pads for each space axis are needed", { got: `[${pads.join(",")}]` });
    return { kernel, strides, dilations, padsBegin: pads.slice(0, n), padsEnd: pads.slice(n) };
  }
  const zero = kernel.map(() => 0);
  if (mode === "VALID") return { kernel, strides, dilations, padsBegin: zero, padsEnd: zero };
  if (mode !== "SAME_UPPER" && mode !== "SAME_LOWER") return c.refuse("auto_pad is not supported", { got: mode });
  // SAME: the output has ⌈size/stride⌉ places; an odd pad goes to the end (UPPER) or to the beginning (LOWER).
  const total = space.map((d, i) => {
    const s = strides[i] ?? 1;
    return Math.max(0, (Math.ceil(d / s) - 1) * s + extent({ kernel, dilations }, i) - d);
  });
  const small = total.map((p) => Math.floor(p / 2));
  const large = total.map((p) => Math.ceil(p / 2));
  const upper = mode === "SAME_UPPER";
  return { kernel, strides, dilations, padsBegin: upper ? small : large, padsEnd: upper ? large : small };
}

const convolution: ImportRule = (c) => {
  const [x, w, b] = [c.x(0), c.x(1), c.maybe(2)];
  const { strides, dilations, padsBegin, padsEnd } = windowOf(c, c.space(x), w.shape.slice(2));
  return c.op("Conv", [x, w, b], { strides, dilations, padsBegin, padsEnd, group: c.int("group", 1) });
};

/** The input gradient of a convolution whose weight is [in, out/group, …kernel], which is how ONNX stores it. */
const transposedConvolution: ImportRule = (c) => {
  const [x, w, b] = [c.x(0), c.x(1), c.maybe(2)];
  const space = c.space(x);
  const kernel = w.shape.slice(2);
  const n = space.length;
  const extra = c.perAxis("output_padding", n, 0);
  let window: Window;
  let out: readonly number[];
  const full = (v: Window) => space.map((d, i) => (v.strides[i] ?? 1) * (d - 1) + (extra[i] ?? 0) + extent(v, i));
  const mode = c.text("auto_pad", "NOTSET");
  if (c.has("output_shape") || mode.startsWith("SAME")) {
    const zero = kernel.map(() => 0);
    window = {
      kernel,
      strides: c.perAxis("strides", n, 1),
      dilations: c.perAxis("dilations", n, 1),
      padsBegin: zero,
      padsEnd: zero,
    };
    const { strides } = window;
    out = c
      .ints(
        "output_shape",
        space.map((d, i) => d * (strides[i] ?? 1)),
      )
      .slice(-n);
    const total = full(window).map((d, i) => Math.max(0, d - (out[i] ?? d)));
    const [small, large] = [total.map((p) => Math.floor(p / 2)), total.map((p) => Math.ceil(p / 2))];
    window = {
      ...window,
      ...(mode === "SAME_UPPER" ? { padsBegin: small, padsEnd: large } : { padsBegin: large, padsEnd: small }),
    };
  } else {
    window = windowOf(c, space, kernel);
    const { padsBegin, padsEnd } = window;
    out = full(window).map((d, i) => d - (padsBegin[i] ?? 0) - (padsEnd[i] ?? 0));
  }
  if (x.shape[1] !== w.shape[0]) {
    return c.refuse("input has the wrong number of channels", {
      expected: `${w.shape[0]} (weight ${formatShape(w.shape)})`,
      got: `${x.shape[1]} (input ${formatShape(x.shape)})`,
    });
  }
  const { strides, dilations, padsBegin, padsEnd } = window;
  const attrs = { strides, dilations, padsBegin, padsEnd, group: c.int("group", 1), space: out };
  const y = c.op("ConvInputGrad", [w, x], attrs);
  return b
    ? add(
        y,
        reshape(
          b,
          y.shape.map((d, i) => (i === 1 ? d : 1)),
        ),
      )
    : y;
};

/**
 * Pads at the end so that rounding down gives what ceil_mode asks for. As PyTorch, a window that would begin in the
 * padding at the end is left out.
 */
function withCeil(c: NodeContext, space: Shape, w: Window): Window {
  if (!c.flag("ceil_mode")) return w;
  const padsEnd = space.map((d, i) => {
    const [s, begin, end] = [w.strides[i] ?? 1, w.padsBegin[i] ?? 0, w.padsEnd[i] ?? 0];
    const steps = (d + begin + end - extent(w, i)) / s;
    let out = Math.ceil(steps) + 1;
    if ((out - 1) * s >= d + begin) out--;
    return out === Math.floor(steps) + 1 ? end : (out - 1) * s + extent(w, i) - d - begin;
  });
  return { ...w, padsEnd };
}

const maxPooling: ImportRule = (c) => {
  const x = c.x(0);
  const space = c.space(x);
  const w = withCeil(c, space, windowOf(c, space, c.ints("kernel_shape")));
  return [c.op("MaxPool", [x], { ...w }), null];
};

const averagePooling: ImportRule = (c) => {
  const x = c.x(0);
  const space = c.space(x);
  const explicit = windowOf(c, space, c.ints("kernel_shape"));
  if (explicit.dilations.some((d) => d !== 1)) return c.refuse("dilation is not supported");
  const padded = explicit.padsBegin.some((p) => p !== 0) || explicit.padsEnd.some((p) => p !== 0);
  if (!(c.flag("count_include_pad") && padded)) {
    const { kernel, strides, padsBegin, padsEnd } = withCeil(c, space, explicit);
    return c.op("AveragePool", [x], { kernel, strides, padsBegin, padsEnd });
  }
  // The explicit padding counts as places; what ceil_mode adds beyond it does not.
  const { padsBegin, padsEnd, kernel, strides } = explicit;
  const wide = c.op("Pad", [x], { before: [0, 0, ...padsBegin], after: [0, 0, ...padsEnd], value: 0 });
  const zero = kernel.map(() => 0);
  const rest = withCeil(c, c.space(wide), { ...explicit, padsBegin: zero, padsEnd: zero });
  return averagePool(wide, kernel, { stride: strides, padsEnd: rest.padsEnd, name: c.name });
};

const spaceAxes = (x: Value) => x.shape.flatMap((_, i) => (i < 2 ? [] : [i]));

/** One window over everything: the first maximum takes the gradient, as PyTorch's adaptive pooling. */
const globalMax: ImportRule = (c) => {
  const x = c.x(0);
  const kernel = c.space(x);
  const [zero, one] = [kernel.map(() => 0), kernel.map(() => 1)];
  return c.op("MaxPool", [x], { kernel, strides: one, dilations: one, padsBegin: zero, padsEnd: zero });
};

/** y = x / (bias + α/size · Σ x² over `size` neighbouring channels)^β. */
const localResponse: ImportRule = (c) => {
  const x = c.x(0);
  const [size, channels = 0] = [c.int("size"), x.shape[1]];
  if (channels > 4096)
    return c.refuse("so many channels are not supported", { expected: "at most 4096", got: String(channels) });
  const [before, after] = [Math.floor((size - 1) / 2), Math.ceil((size - 1) / 2)];
  const band = Float64Array.from({ length: channels * channels }, (_, i) => {
    const distance = (i % channels) - Math.floor(i / channels);
    return distance >= -before && distance <= after ? c.float("alpha", 1e-4) / size : 0;
  });
  const sums = mapAxis(mul(x, x), 1, { rows: channels, columns: channels, data: band });
  return mul(x, pow(add(sums, scalar(c.float("bias", 1))), scalar(-c.float("beta", 0.75))));
};

export const spaceTable: ImportTable = {
  Conv: convolution,
  ConvTranspose: transposedConvolution,
  MaxPool: maxPooling,
  AveragePool: averagePooling,
  GlobalAveragePool: (c) => reduceMean(c.x(0), spaceAxes(c.x(0)), true),
  GlobalMaxPool: globalMax,
  LRN: localResponse,
};
