/** @file The stored pixel array of one frame: what the file holds, before rescale, window and colour conversion. */
import { DataError, FileError } from "../../common/errors.js";
import { arrayTypes, type Tensor } from "../../common/tensor.js";
import { codestreamHeader } from "./_codestream.js";
import { type FrameReader, isSubsampled } from "./_frames.js";
import type { PixelHeader } from "./_header.js";
import { decodeRle } from "./_rle.js";
import type { TransferSyntax } from "./_syntaxes.js";
import { describeTag, tags } from "./_tags.js";
import { type CodecName, type Codecs, codecsFile } from "./codecs.js";

type StoredType = "uint8" | "int8" | "uint16" | "int16" | "uint32" | "int32" | "float32" | "float64";

/** One frame: [rows, columns], or [rows, columns, 3] for colours. */
export type StoredFrame = Extract<Tensor, { dtype: StoredType }>;

const storedType = (h: PixelHeader): StoredType => {
  if (h.format !== "integer") return h.format;
  const bits = h.bitsAllocated === 1 ? 8 : h.bitsAllocated;
  return `${h.pixelRepresentation === 1 && h.bitsAllocated > 1 ? "" : "u"}int${bits}` as StoredType; // 8, 16 or 32
};

/** Samples in the machine's order. `bytes` is a copy of our own. */
function samplesOf(bytes: Uint8Array<ArrayBuffer>, h: PixelHeader): StoredFrame {
  const shape = h.samplesPerPixel === 1 ? [h.rows, h.columns] : [h.rows, h.columns, h.samplesPerPixel];
  const dtype = storedType(h);
  const data = new arrayTypes[dtype](bytes.buffer, 0, bytes.length / arrayTypes[dtype].BYTES_PER_ELEMENT);
  return { dtype, shape, data } as StoredFrame; // data was made by the dtype's own constructor
}

function swap(bytes: Uint8Array, size: number): void {
  for (let at = 0; at + size <= bytes.length; at += size) bytes.subarray(at, at + size).reverse();
}

/** Bits, lowest first, one byte each. */
function unpackBits(bytes: Uint8Array, from: number, count: number): Uint8Array<ArrayBuffer> {
  const out = new Uint8Array(count);
  for (let i = 0; i < count; i++) out[i] = (bytes[(from + i) >> 3]! >> ((from + i) & 7)) & 1; // the frame has that many
  return out;
}

/** All samples of one colour, then the next → interleaved by pixel. */
function interleave(planar: Uint8Array, pixels: number, size: number): Uint8Array<ArrayBuffer> {
  const out = new Uint8Array(planar.length);
  for (let c = 0; c < 3; c++) {
    for (let p = 0; p < pixels; p++) {
      for (let b = 0; b < size; b++) out[(3 * p + c) * size + b] = planar[(c * pixels + p) * size + b]!; // 3·pixels·size
    }
  }
  return out;
}

/** Y Y Cb Cr for every two pixels → Y Cb Cr for each, the colours repeated. */
function expand422(bytes: Uint8Array, h: PixelHeader): Uint8Array<ArrayBuffer> {
  const out = new Uint8Array(h.rows * h.columns * 3);
  const pairs = Math.ceil(h.columns / 2);
  for (let y = 0; y < h.rows; y++) {
    for (let x = 0; x < h.columns; x++) {
      const from = 4 * (y * pairs + (x >> 1));
      const to = 3 * (y * h.columns + x);
      out[to] = bytes[from + (x & 1)]!; // rows · pairs · 4 bytes were counted
      out[to + 1] = bytes[from + 2]!;
      out[to + 2] = bytes[from + 3]!;
    }
  }
  return out;
}

function nativeFrame(bytes: Uint8Array, bit: number, h: PixelHeader, littleEndian: boolean): Uint8Array<ArrayBuffer> {
  const pixels = h.rows * h.columns;
  if (h.bitsAllocated === 1) return unpackBits(bytes, bit, pixels);
  if (isSubsampled(h, "none")) return expand422(bytes, h);
  const size = h.bitsAllocated / 8;
  const copy = h.planar ? interleave(bytes, pixels, size) : new Uint8Array(bytes);
  if (!littleEndian && size > 1) swap(copy, size);
  return copy;
}

/** Gives samples of `precision` bits the sign that the header promises. */
function extendSign(bytes: Uint8Array<ArrayBuffer>, precision: number, bits: number): Uint8Array<ArrayBuffer> {
  const samples = bits === 8 ? new Int8Array(bytes.buffer) : new Int16Array(bytes.buffer);
  const unused = 32 - precision;
  for (let i = 0; i < samples.length; i++) samples[i] = (samples[i]! << unused) >> unused; // i is below the length
  return bytes;
}

async function decode(
  frame: Uint8Array,
  h: PixelHeader,
  codec: CodecName,
  codecs: Codecs,
  file: string,
): Promise<Uint8Array<ArrayBuffer>> {
  const said = codestreamHeader(codec, frame, file);
  for (const [tag, wanted, got] of [
    [tags.Rows, h.rows, said.height],
    [tags.Columns, h.columns, said.width],
    [tags.SamplesPerPixel, h.samplesPerPixel, said.components],
  ] as const) {
    if (wanted !== got) {
      throw new DataError(file, {
        problem: `${describeTag(tag)} does not agree with the compressed frame`,
        expected: `${wanted}, as in the header`,
        got: String(got),
      });
    }
  }
  const wide = h.bitsAllocated > 8 || said.precision > 8;
  if (h.bitsAllocated > 16 || said.precision > h.bitsAllocated) {
    throw new DataError(file, {
      problem: `${describeTag(tags.BitsAllocated)} does not fit the compressed frame`,
      expected: `${said.precision <= 8 ? "8 or " : ""}16 (the frame has ${said.precision} bits a sample)`,
      got: String(h.bitsAllocated),
    });
  }
  const layout = {
    rows: h.rows,
    columns: h.columns,
    samplesPerPixel: h.samplesPerPixel,
    bitsAllocated: wide ? 16 : 8,
    bitsStored: h.bitsStored,
    pixelRepresentation: h.pixelRepresentation,
  };
  let decoded: Uint8Array;
  try {
    decoded = (await codecs.decode(codec, frame, layout)).bytes;
  } catch (cause) {
    throw new FileError(file, {
      problem: `a compressed frame of ${describeTag(tags.PixelData)} cannot be decoded`,
      hint: "the file is damaged, or needs more memory than the decoder has",
      cause,
    });
  }
  const samples = h.rows * h.columns * h.samplesPerPixel;
  if (said.planar) decoded = interleave(decoded, h.rows * h.columns, wide ? 2 : 1);
  if (decoded.length === samples && h.bitsAllocated === 16) {
    return new Uint8Array(Uint16Array.from(decoded).buffer); // little-endian, as every machine that runs JavaScript
  }
  if (decoded.length === (samples * h.bitsAllocated) / 8) {
    const copy = new Uint8Array(decoded);
    if (said.signed || codec !== "jpeg-2000" || h.pixelRepresentation === 0) return copy;
    return extendSign(copy, said.precision, h.bitsAllocated); // as pydicom does where header and codestream differ
  }
  throw new FileError(file, {
    problem: `a compressed frame of ${describeTag(tags.PixelData)} has the wrong size`,
    expected: `${(samples * h.bitsAllocated) / 8} bytes`,
    got: String(decoded.length),
  });
}

export interface StoredSource {
  readonly file: string;
  readonly header: PixelHeader;
  readonly syntax: TransferSyntax;
  readonly frames: FrameReader;
  /** Loads the decoders at the first compressed frame. */
  readonly codecs: () => Promise<Codecs>;
}

/** The stored pixels of one frame, as pydicom's `pixel_array`. @throws {FileError | DataError} damaged or contradictory */
export async function readStored(source: StoredSource, frame: number): Promise<StoredFrame> {
  const { header: h, syntax, file } = source;
  const { bytes, bit } = source.frames(frame);
  if (syntax.codec === "none" || h.format !== "integer") {
    return samplesOf(nativeFrame(bytes, bit, h, syntax.littleEndian), h);
  }
  if (h.bitsAllocated === 1) {
    throw new DataError(file, {
      problem: `${describeTag(tags.BitsAllocated)} is 1, but the pixels are compressed`,
      expected: "8, 16 or 32",
    });
  }
  if (syntax.codec === "rle") {
    const raw = decodeRle(bytes, h.rows * h.columns, h.samplesPerPixel, h.bitsAllocated / 8, file);
    return samplesOf(new Uint8Array(raw), h);
  }
  return samplesOf(await decode(bytes, h, syntax.codec, await source.codecs(), file), h);
}

/** For platforms that have no decoders. */
export const noCodecs = (file: string): FileError =>
  new FileError(file, {
    problem: "the pixels are compressed and this platform has no decoder for them",
    hint: `give readDicom the bytes of ${codecsFile}, or convert the file to Explicit VR Little Endian`,
  });
