/** @file Files on Node: random access over a handle, atomic writes, whole-line appends. */
import * as fs from "node:fs/promises";
import * as path from "node:path";
import { FileError } from "../../common/errors.js";
import { allocate, checkRange, formatCount } from "../../formats/bytes.js";
import type { ByteSource, FileSystem, FolderEntry } from "../types.js";
import { fileError, hasCode, isMissing } from "./_errors.js";

/** One read call of the system takes less than 2^31 bytes. */
const MAX_READ = 2 ** 30;
/** V8 strings end at 2^29 − 24 code units. */
const MAX_TEXT = 2 ** 29 - 32;

async function statOf(file: string): Promise<Awaited<ReturnType<typeof fs.stat>>> {
  try {
    return await fs.stat(file);
  } catch (cause) {
    throw fileError(file, "", cause);
  }
}

/** Refuses folders, and pipes or devices, which could block for ever. */
async function regularFile(file: string): Promise<number> {
  const stat = await statOf(file);
  if (stat.isDirectory()) throw new FileError(file, { problem: "is a folder, not a file" });
  if (!stat.isFile()) throw new FileError(file, { problem: "is a pipe or a device, not a file" });
  return Number(stat.size);
}

async function open(file: string): Promise<ByteSource> {
  const size = await regularFile(file);
  if (size === 0) {
    throw new FileError(file, {
      problem: "is empty",
      expected: "a file with content",
      got: "0 bytes",
      hint: "copy or download it again",
    });
  }
  let handle: fs.FileHandle;
  try {
    handle = await fs.open(file, "r");
  } catch (cause) {
    throw fileError(file, "cannot be opened", cause);
  }
  const source: ByteSource = {
    name: file,
    size,
    async read(offset, length) {
      checkRange(source, offset, length);
      const bytes = allocate(length, file);
      for (let done = 0; done < length; ) {
        const want = Math.min(length - done, MAX_READ);
        const { bytesRead } = await handle.read(bytes, done, want, offset + done).catch((cause: unknown) => {
          throw fileError(file, "cannot be read", cause);
        });
        if (bytesRead === 0) {
          throw new FileError(file, {
            problem: "became shorter while it was read",
            expected: `${formatCount(size)} bytes`,
            got: `${formatCount(offset + done)} bytes`,
          });
        }
        done += bytesRead;
      }
      return bytes;
    },
    async close() {
      await handle.close();
    },
  };
  return source;
}

/** Symbolic links count as what they lead to; what is neither file nor folder is left out. */
async function list(folder: string): Promise<readonly FolderEntry[]> {
  let found: Awaited<ReturnType<typeof readEntries>>;
  try {
    found = await readEntries(folder);
  } catch (cause) {
    if (hasCode(cause, "ENOTDIR")) throw new FileError(folder, { problem: "is a file, not a folder", cause });
    throw fileError(folder, "", cause);
  }
  const entries: FolderEntry[] = [];
  for (const entry of found) {
    const kind = entry.isSymbolicLink() ? await kindOf(path.join(folder, entry.name)) : kindFrom(entry);
    if (kind === "file" || kind === "folder") entries.push({ name: entry.name, kind });
  }
  return entries.sort((a, b) => (a.name < b.name ? -1 : a.name > b.name ? 1 : 0));
}

const readEntries = (folder: string) => fs.readdir(folder, { withFileTypes: true });

const kindFrom = (entry: { isFile(): boolean; isDirectory(): boolean }): "file" | "folder" | "missing" =>
  entry.isFile() ? "file" : entry.isDirectory() ? "folder" : "missing";

async function kindOf(file: string): Promise<"file" | "folder" | "missing"> {
  try {
    return kindFrom(await fs.stat(file));
  } catch (cause) {
    if (isMissing(cause) || hasCode(cause, "ELOOP")) return "missing";
    throw fileError(file, "", cause);
  }
}

/** UTF-8; a byte-order mark and a character cut off at the very end (a killed writer's) are dropped. */
async function readText(file: string): Promise<string> {
  const size = await regularFile(file);
  if (size > MAX_TEXT) {
    throw new FileError(file, {
      problem: "is too long for a text file",
      expected: `at most ${formatCount(MAX_TEXT)} bytes`,
      got: `${formatCount(size)} bytes`,
    });
  }
  let bytes: Uint8Array;
  try {
    bytes = await fs.readFile(file);
  } catch (cause) {
    throw fileError(file, "cannot be read", cause);
  }
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(bytes, { stream: true });
  } catch (cause) {
    throw new FileError(file, { problem: "is not UTF-8 text", hint: "save it as UTF-8", cause });
  }
}

async function makeFolder(folder: string): Promise<void> {
  try {
    await fs.mkdir(folder, { recursive: true });
  } catch (cause) {
    throw fileError(folder, "the folder cannot be made", cause);
  }
}

let temporaries = 0;

/**
 * Writes to a hidden temporary name beside the target, syncs it, renames it over the target and syncs the folder:
 * after a crash at any moment the target is the old file or the new one. On failure the temporary file is removed.
 */
async function writeAtomic(file: string, content: Uint8Array | string): Promise<void> {
  const folder = path.dirname(file);
  const temporary = path.join(folder, `.${path.basename(file)}.${process.pid}-${++temporaries}.tmp`);
  try {
    const handle = await fs.open(temporary, "wx");
    try {
      await handle.writeFile(content);
      await handle.sync();
    } finally {
      await handle.close();
    }
    await fs.rename(temporary, file);
  } catch (cause) {
    await fs.rm(temporary, { force: true }).catch(() => {}); // the first error is the one to tell
    throw fileError(file, "cannot be written", cause);
  }
  await syncFolder(folder);
}

/** Makes a rename durable. Not every system lets a folder be opened or synced: then the rename alone has to do. */
async function syncFolder(folder: string): Promise<void> {
  const handle = await fs.open(folder, "r").catch(() => null);
  if (handle === null) return;
  await handle.sync().catch(() => {});
  await handle.close();
}

/** One write at the end of the file; where it fails half-way, the file is cut back to what it was. */
async function append(file: string, text: string): Promise<void> {
  try {
    const handle = await fs.open(file, "a");
    try {
      const before = (await handle.stat()).size;
      try {
        await handle.writeFile(text);
      } catch (cause) {
        await handle.truncate(before).catch(() => {}); // the first error is the one to tell
        throw cause;
      }
    } finally {
      await handle.close();
    }
  } catch (cause) {
    throw fileError(file, "cannot be written", cause);
  }
}

/** A file, or a folder with all that is in it; nothing to remove is not an error. */
async function remove(target: string): Promise<void> {
  const full = path.resolve(target);
  if (target === "" || `${process.cwd()}${path.sep}`.startsWith(full.endsWith(path.sep) ? full : full + path.sep)) {
    throw new FileError(target, { problem: "is not removed, because the program runs inside it" });
  }
  try {
    await fs.rm(full, { recursive: true, force: true });
  } catch (cause) {
    throw fileError(target, "cannot be removed", cause);
  }
}

export const nodeFiles: FileSystem = { kind: kindOf, open, list, readText, makeFolder, writeAtomic, append, remove };
