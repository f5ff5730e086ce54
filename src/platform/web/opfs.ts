/** @file The browser's private file system (OPFS): what is written there stays on this machine, for this site only. */
import { FileError } from "../../common/errors.js";
import type { FileSystem, FolderEntry } from "../types.js";
import { byName, fullBlobSource, missing, partsOf, textOf } from "./files.js";

/** As all browsers have it; TypeScript keeps it in a library of its own. */
type Entries = AsyncIterable<readonly [name: string, handle: FileSystemHandle]>;
type WithEntries = FileSystemDirectoryHandle & { entries(): Entries };

/** In workers only, and not in TypeScript's library for pages. */
interface SyncAccess {
  getSize(): number;
  truncate(size: number): void;
  write(bytes: Uint8Array, options: { at: number }): number;
  flush(): void;
  close(): void;
}
type WithSyncAccess = FileSystemFileHandle & { createSyncAccessHandle(): Promise<SyncAccess> };
const hasSyncAccess = (handle: FileSystemFileHandle): handle is WithSyncAccess => "createSyncAccessHandle" in handle;

const named = (error: unknown, ...names: string[]): boolean =>
  error instanceof DOMException && names.includes(error.name);

function opfsError(path: string, doing: string, cause: unknown): FileError {
  if (cause instanceof FileError) return cause;
  if (named(cause, "QuotaExceededError")) {
    return new FileError(path, {
      problem: `${doing}: the browser's storage is full`,
      hint: "delete old runs, or free some space; files that were there before are unchanged",
      cause,
    });
  }
  if (named(cause, "NoModificationAllowedError")) {
    return new FileError(path, {
      problem: `${doing}: another page is writing it`,
      hint: "close the other page",
      cause,
    });
  }
  return new FileError(path, {
    problem: `${doing}: the browser reported ${cause instanceof Error ? cause.name : "an error"}`,
    cause,
  });
}

const encode = (content: Uint8Array | string): Uint8Array<ArrayBuffer> =>
  typeof content === "string"
    ? new TextEncoder().encode(content)
    : content.buffer instanceof ArrayBuffer
      ? (content as Uint8Array<ArrayBuffer>) // its buffer says so
      : new Uint8Array(content);

/**
 * Files below a folder of the origin's private file system. Nobody but pages of this origin sees them; the browser may drop them
 * when space is short, unless `navigator.storage.persist()` was granted.
 *
 * @param root default: the origin's own root
 * @throws {FileError} the browser has no such file system, or the page is not a secure context
 */
export async function opfs(root?: FileSystemDirectoryHandle): Promise<FileSystem> {
  if (root === undefined && !("getDirectory" in (globalThis.navigator?.storage ?? {}))) {
    throw new FileError("storage", {
      problem: "this browser keeps no files for web pages",
      expected: "the origin private file system, on https or localhost",
      hint: "use a current browser, outside of private windows",
    });
  }
  const top = root ?? (await navigator.storage.getDirectory());

  const folder = async (parts: readonly string[], create: boolean): Promise<FileSystemDirectoryHandle> => {
    let at = top;
    for (const part of parts) at = await at.getDirectoryHandle(part, { create });
    return at;
  };
  const handleOf = async (path: string, create = false): Promise<FileSystemFileHandle> => {
    const parts = partsOf(path);
    const name = parts.pop();
    if (name === undefined) throw new FileError(path, { problem: "is a folder, not a file" });
    try {
      return await (await folder(parts, false)).getFileHandle(name, { create });
    } catch (cause) {
      if (named(cause, "NotFoundError")) throw missing(path);
      if (named(cause, "TypeMismatchError")) throw new FileError(path, { problem: "is a folder, not a file", cause });
      throw opfsError(path, "cannot be opened", cause);
    }
  };

  return {
    async kind(path) {
      const parts = partsOf(path);
      const name = parts.pop();
      if (name === undefined) return "folder";
      try {
        const parent = await folder(parts, false);
        try {
          await parent.getFileHandle(name);
          return "file";
        } catch (error) {
          if (named(error, "TypeMismatchError")) return "folder";
          throw error;
        }
      } catch (cause) {
        if (named(cause, "NotFoundError", "TypeMismatchError")) return "missing";
        throw opfsError(path, "cannot be looked for", cause);
      }
    },
    open: async (path) => fullBlobSource(path, await (await handleOf(path)).getFile()),
    async list(path) {
      const entries: FolderEntry[] = [];
      try {
        const found = (await folder(partsOf(path), false)) as WithEntries; // every browser with OPFS has it
        for await (const [name, handle] of found.entries()) {
          entries.push({ name, kind: handle.kind === "file" ? "file" : "folder" });
        }
      } catch (cause) {
        if (named(cause, "NotFoundError")) throw missing(path);
        if (named(cause, "TypeMismatchError")) throw new FileError(path, { problem: "is a file, not a folder", cause });
        throw opfsError(path, "cannot be listed", cause);
      }
      return entries.sort(byName);
    },
    readText: async (path) => textOf(path, await (await handleOf(path)).getFile()),
    async makeFolder(path) {
      try {
        await folder(partsOf(path), true);
      } catch (cause) {
        if (named(cause, "TypeMismatchError")) throw new FileError(path, { problem: "is a file, not a folder", cause });
        throw opfsError(path, "the folder cannot be made", cause);
      }
    },
    /** A writable stream of OPFS writes beside the file and takes its place when it is closed: the same promise as a rename. */
    async writeAtomic(path, content) {
      try {
        const stream = await (await handleOf(path, true)).createWritable();
        try {
          await stream.write(encode(content));
        } catch (cause) {
          await stream.abort().catch(() => {}); // the first error is the one to tell
          throw cause;
        }
        await stream.close();
      } catch (cause) {
        throw opfsError(path, "cannot be written", cause);
      }
    },
    async append(path, content) {
      const bytes = encode(content);
      try {
        const handle = await handleOf(path, true);
        if (!hasSyncAccess(handle)) {
          const stream = await handle.createWritable({ keepExistingData: true });
          await stream.write({ type: "write", position: (await handle.getFile()).size, data: bytes });
          await stream.close();
          return;
        }
        const access = await handle.createSyncAccessHandle();
        try {
          const before = access.getSize();
          if (access.write(bytes, { at: before }) < bytes.length) {
            access.truncate(before);
            throw new DOMException("", "QuotaExceededError");
          }
          access.flush();
        } finally {
          access.close();
        }
      } catch (cause) {
        throw opfsError(path, "cannot be written", cause);
      }
    },
    async remove(path) {
      const parts = partsOf(path);
      const name = parts.pop();
      if (name === undefined) throw new FileError(path, { problem: "is not removed, because everything is in it" });
      try {
        await (await folder(parts, false)).removeEntry(name, { recursive: true });
      } catch (cause) {
        if (!named(cause, "NotFoundError")) throw opfsError(path, "cannot be removed", cause);
      }
    },
  };
}
