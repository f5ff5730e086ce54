/** @file DEFLATE on Node's zlib, with a bound on what may come out. */
import { createGunzip, createInflateRaw } from "node:zlib";
import { FileError } from "../../common/errors.js";
import { allocate, formatCount } from "../../formats/bytes.js";
import type { Platform } from "../types.js";

/** A byte of DEFLATE cannot become more than 1032 bytes, so a small file never claims much memory. */
const MAX_RATIO = 1032;

/** Size that the end of a gzip file states (modulo 2^32); good enough as a first guess. */
function statedSize(bytes: Uint8Array): number {
  if (bytes.length < 18) return 0;
  return new DataView(bytes.buffer, bytes.byteOffset + bytes.length - 4, 4).getUint32(0, true);
}

export const inflate: Platform["inflate"] = async (bytes, format, maxBytes, name) => {
  const limit = Math.min(maxBytes, bytes.length * MAX_RATIO);
  const guess = format === "gzip" ? Math.max(statedSize(bytes), 4096) : maxBytes;
  let out = allocate(Math.min(guess, limit), name);
  let length = 0;
  const stream = (format === "gzip" ? createGunzip : createInflateRaw)({ chunkSize: 2 ** 18 });
  stream.end(bytes);
  try {
    for await (const chunk of stream as AsyncIterable<Uint8Array>) {
      // zlib streams without encoding give bytes
      if (length + chunk.length > maxBytes) {
        throw new FileError(name, {
          problem: "expands to more than is allowed",
          expected: `at most ${formatCount(maxBytes)} bytes`,
          got: `more, from ${formatCount(bytes.length)} compressed bytes`,
        });
      }
      if (length + chunk.length > out.length) {
        const larger = allocate(Math.min(maxBytes, Math.max(2 * out.length, length + chunk.length)), name);
        larger.set(out.subarray(0, length));
        out = larger;
      }
      out.set(chunk, length);
      length += chunk.length;
    }
  } catch (cause) {
    if (cause instanceof FileError) throw cause;
    const early = cause instanceof Error && "code" in cause && cause.code === "Z_BUF_ERROR";
    throw new FileError(name, {
      problem: early ? "compressed data ends too early" : "compressed data is damaged",
      hint: "copy or download the file again",
      cause,
    });
  } finally {
    stream.destroy();
  }
  return length === out.length ? out : out.slice(0, length);
};
