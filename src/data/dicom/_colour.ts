/** @file From stored colours to RGB: palettes, YBR, and the number of bits (PS3.3 §C.7.6.3.1.2, §C.7.9). */
import { DataError } from "../../common/errors.js";
import type { RawImage } from "../types.js";
import { storedValue } from "./_grey.js";
import type { PixelHeader } from "./_header.js";
import { type Lut, lookUp } from "./_lut.js";
import type { StoredFrame } from "./_stored.js";
import { describeTag, tags } from "./_tags.js";

/** Indices → RGB of 8 bits, planar. Entries of 16 bits give their upper byte, unless all lie in the lower one. */
export function paletteToRgb(frame: StoredFrame, h: PixelHeader, palette: readonly [Lut, Lut, Lut]): RawImage {
  const pixels = h.rows * h.columns;
  const data = new Uint8Array(3 * pixels);
  const index = storedValue(h);
  const wide = palette.some((lut) => lut.entries.some((entry) => entry > 255));
  for (const [c, lut] of palette.entries()) {
    const shift = wide ? Math.max(0, lut.bits - 8) : 0;
    for (let p = 0; p < pixels; p++) {
      data[c * pixels + p] = lookUp(lut, index(frame.data[p]!)) >> shift; // one index a pixel
    }
  }
  return { channels: 3, height: h.rows, width: h.columns, data };
}

/** Y, Cb, Cr of full range → red, green, blue; `half` is the value of no colour difference. */
const toRgb = (y: number, cb: number, cr: number, half: number): readonly [number, number, number] => [
  y + 1.402 * (cr - half),
  y - (0.114 * 1.772 * (cb - half) + 0.299 * 1.402 * (cr - half)) / 0.587,
  y + 1.772 * (cb - half),
];

/** RGB or YBR → RGB, planar; 8 bits where the file stores at most 8, else 16, full range. */
export function colourToRgb(frame: StoredFrame, h: PixelHeader, file: string): RawImage {
  if (h.pixelRepresentation === 1) {
    throw new DataError(file, {
      problem: `${describeTag(tags.PixelRepresentation)} makes no sense for colours`,
      expected: "0",
      got: "1",
    });
  }
  const pixels = h.rows * h.columns;
  const narrow = h.bitsStored <= 8;
  const data = narrow ? new Uint8Array(3 * pixels) : new Uint16Array(3 * pixels);
  const top = 2 ** h.bitsStored - 1;
  const scale = (narrow ? 255 : 65535) / top;
  // The decoders of JPEG 2000 undo ICT and RCT themselves: those samples are RGB already.
  const isYbr = h.photometric === "YBR_FULL" || h.photometric === "YBR_FULL_422";
  const value = storedValue(h);
  for (let p = 0; p < pixels; p++) {
    const a = value(frame.data[3 * p]!); // three samples a pixel
    const b = value(frame.data[3 * p + 1]!);
    const c = value(frame.data[3 * p + 2]!);
    const rgb = isYbr ? toRgb(a, b, c, (top + 1) / 2) : [a, b, c];
    for (let i = 0; i < 3; i++) {
      const sample = Math.min(Math.max(rgb[i] ?? 0, 0), top);
      data[i * pixels + p] = Math.round(sample * scale);
    }
  }
  return { channels: 3, height: h.rows, width: h.columns, data };
}
