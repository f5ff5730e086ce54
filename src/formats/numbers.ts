/** @file Numbers in bytes: element types of files, byte order, half precision, as tensors in C order. */
import { FileError } from "../common/errors.js";
import { arrayTypes, type DType, type Shape, type Tensor } from "../common/tensor.js";
import { formatCount } from "./bytes.js";

/** Element types of files; the two half-precision ones become float32. */
export type StoredType = DType | "float16" | "bfloat16";

export const bytesOf = (type: StoredType): number =>
  type === "float16" || type === "bfloat16" ? 2 : arrayTypes[type].BYTES_PER_ELEMENT;

/** Numbers of elements above this are nobody's array; it also keeps products exact. */
const MAX_ELEMENTS = 2 ** 40;

/**
 * Product of a shape from a file.
 *
 * @throws {FileError} a dimension that is not a whole number ≥ 0, more than 64 of them, a product beyond 2^40
 */
export function checkedSize(shape: readonly unknown[], name: string): number {
  let size = 1;
  let empty = false;
  for (const n of shape) {
    const whole = typeof n === "number" && Number.isSafeInteger(n) && n >= 0 && n <= MAX_ELEMENTS;
    if (whole && n === 0) empty = true;
    else if (whole && size <= MAX_ELEMENTS) size *= n;
    if (!whole || shape.length > 64) {
      throw new FileError(name, {
        problem: "has an impossible shape",
        expected: "at most 64 whole numbers ≥ 0",
        got: shape.length > 64 ? `${shape.length} dimensions` : `a dimension of ${String(n).slice(0, 40)}`,
      });
    }
  }
  if (empty) return 0;
  if (size > MAX_ELEMENTS) {
    throw new FileError(name, { problem: "has an impossible shape", got: `[${shape.join(",")}]` });
  }
  return size;
}

/** IEEE 754 binary16 → number. */
function halfToNumber(bits: number): number {
  const sign = bits & 0x8000 ? -1 : 1;
  const exponent = (bits >> 10) & 31;
  const fraction = bits & 1023;
  if (exponent === 31) return fraction === 0 ? sign * Number.POSITIVE_INFINITY : Number.NaN;
  if (exponent === 0) return sign * fraction * 2 ** -24;
  return sign * (1024 + fraction) * 2 ** (exponent - 25);
}

const nativeLittle = new Uint8Array(Uint16Array.of(1).buffer)[0] === 1;

/** A copy with the bytes of every element reversed. */
function swapped(bytes: Uint8Array, width: number): Uint8Array<ArrayBuffer> {
  const out = new Uint8Array(bytes.length);
  for (let i = 0; i < bytes.length; i += width) {
    for (let k = 0; k < width; k++) out[i + k] = bytes[i + width - 1 - k]!; // inside: the length is a multiple of width
  }
  return out;
}

/**
 * Bytes of a file as a tensor's data, in the order in which they lie. Without a copy where alignment and byte order allow
 * it: then the data is a view of `bytes`. float16 and bfloat16 are widened; booleans become 0 or 1.
 *
 * @param bytes exactly the elements; its length is a multiple of the element's
 */
export function decodeElements(
  type: StoredType,
  littleEndian: boolean,
  bytes: Uint8Array,
): Pick<Tensor, "dtype" | "data"> {
  const width = bytesOf(type);
  let own = bytes;
  if (width > 1 && littleEndian !== nativeLittle) own = swapped(bytes, width);
  else if (bytes.byteOffset % width !== 0) own = new Uint8Array(bytes);
  const count = bytes.length / width;
  if (type === "float16" || type === "bfloat16") {
    const bits = new Uint16Array(own.buffer, own.byteOffset, count);
    if (type === "bfloat16") {
      const wide = new Uint32Array(count);
      for (let i = 0; i < count; i++) wide[i] = bits[i]! << 16; // i < count
      return { dtype: "float32", data: new Float32Array(wide.buffer) };
    }
    const table = halfTable();
    const data = new Float32Array(count);
    for (let i = 0; i < count; i++) data[i] = table[bits[i]!]!; // 65,536 entries
    return { dtype: "float32", data };
  }
  if (type === "bool") {
    const clean = own.every((b) => b <= 1);
    return { dtype: "bool", data: clean ? own : own.map((b) => (b === 0 ? 0 : 1)) };
  }
  // The constructor of the dtype makes the array that belongs to it; TypeScript cannot follow the lookup.
  return { dtype: type, data: new arrayTypes[type](own.buffer as ArrayBuffer, own.byteOffset, count) } as Pick<
    Tensor,
    "dtype" | "data"
  >;
}

let halves: Float32Array | undefined;
function halfTable(): Float32Array {
  halves ??= Float32Array.from({ length: 65536 }, (_, bits) => halfToNumber(bits));
  return halves;
}

/** Little-endian bytes of a tensor; a view where the machine is little-endian. */
export function encodeElements(tensor: Tensor): Uint8Array {
  const { data } = tensor;
  const bytes = new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
  return nativeLittle ? bytes : swapped(bytes, data.BYTES_PER_ELEMENT);
}

/** @throws {FileError} when `length` bytes are not what the shape needs */
export function checkLength(name: string, type: StoredType, shape: Shape, length: number): void {
  const wanted = checkedSize(shape, name) * bytesOf(type);
  if (wanted === length) return;
  throw new FileError(name, {
    problem: "the data does not fill the shape",
    expected: `${formatCount(wanted)} bytes for ${type} [${shape.join(",")}]`,
    got: formatCount(length),
    hint: "the file is truncated or damaged; copy or download it again",
  });
}
