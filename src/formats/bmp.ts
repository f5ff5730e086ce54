/** @file Windows bitmaps without compression: 1, 4, 8, 16, 24 and 32 bits a pixel, palettes and bit fields. */
import { FileError } from "../common/errors.js";
import type { DecodedImage } from "../platform/types.js";
import { allocate, formatCount } from "./bytes.js";

export const isBmp = (bytes: Uint8Array): boolean => bytes[0] === 0x42 && bytes[1] === 0x4d;

/** A channel of a bit-field pixel: (pixel >>> shift) & max, scaled to 0 … 255. */
interface Field {
  readonly shift: number;
  readonly max: number;
}

function field(mask: number): Field {
  if (mask === 0) return { shift: 0, max: 0 };
  const shift = 31 - Math.clz32(mask & -mask);
  return { shift, max: mask >>> shift };
}

const component = (pixel: number, f: Field): number =>
  f.max === 0 ? 0 : Math.round((((pixel >>> f.shift) & f.max) * 255) / f.max);

/**
 * A palette of greys in order (as grey images are saved) gives one channel, everything else three.
 *
 * @throws {FileError} truncated, run-length coded or of an unknown form
 */
export function decodeBmp(
  bytes: Uint8Array,
  name: string,
  checkPixels: (width: number, height: number, name: string) => void,
): DecodedImage {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const need = (end: number) => {
    if (end <= bytes.length) return;
    throw new FileError(name, {
      problem: "the image is truncated",
      expected: `at least ${formatCount(end)} bytes`,
      got: formatCount(bytes.length),
    });
  };
  const refuse = (expected: string, got: string): never => {
    throw new FileError(name, { problem: "is a bitmap of a kind that is not read", expected, got });
  };
  need(26);
  const start = view.getUint32(10, true);
  const header = view.getUint32(14, true);
  if (header !== 12 && header < 40) refuse("a header of 12 or at least 40 bytes", String(header));
  need(14 + header);
  const old = header === 12; // OS/2: 16-bit sizes, palette entries of three bytes
  const width = old ? view.getUint16(18, true) : view.getInt32(18, true);
  const signedHeight = old ? view.getUint16(20, true) : view.getInt32(22, true);
  const height = Math.abs(signedHeight); // negative: rows run from the top
  const bits = view.getUint16(old ? 24 : 28, true);
  const compression = old ? 0 : view.getUint32(30, true);
  if (width <= 0 || height === 0) refuse("a width and a height above 0", `${width} × ${signedHeight}`);
  checkPixels(width, height, name);
  if (compression !== 0 && compression !== 3) refuse("no compression", `compression ${compression}`);
  if (![1, 4, 8, 16, 24, 32].includes(bits)) refuse("1, 4, 8, 16, 24 or 32 bits a pixel", String(bits));
  const stride = 4 * Math.ceil((width * bits) / 32);
  need(start + stride * height);
  const row = (y: number) => start + stride * (signedHeight < 0 ? y : height - 1 - y);

  if (bits <= 8) {
    const colours = (old ? 0 : view.getUint32(46, true)) || 2 ** bits;
    if (colours > 2 ** bits) refuse(`at most ${2 ** bits} colours`, formatCount(colours));
    const entry = old ? 3 : 4;
    need(14 + header + entry * colours);
    const palette = Array.from({ length: colours }, (_, i) => {
      const at = 14 + header + entry * i;
      return [view.getUint8(at + 2), view.getUint8(at + 1), view.getUint8(at)] as const;
    });
    const grey = palette.every(([r, g, b]) => r === g && g === b);
    const channels = grey ? 1 : 3;
    const data = allocate(width * height * channels, name);
    for (let y = 0, at = 0; y < height; y++) {
      for (let x = 0; x < width; x++) {
        const byte = view.getUint8(row(y) + ((x * bits) >> 3));
        const index = (byte >> (8 - bits - ((x * bits) & 7))) & (2 ** bits - 1);
        const colour = palette[index] ?? refuse(`a colour below ${colours}`, String(index));
        for (let c = 0; c < channels; c++) data[at++] = colour[c]!; // three components each
      }
    }
    return { width, height, channels, data };
  }

  const data = allocate(width * height * 3, name);
  if (bits === 24) {
    for (let y = 0, at = 0; y < height; y++) {
      for (let x = 0, from = row(y); x < width; x++, from += 3, at += 3) {
        data[at] = view.getUint8(from + 2);
        data[at + 1] = view.getUint8(from + 1);
        data[at + 2] = view.getUint8(from);
      }
    }
    return { width, height, channels: 3, data };
  }
  if (compression === 3) need(66);
  const masks = compression === 3 ? [54, 58, 62].map((at) => view.getUint32(at, true)) : null;
  const fields = (masks ?? (bits === 16 ? [0x7c00, 0x3e0, 0x1f] : [0xff0000, 0xff00, 0xff])).map(field);
  for (let y = 0, at = 0; y < height; y++) {
    for (let x = 0, from = row(y); x < width; x++, from += bits / 8) {
      const pixel = bits === 16 ? view.getUint16(from, true) : view.getUint32(from, true);
      for (const f of fields) data[at++] = component(pixel, f);
    }
  }
  return { width, height, channels: 3, data };
}
