/** @file DEFLATE on Node's zlib, with a bound on what may come out. */
import { createGunzip, createInflateRaw } from "node:zlib";
import { FileError } from "../../common/errors.js";
import { damagedStream, Inflated } from "../../formats/inflated.js";
import type { Platform } from "../types.js";

/** Size that the end of a gzip file states (modulo 2^32); good enough as a first guess. */
function statedSize(bytes: Uint8Array): number {
  if (bytes.length < 18) return 0;
  return new DataView(bytes.buffer, bytes.byteOffset + bytes.length - 4, 4).getUint32(0, true);
}

export const inflate: Platform["inflate"] = async (bytes, format, maxBytes, name) => {
  const guess = format === "gzip" ? Math.max(statedSize(bytes), 4096) : maxBytes;
  const inflated = new Inflated(name, bytes.length, maxBytes, guess);
  const stream = (format === "gzip" ? createGunzip : createInflateRaw)({ chunkSize: 2 ** 18 });
  stream.end(bytes);
  try {
    // zlib streams without encoding give bytes
    for await (const chunk of stream as AsyncIterable<Uint8Array>) inflated.add(chunk);
  } catch (cause) {
    if (cause instanceof FileError) throw cause;
    const early = cause instanceof Error && "code" in cause && cause.code === "Z_BUF_ERROR";
    throw damagedStream(name, early ? "compressed data ends too early" : "compressed data is damaged", cause);
  } finally {
    stream.destroy();
  }
  return inflated.whole();
};
