/** @file Pictures on Node: sharp, and our own reader for BMP, which sharp's libvips leaves out. */
import { FileError } from "../../common/errors.js";
import { decodeBmp, isBmp } from "../../formats/bmp.js";
import { formatCount } from "../../formats/bytes.js";
import { describeContent } from "../../formats/sniff.js";
import type { DecodedImage, ImageDecoder } from "../types.js";

/** 10^8 pixels: 300 MB once decoded, far more than any camera or scanner frame. */
export const MAX_PIXELS = 100_000_000;

/** More decodes at once only wait for each other's threads and multiply the memory. */
const MAX_IN_FLIGHT = 4;

let inFlight = 0;
const waiting: (() => void)[] = [];

async function oneOfFour<T>(work: () => Promise<T>): Promise<T> {
  if (inFlight >= MAX_IN_FLIGHT) await new Promise<void>((resolve) => waiting.push(resolve));
  else inFlight++;
  try {
    return await work();
  } finally {
    const next = waiting.shift(); // hands the place over, so that the count never passes the limit
    if (next === undefined) inFlight--;
    else next();
  }
}

/** Depths that are whole numbers in files: 1 to 8 bits come out as 8, "ushort" as 16. */
const depths = new Set(["uchar", "ushort"]);

/**
 * As PIL's `Image.open` shows it: no colour management, no turning by EXIF. Alpha is dropped (not blended), palettes and
 * 1-bit images are expanded, the first frame or page is taken. 16-bit images stay 16-bit.
 */
async function decodeWithSharp(bytes: Uint8Array, name: string): Promise<DecodedImage> {
  const { default: sharp } = await import("sharp"); // loads its library only where pictures are read
  const open = () => sharp(bytes, { ignoreIcc: true, failOn: "error", limitInputPixels: MAX_PIXELS });
  let meta: Awaited<ReturnType<ReturnType<typeof open>["metadata"]>>;
  try {
    meta = await open().metadata();
  } catch (cause) {
    const tooLarge = cause instanceof Error && /pixel limit/i.test(cause.message);
    if (tooLarge) throw new FileError(name, { ...tooManyPixels, cause });
    throw new FileError(name, {
      problem: "is not a readable image",
      expected: "PNG, JPEG, WebP, TIFF, BMP or GIF",
      got: describeContent(bytes),
      cause,
    });
  }
  checkPixels(meta.width, meta.height, name);
  if (!depths.has(meta.depth)) {
    throw new FileError(name, {
      problem: "has pixels that are not 8- or 16-bit whole numbers",
      expected: "uchar or ushort",
      got: meta.depth,
      hint: "save it as 16-bit PNG, or its pixels as .npy",
    });
  }
  const wide = meta.depth === "ushort";
  const grey = meta.space === "b-w" || meta.space === "grey16";
  const space = wide ? (grey ? "grey16" : "rgb16") : grey ? "b-w" : "srgb";
  try {
    const { data, info } = await open()
      .removeAlpha()
      .toColourspace(space)
      .raw({ depth: wide ? "ushort" : "uchar" })
      .toBuffer({ resolveWithObject: true });
    if (info.channels !== 1 && info.channels !== 3) {
      throw new FileError(name, {
        problem: "has an unusual number of channels",
        expected: "1 (grey) or 3 (RGB)",
        got: String(info.channels),
      });
    }
    const own = new Uint8Array(data); // a copy: a Buffer may share its pool
    return {
      width: info.width,
      height: info.height,
      channels: info.channels,
      data: wide ? new Uint16Array(own.buffer) : own,
    };
  } catch (cause) {
    if (cause instanceof FileError) throw cause;
    throw new FileError(name, {
      problem: "the image is damaged or truncated",
      hint: "copy or export it again",
      cause,
    });
  }
}

const tooManyPixels = {
  problem: "the image is too large",
  expected: `at most ${formatCount(MAX_PIXELS)} pixels`,
  hint: "cut it into tiles or make it smaller",
};

function checkPixels(width: number, height: number, name: string): void {
  if (width * height > MAX_PIXELS) throw new FileError(name, { ...tooManyPixels, got: `${width} × ${height}` });
}

export const nodeImages: ImageDecoder = {
  decode: (bytes, name) =>
    oneOfFour(async () => {
      if (!isBmp(bytes)) return decodeWithSharp(bytes, name);
      return decodeBmp(bytes, name, checkPixels);
    }),
};
