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
  return isPictureHead(await headOf(files, path));
}

const isPictureHead = (head: Uint8Array): boolean => / image$/.test(describeContent(head));

/** The first 512 bytes; none of an empty or unreadable file, which is of no kind. */
async function headOf(files: FileSystem, path: string): Promise<Uint8Array> {
  const source = await files.open(path).catch(() => null);
  if (source === null) return new Uint8Array(0);
  try {
    return await source.read(0, Math.min(source.size, 512));
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

/** Files of unknown kind that are looked into before a folder counts as one of pictures. */
const mostLooks = 64;

/**
 * Whether the first image of a folder is of another kind than pictures.
 *
 * @param accept by the first 512 bytes
 */
export async function startsWith(
  files: FileSystem,
  folder: string,
  accept: (head: Uint8Array) => boolean,
): Promise<boolean> {
  let looks = 0;
  const search = async (at: string, depth: number): Promise<boolean | null> => {
    for (const { name, kind } of await visible(files, at)) {
      const path = join(at, name);
      if (kind === "folder") {
        const inner = depth < deepest ? await search(path, depth + 1) : null;
        if (inner !== null) return inner;
      } else if (pictureEndings.test(path) || looks >= mostLooks) return false;
      else if (!otherEndings.test(path)) {
        looks++;
        const head = await headOf(files, path);
        if (accept(head)) return true;
        if (isPictureHead(head)) return false;
      }
    }
    return null;
  };
  return (await search(folder, 0)) ?? false;
}
