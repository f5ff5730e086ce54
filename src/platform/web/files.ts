/** @file Files that a person picked or dropped, read in place; and one file system of these and of another for what is written. */
import { FileError } from "../../common/errors.js";
import { checkRange } from "../../formats/bytes.js";
import type { ByteSource, FileSystem, FolderEntry } from "../types.js";

/** One picked file, and its path below what was picked: "images/covid19/1.png". */
export interface PickedFile {
  readonly path: string;
  readonly file: Blob;
}

/** A File or Blob as a source; nothing is read before it is asked for. */
export function blobSource(name: string, blob: Blob): ByteSource {
  const source: ByteSource = {
    name,
    size: blob.size,
    async read(offset, length) {
      checkRange(source, offset, length);
      try {
        return new Uint8Array(await blob.slice(offset, offset + length).arrayBuffer());
      } catch (cause) {
        throw new FileError(name, {
          problem: "cannot be read any more",
          hint: "it was moved, changed or deleted after it was picked: pick it again",
          cause,
        });
      }
    },
    async close() {},
  };
  return source;
}

/** A Blob that holds something. @throws {FileError} it is empty */
export function fullBlobSource(name: string, blob: Blob): ByteSource {
  if (blob.size > 0) return blobSource(name, blob);
  throw new FileError(name, {
    problem: "is empty",
    expected: "a file with content",
    got: "0 bytes",
    hint: "copy or download it again",
  });
}

/** UTF-8; a byte-order mark and a character cut off at the very end are dropped. @throws {FileError} other bytes */
export async function textOf(name: string, blob: Blob): Promise<string> {
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(await blob.arrayBuffer(), { stream: true });
  } catch (cause) {
    throw new FileError(name, { problem: "is not UTF-8 text", hint: "save it as UTF-8", cause });
  }
}

export const missing = (path: string): FileError =>
  new FileError(path, { problem: "does not exist", hint: "check the path" });

export const byName = (a: FolderEntry, b: FolderEntry): number => (a.name < b.name ? -1 : a.name > b.name ? 1 : 0);

/** Parts of a path without ".", "" and what would lead out of it. @throws {FileError} a path with ".." */
export function partsOf(path: string): string[] {
  const parts = path.split("/").filter((part) => part !== "" && part !== ".");
  if (parts.includes("..")) throw new FileError(path, { problem: "leads out of its folder" });
  return parts;
}

type Tree = Map<string, Tree | Blob>;

/** The picked files as a file system that nothing can be written to. A path that is given twice is the last one's. */
export function pickedFiles(picked: readonly PickedFile[]): FileSystem {
  const root: Tree = new Map();
  for (const { path, file } of picked) {
    const parts = partsOf(path);
    const name = parts.pop() ?? "file";
    let folder = root;
    for (const part of parts) {
      const inner = folder.get(part);
      const next: Tree = inner instanceof Map ? inner : new Map();
      folder.set(part, next);
      folder = next;
    }
    folder.set(name, file);
  }
  const find = (path: string): Tree | Blob | undefined => {
    let at: Tree | Blob | undefined = root;
    for (const part of partsOf(path)) at = at instanceof Map ? at.get(part) : undefined;
    return at;
  };
  const file = (path: string): Blob => {
    const found = find(path);
    if (found instanceof Map) throw new FileError(path, { problem: "is a folder, not a file" });
    if (found === undefined) throw missing(path);
    return found;
  };
  const refuse = async (path: string): Promise<never> => {
    throw new FileError(path, { problem: "is among the picked files, which are only read" });
  };
  return {
    async kind(path) {
      const found = find(path);
      return found === undefined ? "missing" : found instanceof Map ? "folder" : "file";
    },
    open: async (path) => fullBlobSource(path, file(path)),
    async list(path) {
      const found = find(path);
      if (found === undefined) throw missing(path);
      if (!(found instanceof Map)) throw new FileError(path, { problem: "is a file, not a folder" });
      return [...found]
        .map(([name, entry]): FolderEntry => ({ name, kind: entry instanceof Map ? "folder" : "file" }))
        .sort(byName);
    },
    readText: async (path) => textOf(path, file(path)),
    makeFolder: refuse,
    writeAtomic: refuse,
    append: refuse,
    remove: refuse,
  };
}

/** Paths that begin with "/" are of `written`, all others of `picked`. */
export function twoFileSystems(picked: FileSystem, written: FileSystem): FileSystem {
  const of = (path: string): FileSystem => (path.startsWith("/") ? written : picked);
  return {
    kind: (path) => of(path).kind(path),
    open: (path) => of(path).open(path),
    list: (path) => of(path).list(path),
    readText: (path) => of(path).readText(path),
    makeFolder: (path) => of(path).makeFolder(path),
    writeAtomic: (path, bytes) => of(path).writeAtomic(path, bytes),
    append: (path, content) => of(path).append(path, content),
    remove: (path) => of(path).remove(path),
  };
}
