/** @file NumPy's .npy files: one array, any numeric dtype, byte order and memory order. */
import { FileError } from "../common/errors.js";
import type { DType, Tensor } from "../common/tensor.js";
import { formatCount, printable } from "./bytes.js";
import { bytesOf, checkedSize, encodeElements } from "./numbers.js";
import { type NumpyType, numberArray, parseNumpyType } from "./numpy-dtype.js";
import { describeContent } from "./sniff.js";

const MAGIC = [0x93, 0x4e, 0x55, 0x4d, 0x50, 0x59]; // \x93NUMPY
/** NumPy writes a few hundred bytes. */
const MAX_HEADER = 2 ** 16;

export interface NpyHeader {
  readonly type: Extract<NumpyType, { kind: "number" }>;
  readonly shape: readonly number[];
  readonly fortran: boolean;
  /** Where the data begins. */
  readonly start: number;
}

/** Versions 1 to 3. C order comes out; float16 is widened to float32. May be a view of `bytes`. @throws {FileError} */
export function decodeNpy(bytes: Uint8Array, name: string): Tensor {
  const { type, shape, fortran, start } = decodeNpyHeader(bytes, name);
  const end = start + checkedSize(shape, name) * bytesOf(type.type);
  // Like NumPy, what follows the data is not looked at.
  return numberArray(type, shape, fortran, bytes.subarray(start, Math.max(start, end)), name);
}

/** @param bytes the beginning of the file, at least up to the data */
function decodeNpyHeader(bytes: Uint8Array, name: string): NpyHeader {
  if (bytes.length < 6 || MAGIC.some((b, i) => bytes[i] !== b)) {
    throw new FileError(name, {
      problem: "is not a NumPy array",
      expected: "a .npy file",
      got: describeContent(bytes),
    });
  }
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const major = bytes[6] ?? 0;
  if (bytes.length >= 8 && (major < 1 || major > 3)) {
    throw new FileError(name, { problem: "is of an unknown .npy version", expected: "1, 2 or 3", got: String(major) });
  }
  const lengthBytes = major === 1 ? 2 : 4;
  const first = 8 + lengthBytes;
  const length = bytes.length < first ? 0 : major === 1 ? view.getUint16(8, true) : view.getUint32(8, true);
  if (bytes.length < first || (length <= MAX_HEADER && bytes.length < first + length)) {
    throw new FileError(name, {
      problem: "is truncated inside the .npy header",
      got: `${formatCount(bytes.length)} bytes`,
      hint: "copy or download it again",
    });
  }
  const text = length <= MAX_HEADER ? String.fromCharCode(...chunk(bytes, first, length)) : "";
  return { ...parseHeader(text, name), start: first + length };
}

/** Spread arguments have a limit of their own, far above 65,536. */
const chunk = (bytes: Uint8Array, start: number, length: number) => bytes.subarray(start, start + length);

/** A Python dictionary of three literals, in any order: {'descr': '<f4', 'fortran_order': False, 'shape': (3, 4), } */
function parseHeader(text: string, name: string): Omit<NpyHeader, "start"> {
  const descr = /['"]descr['"]\s*:\s*(?:['"]([^'"]*)['"]|(\[))/.exec(text);
  const order = /['"]fortran_order['"]\s*:\s*(True|False)/.exec(text);
  const shape = /['"]shape['"]\s*:\s*\(([\dL,\s]*)\)/.exec(text);
  if (descr === null || order === null || shape === null) {
    throw new FileError(name, {
      problem: "has a damaged .npy header",
      expected: "descr, fortran_order and shape",
      got: `"${printable(text.trim())}"`,
    });
  }
  if (descr[2] !== undefined) {
    throw new FileError(name, {
      problem: "is a structured array, which is not read",
      hint: "save each of its fields as an array of its own",
    });
  }
  const type = parseNumpyType(descr[1] ?? "", name);
  if (type.kind !== "number") {
    throw new FileError(name, {
      problem: type.kind === "object" ? "is an array of Python objects, which is not read" : "is an array of text",
      expected: "an array of numbers",
      got: `NumPy type "${printable(descr[1] ?? "")}"`,
      hint: "save numbers: numpy.save(path, numpy.asarray(x, dtype=numpy.float32))",
    });
  }
  const dims = (shape[1] ?? "")
    .split(",")
    .map((d) => d.trim().replace(/L$/, ""))
    .filter((d) => d !== "")
    .map(Number);
  checkedSize(dims, name);
  return { type, shape: dims, fortran: order[1] === "True" };
}

const descrs: Readonly<Record<DType, string>> = {
  float32: "<f4",
  float64: "<f8",
  int8: "|i1",
  int16: "<i2",
  int32: "<i4",
  int64: "<i8",
  uint8: "|u1",
  uint16: "<u2",
  uint32: "<u4",
  uint64: "<u8",
  bool: "|b1",
};

/** Version 1.0, little-endian, C order: readable by np.load. */
export function encodeNpy(tensor: Tensor): Uint8Array {
  const dims = tensor.shape.length === 1 ? `${tensor.shape[0]},` : tensor.shape.join(", ");
  const dict = `{'descr': '${descrs[tensor.dtype]}', 'fortran_order': False, 'shape': (${dims}), }`;
  const length = 64 * Math.ceil((10 + dict.length + 1) / 64) - 10; // the data begins at a multiple of 64
  const data = encodeElements(tensor);
  const out = new Uint8Array(10 + length + data.length);
  out.set(MAGIC);
  out.set([1, 0, length & 255, length >> 8], 6);
  out.set(new TextEncoder().encode(`${dict.padEnd(length - 1)}\n`), 10);
  out.set(data, 10 + length);
  return out;
}
