/** @file One image of a data set as a small PNG: what a person sees of it, whatever it is stored as. */
import sharp from "sharp";
import type { RawImage } from "../../data/types.js";

/** Longest side, in pixels. */
const SIDE = 192;

/**
 * 8-bit images as they are; 16-bit and float ones from their lowest to their highest value; of a volume the middle slice.
 * The shorter side keeps its proportion; nothing is made larger than twice its size.
 */
export async function thumbnail(image: RawImage): Promise<Uint8Array> {
  const { height, width, channels, depth = 1 } = image;
  const plane = height * width;
  const shown = channels >= 3 ? 3 : 1;
  const slice = Math.floor(depth / 2);
  const [low, scale] = rangeOf(image);
  const bytes = new Uint8Array(plane * shown);
  for (let c = 0; c < shown; c++) {
    const from = (c * depth + slice) * plane;
    for (let i = 0; i < plane; i++) {
      bytes[i * shown + c] = Math.round(((image.data[from + i] ?? low) - low) * scale); // stored to 0 … 255 by the array
    }
  }
  const side = Math.min(SIDE, 2 * Math.max(height, width));
  const png = await sharp(bytes, { raw: { width, height, channels: shown } })
    .resize(side, side, { fit: "inside", kernel: Math.max(height, width) < SIDE ? "nearest" : "lanczos3" })
    .png({ compressionLevel: 6 })
    .toBuffer();
  return Uint8Array.from(png);
}

/** Lowest value and what brings the highest to 255. */
function rangeOf({ data }: RawImage): readonly [low: number, scale: number] {
  if (data instanceof Uint8Array) return [0, 1];
  let [low, high] = [Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY];
  for (const v of data) {
    if (v < low) low = v;
    if (v > high) high = v;
  }
  return high > low ? [low, 255 / (high - low)] : [Number.isFinite(low) ? low : 0, 0];
}
