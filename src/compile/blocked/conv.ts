/** @file Convolutions and their gradients in blocked layouts. */
import type { Node, Value } from "../../graph/value.js";
import type { ConvAttributes } from "../../ops/index.js";
import { int, ints } from "../../ops/lowering.js";
import type { Context } from "./context.js";
import { isBlockable, isWeight, NCHWC, narrow, widen } from "./layout.js";

type Four = readonly [number, number, number, number];
const four = (v: Value) => v.shape as unknown as Four; // rules check for four axes first

/** The convolutions that strips know: 3×3 with padding 1 or 1×1 without, stride 1, or 2 on even sizes. */
function stripForm(x: Four, w: Four, a: ConvAttributes): { kernel: 1 | 3; stride: 1 | 2 } | null {
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
function twoColumns(c: Context, strip: string, [n, ch, h, w]: Four): string {
  const { e, block } = c;
  const wide = widen(e, strip, [(ch / block) * h, n, (w + 1) * block], block);
  return e.emit("Reshape", [wide, e.vector([1, ch, h, n * (w + 2)])]);
}

export function convRule(c: Context, node: Node): boolean {
  const [x, w, b] = node.inputs as [Value, Value, Value | null]; // Conv's inputs
  const y = node.outputs[0]!; // Conv has one output
  const a = node.attrs as unknown as ConvAttributes; // Conv's attributes
  if (x.shape.length !== 4 || w.shape[0]! % c.block !== 0) return false;
  const { e } = c;
  const bias = b ? c.get(b, "plain") : "";
  const [xs, ws] = [four(x), four(w)];
  const form = isWeight(ws, c.block) ? stripForm(xs, ws, a) : null;
  if (form) {
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

/** w [O, I, k, k] for the transposed convolution: [I, O] with the kernel turned by 180°, in the weight layout. */
function turned(c: Context, w: Value): string {
  const { e, block: b } = c;
  const [o, i, kh, kw] = four(w);
  const taps = kh * kw;
  const split = e.emit("Reshape", [c.get(w, "weight"), e.vector([o / b, i / b, taps, b, b])]);
  const turnedTaps =
    taps === 1
      ? split
      : e.emit(
          "Gather",
          [
            split,
            e.constant({
              dtype: "int64",
              shape: [taps],
              data: BigInt64Array.from({ length: taps }, (_, t) => BigInt(taps - 1 - t)),
            }),
          ],
          { axis: int(2) },
        );
  const moved = e.emit("Transpose", [turnedTaps], { perm: ints([1, 0, 2, 3, 4]) });
  return e.emit("Reshape", [transposeBlocks(c, moved, (i / b) * (o / b) * taps), e.vector([i, o, kh, kw])]);
}

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
  const { e, block: b } = c;
  const form = stripForm(four(dx), four(w), a);
  if (!form) return false;
  const [n, ch, h, width] = four(dx);
  const { kernel: k, stride: s } = form;
  const weight = turned(c, w);
  if (s === 1) {
    const pad = (k - 1) / 2;
    const input = k === 3 ? c.clean(dy) : c.get(dy, "strip");
    const name = e.emit("Conv", [input, weight], convAttributes([k, k], [1, 1], [pad, pad, pad, pad]), NCHWC);
    c.put(dx, "strip", name, k === 1 && c.isClean(dy));
    return true;
  }
  // Stride 2: zeros between the pixels, then stride 1. A 1×1 kernel comes first: it does not mix pixels.
  const spread = (name: string, channels: number, [rows, columns]: readonly [number, number]) => {
    const six = e.emit("Reshape", [name, e.vector([(channels / b) * rows, 1, columns, b])]);
    const padded = e.emit("Pad", [six, e.vector([0, 0, 0, 0, 0, 1, 0, b])]);
    return e.emit("Reshape", [padded, e.vector([1, channels, 2 * rows, 2 * columns])]);
  };
  const small: readonly [number, number] = [h / 2, n * (width / 2 + 1)];
  let wide: string;
  if (k === 1) {
    const low = e.emit("Conv", [c.clean(dy), weight], convAttributes([1, 1], [1, 1], [0, 0, 0, 0]), NCHWC);
    wide = spread(low, ch, small);
  } else {
    const zeros = spread(c.clean(dy), dy.shape[1]!, small); // dy has four axes
    wide = e.emit("Conv", [zeros, weight], convAttributes([3, 3], [1, 1], [1, 1, 1, 1]), NCHWC);
  }
  const one = narrow(e, wide, [(ch / b) * h, n, (width + 2) * b], (width + 1) * b);
  c.put(dx, "strip", e.emit("Reshape", [one, e.vector([1, ch, h, n * (width + 1)])]), k === 1);
  return true;
}

export function weightGradRule(c: Context, node: Node): boolean {
  const [x, dy] = node.inputs as [Value, Value]; // ConvWeightGrad's inputs
  const dw = node.outputs[0]!;
  const a = node.attrs as unknown as ConvAttributes;
  if (dw.shape.length !== 4 || !isWeight(dw.shape, c.block) || !isBlockable(x.shape, c.block)) return false;
  const form = stripForm(four(x), four(dw), a);
  if (!form) return false;
  const { e, block: b } = c;
  const [n, ch] = four(x);
  const [, m, oh, ow] = four(dy);
  const { kernel: k, stride: s } = form;
  // Channels as rows of pixels; a kernel tap is then a shift along the row, and what it drags in from beyond an image is zero.
  const columns = n * (ow + 1);
  const length = oh * columns;
  const dyRows = e.emit("ReorderOutput", [c.clean(dy)], { channels: int(m), channels_last: int(1) }, NCHWC);
  const right = e.emit("Reshape", [dyRows, e.vector([length, m])]);
  const pad = k === 3 ? columns + 1 : 0;
  const phases = new Map<string, string>();
  const strip = s === 2 ? twoColumns(c, c.clean(x), four(x)) : c.clean(x);
  /** x of one phase (all of it for stride 1) as [C, pixels], with zeros before and after. */
  const phase = (row: number, column: number): string => {
    const key = `${row},${column}`;
    let found = phases.get(key);
    if (!found) {
      let part = strip;
      if (s === 2) {
        const split = e.emit("Reshape", [strip, e.vector([(ch / b) * oh, 2, columns, 2, b])]);
        const cut = e.emit("Slice", [
          split,
          e.vector([row, column]),
          e.vector([row + 1, column + 1]),
          e.vector([1, 3]),
        ]);
        part = e.emit("Reshape", [cut, e.vector([1, ch, oh, columns])]);
      }
      const planes = e.emit("ReorderOutput", [part], { channels: int(ch), channels_last: int(0) }, NCHWC);
      const flat = e.emit("Reshape", [planes, e.vector([ch, length])]);
      found = pad === 0 ? flat : e.emit("Pad", [flat, e.vector([0, pad, 0, pad])]);
      phases.set(key, found);
    }
    return found;
  };
  const taps: string[] = [];
  for (let i = 0; i < k; i++)
    for (let j = 0; j < k; j++) {
      // Tap i reads row s·o + i − (k − 1)/2: for stride 1 a shift of i − 1 rows; for stride 2 phase (i + 1) mod 2, shifted by −1 where i = 0.
      const at = (t: number) =>
        k === 1
          ? { phase: 0, shift: 0 }
          : s === 1
            ? { phase: 0, shift: t - 1 }
            : { phase: (t + 1) % 2, shift: t === 0 ? -1 : 0 };
      const [row, column] = [at(i), at(j)];
      const from = pad + row.shift * columns + column.shift;
      const source = phase(row.phase, column.phase);
      const shifted =
        pad === 0 ? source : e.emit("Slice", [source, e.vector([from]), e.vector([from + length]), e.vector([1])]);
      const product = e.emit("Gemm", [shifted, right]);
      taps.push(e.emit("Reshape", [product, e.vector([1, ch / b, b, m / b, b])]));
    }
  const stacked = taps.length === 1 ? taps[0]! : e.emit("Concat", taps, { axis: int(0) });
  const blocked = e.emit("Transpose", [stacked], { perm: ints([3, 1, 0, 2, 4]) });
  c.put(dw, "weight", e.emit("Reshape", [blocked, e.vector(dw.shape)]));
  return true;
}
