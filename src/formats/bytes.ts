/** @file Byte sources over memory and over several parts, and small helpers that every reader of bytes shares. */
import { FileError, InternalError } from "../common/errors.js";
import type { ByteSource } from "../platform/types.js";

/** 1234567 → "1,234,567", the same on every machine. */
export const formatCount = (n: number | bigint): string => String(n).replace(/\B(?=(\d{3})+$)/g, ",");

/** A name from inside a file, safe to print: control characters shown as "?", at most 100 characters. */
export function printable(name: string): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what has to go
  const clean = name.replace(/[\u0000-\u001f\u007f-\u009f\u2028\u2029\u202a-\u202e]/g, "?");
  return clean.length > 100 ? `${clean.slice(0, 97)}…` : clean;
}

/** A zeroed array; memory that cannot be had is an error of the file that asked for it. @throws {FileError} */
export function allocate(length: number, name: string): Uint8Array<ArrayBuffer> {
  try {
    return new Uint8Array(length);
  } catch (cause) {
    throw new FileError(name, {
      problem: "does not fit into memory",
      got: `${formatCount(length)} bytes in one piece`,
      cause,
    });
  }
}

/** @throws {FileError} when [offset, offset + length) is not inside the source */
export function checkRange(source: Pick<ByteSource, "name" | "size">, offset: number, length: number): void {
  if (!Number.isSafeInteger(offset) || !Number.isSafeInteger(length) || offset < 0 || length < 0) {
    throw new InternalError("a byte range is made of whole numbers", { got: `${length} bytes from ${offset}` });
  }
  if (offset + length > source.size) {
    throw new FileError(source.name, {
      problem: "is shorter than its own content says",
      expected: `${formatCount(length)} bytes from byte ${formatCount(offset)}`,
      got: `a file of ${formatCount(source.size)} bytes`,
      hint: "the file is truncated or damaged; copy or download it again",
    });
  }
}

/** Bytes in memory as a source. `read` copies, as the contract says. */
export function memorySource(name: string, bytes: Uint8Array): ByteSource {
  const source: ByteSource = {
    name,
    size: bytes.length,
    async read(offset, length) {
      checkRange(source, offset, length);
      return new Uint8Array(bytes.subarray(offset, offset + length)); // a copy, and never a Buffer
    },
    async close() {},
  };
  return source;
}

/** Several sources one after the other as one; closing it closes them all. */
export function joinSources(name: string, parts: readonly ByteSource[]): ByteSource {
  const starts: number[] = [];
  let size = 0;
  for (const part of parts) {
    starts.push(size);
    size += part.size;
  }
  const source: ByteSource = {
    name,
    size,
    async read(offset, length) {
      checkRange(source, offset, length);
      const out = allocate(length, name);
      for (const [i, part] of parts.entries()) {
        const start = starts[i]!; // one start a part
        const from = Math.max(offset, start);
        const to = Math.min(offset + length, start + part.size);
        if (from < to) out.set(await part.read(from - start, to - from), from - offset);
      }
      return out;
    },
    async close() {
      for (const part of parts) await part.close();
    },
  };
  return source;
}

/** All bytes of a source. */
export const readAll = (source: ByteSource): Promise<Uint8Array> => source.read(0, source.size);
