/** @file CRC-32 as zip uses it (polynomial 0xEDB88320), four bytes at a time. */

/** tables[k][b]: the CRC of byte b followed by k zero bytes. */
const tables: readonly Uint32Array[] = (() => {
  const made = Array.from({ length: 4 }, () => new Uint32Array(256));
  for (let b = 0; b < 256; b++) {
    let crc = b;
    for (let bit = 0; bit < 8; bit++) crc = (crc & 1) === 1 ? (crc >>> 1) ^ 0xedb88320 : crc >>> 1;
    made[0]![b] = crc; // four tables of 256
  }
  for (let k = 1; k < 4; k++) {
    for (let b = 0; b < 256; b++) {
      const shorter = made[k - 1]![b]!; // k − 1 and b are inside
      made[k]![b] = (shorter >>> 8) ^ made[0]![shorter & 255]!;
    }
  }
  return made;
})();

/** 0 … 2^32 − 1. */
export function crc32(bytes: Uint8Array): number {
  const [t0, t1, t2, t3] = tables as [Uint32Array, Uint32Array, Uint32Array, Uint32Array]; // made with length 4
  let crc = 0xffffffff;
  let i = 0;
  // Every index below is masked to 0 … 255 or checked against the length.
  for (const end = bytes.length - 3; i < end; i += 4) {
    crc ^= bytes[i]! | (bytes[i + 1]! << 8) | (bytes[i + 2]! << 16) | (bytes[i + 3]! << 24);
    crc = t3[crc & 255]! ^ t2[(crc >>> 8) & 255]! ^ t1[(crc >>> 16) & 255]! ^ t0[crc >>> 24]!;
  }
  for (; i < bytes.length; i++) crc = t0[(crc ^ bytes[i]!) & 255]! ^ (crc >>> 8);
  return (crc ^ 0xffffffff) >>> 0;
}
