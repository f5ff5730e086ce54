/** @file Zip archives by random access: central directory, zip64, stored and deflated members, checked before memory is taken. */
import { InternalError } from "../common/errors.js";
import type { ByteSource, FileSystem, Platform } from "../platform/types.js";

export interface ZipEntry {
  readonly name: string;
  /** Bytes once expanded. */
  readonly size: number;
  readonly compressedSize: number;
}

export interface ZipArchive {
  /** For messages. */
  readonly name: string;
  /** Files only, in the order of the directory. */
  readonly entries: readonly ZipEntry[];
  /** The first entry of that name. */
  find(name: string): ZipEntry | undefined;
  /** The whole member, CRC checked. @throws {FileError} damaged, encrypted, too large */
  read(entry: ZipEntry): Promise<Uint8Array>;
  /** Closes the source. */
  close(): Promise<void>;
}

/** Reads the directory of an archive. @throws {FileError} not a zip, truncated, more than the limits */
export async function openZip(_source: ByteSource, _inflate: Platform["inflate"]): Promise<ZipArchive> {
  throw new InternalError("openZip is not written yet");
}

/** True for the bytes that a zip begins with. */
export const isZip = (head: Uint8Array): boolean => head[0] === 0x50 && head[1] === 0x4b;

/** Opens a file, or, for "X.001", all parts "X.001", "X.002", … joined. @throws {FileError} a part is missing */
export async function openFile(_path: string, _files: FileSystem): Promise<ByteSource> {
  throw new InternalError("openFile is not written yet");
}
