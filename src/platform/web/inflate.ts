/** @file DEFLATE on the browser's own DecompressionStream, with a bound on what may come out. */
import { FileError } from "../../common/errors.js";
import { allocate, formatCount } from "../../formats/bytes.js";

/** A byte of DEFLATE cannot become more than 1032 bytes, so a small file never claims much memory. */
const MAX_RATIO = 1032;

/**
 * @param format "deflate" is zlib's, as in PNG
 * @throws {FileError} damaged, cut off, or more than `maxBytes`
 */
export async function inflate(
  bytes: Uint8Array,
  format: "deflate-raw" | "deflate" | "gzip",
  maxBytes: number,
  name: string,
): Promise<Uint8Array<ArrayBuffer>> {
  const limit = Math.min(maxBytes, bytes.length * MAX_RATIO);
  let out = allocate(format === "gzip" ? Math.min(limit, 4 * bytes.length) : limit, name);
  let length = 0;
  const own = bytes.buffer instanceof ArrayBuffer ? (bytes as Uint8Array<ArrayBuffer>) : new Uint8Array(bytes); // its buffer says so
  const reader = new Blob([own]).stream().pipeThrough(new DecompressionStream(format)).getReader();
  for (;;) {
    const { done, value } = await reader.read().catch((cause: unknown) => {
      throw new FileError(name, {
        problem: "compressed data is damaged or ends too early",
        hint: "copy or download the file again",
        cause,
      });
    });
    if (done) break;
    if (length + value.length > maxBytes) {
      await reader.cancel();
      throw new FileError(name, {
        problem: "expands to more than is allowed",
        expected: `at most ${formatCount(maxBytes)} bytes`,
        got: `more, from ${formatCount(bytes.length)} compressed bytes`,
      });
    }
    if (length + value.length > out.length) {
      const larger = allocate(Math.min(maxBytes, Math.max(2 * out.length, length + value.length)), name);
      larger.set(out.subarray(0, length));
      out = larger;
    }
    out.set(value, length);
    length += value.length;
  }
  return length === out.length ? out : out.slice(0, length);
}
