/** @file PNG as it is stored: a canvas would blend alpha, cut 16 bits to 8 and manage colours. */
import { FileError } from "../../common/errors.js";
import { allocate, formatCount } from "../../formats/bytes.js";
import { crc32 } from "../../formats/crc32.js";
import type { DecodedImage } from "../types.js";
import { inflate } from "./inflate.js";

const signature = [0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a];

export const isPng = (bytes: Uint8Array): boolean => signature.every((b, i) => bytes[i] === b);

/** Samples of a pixel as stored, by colour type: grey, RGB, palette, grey and alpha, RGBA. */
const samplesOf: Readonly<Record<number, number>> = { 0: 1, 2: 3, 3: 1, 4: 2, 6: 4 };
const depthsOf: Readonly<Record<number, readonly number[]>> = {
  0: [1, 2, 4, 8, 16],
  2: [8, 16],
  3: [1, 2, 4, 8],
  4: [8, 16],
  6: [8, 16],
};

/** First column and row, and strides, of the passes of an interlaced image (Adam7). */
const adam7 = [
  [0, 0, 8, 8],
  [4, 0, 8, 8],
  [0, 4, 4, 8],
  [2, 0, 4, 4],
  [0, 2, 2, 4],
  [1, 0, 2, 2],
  [0, 1, 1, 2],
] as const;

interface Header {
  readonly width: number;
  readonly height: number;
  readonly depth: number;
  readonly color: number;
  readonly interlaced: boolean;
}

const damaged = (name: string): FileError =>
  new FileError(name, { problem: "the image is damaged or truncated", hint: "copy or export it again" });

/** The chunks that matter. Those of others are passed over, their content unread. */
function chunksOf(
  bytes: Uint8Array,
  name: string,
): { header: Header; palette: Uint8Array | null; data: Uint8Array<ArrayBuffer> } {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  let header: Header | null = null;
  let palette: Uint8Array | null = null;
  const data: Uint8Array[] = [];
  let ended = false;
  for (let at = 8; !ended; ) {
    if (at + 12 > bytes.length) throw damaged(name);
    const length = view.getUint32(at);
    if (at + 12 + length > bytes.length) throw damaged(name);
    const type = String.fromCharCode(...bytes.subarray(at + 4, at + 8));
    const content = bytes.subarray(at + 8, at + 8 + length);
    if (/^(IHDR|PLTE|IDAT|IEND)$/.test(type)) {
      if (crc32(bytes.subarray(at + 4, at + 8 + length)) !== view.getUint32(at + 8 + length)) throw damaged(name);
      if (type === "IHDR") header = headerOf(content, name);
      else if (type === "PLTE") palette = content;
      else if (type === "IDAT") data.push(content);
      else ended = true;
    }
    at += 12 + length;
  }
  if (header === null || data.length === 0) throw damaged(name);
  const whole = allocate(
    data.reduce((n, d) => n + d.length, 0),
    name,
  );
  let at = 0;
  for (const d of data) {
    whole.set(d, at);
    at += d.length;
  }
  return { header, palette, data: whole };
}

function headerOf(content: Uint8Array, name: string): Header {
  const view = new DataView(content.buffer, content.byteOffset, content.byteLength);
  if (content.length !== 13) throw damaged(name);
  const [depth, color, compression, filter, interlace] = content.subarray(8, 13);
  const header = { width: view.getUint32(0), height: view.getUint32(4), depth: depth ?? 0, color: color ?? 0 };
  const known = depthsOf[header.color]?.includes(header.depth) && compression === 0 && filter === 0;
  if (!known || (interlace ?? 2) > 1 || header.width === 0 || header.height === 0) throw damaged(name);
  return { ...header, interlaced: interlace === 1 };
}

/**
 * Grey (with or without alpha) gives one channel, colours and palettes three; alpha is dropped, 1 to 8 bits come out as 8, 16 stay 16.
 * @throws {FileError} damaged, truncated, too large
 */
export async function decodePng(
  bytes: Uint8Array,
  name: string,
  checkPixels: (width: number, height: number, name: string) => void,
): Promise<DecodedImage> {
  const { header, palette, data } = chunksOf(bytes, name);
  const { width, height, depth, color, interlaced } = header;
  checkPixels(width, height, name);
  const samples = samplesOf[color] ?? 0; // headerOf knows the colour type
  const passes = (interlaced ? adam7 : [[0, 0, 1, 1] as const])
    .map(([x0, y0, dx, dy]) => ({
      x0,
      y0,
      dx,
      dy,
      columns: Math.ceil((width - x0) / dx),
      rows: Math.ceil((height - y0) / dy),
    }))
    .filter(({ columns, rows }) => columns > 0 && rows > 0);
  const strideOf = (columns: number) => Math.ceil((columns * samples * depth) / 8);
  const size = passes.reduce((sum, { columns, rows }) => sum + rows * (1 + strideOf(columns)), 0);
  const raw = await inflate(data, "deflate", size, name);
  if (raw.length !== size) {
    throw new FileError(name, {
      problem: "the image is damaged or truncated",
      expected: `${formatCount(size)} bytes of pixels`,
      got: formatCount(raw.length),
    });
  }
  const channels = color === 0 || color === 4 ? 1 : 3;
  const bytesOut = allocate(width * height * channels * (depth === 16 ? 2 : 1), name);
  const out = depth === 16 ? new Uint16Array(bytesOut.buffer) : bytesOut;
  const unit = Math.max(1, (samples * depth) / 8);
  let at = 0;
  for (const { x0, y0, dx, dy, columns, rows } of passes) {
    const stride = strideOf(columns);
    let above: Uint8Array = new Uint8Array(stride);
    for (let r = 0; r < rows; r++) {
      const row = raw.subarray(at + 1, at + 1 + stride);
      unfilter(raw[at] ?? 0, row, above, unit, name);
      above = row;
      at += 1 + stride;
      const to = ((y0 + r * dy) * width + x0) * channels;
      place(row, columns, header, palette, out, to, dx * channels, name);
    }
  }
  return { width, height, channels, data: out };
}

/** Undoes the filter of one row in place (ISO/IEC 15948 §9.2). */
function unfilter(kind: number, row: Uint8Array, above: Uint8Array, unit: number, name: string): void {
  const n = row.length;
  // All indices are inside the rows, or before them, where everything is 0.
  if (kind === 1) for (let i = unit; i < n; i++) row[i] = row[i]! + row[i - unit]!;
  else if (kind === 2) for (let i = 0; i < n; i++) row[i] = row[i]! + above[i]!;
  else if (kind === 3) {
    for (let i = 0; i < n; i++) row[i] = row[i]! + (((i < unit ? 0 : row[i - unit]!) + above[i]!) >> 1);
  } else if (kind === 4) {
    for (let i = 0; i < n; i++) {
      const [left, up, corner] = [i < unit ? 0 : row[i - unit]!, above[i]!, i < unit ? 0 : above[i - unit]!];
      const [a, b, c] = [Math.abs(up - corner), Math.abs(left - corner), Math.abs(left + up - 2 * corner)];
      row[i] = row[i]! + (a <= b && a <= c ? left : b <= c ? up : corner);
    }
  } else if (kind !== 0) throw damaged(name);
}

/** Puts the pixels of one row where they belong. */
function place(
  row: Uint8Array,
  columns: number,
  { depth, color }: Header,
  palette: Uint8Array | null,
  out: Uint8Array | Uint16Array,
  to: number,
  step: number,
  name: string,
): void {
  const samples = samplesOf[color] ?? 0;
  const top = 2 ** depth - 1;
  for (let x = 0; x < columns; x++, to += step) {
    if (depth === 16) {
      const from = 2 * x * samples;
      for (let c = 0; c < (samples < 3 ? 1 : 3); c++) out[to + c] = (row[from + 2 * c]! << 8) | row[from + 2 * c + 1]!; // inside the row
    } else if (depth === 8 && color !== 3) {
      for (let c = 0; c < (samples < 3 ? 1 : 3); c++) out[to + c] = row[x * samples + c]!; // inside the row
    } else {
      const bit = x * depth; // one sample a pixel: grey of few bits, or an index
      const value = (row[bit >> 3]! >> (8 - depth - (bit & 7))) & top; // inside the row
      if (color === 0) out[to] = (value * 255) / top;
      else {
        if (palette === null || 3 * value + 2 >= palette.length) throw damaged(name);
        for (let c = 0; c < 3; c++) out[to + c] = palette[3 * value + c]!; // just checked
      }
    }
  }
}
