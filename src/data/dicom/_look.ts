/** @file Looks at the files of a folder: which are DICOM images, and what their heads say; pixels are not read. */
import { DataError, MetalrError } from "../../common/errors.js";
import type { FileSystem } from "../../platform/types.js";
import { baseName } from "../arrays.js";
import { join, visible } from "../walk.js";
import { MoreBytesNeeded } from "./_elements.js";
import { looksLikeDicom, notDicom, openFile } from "./_file.js";
import { checkFrames } from "./_frames.js";
import { hasPixels } from "./_header.js";
import { sha256 } from "./_pseudonym.js";
import { type DicomDescription, describeDicom } from "./read.js";

/** One DICOM file with an image, as its head describes it. */
export interface DicomEntry {
  /** For the file system. */
  readonly path: string;
  /** Path inside the folder, with "/". */
  readonly name: string;
  /** In bytes. */
  readonly size: number;
  readonly description: DicomDescription;
}

/** What the files are; names are those of `DicomEntry`. */
export interface Looked {
  readonly entries: readonly DicomEntry[];
  /** No DICOM. */
  readonly others: readonly string[];
  /** DICOM without pixels: reports, plans, directories. */
  readonly withoutImage: readonly string[];
  readonly broken: readonly { readonly name: string; readonly error: MetalrError }[];
  /** That the pseudonyms were made with. */
  readonly salt: string;
}

const firstRead = 65536;
const deepest = 32;
const filesAtOnce = 8;

/** All files of a folder and the folders in it, in the same order everywhere. */
async function walk(files: FileSystem, folder: string, depth = 0): Promise<string[]> {
  if (depth > deepest) {
    throw new DataError(folder, {
      problem: "folders are nested too deep",
      expected: `at most ${deepest} levels`,
      hint: "look for a link that leads back",
    });
  }
  const found: string[] = [];
  for (const { name, kind } of await visible(files, folder)) {
    const path = join(folder, name);
    if (kind === "file") found.push(path);
    else for (const inner of await walk(files, path, depth + 1)) found.push(inner);
  }
  return found;
}

type Kind = DicomEntry | "other" | "no image" | MetalrError;

/** What one file is, reading no more of it than its head. */
async function lookAt(path: string, name: string, files: FileSystem, salt: string): Promise<Kind> {
  let isDicom = /\.(dcm|dicom|ima)$/i.test(path);
  try {
    const source = await files.open(path);
    try {
      const { size } = source;
      let bytes = await source.read(0, Math.min(size, firstRead));
      if (!looksLikeDicom(bytes)) return isDicom ? notDicom({ name: path, bytes, size }) : "other";
      isDicom = true;
      for (;;) {
        try {
          const notes: string[] = [];
          const opened = openFile({ name: path, bytes, size }, notes);
          if (!hasPixels(opened.elements)) return "no image";
          const { description, header, values, syntax } = await describeDicom(opened, notes, salt);
          checkFrames(values, header, syntax.codec, size);
          return { path, name, size, description };
        } catch (error) {
          if (!(error instanceof MoreBytesNeeded)) throw error;
          bytes = await source.read(0, Math.min(size, Math.max(error.upTo + firstRead, 2 * bytes.length)));
        }
      }
    } finally {
      await source.close();
    }
  } catch (error) {
    if (error instanceof MetalrError) return isDicom ? error : "other"; // an empty file of another kind, say
    throw error;
  }
}

/** A salt that nobody can compute who does not have the first DICOM file; the same for the same folder. */
async function contentSalt(paths: readonly string[], files: FileSystem): Promise<string> {
  for (const path of paths) {
    const source = await files.open(path).catch(() => null); // whoever looks at it next says why
    if (source === null) continue;
    try {
      const head = await source.read(0, Math.min(source.size, firstRead));
      if (looksLikeDicom(head)) return await sha256(head);
    } finally {
      await source.close();
    }
  }
  return "";
}

/**
 * Looks at a file, or at all files of a folder and of the folders in it.
 * @param salt of the pseudonyms; null takes one from the content
 */
export async function lookAtAll(path: string, files: FileSystem, salt: string | null): Promise<Looked> {
  const isFolder = (await files.kind(path)) === "folder";
  const paths = isFolder ? await walk(files, path) : [path];
  const root = join(path, "").length;
  const nameOf = (p: string): string => (isFolder ? p.slice(root) : baseName(p));
  const used = salt ?? (await contentSalt(paths, files));
  const kinds = new Array<Kind>(paths.length).fill("other");
  let next = 0;
  const work = async () => {
    while (next < paths.length) {
      const i = next++;
      const file = paths[i] ?? ""; // i is below the length
      kinds[i] = await lookAt(file, nameOf(file), files, used);
    }
  };
  await Promise.all(Array.from({ length: filesAtOnce }, work));
  const named = (kind: Kind): string[] => paths.filter((_, i) => kinds[i] === kind).map(nameOf);
  return {
    entries: kinds.filter((kind): kind is DicomEntry => typeof kind === "object" && !(kind instanceof MetalrError)),
    others: named("other"),
    withoutImage: named("no image"),
    broken: kinds.flatMap((error, i) =>
      error instanceof MetalrError ? [{ name: nameOf(paths[i] ?? ""), error }] : [],
    ),
    salt: used,
  };
}
