/** @file Pixels in memory that threads share: blocks of images of one shape, and single images out of them. */
import { InternalError } from "../common/errors.js";
import type { PixelBlock, PixelType, RawImage } from "./types.js";

export type PixelArray = Uint8Array | Uint16Array | Float32Array;

const bytesPerPixel = (type: PixelType): number => ({ uint8: 1, uint16: 2, float32: 4 })[type];

/** `length` elements of memory as pixels. */
export function pixelView(
  type: PixelType,
  buffer: SharedArrayBuffer | ArrayBuffer,
  byteOffset: number,
  length: number,
): PixelArray {
  if (type === "uint8") return new Uint8Array(buffer, byteOffset, length);
  if (type === "uint16") return new Uint16Array(buffer, byteOffset, length);
  return new Float32Array(buffer, byteOffset, length);
}

/** Zeroed memory that threads see, too; ordinary memory where the browser does not allow sharing. */
export const sharedMemory = (bytes: number): SharedArrayBuffer | ArrayBuffer =>
  typeof SharedArrayBuffer === "undefined" ? new ArrayBuffer(bytes) : new SharedArrayBuffer(bytes);

/** Elements of one image. */
export const imageLength = (b: Pick<PixelBlock, "channels" | "depth" | "height" | "width">): number =>
  b.channels * (b.depth ?? 1) * b.height * b.width;

/** Pixels in shared memory; `fill` gets the array to write into. */
export function makeBlock(
  form: Omit<PixelBlock, "buffer" | "byteOffset">,
  fill: (data: PixelArray) => void,
): PixelBlock {
  const length = form.count * imageLength(form);
  const buffer = sharedMemory(length * bytesPerPixel(form.type));
  fill(pixelView(form.type, buffer, 0, length));
  return { ...form, buffer, byteOffset: 0 };
}

/** Image i of a block, planar: a view where it is stored so, a copy otherwise. */
export function imageOf(block: PixelBlock, i: number): RawImage {
  if (!(i >= 0 && i < block.count)) throw new InternalError(`image ${i} of a block of ${block.count}`);
  const { channels, height, width, depth } = block;
  const length = imageLength(block);
  const at = block.byteOffset + i * length * bytesPerPixel(block.type);
  const stored = pixelView(block.type, block.buffer, at, length);
  const data = block.layout === "interleaved" && channels > 1 ? toPlanar(stored, channels) : stored;
  return { channels, ...(depth === undefined ? {} : { depth }), height, width, data };
}

/** [pixels, channels] to [channels, pixels], a new array. */
export function toPlanar(data: PixelArray, channels: number): PixelArray {
  const out = data.slice();
  const plane = data.length / channels;
  for (let c = 0; c < channels; c++) {
    for (let p = 0; p < plane; p++) out[c * plane + p] = data[p * channels + c]!; // p·channels + c < length
  }
  return out;
}

/** Image `index` of blocks counted one after the other. */
export function imageOfBlocks(blocks: readonly PixelBlock[], index: number): RawImage {
  let i = index;
  for (const block of blocks) {
    if (i < block.count) return imageOf(block, i);
    i -= block.count;
  }
  throw new InternalError(`image ${index} is beyond the last block`);
}
