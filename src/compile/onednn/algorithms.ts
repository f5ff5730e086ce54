/** @file The ways to compute a convolution: directly, by Winograd's algorithm, or on tiny maps as one matrix product. */
import { type Shape, sizeOf } from "../../common/tensor.js";
import type { ConvAttributes } from "../../ops/index.js";
import { type Layout, layoutNumber } from "./layout.js";
import { elementNumber, int, type Planner, real, size, sizes, stridesOf } from "./planner.js";
import { bytesOf, type Region, type Word } from "./program.js";

/** 0 a convolution, 1 its gradient by the images, 2 by the weights. */
export type Kind = 0 | 1 | 2;
/** Which of x, w, y is the result. */
export const resultOf = { 0: 2, 1: 0, 2: 1 } as const;

/** One convolution or gradient; shapes, regions and layouts are those of x [N, I, …], w [O, I/group, …] and y [N, O, …]. */
export interface Convolution {
  readonly kind: Kind;
  readonly shapes: readonly [x: Shape, w: Shape, y: Shape];
  readonly attributes: ConvAttributes;
  readonly regions: readonly [x: Region, w: Region, y: Region];
  readonly layouts: readonly [x: Layout, w: Layout, y: Layout];
  readonly bias: Region | null;
}

/** One instruction: a primitive of oneDNN. */
export function emitConvolution(p: Planner, c: Convolution, algorithm: "Convolution" | "Winograd"): void {
  const [x, w, y] = c.shapes;
  const { strides, dilations, padsBegin, padsEnd, group } = c.attributes;
  const words: Word[] = [
    int(c.kind),
    int(x.length - 2),
    ...sizes([x[0]!, x[1]!, y[1]!, group]), // images have two axes before space
    ...sizes([...x.slice(2), ...y.slice(2), ...w.slice(2)]),
    ...sizes([...strides, ...dilations, ...padsBegin, ...padsEnd]),
    ...c.regions.flatMap((r, i) => [elementNumber(r), int(layoutNumber[c.layouts[i]!])]), // three of each
    c.regions[0],
    c.regions[1],
    c.bias,
    c.regions[2],
  ];
  const to = c.regions[resultOf[c.kind]];
  const reads = [...c.regions.filter((r) => r !== to), c.bias];
  p.emit(algorithm, words, reads, [to], 2 * sizeOf(y) * sizeOf(w.slice(1)));
}

const all = (list: readonly number[], n: number) => list.every((d) => d === n);

/** 3×3 kernels that neither stride nor dilate, and keep the size of their maps. */
const isPlain3x3 = ({ attributes: a, shapes: [, w] }: Convolution): boolean =>
  w.length === 4 && all(w.slice(2), 3) && all([...a.strides, ...a.dilations, ...a.padsBegin, ...a.padsEnd, a.group], 1);

/**
 * Whether Winograd's algorithm F(4×4, 3×3) (Lavin and Gray, CVPR 2016) is the faster one. A tile of 4×4 results takes 36 products
 * instead of 144; but maps that do not fill their tiles waste them, and few channels or tiles do not pay for moving to the
 * transformed domain and back. Its error is about five times that of direct sums, 1e-6 of the results' size.
 * The bounds are those of the bench (docs/BENCHMARKS.md).
 */
export function gainsByWinograd(p: Planner, c: Convolution): boolean {
  if (!p.winograd || p.precision !== "float32" || !isPlain3x3(c)) return false;
  const [[images], [out, into], [, , height, width]] = c.shapes as [number[], number[], number[]]; // four axes each
  const tiles = Math.ceil(height! / 4) * Math.ceil(width! / 4);
  return (
    Math.min(out!, into!) >= (c.kind === 2 ? 64 : 32) && images! * tiles >= 48 && height! * width! >= 0.7 * 16 * tiles
  );
}

/**
 * Whether the convolution is better computed as one product with a dense matrix of [positions × out, positions × in]: on a map of
 * 2×2 every position sees every other one, and most products of the direct algorithm multiply padding.
 */
export function gainsAsProduct(p: Planner, c: Convolution): boolean {
  if (c.bias || !isPlain3x3(c) || !c.shapes[0].slice(2).every((d) => d <= 2)) return false;
  // Spreading the weights costs as much as some images do. In bfloat16 only the gradient of the weights gains.
  return c.shapes[0][0]! >= 64 && (c.kind === 2 || p.precision === "float32");
}

/**
 * The convolution of maps with S ≤ 4 positions as one of 1×1 kernels: x as [1, I·S, N, 1], kernels [O·S, I·S, 1, 1], y as
 * [1, O·S, N, 1], all in blocks, so that whole blocks move and the kernel blocks are those of w.
 */
export function planProduct(p: Planner, c: Convolution): void {
  const [x, w] = c.shapes;
  const [images, height, width] = [x[0]!, x[2]!, x[3]!]; // four axes
  const b = p.block;
  const space = height * width;
  const [into, out] = [w[1]! / b, w[0]! / b]; // blocks
  /** Images as rows of one map: [N, C/b, S, b] to [C/b, S, N, b]. */
  const turn = (blocks: number) => ({
    shape: [images, blocks, space, b],
    image: stridesOf([images, blocks, space, b]),
    row: [b, space * images * b, images * b, 1],
  });
  const rows = (r: Region, blocks: number): Region => {
    const { shape, image, row } = turn(blocks);
    const to = p.buffer(r.dtype, r.size);
    p.copy(shape, { buffer: r, strides: image }, { buffer: to, strides: row });
    return to;
  };
  /** From a tap of w to where position q of the input meets position p of the output: tap = 1 + q − p along both axes. */
  const kernel = b * b;
  const taps = {
    shape: [out, into, height, width, height, width, kernel], // (O, I, p, p, q, q)
    sparse: [into * 9 * kernel, 9 * kernel, -3 * kernel, -kernel, 3 * kernel, kernel, 1],
    dense: [
      space * into * space * kernel,
      space * kernel,
      width * into * space * kernel,
      into * space * kernel,
      width * kernel,
      kernel,
      1,
    ],
    centre: 4 * kernel,
  };
  const [xr, wr, yr] = c.regions;
  const dense = p.buffer("float32", w[0]! * w[1]! * space * space);
  const tensors: [Region, Region, Region] = [xr, dense, yr];
  if (c.kind !== 0) tensors[2] = rows(yr, out);
  if (c.kind !== 1) tensors[0] = rows(xr, into);
  if (c.kind !== 2) {
    p.copy(taps.shape, { buffer: wr, strides: taps.sparse, at: taps.centre }, { buffer: dense, strides: taps.dense });
  }
  const result = resultOf[c.kind];
  if (result !== 1) tensors[result] = p.buffer(c.regions[result].dtype, c.regions[result].size);
  emitConvolution(
    p,
    {
      ...c,
      shapes: [
        [1, w[1]! * space, images, 1],
        [w[0]! * space, w[1]! * space, 1, 1],
        [1, w[0]! * space, images, 1],
      ],
      attributes: { ...c.attributes, padsBegin: [0, 0], padsEnd: [0, 0] },
      regions: tensors,
    },
    "Convolution",
  );
  if (result === 1) {
    p.emit("Fill", [size(sizeOf(w)), real(0), wr], [], [wr]);
    p.copy(
      taps.shape,
      { buffer: dense, strides: taps.dense },
      { buffer: wr, strides: taps.sparse, at: taps.centre },
      "add",
    );
  } else {
    const { shape, image, row } = turn(result === 0 ? into : out);
    p.copy(shape, { buffer: tensors[result], strides: row }, { buffer: c.regions[result], strides: image });
  }
}

/**
 * Whether the weights' gradient is better computed as one product with the patches: on small maps oneDNN's direct algorithm for
 * bfloat16 has few positions to sum over at a time, and a third to two thirds of the product's speed.
 */
export function gainsByPatches(p: Planner, c: Convolution): boolean {
  const [x, w, y] = c.shapes;
  if (c.kind !== 2 || p.precision !== "bfloat16" || c.attributes.group !== 1 || x.length !== 4) return false;
  const positions = sizeOf(y.slice(2));
  const taps = sizeOf(w.slice(2));
  return taps > 1 && positions <= 16 && positions * x[0]! >= 256;
}

/**
 * The weights' gradient as that of 1×1 kernels: the patches as x [1, I·taps, N·positions, 1], y as [1, O, N·positions, 1]. The
 * patches' blocks are ordered as w's, (I, taps), so that the result needs no move.
 */
export function planPatches(p: Planner, c: Convolution): void {
  const [[images, , height, width], [out, into, kh, kw], [, , oh, ow]] = c.shapes as [number[], number[], number[]]; // four axes
  const { strides, dilations, padsBegin } = c.attributes;
  const b = p.block;
  const [xr, wr, yr] = c.regions;
  const rows = images! * oh! * ow!;
  const taps = kh! * kw!;
  const patches = p.buffer(xr.dtype, into! * taps * rows);
  p.emit("Fill", [size((patches.size * bytesOf(patches.dtype)) / 4), real(0), patches], [], [patches]); // it writes floats
  /** The results whose tap falls into the map, and where it falls for the first of them. */
  const inside = (axis: number, tap: number, n: number, m: number) => {
    const shift = tap * dilations[axis]! - padsBegin[axis]!;
    const first = Math.max(0, Math.ceil(-shift / strides[axis]!));
    const count = Math.min(m - 1, Math.floor((n - 1 - shift) / strides[axis]!)) - first + 1;
    return { first, count, from: first * strides[axis]! + shift };
  };
  for (let tap = 0; tap < taps; tap++) {
    const r = inside(0, Math.floor(tap / kw!), height!, oh!);
    const q = inside(1, tap % kw!, width!, ow!);
    if (r.count < 1 || q.count < 1) continue;
    p.copy(
      [into! / b, images!, r.count, q.count, b],
      {
        buffer: xr,
        strides: [height! * width! * b, into! * height! * width!, strides[0]! * width! * b, strides[1]! * b, 1],
        at: (r.from * width! + q.from) * b,
      },
      {
        buffer: patches,
        strides: [taps * rows * b, oh! * ow! * b, ow! * b, b, 1],
        at: (tap * rows + r.first * ow! + q.first) * b,
      },
    );
  }
  const gradient = p.buffer(yr.dtype, yr.size);
  const positions = oh! * ow! * b;
  p.copy(
    [out! / b, images!, positions],
    { buffer: yr, strides: [positions, out! * oh! * ow!, 1] },
    { buffer: gradient, strides: [rows * b, positions, 1] },
  );
  emitConvolution(
    p,
    {
      ...c,
      shapes: [
        [1, into! * taps, rows, 1],
        [out!, into! * taps, 1, 1],
        [1, out!, rows, 1],
      ],
      attributes: { ...c.attributes, strides: [1, 1], dilations: [1, 1], padsBegin: [0, 0], padsEnd: [0, 0] },
      regions: [patches, wr, gradient],
    },
    "Convolution",
  );
}
