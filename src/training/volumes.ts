/** @file Whole volumes through a network that takes patches: overlapping windows, their probabilities put together. */
import { sizeOf, type Tensor } from "../common/tensor.js";
import { cutVolume, type Size3 } from "../data/nifti/patches.js";
import { gaussianWeights, slidingWindows, startStitching, stitched, stitchInto } from "../data/nifti/windows.js";
import { patchSize } from "../data/patch-feed.js";
import type { SegmentationVolume, TransformSpec } from "../data/types.js";
import type { Evaluator } from "./evaluator.js";

/**
 * Probabilities [classes, depth, height, width] of a prepared volume: the softmax of every window, weighted by a Gaussian
 * around its middle and averaged.
 *
 * @param evaluator compiled for batches [n, channels, ...spec.size]
 * @param weights value of every parameter and buffer by name
 * @throws the signal's reason when it is aborted between windows
 */
export async function segmentVolume(
  evaluator: Evaluator,
  weights: ReadonlyMap<string, Tensor>,
  volume: SegmentationVolume,
  { size, volume: spec }: TransformSpec,
  classes: number,
  signal?: AbortSignal,
): Promise<Float32Array> {
  const window = patchSize({ size });
  const shape: Size3 = [volume.depth, volume.height, volume.width];
  const starts = slidingWindows(shape, window, spec?.overlap ?? 0.5);
  const gaussian = starts.length === 1 ? new Float32Array(sizeOf(window)).fill(1) : gaussianWeights(window);
  const whole = startStitching(classes, shape);
  const voxels = sizeOf(window);
  for (let at = 0; at < starts.length; at += evaluator.batchSize) {
    signal?.throwIfAborted();
    const some = starts.slice(at, at + evaluator.batchSize);
    const x = new Float32Array(some.length * volume.channels * voxels);
    for (const [i, start] of some.entries()) {
      x.set(cutVolume(volume, start, window), i * volume.channels * voxels);
    }
    const logits = await evaluator.logits(weights, x, some.length);
    for (const [i, start] of some.entries()) {
      const row = logits.subarray(i * classes * voxels, (i + 1) * classes * voxels);
      stitchInto(whole, softmaxOf(row, classes), start, window, gaussian);
    }
  }
  return stitched(whole);
}

/** Softmax over the first axis of [classes, voxels]. */
function softmaxOf(logits: Float32Array, classes: number): Float32Array {
  const n = logits.length / classes;
  const out = new Float32Array(logits.length);
  for (let i = 0; i < n; i++) {
    let top = Number.NEGATIVE_INFINITY;
    for (let c = 0; c < classes; c++) top = Math.max(top, logits[c * n + i]!); // c · n + i is below the length
    let sum = 0;
    for (let c = 0; c < classes; c++) sum += out[c * n + i] = Math.exp(logits[c * n + i]! - top);
    for (let c = 0; c < classes; c++) out[c * n + i]! /= sum;
  }
  return out;
}

/** The class of the largest of [classes, voxels], the first of equal ones. */
export function largestOf(values: Float32Array, classes: number): Uint8Array {
  const n = values.length / classes;
  const out = new Uint8Array(n);
  for (let i = 0; i < n; i++) {
    let best = 0;
    for (let c = 1; c < classes; c++) if (values[c * n + i]! > values[best * n + i]!) best = c; // below the length
    out[i] = best;
  }
  return out;
}
