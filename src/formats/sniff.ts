/** @file What a file is by its first bytes, in words, so that a message can say what was given instead. */

const magics: readonly (readonly [magic: string, name: string])[] = [
  ["\x89PNG\r\n\x1a\n", "a PNG image"],
  ["\xff\xd8\xff", "a JPEG image"],
  ["GIF8", "a GIF image"],
  ["BM", "a BMP image"],
  ["II*\0", "a TIFF image"],
  ["MM\0*", "a TIFF image"],
  ["PK\x03\x04", "a zip archive"],
  ["PK\x05\x06", "an empty zip archive"],
  ["\x93NUMPY", "a NumPy array (.npy)"],
  ["\x1f\x8b", "a gzip file"],
  ["\x89HDF\r\n\x1a\n", "an HDF5 file"],
  ["%PDF", "a PDF document"],
  ["7z\xbc\xaf\x27\x1c", "a 7-Zip archive"],
  ["Rar!", "a RAR archive"],
  ["\xfd7zXZ\0", "an xz file"],
  ["BZh", "a bzip2 file"],
  ["(\xb5/\xfd", "a Zstandard file"],
  ["version https://git-lfs", "a Git LFS pointer (the file itself was not downloaded)"],
  ["SIMPLE  =", "a FITS file"],
];

/** Latin-1 text of the first bytes. */
const head = (bytes: Uint8Array, length: number): string => String.fromCharCode(...bytes.subarray(0, length));

/** "a PNG image", "a web page", "text", "an unknown kind of file", … @param bytes the beginning of the file */
export function describeContent(bytes: Uint8Array): string {
  if (bytes.length === 0) return "an empty file";
  const start = head(bytes, 256);
  for (const [magic, name] of magics) if (start.startsWith(magic)) return name;
  if (start.startsWith("RIFF") && start.slice(8, 12) === "WEBP") return "a WebP image";
  if (head(bytes.subarray(128), 4) === "DICM") return "a DICOM file";
  if (head(bytes.subarray(257), 5) === "ustar") return "a tar archive";
  const trimmed = start.trimStart().toLowerCase();
  if (trimmed.startsWith("<!doctype html") || trimmed.startsWith("<html")) return "a web page";
  if (/^[\t\n\r\x20-\x7e]+$/.test(start)) return trimmed.startsWith("{") ? "JSON text" : "text";
  if (bytes[0] === 0x80 && (bytes[1] ?? 255) <= 5) return "a Python pickle"; // PROTO and its number
  if (bytes[0] === 0x08 && (bytes[1] ?? 255) <= 20) return "perhaps an ONNX model"; // protobuf field 1, the IR version
  return "an unknown kind of file";
}
