/** @file What a JPEG, JPEG-LS or JPEG 2000 frame says about its own size, read before a decoder sees it. */
import { FileError } from "../../common/errors.js";
import type { PixelCodec } from "./_syntaxes.js";

export interface CodestreamHeader {
  readonly width: number;
  readonly height: number;
  readonly components: number;
  /** Bits of one sample. */
  readonly precision: number;
  /** JPEG 2000 alone says it: samples are in two's complement. */
  readonly signed: boolean;
  /** JPEG-LS with one scan for each colour: its decoder gives the colours one after the other. */
  readonly planar: boolean;
}

/** ISO 10918-1 table B.1: every start-of-frame marker, and 0xf7, JPEG-LS's own (ISO 14495-1). */
const isFrameStart = (marker: number): boolean =>
  marker === 0xf7 || (marker >= 0xc0 && marker <= 0xcf && marker !== 0xc4 && marker !== 0xc8 && marker !== 0xcc);

function jpegHeader(view: DataView): CodestreamHeader | null {
  if (view.byteLength < 4 || view.getUint16(0) !== 0xffd8) return null;
  let at = 2;
  let header: Omit<CodestreamHeader, "planar"> | null = null;
  while (at + 5 <= view.byteLength) {
    if (view.getUint8(at) !== 0xff) return null;
    const marker = view.getUint8(at + 1);
    if (marker === 0xff)
      at += 1; // fill bytes may come before a marker
    else if (marker === 0xda) {
      const inScan = view.getUint8(at + 4);
      return header === null ? null : { ...header, planar: inScan === 1 && header.components > 1 };
    } else if (isFrameStart(marker)) {
      if (header !== null || at + 10 > view.byteLength) return null;
      header = {
        precision: view.getUint8(at + 4),
        height: view.getUint16(at + 5),
        width: view.getUint16(at + 7),
        components: view.getUint8(at + 9),
        signed: false,
      };
      at += 2 + view.getUint16(at + 2);
    } else if (marker === 0xd9) return null;
    else at += 2 + view.getUint16(at + 2);
  }
  return null;
}

/** SOC and SIZ (ISO 15444-1 §A.5.1), also inside the boxes of a .jp2 file, which do not belong here but occur. */
function jpeg2000Header(view: DataView): CodestreamHeader | null {
  for (let at = 0; at + 45 <= Math.min(view.byteLength, 4096); at++) {
    if (view.getUint32(at) !== 0xff4fff51) continue;
    const precision = view.getUint8(at + 42);
    return {
      width: view.getUint32(at + 8) - view.getUint32(at + 16),
      height: view.getUint32(at + 12) - view.getUint32(at + 20),
      components: view.getUint16(at + 40),
      precision: (precision & 0x7f) + 1,
      signed: precision >= 0x80,
      planar: false,
    };
  }
  return null;
}

/** @throws {FileError} where the frame does not begin as its codec's frames do */
export function codestreamHeader(codec: PixelCodec, frame: Uint8Array, name: string): CodestreamHeader {
  const view = new DataView(frame.buffer, frame.byteOffset, frame.byteLength);
  const isJpeg = codec === "jpeg" || codec === "jpeg-ls";
  const header = isJpeg ? jpegHeader(view) : jpeg2000Header(view);
  // JPEG's own decoder joins the scans by itself.
  if (header !== null) return codec === "jpeg" ? { ...header, planar: false } : header;
  throw new FileError(name, {
    problem: "a compressed frame is damaged",
    expected: isJpeg ? "JPEG markers up to the first scan" : "a JPEG 2000 codestream",
    got: `${frame.length} other bytes`,
  });
}
