/** @file SHA-256 of a data set's content, in pieces, so that it works in browsers and over shared memory. */

const pieceBytes = 16 * 1024 * 1024;

const hex = (bytes: Uint8Array): string => Array.from(bytes, (b) => b.toString(16).padStart(2, "0")).join("");

/**
 * SHA-256 (hex) over the SHA-256 of every piece: each part is cut into pieces of 16 MiB, hashed, and the hashes are
 * hashed in order, each part preceded by its length. Web Crypto has no streaming hash and takes no shared memory.
 */
export async function fingerprintOf(parts: Iterable<Uint8Array | Uint32Array | string>): Promise<string> {
  const { subtle } = globalThis.crypto;
  const hashes: Uint8Array[] = [];
  for (const part of parts) {
    const view = typeof part === "string" ? new TextEncoder().encode(part) : part;
    const bytes = new Uint8Array(view.buffer, view.byteOffset, view.byteLength);
    hashes.push(new TextEncoder().encode(`${bytes.length};`));
    for (let at = 0; at < bytes.length; at += pieceBytes) {
      const piece = new Uint8Array(bytes.subarray(at, at + pieceBytes)); // a copy, never shared
      hashes.push(new Uint8Array(await subtle.digest("SHA-256", piece)));
    }
  }
  const all = new Uint8Array(hashes.reduce((n, h) => n + h.length, 0));
  let at = 0;
  for (const hash of hashes) {
    all.set(hash, at);
    at += hash.length;
  }
  return hex(new Uint8Array(await subtle.digest("SHA-256", all)));
}
