/** @file Mean and standard deviation of the training images, for data whose normalisation nobody knows. */
import { DataError } from "../common/errors.js";
import type { Dataset, Normalization, RawImage } from "./types.js";

/** Of more images than this, evenly spaced ones are measured. */
const measured = 2000;

const whiteOf = ({ data }: RawImage): number =>
  data instanceof Uint8Array ? 255 : data instanceof Uint16Array ? 65535 : 1;

/**
 * Mean and standard deviation of every channel over all pixels, in units of [0, 1] pixels (as the transforms scale them:
 * 8-bit by 255, 16-bit by 65535, float as it is), of the stored images, before resizing. Of more than 2,000 images, 2,000
 * evenly spaced ones are measured. Grey images among colour ones count for all channels. A constant channel gets std 1.
 *
 * @throws {FileError} an image that cannot be read; @throws {DataError} images of different numbers of channels
 */
export async function channelStatistics(dataset: Dataset, indices: Uint32Array): Promise<Normalization> {
  const channels = dataset.imageShape.channels;
  const count = new Float64Array(channels);
  const mean = new Float64Array(channels);
  const squares = new Float64Array(channels); // Σ (x − mean)²
  const every = Math.max(1, indices.length / measured);
  for (let at = 0; at < indices.length; at += every) {
    const index = indices[Math.floor(at)] ?? 0; // at is below the length
    const image = await dataset.image(index);
    if (image.channels !== channels && image.channels !== 1) {
      throw new DataError(dataset.imageName(index), {
        problem: "has another number of channels than other images",
        expected: String(channels),
        got: String(image.channels),
      });
    }
    const plane = image.data.length / image.channels;
    for (let c = 0; c < channels; c++) {
      const from = image.channels === 1 ? 0 : c * plane;
      const part = moments(image.data.subarray(from, from + plane), whiteOf(image));
      // Two sets of pixels as one (Chan, Golub, LeVeque 1979); c is below channels.
      const n = count[c]! + plane;
      const delta = part.mean - mean[c]!;
      squares[c]! += part.squares + (delta ** 2 * count[c]! * plane) / n;
      mean[c]! += (delta * plane) / n;
      count[c] = n;
    }
  }
  const std = Array.from(squares, (s, c) => Math.sqrt(s / count[c]!)); // as many counts as channels
  return { mean: [...mean], std: std.map((s) => (s > 0 ? s : 1)) };
}

function moments(pixels: ArrayLike<number>, white: number): { mean: number; squares: number } {
  let sum = 0;
  for (let i = 0; i < pixels.length; i++) sum += pixels[i]!; // below the length
  const mean = sum / pixels.length;
  let squares = 0;
  for (let i = 0; i < pixels.length; i++) squares += (pixels[i]! - mean) ** 2;
  return { mean: mean / white, squares: squares / white ** 2 };
}
