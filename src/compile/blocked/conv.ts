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

/**
 * w [O, I, k, k] with inputs and outputs exchanged, and its taps picked anew: [phases·I, O, …] in the weight layout.
 * @param phases for each group of output channels the taps of w in the order of the new kernel; null is a tap of zeros
 */
function exchanged(c: Context, w: Value, phases: readonly (readonly (number | null)[])[]): string {
  const { e, block: b } = c;
  const [o, i, kh, kw] = four(w);
  const taps = kh * kw;
  const [ob, ib] = [o / b, i / b];
  const blocks = transposeBlocks(c, c.get(w, "weight"), ob * ib * taps);
  const flat = e.emit("Reshape", [blocks, e.vector([ob * ib * taps, b * b])]);
  const none = ob * ib * taps; // a row of zeros behind the last block
  const source = phases.flat().includes(null) ? e.emit("Pad", [flat, e.vector([0, 0, 1, 0])]) : flat;
  // Whole blocks move: one Gather of rows exchanges inputs and outputs and picks the taps, on all threads.
  const rows: number[] = [];
  for (const phase of phases)
    for (let p = 0; p < ib; p++)
      for (let q = 0; q < ob; q++) for (const t of phase) rows.push(t === null ? none : (q * ib + p) * taps + t);
  const order = e.constant({ dtype: "int64", shape: [rows.length], data: BigInt64Array.from(rows, BigInt) });
  return e.emit("Gather", [source, order], { axis: int(0) });
}

/** The kernel turned by 180°: taps from last to first. */
const turned = (c: Context, w: Value): string => {
  const [o, i, kh, kw] = four(w);
  const taps = Array.from({ length: kh * kw }, (_, t) => kh * kw - 1 - t);
  return c.e.emit("Reshape", [exchanged(c, w, [taps]), c.e.vector([i, o, kh, kw])]);
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
    // dx at even and odd rows and columns are four convolutions of dy with parts of the kernel; as one with 4·C channels:
    // even positions see tap 1 of dy[o]; odd ones tap 2 of dy[o] and tap 0 of dy[o + 1].
    const line = [
      [1, null],
      [2, 0],
    ] as const;
    const phases = line.flatMap((rows) =>
      line.map((cols) => rows.flatMap((i) => cols.map((j) => (i === null || j === null ? null : 3 * i + j)))),
    );
    const weight = e.emit("Reshape", [exchanged(c, w, phases), e.vector([4 * ch, dy.shape[1]!, 2, 2])]); // dy has four axes
    const parts = e.emit("Conv", [source, weight], convAttributes([2, 2], [1, 1], [0, 0, 1, 1]), NCHWC);
    const split = e.emit("Reshape", [parts, e.vector([2, 2, ch / b, h / 2, columns, b])]);
    wide = e.emit("Transpose", [split], { perm: ints([2, 3, 0, 4, 1, 5]) });
  }
  const one = narrow(e, wide, [(ch / b) * h, n, (width + 2) * b], (width + 1) * b);
  return put(e.emit("Reshape", [one, e.vector([1, ch, h, n * (width + 1)])]), k === 1);
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
