/** @file NumPy's type strings ("<f4", "|b1", "U9") and the arrays that lie behind them. */
import { FileError } from "../common/errors.js";
import type { DType, Tensor } from "../common/tensor.js";
import { printable } from "./bytes.js";
import { checkedSize, checkLength, decodeElements, type StoredType } from "./numbers.js";
import { copyStrided, stridesOf } from "./strided.js";

/** What one element is: a number, a Python object, or text of a fixed length. */
export type NumpyType =
  | { readonly kind: "number"; readonly type: StoredType; readonly littleEndian: boolean }
  | { readonly kind: "object" }
  | { readonly kind: "bytes"; readonly length: number }
  /** `length` in characters of four bytes. */
  | { readonly kind: "text"; readonly length: number; readonly littleEndian: boolean };

const numbers: Readonly<Record<string, StoredType>> = {
  b1: "bool",
  i1: "int8",
  i2: "int16",
  i4: "int32",
  i8: "int64",
  u1: "uint8",
  u2: "uint16",
  u4: "uint32",
  u8: "uint64",
  f2: "float16",
  f4: "float32",
  f8: "float64",
};

/** Longest text element: 64 Ki characters. */
const MAX_TEXT = 2 ** 16;

/** @param descr as in .npy headers and dtype pickles: byte order (may be missing), kind, bytes. @throws {FileError} other kinds */
export function parseNumpyType(descr: string, name: string): NumpyType {
  const match = /^([<>=|]?)([a-zA-Z])(\d*)$/.exec(descr);
  const [, order = "", kind = "", digits = ""] = match ?? [];
  const littleEndian = order !== ">"; // "=" is the machine's own, and we run on little-endian machines only
  const number = numbers[kind + digits];
  if (number !== undefined) return { kind: "number", type: number, littleEndian };
  if (kind === "O") return { kind: "object" };
  const length = Number(digits || "0");
  if (kind === "S" && length <= MAX_TEXT) return { kind: "bytes", length };
  if (kind === "U" && length <= MAX_TEXT) return { kind: "text", length, littleEndian };
  throw new FileError(name, {
    problem: "has elements of a type that is not read",
    expected: "bool, int8 … int64, uint8 … uint64, float16, float32 or float64",
    got: `NumPy type "${printable(descr)}"`,
    hint: "convert the array with .astype(numpy.float32) and save it again",
  });
}

/** The same type in the other byte order, as the state of a pickled dtype sets it. */
export function withByteOrder(type: NumpyType, order: string): NumpyType {
  return type.kind === "number" || type.kind === "text" ? { ...type, littleEndian: order !== ">" } : type;
}

/** Raw elements → tensor in C order; a view of `bytes` where it can be. @throws {FileError} the bytes do not fill the shape */
export function numberArray(
  type: Extract<NumpyType, { kind: "number" }>,
  shape: readonly number[],
  fortran: boolean,
  bytes: Uint8Array,
  name: string,
): Tensor {
  checkLength(name, type.type, shape, bytes.length);
  const { dtype, data } = decodeElements(type.type, type.littleEndian, bytes);
  if (!fortran || shape.length < 2 || data.length === 0) return { dtype, shape, data } as Tensor; // decodeElements pairs them
  return { dtype, shape, data: reordered(dtype, data, shape) } as Tensor;
}

function reordered(dtype: DType, data: Tensor["data"], shape: readonly number[]): Tensor["data"] {
  const out = decodeElements(dtype, true, new Uint8Array(data.byteLength)).data;
  return copyStrided(out, data, 0, shape, stridesOf(shape, "F"));
}

/** Text elements, in the order in which they lie; the zeros that pad them are cut off, as NumPy does. */
export function textElements(
  type: Extract<NumpyType, { kind: "text" | "bytes" }>,
  shape: readonly number[],
  bytes: Uint8Array,
  name: string,
): string[] {
  const count = checkedSize(shape, name);
  const width = type.kind === "text" ? 4 * type.length : type.length;
  if (count * width !== bytes.length || (width === 0 && count > 0)) {
    throw new FileError(name, {
      problem: "the data does not fill the shape",
      expected: `${count * width} bytes for text [${shape.join(",")}]`,
      got: String(bytes.length),
    });
  }
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  return Array.from({ length: count }, (_, i) => {
    let text = "";
    for (let k = 0; k < type.length; k++) {
      const at = i * width + (type.kind === "text" ? 4 * k : k);
      const code = type.kind === "text" ? view.getUint32(at, type.littleEndian) : view.getUint8(at);
      if (code > 0x10ffff) throw new FileError(name, { problem: "holds text that is not Unicode" });
      text += String.fromCodePoint(code);
    }
    return text.replace(/\0+$/, "");
  });
}
