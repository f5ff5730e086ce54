/**
 * @file Convolutions of a 3-tap kernel along an axis with padding 1 as few products (Winograd's minimal filtering; Lavin & Gray,
 * "Fast Algorithms for Convolutional Neural Networks", CVPR 2016): y = C·((G·w) ⊙ (A·x)), with A, G and C of small rational numbers.
 * The same three matrices give the gradients: dx = Aᵀ·((G·w) ⊙ (Cᵀ·dy)) and dw = Gᵀ·((A·x) ⊙ (Cᵀ·dy)).
 */
import { InternalError } from "../../common/errors.js";

/** Rows of numbers. */
export type Matrix = readonly (readonly number[])[];

/** The algorithm along one axis of `size` pixels. */
export interface Filtering {
  /** Tiles side by side; they share G·w. */
  readonly tiles: number;
  /** Products of one tile. Product p of tile t is row p·tiles + t of A·x. */
  readonly products: number;
  /** A, [products·tiles, size]. */
  readonly input: Matrix;
  /** G, [products, 3]. */
  readonly weight: Matrix;
  /** C, [size, products·tiles]. */
  readonly output: Matrix;
}

export const transpose = (m: Matrix): Matrix => (m[0] ?? []).map((_, j) => m.map((row) => row[j]!)); // rows of one length

/** Kronecker product: both axes of an image at once, rows and columns in C order. */
export const kronecker = (a: Matrix, b: Matrix): Matrix =>
  a.flatMap((rowA) => b.map((rowB) => rowA.flatMap((x) => rowB.map((y) => x * y))));

/**
 * Points of F(m, 3), apart from infinity: small numbers keep the rounding error small, and a half beside two smaller than two beside minus
 * two (1.0e-6 instead of 1.6e-6 of the result's root mean square; Barabasz et al., "Error analysis and improving the accuracy of Winograd
 * convolution for deep neural networks", TOMS 2020).
 */
const points: Readonly<Record<number, readonly number[]>> = { 3: [0, 1, -1, -2], 4: [0, 1, -1, 2, -0.5] };

/** Coefficients of Π (x − p), from x⁰ up. */
function fromRoots(roots: readonly number[]): readonly number[] {
  let c = [1];
  for (const p of roots) c = [...c, 0].map((_, i) => (c[i - 1] ?? 0) - p * (c[i] ?? 0));
  return c;
}

/** F(m, 3) on a tile of m + 2 pixels: [input m+2 × m+2, weight m+2 × 3, output m × m+2]. */
function tile(m: number): { readonly input: Matrix; readonly weight: Matrix; readonly output: Matrix } {
  const ps = points[m];
  if (!ps) throw new InternalError(`no points for F(${m}, 3)`);
  const n = m + 2;
  const others = (i: number) => ps.filter((_, k) => k !== i);
  const input = [...ps.map((_, i) => [...fromRoots(others(i)), 0]), [...fromRoots(ps)]];
  const weight = ps.map((p, i) => {
    const scale = others(i).reduce((f, q) => f * (p - q), 1);
    return [1 / scale, p / scale, (p * p) / scale];
  });
  const output = Array.from({ length: m }, (_, j) => [...ps.map((p) => p ** j), j === m - 1 ? 1 : 0]);
  if (input.some((row) => row.length !== n)) throw new InternalError("F(m, 3) of another size");
  return { input, weight: [...weight, [0, 0, 1]], output };
}

/** y₀ = w₁x₀ + w₂x₁ and y₁ = w₀x₀ + w₁x₁ in three products: of x₀ − x₁, which is small behind a ReLU, x₁ and x₀. */
const twoPixels: Filtering = {
  tiles: 1,
  products: 3,
  input: [
    [1, -1],
    [0, 1],
    [1, 0],
  ],
  weight: [
    [0, 1, 0],
    [0, 1, 1],
    [1, 1, 0],
  ],
  output: [
    [1, 1, 0],
    [-1, 0, 1],
  ],
};

/** The algorithm of the fewest products for `size` pixels. */
export function filtering(size: number): Filtering {
  if (size === 1) return { tiles: 1, products: 1, input: [[1]], weight: [[0, 1, 0]], output: [[1]] };
  if (size === 2) return twoPixels;
  const total = (m: number) => Math.ceil(size / m) * (m + 2);
  const m = total(3) < total(4) ? 3 : 4;
  const [tiles, products] = [Math.ceil(size / m), m + 2];
  const one = tile(m);
  /** Rows product by product, tile by tile; `at` is told the pixel as its own tile counts. */
  const rows = (at: (product: number, pixel: number) => number | undefined): Matrix =>
    Array.from({ length: products * tiles }, (_, r) =>
      Array.from({ length: size }, (_, pixel) => at(Math.floor(r / tiles), pixel - (r % tiles) * m) ?? 0),
    );
  return {
    tiles,
    products,
    weight: one.weight,
    // A tile starts one pixel before the pixels that it gives: what lies outside the image is zero.
    input: rows((p, pixel) => one.input[p]?.[pixel + 1]),
    output: transpose(rows((p, pixel) => one.output[pixel]?.[p])),
  };
}
