/**
 * @file Pictures in browsers. PNG and BMP are read here, to the same pixels as on Node; JPEG, WebP and GIF by the browser, whose
 * decoders may differ from Node's (libjpeg-turbo) by a few grey levels where colours are subsampled or blocks are smoothed.
 */
import { FileError } from "../../common/errors.js";
import { decodeBmp, isBmp } from "../../formats/bmp.js";
import { allocate, formatCount } from "../../formats/bytes.js";
import { describeContent } from "../../formats/sniff.js";
import type { DecodedImage, ImageDecoder } from "../types.js";
import { decodePng, isPng } from "./png.js";

/** As on Node: 10^8 pixels, 300 MB once decoded. */
const MAX_PIXELS = 100_000_000;

function checkPixels(width: number, height: number, name: string): void {
  if (width * height <= MAX_PIXELS) return;
  throw new FileError(name, {
    problem: "the image is too large",
    expected: `at most ${formatCount(MAX_PIXELS)} pixels`,
    got: `${width} × ${height}`,
    hint: "cut it into tiles or make it smaller",
  });
}

/** The segments of a JPEG without those of EXIF and colour profiles, which a browser would act on; and its number of components. */
export function plainJpeg(bytes: Uint8Array): { readonly bytes: Uint8Array<ArrayBuffer>; readonly components: number } {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const kept: Uint8Array[] = [bytes.subarray(0, 2)];
  let components = 3;
  let at = 2;
  while (at + 4 <= bytes.length && bytes[at] === 0xff) {
    const marker = bytes[at + 1] ?? 0;
    if (marker === 0xff) {
      at++; // a fill byte
      continue;
    }
    if (marker === 0xda) break; // from here on: coded pixels
    const end = at + 2 + view.getUint16(at + 2);
    const frame = marker >= 0xc0 && marker <= 0xcf && marker !== 0xc4 && marker !== 0xc8 && marker !== 0xcc;
    if (frame && at + 9 < bytes.length) components = bytes[at + 9] ?? 3;
    if (marker !== 0xe1 && marker !== 0xe2) kept.push(bytes.subarray(at, end));
    at = end;
  }
  kept.push(bytes.subarray(at));
  const out = new Uint8Array(kept.reduce((n, k) => n + k.length, 0));
  let to = 0;
  for (const k of kept) {
    out.set(k, to);
    to += k.length;
  }
  return { bytes: out, components };
}

const isJpeg = (bytes: Uint8Array): boolean => bytes[0] === 0xff && bytes[1] === 0xd8;

async function decodeByBrowser(bytes: Uint8Array, name: string): Promise<DecodedImage> {
  const kind = describeContent(bytes);
  if (!/^a (JPEG|WebP|GIF) image$/.test(kind)) {
    throw new FileError(name, {
      problem: "is not an image that browsers read",
      expected: "PNG, JPEG, WebP, BMP or GIF",
      got: kind,
      ...(kind === "a TIFF image" && { hint: "save it as PNG, which keeps all of its 16 bits" }),
    });
  }
  const jpeg = isJpeg(bytes) ? plainJpeg(bytes) : null;
  let bitmap: ImageBitmap;
  try {
    bitmap = await createImageBitmap(new Blob([jpeg?.bytes ?? new Uint8Array(bytes)]), {
      colorSpaceConversion: "none",
      premultiplyAlpha: "none",
    });
  } catch (cause) {
    throw new FileError(name, {
      problem: "the image is damaged or truncated",
      hint: "copy or export it again",
      cause,
    });
  }
  try {
    const { width, height } = bitmap;
    checkPixels(width, height, name);
    const context = new OffscreenCanvas(width, height).getContext("2d", { willReadFrequently: true });
    if (context === null) throw new FileError(name, { problem: "cannot be drawn: the browser gave no canvas" });
    context.drawImage(bitmap, 0, 0);
    const { data } = context.getImageData(0, 0, width, height);
    const channels = jpeg?.components === 1 ? 1 : 3;
    const out = allocate(width * height * channels, name);
    for (let from = 0, to = 0; from < data.length; from += 4) {
      for (let c = 0; c < channels; c++) out[to++] = data[from + c]!; // four values a pixel
    }
    return { width, height, channels, data: out };
  } finally {
    bitmap.close();
  }
}

export const webImages: ImageDecoder = {
  async decode(bytes, name) {
    if (isPng(bytes)) return decodePng(bytes, name, checkPixels);
    if (isBmp(bytes)) return decodeBmp(bytes, name, checkPixels);
    return decodeByBrowser(bytes, name);
  },
};
