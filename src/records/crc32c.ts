/** @file CRC-32C (Castagnoli, RFC 3720 appendix B.4), and the masked form that TFRecord files carry. */

/** Table of the reflected polynomial 0x82f63b78. */
const table = Uint32Array.from({ length: 256 }, (_, byte) => {
  let crc = byte;
  for (let bit = 0; bit < 8; bit++) crc = crc & 1 ? (crc >>> 1) ^ 0x82f63b78 : crc >>> 1;
  return crc;
});

/** CRC-32C of the bytes, 0 … 2^32 − 1. */
export function crc32c(bytes: Uint8Array): number {
  let crc = 0xffffffff;
  for (const byte of bytes) crc = (crc >>> 8) ^ table[(crc ^ byte) & 0xff]!; // 256 entries
  return (crc ^ 0xffffffff) >>> 0;
}

/** Rotated right by 15 bits plus a constant: the CRC of data that holds its own CRC is a poor check, so TFRecord masks it. */
export function maskedCrc32c(bytes: Uint8Array): number {
  const crc = crc32c(bytes);
  return (((crc >>> 15) | (crc << 17)) + 0xa282ead8) >>> 0;
}
