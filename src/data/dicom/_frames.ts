/** @file Where the bytes of each frame lie: one array of samples, or compressed fragments (PS3.5 §8, §A.4). */
import { DataError, FileError } from "../../common/errors.js";
import type { Elements } from "./_elements.js";
import { frameBytes, type PixelHeader } from "./_header.js";
import type { PixelCodec } from "./_syntaxes.js";
import { describeTag, tags } from "./_tags.js";
import type { Values } from "./_values.js";

interface Fragment {
  /** Of its item, counted from the first item after the offset table. */
  readonly item: number;
  readonly start: number;
  readonly end: number;
}

const item = [0xfe, 0xff, 0x00, 0xe0];
const delimiter = [0xfe, 0xff, 0xdd, 0xe0];

/** Fragments of compressed pixels and the basic offset table before them. */
function fragmentsOf(values: Values, start: number, notes: string[]): { fragments: Fragment[]; offsets: number[] } {
  const { bytes, file } = values;
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const what = describeTag(tags.PixelData);
  const is = (at: number, wanted: readonly number[]): boolean => wanted.every((byte, i) => bytes[at + i] === byte);
  const fragments: Fragment[] = [];
  const offsets: number[] = [];
  let at = start;
  let first = 0;
  for (let count = 0; ; count++) {
    if (at + 8 > bytes.length) {
      if (count === 0) throw new FileError(file, { problem: `the file ends inside ${what}` });
      notes.push(`${what} has no ${describeTag(tags.SequenceDelimitationItem)}`);
      return { fragments, offsets };
    }
    if (is(at, delimiter)) return { fragments, offsets };
    if (!is(at, item)) {
      throw new DataError(file, {
        problem: `${what} holds something other than fragments`,
        expected: `${describeTag(tags.Item)} at byte ${at}`,
      });
    }
    const length = view.getUint32(at + 4, true);
    const end = at + 8 + length;
    if (end > bytes.length) {
      throw new FileError(file, {
        problem: count === 0 ? `the file ends inside ${what}` : `the file ends inside fragment ${count} of ${what}`,
        expected: `${length} bytes from byte ${at + 8}`,
        got: String(bytes.length - at - 8),
      });
    }
    if (count > 0) fragments.push({ item: at - first, start: at + 8, end });
    else {
      for (let o = at + 8; o + 4 <= end; o += 4) offsets.push(view.getUint32(o, true));
      first = end;
    }
    at = end;
  }
}

/** Offsets of 64 bits (PS3.3 §C.7.6.3.1.8); null where there are none. */
function extendedOffsets(values: Values, elements: Elements): number[] | null {
  const element = elements.get(tags.ExtendedOffsetTable);
  if (element === undefined || element.length === null || element.length === 0) return null;
  if (element.length % 8 !== 0) {
    throw new DataError(values.file, {
      problem: `${describeTag(tags.ExtendedOffsetTable)} has the wrong length`,
      expected: "offsets of 8 bytes",
      got: `${element.length} bytes`,
    });
  }
  const view = new DataView(values.bytes.buffer, values.bytes.byteOffset + element.offset, element.length);
  return Array.from({ length: element.length / 8 }, (_, i) => Number(view.getBigUint64(8 * i, true)));
}

const startsImage = (bytes: Uint8Array, at: number): boolean =>
  bytes[at] === 0xff && (bytes[at + 1] === 0xd8 || bytes[at + 1] === 0x4f); /* SOI of JPEG, SOC of JPEG 2000 */

/** Index of each frame's first fragment. */
function firstFragments(
  values: Values,
  fragments: readonly Fragment[],
  offsets: readonly number[],
  frames: number,
  notes: string[],
): number[] {
  if (frames === 1) return [0];
  if (offsets.length === frames) {
    const byItem = new Map(fragments.map((fragment, index) => [fragment.item, index]));
    const found = offsets.map((offset) => byItem.get(offset) ?? -1);
    if (found[0] === 0 && found.every((index, i) => index > (found[i - 1] ?? -1))) return found;
    notes.push(`the offset table of ${describeTag(tags.PixelData)} does not fit its fragments: not used`);
  }
  if (fragments.length === frames) return fragments.map((_, i) => i);
  const starts = fragments.flatMap((fragment, i) => (startsImage(values.bytes, fragment.start) ? [i] : []));
  if (starts.length === frames && starts[0] === 0) return starts;
  throw new DataError(values.file, {
    problem: `${describeTag(tags.NumberOfFrames)} does not fit the compressed pixels`,
    expected: `${frames} frames`,
    got: `${fragments.length} fragments`,
  });
}

function concatenate(bytes: Uint8Array, fragments: readonly Fragment[]): Uint8Array {
  const [only] = fragments;
  if (only !== undefined && fragments.length === 1) return bytes.subarray(only.start, only.end);
  const whole = new Uint8Array(fragments.reduce((n, f) => n + f.end - f.start, 0));
  let at = 0;
  for (const fragment of fragments) {
    whole.set(bytes.subarray(fragment.start, fragment.end), at);
    at += fragment.end - fragment.start;
  }
  return whole;
}

/** Bytes of frame i, compressed or not; a frame of 1-bit pixels may start inside its first byte, at `bit`. */
export type FrameReader = (frame: number) => { readonly bytes: Uint8Array; readonly bit: number };

/** Whether the pixels leave out every second pair of colour differences (PS3.3 §C.7.6.3.1.2). */
export const isSubsampled = (h: PixelHeader, codec: PixelCodec): boolean =>
  codec === "none" &&
  h.photometric === "YBR_FULL_422" &&
  h.pixels.length !== null &&
  h.pixels.length < h.frames * frameBytes(h);

function nativeFrames(values: Values, h: PixelHeader): FrameReader {
  const available = h.pixels.length;
  if (available === null) {
    throw new DataError(values.file, {
      problem: `${describeTag(tags.PixelData)} is compressed, but its transfer syntax is not`,
      hint: "the file is damaged, or its transfer syntax is not the one that it names",
    });
  }
  const samples = h.rows * h.columns * h.samplesPerPixel;
  const bits = isSubsampled(h, "none") ? h.rows * Math.ceil(h.columns / 2) * 32 : samples * h.bitsAllocated;
  const needed = Math.ceil((h.frames * bits) / 8);
  if (needed > available) {
    throw new FileError(values.file, {
      problem: `${describeTag(h.pixels.tag)} is too short`,
      expected: `${needed} bytes (${h.frames} × ${h.rows} × ${h.columns} × ${h.samplesPerPixel}, ${h.bitsAllocated} bits each)`,
      got: String(available),
    });
  }
  return (frame) => {
    const start = h.pixels.offset + Math.floor((frame * bits) / 8);
    const end = h.pixels.offset + Math.ceil(((frame + 1) * bits) / 8);
    return { bytes: values.bytes.subarray(start, end), bit: (frame * bits) % 8 };
  };
}

/**
 * Whether the frames can lie in a file of `size` bytes, before it is read.
 * @throws {FileError | DataError} more frames than bytes
 */
export function checkFrames(values: Values, h: PixelHeader, codec: PixelCodec, size: number): void {
  if (codec === "none" || h.format !== "integer") nativeFrames(values, h);
  else if (h.frames > size / 8) {
    throw new DataError(values.file, {
      problem: `${describeTag(tags.NumberOfFrames)} does not fit the compressed pixels`,
      expected: `at most ${Math.floor(size / 8)} (each frame has an item of 8 bytes)`,
      got: String(h.frames),
    });
  }
}

/**
 * Reader of the bytes of each frame; every frame is known to lie inside the file.
 * @throws {FileError | DataError} fewer bytes or fragments than the frames need
 */
export function locateFrames(
  values: Values,
  elements: Elements,
  h: PixelHeader,
  codec: PixelCodec,
  notes: string[],
): FrameReader {
  if (codec === "none" || h.format !== "integer") return nativeFrames(values, h);
  if (h.pixels.length !== null) {
    throw new DataError(values.file, {
      problem: `${describeTag(tags.PixelData)} is not compressed, but its transfer syntax is`,
      hint: "the file is damaged, or its transfer syntax is not the one that it names",
    });
  }
  const { fragments, offsets } = fragmentsOf(values, h.pixels.offset, notes);
  if (fragments.length === 0) throw new FileError(values.file, { problem: `${describeTag(tags.PixelData)} is empty` });
  const starts = firstFragments(values, fragments, extendedOffsets(values, elements) ?? offsets, h.frames, notes);
  return (frame) => ({ bytes: concatenate(values.bytes, fragments.slice(starts[frame], starts[frame + 1])), bit: 0 });
}
