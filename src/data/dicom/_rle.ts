/** @file RLE Lossless: PackBits segments, one for each byte of each sample (PS3.5 annex G). */
import { FileError } from "../../common/errors.js";

/** One PackBits segment into every `step`-th byte of `out` from `at`. @returns bytes written, at most `count` */
function unpack(segment: Uint8Array, out: Uint8Array, at: number, step: number, count: number): number {
  let written = 0;
  let i = 0;
  while (i < segment.length && written < count) {
    const control = segment[i++]!; // i is below the length here and in the loops
    if (control < 128) {
      const end = Math.min(i + control + 1, segment.length);
      for (; i < end && written < count; i++) out[at + step * written++] = segment[i]!;
    } else if (control > 128 && i < segment.length) {
      const value = segment[i++]!;
      for (let n = 257 - control; n > 0 && written < count; n--) out[at + step * written++] = value;
    } // 128 does nothing
  }
  return written;
}

/**
 * One frame, interleaved by pixel, little-endian.
 *
 * @param pixels rows · columns
 * @param bytesPerSample 1, 2 or 4; the first segment of a sample holds its highest byte
 * @throws {FileError} fewer or other segments than the frame needs
 */
export function decodeRle(
  frame: Uint8Array,
  pixels: number,
  samplesPerPixel: number,
  bytesPerSample: number,
  name: string,
): Uint8Array {
  const wanted = samplesPerPixel * bytesPerSample;
  if (frame.length < 64) {
    throw new FileError(name, {
      problem: "an RLE frame is truncated",
      expected: "a header of 64 bytes",
      got: `${frame.length}`,
    });
  }
  const view = new DataView(frame.buffer, frame.byteOffset, frame.byteLength);
  const segments = view.getUint32(0, true);
  if (segments !== wanted) {
    throw new FileError(name, {
      problem: "an RLE frame has the wrong number of segments",
      expected: `${wanted} (${samplesPerPixel} samples of ${bytesPerSample} bytes)`,
      got: String(segments),
    });
  }
  const starts = Array.from({ length: segments }, (_, s) => view.getUint32(4 + 4 * s, true));
  for (const [s, start] of starts.entries()) {
    const end = starts[s + 1] ?? frame.length;
    // Two bytes give at most 128: a segment that is too short is known before memory is taken.
    if (start < 64 || end > frame.length || start > end || (end - start) * 64 < pixels) {
      throw new FileError(name, {
        problem: `segment ${s + 1} of an RLE frame does not fit`,
        expected: `at least ${Math.ceil(pixels / 64)} bytes within the ${frame.length} of the frame`,
        got: `bytes ${start} to ${end}`,
      });
    }
  }
  const out = new Uint8Array(pixels * wanted);
  for (const [s, start] of starts.entries()) {
    const sample = Math.floor(s / bytesPerSample);
    const byte = bytesPerSample - 1 - (s % bytesPerSample);
    const segment = frame.subarray(start, starts[s + 1] ?? frame.length);
    const written = unpack(segment, out, sample * bytesPerSample + byte, wanted, pixels);
    if (written < pixels) {
      throw new FileError(name, {
        problem: `segment ${s + 1} of an RLE frame is too short`,
        expected: `${pixels} bytes once unpacked`,
        got: String(written),
      });
    }
  }
  return out;
}
