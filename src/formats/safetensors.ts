/** @file The safetensors format: a JSON header and raw little-endian tensors. */
import { FileError } from "../common/errors.js";
import { type DType, sizeOf, type Tensor } from "../common/tensor.js";
import type { ByteSource } from "../platform/types.js";
import { formatCount, printable } from "./bytes.js";
import { bytesOf, checkLength, decodeElements, encodeElements, type StoredType } from "./numbers.js";
import { describeContent } from "./sniff.js";

export interface Safetensors {
  readonly tensors: Map<string, Tensor>;
  readonly metadata: Readonly<Record<string, string>>;
}

/** As the format's own implementation. */
const MAX_HEADER = 100_000_000;

const stored: Readonly<Record<string, StoredType>> = {
  F64: "float64",
  F32: "float32",
  F16: "float16",
  BF16: "bfloat16",
  I64: "int64",
  I32: "int32",
  I16: "int16",
  I8: "int8",
  U64: "uint64",
  U32: "uint32",
  U16: "uint16",
  U8: "uint8",
  BOOL: "bool",
};

const codes = Object.fromEntries(Object.entries(stored).map(([code, type]) => [type, code])) as Record<DType, string>; // `stored` names every DType

/** Whether a file begins as one: a plausible header length, then "{". @param head at least 9 bytes */
export function looksLikeSafetensors(head: Uint8Array, size: number): boolean {
  if (head.length < 9 || head[8] !== 0x7b) return false;
  const length = new DataView(head.buffer, head.byteOffset, 8).getBigUint64(0, true);
  return length >= 2n && length <= BigInt(Math.min(MAX_HEADER, size - 8));
}

/** One row of the header. */
export interface SafetensorInfo {
  readonly name: string;
  readonly type: StoredType;
  readonly shape: readonly number[];
  /** From the end of the header. */
  readonly start: number;
  readonly end: number;
}

/** F16 and BF16 are widened to float32. @throws {FileError} a header that does not hold together, an unknown dtype */
export async function readSafetensors(source: ByteSource): Promise<Safetensors> {
  const { rows, metadata, dataStart } = await readHeader(source);
  const tensors = new Map<string, Tensor>();
  for (const row of rows) {
    const bytes = await source.read(dataStart + row.start, row.end - row.start);
    const { dtype, data } = decodeElements(row.type, true, bytes);
    tensors.set(row.name, { dtype, shape: row.shape, data } as Tensor); // decodeElements pairs dtype and data
  }
  return { tensors, metadata };
}

async function readHeader(
  source: ByteSource,
): Promise<{ rows: readonly SafetensorInfo[]; metadata: Record<string, string>; dataStart: number }> {
  const { name, size } = source;
  const head = await source.read(0, Math.min(size, 512));
  if (!looksLikeSafetensors(head, size)) {
    throw new FileError(name, {
      problem: "is not a safetensors file, or is truncated",
      expected: `the length of a JSON header, at most ${formatCount(Math.min(MAX_HEADER, Math.max(0, size - 8)))} bytes, and the header`,
      got: describeContent(head),
    });
  }
  const length = Number(new DataView(head.buffer, head.byteOffset, 8).getBigUint64(0, true));
  const header = parseJson(await source.read(8, length), name);
  const metadata: Record<string, string> = {};
  const rows: SafetensorInfo[] = [];
  for (const [key, value] of Object.entries(header)) {
    if (key === "__metadata__") {
      for (const [k, v] of Object.entries(isObject(value) ? value : {})) if (typeof v === "string") metadata[k] = v;
    } else rows.push(parseRow(key, value, name));
  }
  checkLayout(rows, size - 8 - length, name);
  return { rows, metadata, dataStart: 8 + length };
}

function parseJson(bytes: Uint8Array, name: string): Record<string, unknown> {
  try {
    const parsed: unknown = JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(bytes));
    if (isObject(parsed)) return parsed;
  } catch (cause) {
    throw new FileError(name, { problem: "has a damaged safetensors header: it is not JSON", cause });
  }
  throw new FileError(name, { problem: "has a damaged safetensors header: it is not a JSON object" });
}

const isObject = (value: unknown): value is Record<string, unknown> =>
  typeof value === "object" && value !== null && !Array.isArray(value);

function parseRow(key: string, value: unknown, file: string): SafetensorInfo {
  const where = `${file} (${printable(key)})`;
  const { dtype, shape, data_offsets: offsets } = isObject(value) ? value : {};
  const [start, end] = Array.isArray(offsets) && offsets.length === 2 ? (offsets as unknown[]) : [];
  if (typeof dtype !== "string" || !isShape(shape) || typeof start !== "number" || typeof end !== "number") {
    throw new FileError(where, {
      problem: "has a damaged entry in the safetensors header",
      expected: "dtype, shape and data_offsets",
    });
  }
  const type = Object.hasOwn(stored, dtype) ? stored[dtype] : undefined;
  if (type === undefined) {
    throw new FileError(where, {
      problem: "has elements of a type that is not read",
      expected: Object.keys(stored).join(", "),
      got: printable(dtype),
    });
  }
  if (!Number.isSafeInteger(start) || !Number.isSafeInteger(end) || start < 0 || end < start) {
    throw new FileError(where, { problem: "has impossible data_offsets", got: `[${start}, ${end}]` });
  }
  checkLength(where, type, shape, end - start);
  return { name: key, type, shape, start, end };
}

const isShape = (value: unknown): value is number[] =>
  Array.isArray(value) && value.every((n) => typeof n === "number");

/** The tensors must cover the data one after the other, without holes and overlaps, as the format demands. */
function checkLayout(rows: readonly SafetensorInfo[], available: number, name: string): void {
  let end = 0;
  for (const row of [...rows].sort((a, b) => a.start - b.start || a.end - b.end)) {
    if (row.start !== end) {
      throw new FileError(`${name} (${printable(row.name)})`, {
        problem: row.start < end ? "overlaps another tensor" : "leaves a hole before it",
        expected: `to begin at byte ${formatCount(end)} of the data`,
        got: `byte ${formatCount(row.start)}`,
      });
    }
    end = row.end;
  }
  if (end !== available) {
    throw new FileError(name, {
      problem: end > available ? "is truncated" : "has bytes that belong to no tensor",
      expected: `${formatCount(end)} bytes of data`,
      got: formatCount(available),
      hint: "copy or download it again",
    });
  }
}

/**
 * Deterministic: sorted by size of element (largest first, so that every tensor is aligned), then by name; the data begins
 * at a multiple of 8. Readable by the safetensors library.
 */
export function encodeSafetensors(
  tensors: ReadonlyMap<string, Tensor>,
  metadata?: Readonly<Record<string, string>>,
): Uint8Array {
  const rows = [...tensors].sort(
    ([a, x], [b, y]) => bytesOf(y.dtype) - bytesOf(x.dtype) || (a < b ? -1 : a > b ? 1 : 0),
  );
  // A list of pairs, because an object would reorder names that are numbers.
  const entries: string[] = [];
  if (metadata !== undefined) {
    const sorted = Object.fromEntries(Object.entries(metadata).sort(([a], [b]) => (a < b ? -1 : 1)));
    entries.push(`"__metadata__":${JSON.stringify(sorted)}`);
  }
  let offset = 0;
  for (const [name, { dtype, shape }] of rows) {
    const end = offset + sizeOf(shape) * bytesOf(dtype);
    entries.push(
      `${JSON.stringify(name)}:${JSON.stringify({ dtype: codes[dtype], shape, data_offsets: [offset, end] })}`,
    );
    offset = end;
  }
  const json = new TextEncoder().encode(`{${entries.join(",")}}`);
  const length = 8 * Math.ceil(json.length / 8);
  const out = new Uint8Array(8 + length + offset);
  new DataView(out.buffer).setBigUint64(0, BigInt(length), true);
  out.fill(0x20, 8, 8 + length); // padded with spaces
  out.set(json, 8);
  let at = 8 + length;
  for (const [, tensor] of rows) {
    const bytes = encodeElements(tensor);
    out.set(bytes, at);
    at += bytes.length;
  }
  return out;
}
