/** @file Images that stay in their files until they are needed, with the decoded ones kept up to a number of bytes. */
import type { FileSystem } from "../platform/types.js";
import { type Decoding, decodeFile } from "./decode.js";
import type { Dataset, PixelType, RawImage } from "./types.js";

/** The part of a Dataset that reads pixels. */
export type FileImages = Pick<Dataset, "imageShape" | "image" | "pixels">;

/** Decoded images by index, the least recently used dropped first. Two askers share one decode. */
function cache(maxBytes: number, read: (index: number) => Promise<RawImage>): (index: number) => Promise<RawImage> {
  const kept = new Map<number, { image: Promise<RawImage>; bytes: number }>();
  let total = 0;
  const drop = (index: number) => {
    total -= kept.get(index)?.bytes ?? 0;
    kept.delete(index);
  };
  return (index) => {
    const found = kept.get(index);
    if (found !== undefined) {
      kept.delete(index); // to the end: most recently used
      kept.set(index, found);
      return found.image;
    }
    const image = read(index);
    const entry = { image, bytes: 0 };
    kept.set(index, entry);
    image.then(
      ({ data }) => {
        if (kept.get(index) !== entry) return;
        entry.bytes = data.byteLength;
        total += data.byteLength;
        for (const old of kept.keys()) {
          if (total <= maxBytes) break;
          drop(old);
        }
      },
      () => drop(index), // an error is not worth keeping
    );
    return image;
  };
}

const typeOf = ({ data }: RawImage): PixelType =>
  data instanceof Uint8Array ? "uint8" : data instanceof Uint16Array ? "uint16" : "float32";

/**
 * Opens images without decoding them all: eight of them, spread evenly, say how many channels and which element type
 * the set has, and whether it can be read at all.
 *
 * @param paths for the file system
 * @param cacheBytes limit of decoded images kept for `image`
 * @throws {FileError} one of the eight cannot be read
 */
export async function fileImages(
  paths: readonly string[],
  platform: Decoding,
  cacheBytes: number,
): Promise<FileImages> {
  const image = cache(cacheBytes, (index) => decodeFile(paths[index] ?? "", platform)); // a wrong index gives "does not exist"
  const step = Math.max(1, Math.ceil(paths.length / 8));
  let channels = 1;
  const types = new Set<PixelType>();
  for (let i = 0; i < paths.length; i += step) {
    const probe = await image(i);
    channels = Math.max(channels, probe.channels);
    types.add(typeOf(probe));
  }
  const type = types.size === 1 && types.has("uint8") ? "uint8" : types.has("float32") ? "float32" : "uint16";
  return { imageShape: { channels, height: null, width: null, type }, image, pixels: { kind: "files", paths } };
}

/** Bytes of every file, read by a few at a time. @throws {FileError} missing or empty, naming the file */
export async function sizesOf(paths: readonly string[], files: FileSystem): Promise<number[]> {
  const sizes = new Array<number>(paths.length).fill(0);
  let next = 0;
  const work = async () => {
    while (next < paths.length) {
      const i = next++;
      const source = await files.open(paths[i] ?? ""); // i is below the length
      sizes[i] = source.size;
      await source.close();
    }
  };
  await Promise.all(Array.from({ length: 8 }, work));
  return sizes;
}
