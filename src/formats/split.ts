/** @file Files that were cut into parts (X.zip.001, X.zip.002, …) as one source. */
import { FileError } from "../common/errors.js";
import type { ByteSource, FileSystem } from "../platform/types.js";
import { joinSources } from "./bytes.js";

/** A joined source that knows what its next part would be called, for the message when the end is missing. */
export interface SplitSource extends ByteSource {
  readonly nextPart: string;
}

export const isSplit = (source: ByteSource): source is SplitSource => "nextPart" in source;

/** More parts than anybody makes; each one holds an open file. */
const MAX_PARTS = 1000;

/**
 * Opens a file. A name that ends in a number after another ending ("X.zip.001") stands for all its parts, which are found
 * beside it and joined, whichever of them is named.
 *
 * @throws {FileError} missing, empty, a folder; a part in the middle is missing
 */
export async function openFile(path: string, files: FileSystem): Promise<ByteSource> {
  const match = /^(?:(.*)\/)?([^/]*\.[a-z]\w*)\.(\d{3,})$/i.exec(path);
  if (match === null) return files.open(path);
  const [, folder, stem = "", digits = ""] = match;
  const prefix = folder === undefined ? "" : `${folder}/`;
  const nameOf = (part: number) => `${stem}.${String(part).padStart(digits.length, "0")}`;

  const present = new Set<number>();
  for (const entry of await files.list(folder === undefined ? "." : folder === "" ? "/" : folder)) {
    if (entry.kind !== "file" || !entry.name.startsWith(`${stem}.`)) continue;
    const number = entry.name.slice(stem.length + 1);
    if (number.length === digits.length && /^\d+$/.test(number)) present.add(Number(number));
  }
  if (!present.has(Number(digits))) return files.open(path); // its own message: it does not exist
  const last = Math.max(...present);
  const first = present.has(0) ? 0 : 1; // some tools count from 000
  if (last - first >= MAX_PARTS) {
    throw new FileError(path, { problem: `has more than ${MAX_PARTS} parts`, got: nameOf(last) });
  }
  const parts: ByteSource[] = [];
  try {
    for (let part = first; part <= last; part++) {
      if (!present.has(part)) {
        throw new FileError(`${prefix}${nameOf(first)}`, {
          problem: `part ${nameOf(part)} is missing`,
          expected: `${nameOf(first)} to ${nameOf(last)} in one folder`,
          got: `${present.size} of ${last - first + 1} parts`,
          hint: "copy or download the missing part into the same folder",
        });
      }
      parts.push(await files.open(`${prefix}${nameOf(part)}`));
    }
  } catch (error) {
    for (const part of parts) await part.close();
    throw error;
  }
  const joined: SplitSource = Object.assign(joinSources(`${prefix}${nameOf(first)}`, parts), {
    nextPart: nameOf(last + 1),
  });
  return joined;
}
