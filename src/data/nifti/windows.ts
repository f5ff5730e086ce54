/** @file Sliding windows over a volume: where they begin, how much each voxel of them counts, and putting results together. */
import { ShapeError, UsageError } from "../../common/errors.js";
import type { Size3 } from "./patches.js";

/** Starts along one axis: evenly spread, the first at 0 and the last at the end. */
function starts(length: number, size: number, overlap: number): number[] {
  if (size >= length) return [Math.floor((length - size + 1) / 2)];
  const step = Math.max(1, Math.floor(size * (1 - overlap)));
  const count = Math.ceil((length - size) / step) + 1;
  return Array.from({ length: count }, (_, i) => Math.round(((length - size) * i) / (count - 1)));
}

/**
 * Starts of windows that cover every voxel of a volume; negative where a window is larger than the volume.
 *
 * @param shape of the volume, [depth, height, width]
 * @param overlap share of a window's length that neighbours have in common at least, 0 … below 1; default 0.5
 */
export function slidingWindows(shape: Size3, size: Size3, overlap = 0.5): Size3[] {
  if (!(overlap >= 0 && overlap < 1) || [...shape, ...size].some((d) => !Number.isInteger(d) || d < 1)) {
    throw new UsageError("sliding windows", {
      problem: "make no sense",
      expected: "lengths from 1 and an overlap of at least 0 and below 1",
      got: `[${shape.join(",")}], windows of [${size.join(",")}], overlap ${overlap}`,
    });
  }
  const [zs, ys, xs] = [0, 1, 2].map((i) => starts(shape[i]!, size[i]!, overlap)) as [number[], number[], number[]]; // three axes
  return zs.flatMap((z) => ys.flatMap((y) => xs.map((x): Size3 => [z, y, x])));
}

/**
 * Weights of a window's voxels, [depth, height, width]: a Gaussian around its middle, 1 at most, never 0. Networks know least
 * about voxels at the border.
 * @param sigma standard deviation as a share of the window's length; default 1/8, as nnU-Net (Isensee et al. 2021)
 */
export function gaussianWeights(size: Size3, sigma = 0.125): Float32Array {
  const [depth, height, width] = size;
  const axes = size.map((length) =>
    Float64Array.from({ length }, (_, i) => Math.exp(-0.5 * ((i - (length - 1) / 2) / (sigma * length)) ** 2)),
  );
  const out = new Float32Array(depth * height * width);
  const [a, b, c] = axes as [Float64Array, Float64Array, Float64Array]; // one for each of the three lengths
  let at = 0;
  for (const z of a) for (const y of b) for (const x of c) out[at++] = z * y * x;
  const smallest = out.reduce((m, w) => (w > 0 && w < m ? w : m), 1);
  const largest = out.reduce((m, w) => Math.max(m, w), 0);
  return out.map((w) => Math.max(w, smallest) / largest);
}

/** Sums of results and of their weights; `stitchInto` adds, `stitched` divides. */
export interface Stitching {
  readonly channels: number;
  readonly shape: Size3;
  /** [channels, depth, height, width]. */
  readonly sums: Float32Array;
  /** [depth, height, width]. */
  readonly weights: Float32Array;
}

/** @param shape of the volume, [depth, height, width] */
export function startStitching(channels: number, shape: Size3): Stitching {
  const voxels = shape[0] * shape[1] * shape[2];
  return { channels, shape, sums: new Float32Array(channels * voxels), weights: new Float32Array(voxels) };
}

/**
 * Adds one window's result; what lies beyond the volume is dropped.
 *
 * @param result [channels, ...size]
 * @param weights as `gaussianWeights(size)`
 * @throws {ShapeError} result or weights of another length
 */
export function stitchInto(
  stitching: Stitching,
  result: Float32Array,
  start: Size3,
  size: Size3,
  weights: Float32Array,
): void {
  const { channels, shape, sums } = stitching;
  const voxels = size[0] * size[1] * size[2];
  if (result.length !== channels * voxels || weights.length !== voxels) {
    throw new ShapeError("stitchInto", {
      problem: "result and weights do not fill the window",
      expected: `${channels * voxels} and ${voxels} elements`,
      got: `${result.length} and ${weights.length}`,
    });
  }
  const all = stitching.weights.length;
  const [depth, height, width] = shape;
  for (let z = 0; z < size[0]; z++) {
    const toZ = start[0] + z;
    if (toZ < 0 || toZ >= depth) continue;
    for (let y = 0; y < size[1]; y++) {
      const toY = start[1] + y;
      if (toY < 0 || toY >= height) continue;
      const from = (z * size[1] + y) * size[2];
      const to = (toZ * height + toY) * width + start[2];
      const first = Math.max(0, -start[2]);
      const last = Math.min(size[2], width - start[2]);
      for (let x = first; x < last; x++) {
        const weight = weights[from + x]!; // rows of the window and of the volume, as bounded above
        stitching.weights[to + x]! += weight;
        for (let c = 0; c < channels; c++) sums[c * all + to + x]! += weight * result[c * voxels + from + x]!;
      }
    }
  }
}

/** Weighted means, [channels, depth, height, width]; 0 where no window was. */
export function stitched({ channels, sums, weights }: Stitching): Float32Array {
  const out = new Float32Array(sums.length);
  const all = weights.length;
  for (let c = 0; c < channels; c++) {
    for (let i = 0; i < all; i++) {
      const weight = weights[i]!; // i is below the length
      if (weight > 0) out[c * all + i] = sums[c * all + i]! / weight;
    }
  }
  return out;
}
