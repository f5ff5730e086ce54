/** @file Finding the pictures of a folder: hidden files ignored, other files counted, the same order on every machine. */
import { DataError } from "../common/errors.js";
import { describeContent } from "../formats/sniff.js";
import type { FileSystem, FolderEntry } from "../platform/types.js";

const pictureEndings = /\.(png|jpe?g|webp|tiff?|bmp|gif)$/i;
const otherEndings =
  /\.(csv|tsv|txt|md|json|ya?ml|xlsx?|pdf|html?|py|ipynb|zip|gz|db|ini|log|xml|npy|npz|pkl|pth|onnx)$/i;
const deepest = 32;

export const join = (folder: string, name: string): string =>
  folder.endsWith("/") ? folder + name : `${folder}/${name}`;

/** Entries that somebody put there: no ".DS_Store", no "__MACOSX", no "Thumbs.db". */
export async function visible(files: FileSystem, folder: string): Promise<readonly FolderEntry[]> {
  const entries = await files.list(folder);
  return entries.filter(({ name }) => !name.startsWith(".") && !/^(__MACOSX|Thumbs\.db|desktop\.ini)$/i.test(name));
}

/** By ending; a file with an unusual one is looked into. */
async function isPicture(files: FileSystem, path: string): Promise<boolean> {
  if (pictureEndings.test(path)) return true;
  if (otherEndings.test(path)) return false;
  const source = await files.open(path).catch(() => null); // an empty or unreadable file of unknown kind is no picture
  if (source === null) return false;
  try {
    return / image$/.test(describeContent(await source.read(0, Math.min(source.size, 512))));
  } finally {
    await source.close();
  }
}

export interface Found {
  /** Paths for the file system, sorted folder by folder. */
  readonly pictures: string[];
  /** Files that are no pictures. */
  readonly others: string[];
}

/** All pictures in a folder and the folders in it. @throws {DataError} nested deeper than 32 folders, as links in a circle are */
export async function picturesIn(files: FileSystem, folder: string, depth = 0): Promise<Found> {
  if (depth > deepest) {
    throw new DataError(folder, {
      problem: "folders are nested too deep",
      expected: `at most ${deepest} levels`,
      hint: "look for a link that leads back",
    });
  }
  const found: Found = { pictures: [], others: [] };
  for (const { name, kind } of await visible(files, folder)) {
    const path = join(folder, name);
    if (kind === "folder") {
      const inner = await picturesIn(files, path, depth + 1);
      for (const p of inner.pictures) found.pictures.push(p);
      for (const o of inner.others) found.others.push(o);
    } else if (await isPicture(files, path)) found.pictures.push(path);
    else found.others.push(path);
  }
  return found;
}
