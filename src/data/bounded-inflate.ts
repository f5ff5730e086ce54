/** @file Raw DEFLATE with a limit on what may come out, and the head of a gzip file without the rest. */
import { Inflate } from "fflate";
import { allocate } from "../formats/bytes.js";
import { damagedStream, expandsTooFar } from "../formats/inflated.js";

const chunkBytes = 16384;

/** Parts of the result, until the stream, the input, or `enough` bytes end. */
function inflateParts(bytes: Uint8Array, enough: number, name: string): { parts: Uint8Array[]; size: number } {
  const parts: Uint8Array[] = [];
  let size = 0;
  const stream = new Inflate((data) => {
    size += data.length;
    parts.push(data);
  });
  try {
    for (let at = 0; at < bytes.length && size < enough; at += chunkBytes) {
      stream.push(bytes.subarray(at, at + chunkBytes));
    }
    if (size < enough) stream.push(new Uint8Array(0), true); // throws where the stream has no end
  } catch (cause) {
    const early = cause instanceof Error && cause.message === "unexpected EOF";
    throw damagedStream(name, early ? "compressed data ends too early" : "compressed data is damaged", cause);
  }
  return { parts, size };
}

function join(parts: readonly Uint8Array[], size: number, name: string): Uint8Array<ArrayBuffer> {
  const whole = allocate(size, name);
  let at = 0;
  for (const part of parts) {
    whole.set(part.subarray(0, Math.max(0, size - at)), Math.min(at, size));
    at += part.length;
  }
  return whole;
}

/** All of a raw DEFLATE stream. @throws {FileError} damaged, truncated, more than `maxBytes` */
export function inflateRaw(bytes: Uint8Array, maxBytes: number, name: string): Uint8Array<ArrayBuffer> {
  const { parts, size } = inflateParts(bytes, maxBytes + 1, name);
  if (size > maxBytes) throw expandsTooFar(name, bytes.length, maxBytes);
  return join(parts, size, name);
}

/** Where the DEFLATE stream of a gzip member begins (RFC 1952 §2.3). */
function gzipBody(bytes: Uint8Array, name: string): number {
  const flags = bytes[3] ?? 0;
  let at = 10;
  if (flags & 4) at += 2 + (bytes[at] ?? 0) + 256 * (bytes[at + 1] ?? 0);
  for (const flag of [8, 16]) {
    if (flags & flag) at = bytes.indexOf(0, at) + 1 || bytes.length; // a name or comment that ends with 0
  }
  if (flags & 2) at += 2;
  if (bytes.length < 18 || at >= bytes.length) throw damagedStream(name, "compressed data ends too early");
  return at;
}

export const isGzip = (bytes: Uint8Array): boolean => bytes[0] === 0x1f && bytes[1] === 0x8b;

/**
 * The first `count` bytes (fewer where there are not as many) of what a gzip file holds.
 * @param bytes the file, or enough of its beginning
 * @throws {FileError} damaged, truncated
 */
export function gunzipHead(bytes: Uint8Array, count: number, name: string): Uint8Array<ArrayBuffer> {
  const { parts, size } = inflateParts(bytes.subarray(gzipBody(bytes, name)), count, name);
  return join(parts, Math.min(size, count), name);
}
