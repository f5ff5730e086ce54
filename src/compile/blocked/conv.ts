/** @file Convolutions, inner products with them, and their gradients by the images, in blocked layouts. */
import type { Node, Value } from "../../graph/value.js";
import type { ConvAttributes } from "../../ops/index.js";
import { int, ints } from "../../ops/lowering.js";
import type { Context } from "./context.js";
import { type Four, isWeight, NCHWC, narrow, widen } from "./layout.js";
import { isSmall, pixelConv, pixelDot, pixelInputGrad } from "./pixel.js";

export const four = (v: Value) => v.shape as unknown as Four; // rules check for four axes first

/** The convolutions that strips know: 3×3 with padding 1 or 1×1 without, stride 1, or 2 on even sizes. */
export function stripForm(x: Four, w: Four, a: ConvAttributes): { kernel: 1 | 3; stride: 1 | 2 } | null {
  const [, , kh, kw] = w;
  const kernel = kh === 3 && kw === 3 ? 3 : kh === 1 && kw === 1 ? 1 : null;
  const all = (list: readonly number[], v: number) => list.every((e) => e === v);
  if (kernel === null || a.group !== 1 || !all(a.dilations, 1)) return null;
  const pad = (kernel - 1) / 2;
  if (!all(a.padsBegin, pad) || !all(a.padsEnd, pad)) return null;
  if (all(a.strides, 1)) return { kernel, stride: 1 };
  return all(a.strides, 2) && x[2] % 2 === 0 && x[3] % 2 === 0 ? { kernel, stride: 2 } : null;
}

const convAttributes = (kernel: readonly number[], stride: readonly number[], pads: readonly number[]) => ({
  kernel_shape: ints(kernel),
  strides: ints(stride),
  pads: ints(pads),
  dilations: ints(kernel.map(() => 1)),
  group: int(1),
});

/** Strip with two padding columns instead of one: strides of 2 then stay in step with the images. */
export function twoColumns(c: Context, strip: string, [n, ch, h, w]: Four): string {
  const { e, block } = c;
  const wide = widen(e, strip, [(ch / block) * h, n, (w + 1) * block], block);
  return e.emit("Reshape", [wide, e.vector([1, ch, h, n * (w + 2)])]);
}

/** Side from which on rows of one image are long enough for the kernel. */
const LARGE = 32;

/**
 * Whether a convolution that strips know goes image by image: of one block of channels, where images lie as the weight gradient's products
 * need them, and the padding columns of strips, which have to be kept at zero, weigh the most (ResNet-20: a step takes 5 % less).
 */
export const goesByImage = (c: Context, x: Four, w: Four, stride: number): boolean =>
  stride === 1 && w[0] === c.block && w[1] === c.block && Math.min(x[2], x[3]) >= LARGE;

/** Whether a convolution of x with w, or its gradient, goes by pixels (pixel.ts). */
export function goesByPixels(c: Context, x: Value, w: Value, a: ConvAttributes): boolean {
  if (x.shape.length !== 4 || !isWeight(w.shape, c.block)) return false;
  const form = stripForm(four(x), four(w), a);
  return form !== null && isSmall(four(x), four(w), form.stride);
}

/** A product ⟨dy, conv(x, w)⟩ that `pixelDot` knows: of a convolution that nothing else reads. */
function dotOfPixels(c: Context, node: Node): { readonly y: Value; x: Value; w: Value; dy: Value } | null {
  const [a, b] = node.inputs as [Value, Value]; // Dot has two inputs
  for (const [y, dy] of [
    [a, b],
    [b, a],
  ] as const) {
    const [x, w, bias] = y.node.inputs;
    if (y.node.op.name !== "Conv" || !x || !w || bias || c.onlyReader(y) !== node) continue;
    if (goesByPixels(c, x, w, y.node.attrs as unknown as ConvAttributes)) return { y, x, w, dy }; // Conv's attributes
  }
  return null;
}

/** The inner product of a hypergradient and a convolution that only it reads; see `dotRule` for others. */
export function convDotRule(c: Context, node: Node): boolean {
  const found = dotOfPixels(c, node);
  if (found) c.put(node.outputs[0]!, "plain", pixelDot(c, found.x, found.w, found.dy)); // Dot has one output
  return found !== null;
}

export function convRule(c: Context, node: Node): boolean {
  const [x, w, b] = node.inputs as [Value, Value, Value | null]; // Conv's inputs
  const y = node.outputs[0]!; // Conv has one output
  const a = node.attrs as unknown as ConvAttributes; // Conv's attributes
  if (x.shape.length !== 4 || w.shape[0]! % c.block !== 0) return false;
  const { e } = c;
  const bias = b ? c.get(b, "plain") : "";
  const [xs, ws] = [four(x), four(w)];
  if (goesByPixels(c, x, w, a)) {
    const reader = c.onlyReader(y);
    if (reader?.op.name === "Dot" && dotOfPixels(c, reader)?.y === y) return true; // computed there
    const name = pixelConv(c, x, w);
    c.put(y, "pixel", b ? e.emit("Add", [name, bias]) : name);
    return true;
  }
  const form = isWeight(ws, c.block) ? stripForm(xs, ws, a) : null;
  if (form && !goesByImage(c, xs, ws, form.stride)) {
    const pad = (form.kernel - 1) / 2;
    const input = form.kernel === 3 || form.stride === 2 ? c.clean(x) : c.get(x, "strip");
    const source = form.stride === 2 ? twoColumns(c, input, xs) : input;
    const { kernel: k, stride: s } = form;
    const name = e.emit(
      "Conv",
      [source, c.get(w, "weight"), bias],
      convAttributes([k, k], [s, s], [pad, pad, pad, pad]),
      NCHWC,
    );
    // Without padding to reach over and without a bias, zeros stay zeros.
    c.put(y, "strip", name, k === 1 && bias === "" && c.isClean(x));
    return true;
  }
  if (a.group !== 1) return false;
  // Other kernels by image; few input channels (the stem) are read in C order.
  const attributes = {
    kernel_shape: ints(ws.slice(2)),
    strides: ints(a.strides),
    pads: ints([...a.padsBegin, ...a.padsEnd]),
    dilations: ints(a.dilations),
    group: int(1),
  };
  if (isWeight(ws, c.block)) {
    c.put(y, "image", e.emit("Conv", [c.get(x, "image"), c.get(w, "weight"), bias], attributes, NCHWC));
    return true;
  }
  if (xs[1] >= c.block) return false;
  const [o, i, kh, kw] = ws;
  const split = e.emit("Reshape", [c.get(w, "plain"), e.vector([o / c.block, c.block, i, kh, kw])]);
  const moved = e.emit("Transpose", [split], { perm: ints([0, 2, 3, 4, 1]) });
  const weight = e.emit("Reshape", [moved, e.vector(ws)]);
  c.put(y, "image", e.emit("Conv", [c.get(x, "plain"), weight, bias], attributes, NCHWC));
  return true;
}

/** w [O, I, k, k] with inputs and outputs exchanged: [I, O, …] in the weight layout, of the given taps in the order of the new kernel. */
function exchanged(c: Context, w: Value, taken: readonly number[]): string {
  const { e, block: b } = c;
  const [o, i, kh, kw] = four(w);
  const taps = kh * kw;
  const [ob, ib] = [o / b, i / b];
  const blocks = transposeBlocks(c, c.get(w, "weight"), ob * ib * taps);
  const flat = e.emit("Reshape", [blocks, e.vector([ob * ib * taps, b * b])]);
  // Whole blocks move: one Gather of rows exchanges inputs and outputs and picks the taps, on all threads.
  const order = e.once(`taps ${taken} of ${ob}x${ib}x${taps}`, () => {
    const rows: number[] = [];
    for (let p = 0; p < ib; p++) for (let q = 0; q < ob; q++) for (const t of taken) rows.push((q * ib + p) * taps + t);
    return { dtype: "int32", shape: [rows.length], data: Int32Array.from(rows) };
  });
  return e.emit("Gather", [flat, order], { axis: int(0) });
}

/** The kernel turned by 180°: taps from last to first. */
const turned = (c: Context, w: Value): string => {
  const [o, i, kh, kw] = four(w);
  const taps = Array.from({ length: kh * kw }, (_, t) => kh * kw - 1 - t);
  return c.e.emit("Reshape", [exchanged(c, w, taps), c.e.vector([i, o, kh, kw])]);
};

/**
 * Every b×b block transposed, as a product with the unit matrix: exact (times 1, plus zeros), on all threads, and ten times
 * faster than ONNX Runtime's Transpose of short rows.
 */
function transposeBlocks(c: Context, blocks: string, count: number): string {
  const { e, block: b } = c;
  const unit = Float32Array.from({ length: b * b }, (_, k) => (k % (b + 1) === 0 ? 1 : 0));
  const square = e.emit("Reshape", [blocks, e.vector([count, b, b])]);
  const one = e.constant({ dtype: "float32", shape: [b, b], data: unit });
  return e.emit("FusedMatMul", [square, one], { transA: int(1) }, "com.microsoft");
}

export function inputGradRule(c: Context, node: Node): boolean {
  const [w, dy] = node.inputs as [Value, Value]; // ConvInputGrad's inputs
  const dx = node.outputs[0]!;
  const a = node.attrs as unknown as ConvAttributes;
  if (dx.shape.length !== 4 || !isWeight(w.shape, c.block)) return false;
  if (goesByPixels(c, dx, w, a)) {
    c.put(dx, "pixel", pixelInputGrad(c, w, dy));
    return true;
  }
  const { e, block: b } = c;
  const form = stripForm(four(dx), four(w), a);
  if (!form) return false;
  const [n, ch, h, width] = four(dx);
  const { kernel: k, stride: s } = form;
  const put = (strip: string, clean: boolean) => {
    c.put(dx, "strip", strip, clean);
    return true;
  };
  if (s === 1) {
    const pad = (k - 1) / 2;
    if (goesByImage(c, four(dx), four(w), s)) {
      const attributes = convAttributes([k, k], [1, 1], [pad, pad, pad, pad]);
      c.put(dx, "image", e.emit("Conv", [c.get(dy, "image"), turned(c, w)], attributes, NCHWC));
      return true;
    }
    const input = k === 3 ? c.clean(dy) : c.get(dy, "strip");
    const attributes = convAttributes([k, k], [1, 1], [pad, pad, pad, pad]);
    return put(e.emit("Conv", [input, turned(c, w)], attributes, NCHWC), k === 1 && c.isClean(dy));
  }
  const columns = n * (width / 2 + 1);
  const source = c.clean(dy);
  let wide: string; // strip of dx with two padding columns
  if (k === 1) {
    // The kernel does not mix pixels: it comes first, then a zero after each pixel and each row.
    const low = e.emit("Conv", [source, turned(c, w)], convAttributes([1, 1], [1, 1], [0, 0, 0, 0]), NCHWC);
    const rows = e.emit("Reshape", [low, e.vector([(ch / b) * (h / 2), 1, columns, b])]);
    wide = e.emit("Pad", [rows, e.vector([0, 0, 0, 0, 0, 1, 0, b])]);
  } else {
    // dx at even and odd rows and columns are four convolutions of dy with parts of the kernel: even positions see tap 1 of dy[o], odd
    // ones tap 2 of dy[o] and tap 0 of dy[o + 1].
    const line = [[1], [2, 0]] as const;
    const part = (rows: readonly number[], cols: readonly number[]): string => {
      const taps = rows.flatMap((i) => cols.map((j) => 3 * i + j));
      const kernel = [rows.length, cols.length];
      const weight = e.emit("Reshape", [exchanged(c, w, taps), e.vector([ch, dy.shape[1]!, ...kernel])]); // dy has four axes
      const pads = [0, 0, rows.length - 1, cols.length - 1];
      return e.emit("Conv", [source, weight], convAttributes(kernel, [1, 1], pads), NCHWC);
    };
    const interleave = (parts: readonly string[], length: number): string => {
      const views = parts.map((v) => e.emit("Reshape", [v, e.vector([-1, length])]));
      return e.emit("Concat", views, { axis: int(1) });
    };
    const rows = line.map((i) => {
      const columnsOf = line.map((j) => part(i, j));
      return interleave(columnsOf, b);
    });
    wide = interleave(rows, 2 * columns * b);
  }
  const one = narrow(e, wide, [(ch / b) * h, n, (width + 2) * b], (width + 1) * b);
  return put(e.emit("Reshape", [one, e.vector([1, ch, h, n * (width + 1)])]), k === 1);
}
