/** @file One picture file as an image: by content, planar; used by data sets and by the threads that prepare batches. */
import { DataError } from "../common/errors.js";
import type { Platform } from "../platform/types.js";
import { toPlanar } from "./pixels.js";
import type { RawImage } from "./types.js";

/** What decoding needs of the machine. */
export type Decoding = Pick<Platform, "files" | "images">;

/** @throws {FileError} missing, not an image, damaged; the message names the file */
export async function decodeFile(path: string, platform: Decoding): Promise<RawImage> {
  const source = await platform.files.open(path);
  let bytes: Uint8Array;
  try {
    bytes = await source.read(0, source.size);
  } finally {
    await source.close();
  }
  const { width, height, channels, data } = await platform.images.decode(bytes, path);
  if (data.length !== width * height * channels || data.length === 0) {
    throw new DataError(path, {
      problem: "the decoder gave another number of pixels than the image's size",
      expected: `${width}×${height}×${channels}`,
      got: String(data.length),
    });
  }
  return { channels, height, width, data: channels === 1 ? data : toPlanar(data, channels) };
}
