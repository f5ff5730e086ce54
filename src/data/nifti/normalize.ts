/** @file Intensities of volumes: mean 0 and deviation 1 in each volume, after cutting off what is rare. */
import { UsageError } from "../../common/errors.js";
import { percentile } from "../percentile.js";
import type { Volume } from "./pairs.js";

export interface NormalizeOptions {
  /** Values beyond these percentiles (0 … 100) of each channel are clipped first; default: none are. */
  percentiles?: readonly [low: number, high: number];
  /** Mean and deviation of the voxels that are not 0 (skull-stripped brains); 0 stays 0. Default false. */
  nonzero?: boolean;
}

function normalizeChannel(values: Float32Array, out: Float32Array, options: NormalizeOptions): void {
  const { percentiles, nonzero = false } = options;
  const counted = nonzero ? values.filter((v) => v !== 0) : values;
  let [low, high] = [Number.NEGATIVE_INFINITY, Number.POSITIVE_INFINITY];
  if (percentiles !== undefined) {
    const sorted = counted.slice().sort();
    [low, high] = [percentile(sorted, percentiles[0]), percentile(sorted, percentiles[1])];
  }
  const clip = (v: number): number => Math.min(Math.max(v, low), high);
  let sum = 0;
  for (const v of counted) sum += clip(v);
  const mean = counted.length === 0 ? 0 : sum / counted.length;
  let squares = 0;
  for (const v of counted) squares += (clip(v) - mean) ** 2;
  const deviation = Math.sqrt(squares / Math.max(1, counted.length));
  const scale = deviation > 0 ? 1 / deviation : 1; // a volume of one value becomes all 0
  for (let i = 0; i < values.length; i++) {
    const v = values[i]!; // i is below the length
    out[i] = nonzero && v === 0 ? 0 : (clip(v) - mean) * scale;
  }
}

/**
 * A copy with mean 0 and standard deviation 1 (of the whole population, in float64) in each channel.
 * @throws {UsageError} percentiles that are out of order
 */
export function zScore(volume: Volume, options: NormalizeOptions = {}): Volume {
  const [low, high] = options.percentiles ?? [0, 100];
  if (!(low >= 0 && low < high && high <= 100)) {
    throw new UsageError("percentiles", {
      problem: "are out of order",
      expected: "0 ≤ low < high ≤ 100",
      got: `${low}, ${high}`,
    });
  }
  const size = volume.data.length / volume.channels;
  const data = new Float32Array(volume.data.length);
  for (let c = 0; c < volume.channels; c++) {
    normalizeChannel(volume.data.subarray(c * size, (c + 1) * size), data.subarray(c * size, (c + 1) * size), options);
  }
  return { ...volume, data };
}
