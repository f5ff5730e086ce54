/** @file Zip archives by random access: central directory, zip64, stored and deflated members, checked before memory is taken. */
import { type ErrorFacts, FileError } from "../common/errors.js";
import type { ByteSource, Platform } from "../platform/types.js";
import { checkRange, formatCount, printable } from "./bytes.js";
import { crc32 } from "./crc32.js";
import { largestRatio } from "./inflated.js";
import { describeContent } from "./sniff.js";
import { isSplit } from "./split.js";

export { openFile } from "./split.js";

export interface ZipEntry {
  readonly name: string;
  /** Bytes once expanded, as the directory claims. */
  readonly size: number;
  readonly compressedSize: number;
  /** 0 stored, 8 deflated; others cannot be read. */
  readonly method: number;
  readonly encrypted: boolean;
  readonly crc32: number;
  /** Of the local header. */
  readonly offset: number;
}

export interface ZipArchive {
  /** For messages. */
  readonly name: string;
  /** Files only, in the order of the directory. */
  readonly entries: readonly ZipEntry[];
  /** Of several of the same name the last, as Python. */
  find(name: string): ZipEntry | undefined;
  /** The whole member, CRC checked. @throws {FileError} damaged, encrypted, too large */
  read(entry: ZipEntry): Promise<Uint8Array>;
  /** Closes the source. */
  close(): Promise<void>;
}

/** Members end at 4 GiB, the longest array of the platforms we run on; directories at 256 MiB and a million entries. */
const MAX_MEMBER = 2 ** 32 - 1;
const MAX_DIRECTORY = 2 ** 28;
const MAX_ENTRIES = 1_000_000;

/** Signatures and fixed lengths of APPNOTE 4.3. */
const LOCAL = 0x04034b50;
const CENTRAL = 0x02014b50;
const END = 0x06054b50;
const END64 = 0x06064b50;
const LOCATOR64 = 0x07064b50;
const END_LENGTH = 22;
const LOCATOR_LENGTH = 20;
const END64_LENGTH = 56;

/** True for the bytes that a zip begins with. */
export const isZip = (head: Uint8Array): boolean => head[0] === 0x50 && head[1] === 0x4b;

const viewOf = (bytes: Uint8Array) => new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
/** Numbers beyond 2^53 lose digits here, and are refused by every limit all the same. */
const uint64 = (view: DataView, at: number) => Number(view.getBigUint64(at, true));

function damaged(name: string, problem: string, facts: Partial<ErrorFacts> = {}): FileError {
  return new FileError(name, { problem, hint: "copy or download the file again", ...facts });
}

/** Reads the directory of an archive. @throws {FileError} not a zip, truncated, spanned, more than the limits */
export async function openZip(source: ByteSource, inflate: Platform["inflate"]): Promise<ZipArchive> {
  const { offset, size, count, shift } = await findDirectory(source);
  if (count > MAX_ENTRIES || size > MAX_DIRECTORY) {
    throw new FileError(source.name, {
      problem: "the zip archive has too many members",
      expected: `at most ${formatCount(MAX_ENTRIES)}`,
      got: formatCount(count),
    });
  }
  checkRange(source, offset, size);
  const entries = readDirectory(await source.read(offset, size), count, shift, source.name);
  const byName = new Map(entries.map((entry) => [entry.name, entry]));
  return {
    name: source.name,
    entries,
    find: (name) => byName.get(name),
    read: (entry) => readMember(source, entry, inflate),
    close: () => source.close(),
  };
}

interface Directory {
  readonly offset: number;
  readonly size: number;
  readonly count: number;
  /** Bytes before the archive, as in self-extracting files; added to every offset. */
  readonly shift: number;
}

/** The end record sits in the last 65,557 bytes (it ends in a comment of up to 65,535). */
async function findDirectory(source: ByteSource): Promise<Directory> {
  const tailLength = Math.min(source.size, END_LENGTH + 65535 + LOCATOR_LENGTH);
  const tailStart = source.size - tailLength;
  const tail = viewOf(await source.read(tailStart, tailLength));
  let end = tailLength - END_LENGTH;
  while (
    end >= 0 &&
    !(tail.getUint32(end, true) === END && end + END_LENGTH + tail.getUint16(end + 20, true) <= tailLength)
  )
    end--;
  if (end < 0) throw await noDirectory(source);

  let disks = tail.getUint16(end + 4, true);
  let count = tail.getUint16(end + 10, true);
  let size = tail.getUint32(end + 12, true);
  let offset = tail.getUint32(end + 16, true);
  let recordStart = tailStart + end;
  const locator = end - LOCATOR_LENGTH;
  if (locator >= 0 && tail.getUint32(locator, true) === LOCATOR64) {
    recordStart = uint64(tail, locator + 8);
    if (recordStart > source.size - END64_LENGTH)
      throw damaged(source.name, "the zip archive's zip64 record is outside the file");
    const record = viewOf(await source.read(recordStart, END64_LENGTH));
    if (record.getUint32(0, true) !== END64) throw damaged(source.name, "the zip archive's zip64 record is damaged");
    disks = record.getUint32(16, true);
    count = uint64(record, 32);
    size = uint64(record, 40);
    offset = uint64(record, 48);
  }
  if (disks !== 0) {
    throw new FileError(source.name, {
      problem: "is one disk of a spanned zip archive",
      expected: "a zip in one piece, or cut into X.zip.001, X.zip.002, …",
      hint: "join it first: zip -s 0 X.zip --out whole.zip",
    });
  }
  const shift = recordStart - size - offset;
  if (shift < 0) {
    throw damaged(source.name, "the zip archive's directory is outside the file", {
      expected: `it to end before byte ${formatCount(recordStart)}`,
      got: `${formatCount(size)} bytes from byte ${formatCount(offset)}`,
    });
  }
  return { offset: offset + shift, size, count, shift };
}

async function noDirectory(source: ByteSource): Promise<FileError> {
  const head = await source.read(0, Math.min(source.size, 512));
  if (!isZip(head)) {
    return new FileError(source.name, {
      problem: "is not a zip archive",
      expected: "a zip archive",
      got: describeContent(head),
    });
  }
  return damaged(source.name, "the zip archive is truncated: its directory, which comes last, is missing", {
    got: `${formatCount(source.size)} bytes`,
    ...(isSplit(source) ? { hint: `the last part is incomplete, or ${source.nextPart} is missing` } : {}),
  });
}

/** Every entry takes at least 46 bytes, so `count` cannot make more objects than the directory has room for. */
function readDirectory(bytes: Uint8Array, count: number, shift: number, name: string): ZipEntry[] {
  const view = viewOf(bytes);
  const entries: ZipEntry[] = [];
  let at = 0;
  for (let i = 0; i < count; i++) {
    const fits = at + 46 <= bytes.length && view.getUint32(at, true) === CENTRAL;
    const nameLength = fits ? view.getUint16(at + 28, true) : 0;
    const extraLength = fits ? view.getUint16(at + 30, true) : 0;
    const next = at + 46 + nameLength + extraLength + (fits ? view.getUint16(at + 32, true) : 0);
    if (!fits || next > bytes.length) {
      throw damaged(name, "the zip archive's directory is damaged", {
        expected: `${formatCount(count)} entries`,
        got: `${formatCount(i)} that can be read`,
      });
    }
    const entryName = decodeName(bytes.subarray(at + 46, at + 46 + nameLength));
    let size = view.getUint32(at + 24, true);
    let compressedSize = view.getUint32(at + 20, true);
    let offset = view.getUint32(at + 42, true);
    let wide = zip64Field(view, at + 46 + nameLength, extraLength);
    const widen = (value: number): number => {
      if (value !== 0xffffffff || wide === null || wide.byteLength < 8) return value;
      const field = uint64(wide, 0);
      wide = new DataView(wide.buffer, wide.byteOffset + 8, wide.byteLength - 8);
      return field;
    };
    size = widen(size); // in this order: APPNOTE 4.5.3
    compressedSize = widen(compressedSize);
    offset = widen(offset);
    if (!entryName.endsWith("/")) {
      entries.push({
        name: entryName,
        size,
        compressedSize,
        method: view.getUint16(at + 10, true),
        encrypted: (view.getUint16(at + 8, true) & 1) === 1,
        crc32: view.getUint32(at + 16, true),
        offset: offset + shift,
      });
    }
    at = next;
  }
  return entries;
}

/** Body of the extra field 1, or null. */
function zip64Field(view: DataView, start: number, length: number): DataView | null {
  for (let at = start; at + 4 <= start + length; ) {
    const body = view.getUint16(at + 2, true);
    if (at + 4 + body > start + length) return null;
    if (view.getUint16(at, true) === 1) return new DataView(view.buffer, view.byteOffset + at + 4, body);
    at += 4 + body;
  }
  return null;
}

/** UTF-8 where it is that, else Latin-1: old tools set no flag either way. */
function decodeName(bytes: Uint8Array): string {
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(bytes);
  } catch {
    return Array.from(bytes, (b) => String.fromCharCode(b)).join("");
  }
}

async function readMember(source: ByteSource, entry: ZipEntry, inflate: Platform["inflate"]): Promise<Uint8Array> {
  const name = `${source.name} (${printable(entry.name)})`;
  if (entry.encrypted) {
    throw new FileError(name, { problem: "is encrypted", hint: "expand the archive with its password first" });
  }
  if (entry.method !== 0 && entry.method !== 8) {
    throw new FileError(name, {
      problem: "is compressed in a way that is not read",
      expected: "method 0 (stored) or 8 (deflate)",
      got: `method ${entry.method}`,
      hint: "make the archive again with plain zip",
    });
  }
  const most = entry.method === 0 ? entry.compressedSize : Math.min(MAX_MEMBER, entry.compressedSize * largestRatio);
  if (entry.size > Math.min(most, MAX_MEMBER)) {
    throw new FileError(name, {
      problem: "claims to be larger than it can be",
      expected: `at most ${formatCount(Math.min(most, MAX_MEMBER))} bytes from ${formatCount(entry.compressedSize)} stored ones`,
      got: `${formatCount(entry.size)} bytes`,
    });
  }
  if (entry.offset + 30 + entry.compressedSize > source.size) throw damaged(name, "lies outside the archive");
  const local = viewOf(await source.read(entry.offset, 30));
  if (local.getUint32(0, true) !== LOCAL) throw damaged(name, "has no header where the directory says");
  const start = entry.offset + 30 + local.getUint16(26, true) + local.getUint16(28, true);
  if (start + entry.compressedSize > source.size) throw damaged(name, "lies outside the archive");
  const stored = await source.read(start, entry.compressedSize);
  const bytes = entry.method === 0 ? stored : await inflate(stored, "deflate-raw", entry.size, name);
  if (bytes.length !== entry.size) {
    throw damaged(name, "has not the length that the directory says", {
      expected: `${formatCount(entry.size)} bytes`,
      got: formatCount(bytes.length),
    });
  }
  const crc = crc32(bytes);
  if (crc !== entry.crc32) {
    throw damaged(name, "is damaged: its checksum is wrong", {
      expected: `CRC-32 ${hex(entry.crc32)}`,
      got: hex(crc),
    });
  }
  return bytes;
}

const hex = (n: number) => n.toString(16).padStart(8, "0");
