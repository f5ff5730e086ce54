/** @file Weight gradients of convolutions in blocked layouts: a product for each tap of the kernel. */
import type { Node, Value } from "../../graph/value.js";
import type { ConvAttributes } from "../../ops/index.js";
import { int, ints } from "../../ops/lowering.js";
import type { Context } from "./context.js";
import { four, goesByImage, goesByPixels, stripForm, twoColumns } from "./conv.js";
import { isBlockable, isWeight, NCHWC, weightLayout } from "./layout.js";
import { pixelWeightGrad } from "./pixel.js";
import { stemWeightGrad } from "./stem.js";

/** A matrix [rows, width] moved down by `by` rows, zeros behind them; what leaves it is lost. */
const movedDown = (c: Context, v: string, by: number, rows: number, width: number): string => {
  if (by === 0) return v;
  const flat = c.e.emit("Reshape", [v, c.e.vector([rows * width])]); // one stretch of memory: three times as fast
  const moved = c.e.emit("Pad", [flat, c.e.vector([by * width, -by * width])]);
  return c.e.emit("Reshape", [moved, c.e.vector([rows, width])]);
};

/** dw as [C, O] of each tap of the kernel, in order. */
type Taps = readonly string[];

export function weightGradRule(c: Context, node: Node): boolean {
  const [x, dy] = node.inputs as [Value, Value]; // ConvWeightGrad's inputs
  const dw = node.outputs[0]!;
  const a = node.attrs as unknown as ConvAttributes;
  if (dw.shape.length !== 4 || !isWeight(dw.shape, c.block) || !isBlockable(x.shape, c.block)) {
    return stemWeightGrad(c, node);
  }
  if (goesByPixels(c, x, dw, a)) {
    c.put(dw, "taps", pixelWeightGrad(c, x, dy));
    return true;
  }
  const form = stripForm(four(x), four(dw), a);
  if (!form) return false;
  const taps = goesByImage(c, four(x), four(dw), form.stride)
    ? tapsByImage(c, x, dy, form.kernel)
    : tapsByStrip(c, x, dy, form.kernel, form.stride);
  const { e, block: b } = c;
  const [o, i] = four(dw);
  const blocks = taps.map((v) => e.emit("Reshape", [v, e.vector([1, i / b, b, o / b, b])]));
  const stacked = blocks.length === 1 ? blocks[0]! : e.emit("Concat", blocks, { axis: int(0) });
  const layout = weightLayout(dw.shape);
  const ordered = layout === "taps" ? stacked : e.emit("Transpose", [stacked], { perm: ints([3, 1, 0, 2, 4]) });
  c.put(dw, layout, e.emit("Reshape", [ordered, e.vector(dw.shape)]));
  return true;
}

/**
 * For each tap a product, channels × pixels times pixels × channels. A tap is a shift: of x by rows, of dy by columns, so that three of each
 * do. What a shift drags in from beyond an image is zero: both are clean.
 */
function tapsByStrip(c: Context, x: Value, dy: Value, k: number, s: number): Taps {
  const { e, block: b } = c;
  const [n, ch] = four(x);
  const [, m, oh, ow] = four(dy);
  const columns = n * (ow + 1);
  const length = oh * columns;
  /** [pixels, channels] if `last`, else [channels, pixels]; a strip of one block is the first as it lies. */
  const matrix = (part: string, channels: number, last: boolean): string => {
    const to = { channels: int(channels), channels_last: int(last ? 1 : 0) };
    const moved = last && channels === b ? part : e.emit("ReorderOutput", [part], to, NCHWC);
    return e.emit("Reshape", [moved, e.vector(last ? [length, channels] : [channels, length])]);
  };
  const right = matrix(c.clean(dy), m, true);
  const strip = s === 2 ? twoColumns(c, c.clean(x), four(x)) : c.clean(x);
  const narrow = ch === b;
  /** x at every `s`th row and column from the given ones, moved up by `rows` rows: [pixels, C] of one block, else [C, pixels]. */
  const left = (row: number, column: number, rows: number): string => {
    let part = strip;
    if (s === 2) {
      const split = e.emit("Reshape", [strip, e.vector([(ch / b) * oh, 2, columns, 2, b])]);
      const cut = e.emit("Slice", [split, e.vector([row, column]), e.vector([row + 1, column + 1]), e.vector([1, 3])]);
      part = e.emit("Reshape", [cut, e.vector([1, ch, oh, columns])]);
    }
    const all = matrix(part, ch, narrow);
    const by = -rows * columns;
    if (narrow) return movedDown(c, all, by, length, ch);
    return by === 0 ? all : e.emit("Pad", [all, e.vector([0, by, 0, -by])]);
  };
  /** Tap t reads row s·o + t − (k − 1)/2: for stride 1 a shift by t − 1; for stride 2 phase (t + 1) mod 2, shifted by −1 where t = 0. */
  const at = (t: number) =>
    k === 1
      ? { phase: 0, shift: 0 }
      : s === 1
        ? { phase: 0, shift: t - 1 }
        : { phase: (t + 1) % 2, shift: t === 0 ? -1 : 0 };
  /** [pixels, C]ᵀ·[pixels, O], a row of the strip at a time: what a row takes stays in the caches. */
  const byRows = (operands: readonly string[]): string => {
    const rows = operands.map((v, at) => e.emit("Reshape", [v, e.vector([oh, columns, at === 0 ? ch : m])]));
    const products = e.emit("FusedMatMul", rows, { transA: int(1) }, "com.microsoft");
    return e.emit("ReduceSum", [products, e.vector([0])], { keepdims: int(0) });
  };
  const taps: string[] = [];
  for (let i = 0; i < k; i++)
    for (let j = 0; j < k; j++) {
      const [row, column] = [at(i), at(j)];
      const operands = [left(row.phase, column.phase, row.shift), movedDown(c, right, column.shift, length, m)];
      const product = narrow ? byRows(operands) : e.emit("MatMul", operands);
      taps.push(product);
    }
  return taps;
}

/** Of one block: each image for itself, [pixels, C]ᵀ·[pixels, O], and the sum. A tap is a shift of x by rows and of dy by columns here, too. */
function tapsByImage(c: Context, x: Value, dy: Value, k: number): Taps {
  const { e, block: b } = c;
  const [n, , h, w] = four(x);
  /** v as `count` stretches of memory, each moved by `by` numbers, zeros behind them; as rows of channels, which images of one block are. */
  const moved = (v: Value, count: number, by: number): string => {
    const stretches = e.emit("Reshape", [c.get(v, "image"), e.vector([count, (n * h * w * b) / count])]);
    const shifted = by === 0 ? stretches : e.emit("Pad", [stretches, e.vector([0, by, 0, -by])]);
    return e.emit("Reshape", [shifted, e.vector([n, h * w, b])]);
  };
  const shifts = k === 1 ? [0] : [-1, 0, 1];
  return shifts.flatMap((row) =>
    shifts.map((column) => {
      const operands = [moved(x, n, -row * w * b), moved(dy, n * h, column * b)];
      const products = e.emit("FusedMatMul", operands, { transA: int(1) }, "com.microsoft");
      return e.emit("ReduceSum", [products, e.vector([0])], { keepdims: int(0) });
    }),
  );
}
