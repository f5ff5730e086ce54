/** @file DEFLATE on the browser's own DecompressionStream, with a bound on what may come out. */
import { damagedStream, Inflated } from "../../formats/inflated.js";

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
  const inflated = new Inflated(name, bytes.length, maxBytes, format === "gzip" ? 4 * bytes.length : maxBytes);
  const own = bytes.buffer instanceof ArrayBuffer ? (bytes as Uint8Array<ArrayBuffer>) : new Uint8Array(bytes); // its buffer says so
  const reader = new Blob([own]).stream().pipeThrough(new DecompressionStream(format)).getReader();
  try {
    for (;;) {
      const { done, value } = await reader.read().catch((cause: unknown) => {
        throw damagedStream(name, "compressed data is damaged or ends too early", cause);
      });
      if (done) return inflated.whole();
      inflated.add(value);
    }
  } finally {
    await reader.cancel().catch(() => {}); // after an error there may be nothing left to cancel
  }
}
