/** @file What a person picked or dropped, in any of the browser's forms, as files with paths. */
import { UsageError } from "../common/errors.js";
import type { PickedFile } from "../platform/web/files.js";

/** A file, several, a folder's handle, or files with paths of one's own. */
export type WebFiles =
  | File
  | PickedFile
  | FileSystemDirectoryHandle
  | FileSystemFileHandle
  | FileList
  | readonly (File | PickedFile)[];

type Entries = AsyncIterable<FileSystemHandle>;
const isFolder = (handle: FileSystemHandle): handle is FileSystemDirectoryHandle => handle.kind === "directory";
const isFile = (handle: FileSystemHandle): handle is FileSystemFileHandle => handle.kind === "file";

/** A folder that was picked keeps its name in front: "images/covid19/1.png". */
const fromFile = (file: File): PickedFile => ({ path: file.webkitRelativePath || file.name, file });

/** Most files of one data set; a folder picked by mistake (a home, a disk) ends here. */
const MOST_FILES = 500_000;

async function walk(handle: FileSystemHandle, path: string, found: PickedFile[]): Promise<void> {
  if (found.length > MOST_FILES) {
    throw new UsageError(path, { problem: "holds too many files", expected: `at most ${MOST_FILES}` });
  }
  if (isFile(handle)) found.push({ path, file: await handle.getFile() });
  else if (isFolder(handle)) {
    // Every browser with such handles has it; TypeScript keeps it in a library of its own.
    for await (const inner of (handle as FileSystemDirectoryHandle & { values(): Entries }).values()) {
      await walk(inner, `${path}/${inner.name}`, found);
    }
  }
}

/** @throws {UsageError} no files, or far too many */
export async function filesOf(picked: WebFiles): Promise<readonly PickedFile[]> {
  const found: PickedFile[] = [];
  if (picked instanceof File) found.push(fromFile(picked));
  else if ("kind" in picked) await walk(picked, picked.name, found);
  else if ("path" in picked) found.push(picked);
  else for (const item of Array.from(picked)) found.push(item instanceof File ? fromFile(item) : item);
  if (found.length > 0) return found;
  throw new UsageError("files", { problem: "are none", hint: "pick a file, or a folder with images in it" });
}

/**
 * Files and folders that were dropped on a page. Call it in the event's handler itself: afterwards the browser gives nothing any more.
 * @throws {UsageError} nothing but text was dropped
 */
export async function filesOfDrop(dropped: DataTransfer): Promise<readonly PickedFile[]> {
  // Both lists are read before anything is awaited.
  const entries = Array.from(dropped.items, (item) => (item.kind === "file" ? item.webkitGetAsEntry() : null));
  const files = Array.from(dropped.files);
  const found: PickedFile[] = [];
  for (const entry of entries) if (entry !== null) await enter(entry, found);
  if (found.length === 0) for (const file of files) found.push(fromFile(file));
  if (found.length > 0) return found;
  throw new UsageError("drop", { problem: "holds no files", hint: "drop files or a folder" });
}

async function enter(entry: FileSystemEntry, found: PickedFile[]): Promise<void> {
  if (found.length > MOST_FILES) {
    throw new UsageError(entry.fullPath, { problem: "holds too many files", expected: `at most ${MOST_FILES}` });
  }
  if (entry.isFile) {
    const file = await new Promise<File>((resolve, reject) => {
      (entry as FileSystemFileEntry).file(resolve, reject); // isFile says so
    });
    found.push({ path: entry.fullPath.replace(/^\/+/, ""), file });
    return;
  }
  const reader = (entry as FileSystemDirectoryEntry).createReader(); // else it is a folder
  for (;;) {
    // A reader gives a hundred at a time, and an empty list at the end.
    const some = await new Promise<FileSystemEntry[]>((resolve, reject) => {
      reader.readEntries(resolve, reject);
    });
    if (some.length === 0) return;
    for (const inner of some) await enter(inner, found);
  }
}

/** Where files of one data set lie: the one folder or file that holds all of them, else a folder made for them. */
export function rootOf(files: readonly PickedFile[]): { readonly path: string; readonly files: readonly PickedFile[] } {
  const tops = new Set(files.map(({ path }) => path.replace(/^\/+/, "").split("/")[0] ?? path));
  const [top] = tops;
  if (tops.size === 1 && top !== undefined) return { path: top, files };
  const [first] = [...tops].sort();
  const parts = /^(.*\.[a-z]\w*)\.\d{3,}$/i.exec(first ?? "")?.[1];
  // X.zip.001, X.zip.002, … are one file.
  if (parts !== undefined && [...tops].every((t) => t.startsWith(`${parts}.`))) return { path: first ?? "", files };
  return { path: "files", files: files.map(({ path, file }) => ({ path: `files/${path}`, file })) };
}
