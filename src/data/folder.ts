/** @file Folders of images: one folder per class, the same inside train/val/test or fold folders, or a table of labels. */
import { DataError } from "../common/errors.js";
import type { FileSystem, Platform } from "../platform/types.js";
import { baseName } from "./arrays.js";
import { columnOf, parseCsv } from "./csv.js";
import { fileImages, sizesOf } from "./files.js";
import { fingerprintOf } from "./fingerprint.js";
import { pathColumns } from "./groups.js";
import { checkClasses, numberClasses } from "./labels.js";
import { partNames } from "./parts.js";
import { labelColumns, tableImages } from "./table.js";
import type { Dataset, Division } from "./types.js";
import { join, picturesIn, visible } from "./walk.js";

/** One labelled picture, as a folder or a table names it. */
export interface LabelledFile {
  readonly path: string;
  /** Name for predictions and messages: the path inside the folder. */
  readonly name: string;
  readonly className: string;
  /** "train", "validation", "test", or a fold's name; null where the set is not divided. */
  readonly part: string | null;
  readonly group: string | null;
}

/** What a folder or a table holds, before anything is decoded. */
export interface LabelledFiles {
  readonly files: readonly LabelledFile[];
  readonly division: "official" | "folds" | "none";
  readonly notes: readonly string[];
}

export const foldFolder = /^(?:fold|split)[ _-]?(\d+)$/i;

const byText = (a: string, b: string): number => (a < b ? -1 : a > b ? 1 : 0);
const byNumber = (a: string, b: string): number => Number(a) - Number(b);

/** Numbers in their order, other names by code units. */
export const sortNames = (names: Iterable<string>): string[] => {
  const all = [...new Set(names)];
  return all.sort(all.every((n) => /^\d{1,15}$/.test(n)) ? byNumber : byText);
};

/** The pictures of class folders; folders without pictures make no class. */
async function classFolders(
  files: FileSystem,
  folder: string,
  root: string,
  part: string | null,
  others: string[],
  empty: string[],
) {
  const found: LabelledFile[] = [];
  for (const { name, kind } of await visible(files, folder)) {
    if (kind === "file") {
      others.push(join(folder, name));
      continue;
    }
    const inner = await picturesIn(files, join(folder, name));
    for (const other of inner.others) others.push(other);
    if (inner.pictures.length === 0) empty.push(join(folder, name));
    for (const path of inner.pictures)
      found.push({ path, name: path.slice(join(root, "").length), className: name, part, group: null });
  }
  return found;
}

async function discover(folder: string, files: FileSystem): Promise<LabelledFiles> {
  const entries = await visible(files, folder);
  const tables = await labelTables(
    folder,
    entries.filter((e) => e.kind === "file" && /\.csv$/i.test(e.name)).map((e) => e.name),
    files,
  );
  if (tables.length > 1) {
    throw new DataError(folder, {
      problem: "holds several tables of labels",
      got: tables.join(", "),
      hint: "give the table that you mean instead of the folder",
    });
  }
  const [table] = tables;
  if (table !== undefined)
    return tableImages(parseCsv(await files.readText(join(folder, table)), join(folder, table)), folder);

  const folders = entries.filter((e) => e.kind === "folder").map((e) => e.name);
  const official = folders.filter((f) => partNames[f.toLowerCase()] !== undefined);
  const folds = folders.filter((f) => foldFolder.test(f));
  const others: string[] = [];
  const empty: string[] = [];
  const found: LabelledFile[] = [];
  let division: LabelledFiles["division"] = "none";
  if (official.length === folders.length && official.some((f) => partNames[f.toLowerCase()] === "train")) {
    division = "official";
    for (const f of official) {
      const part = partNames[f.toLowerCase()] ?? ""; // official folders are those that it has
      if (found.some((file) => file.part === part))
        throw new DataError(folder, { problem: `holds the ${part} images twice`, got: official.join(", ") });
      for (const file of await classFolders(files, join(folder, f), folder, part, others, empty)) found.push(file);
    }
  } else if (folds.length >= 2 && folds.length === folders.length) {
    division = "folds";
    for (const f of folds) {
      const fold = String(Number(foldFolder.exec(f)?.[1]));
      for (const file of await classFolders(files, join(folder, f), folder, fold, others, empty)) found.push(file);
    }
  } else for (const file of await classFolders(files, folder, folder, null, others, empty)) found.push(file);
  const notes = [];
  if (others.length > 0)
    notes.push(`files that are not used: ${some(others.map((o) => o.slice(join(folder, "").length)))}`);
  if (empty.length > 0)
    notes.push(`folders without images: ${some(empty.map((e) => e.slice(join(folder, "").length)))}`);
  return { files: found, division, notes };
}

/** The first three, and how many more. */
export const some = (names: readonly string[]): string =>
  names.slice(0, 3).join(", ") + (names.length > 3 ? ` and ${names.length - 3} more` : "");

/** The CSV files of a folder whose header has columns for a path and a label. */
async function labelTables(folder: string, names: readonly string[], files: FileSystem): Promise<string[]> {
  const found: string[] = [];
  for (const name of names) {
    const source = await files.open(join(folder, name));
    const start = await source.read(0, Math.min(source.size, 4096));
    await source.close();
    const header = (new TextDecoder().decode(start).split(/[\r\n]/)[0] ?? "").toLowerCase().split(/[,;\t]/);
    const table = { header: header.map((h) => h.replace(/^\uFEFF|"/g, "").trim()) };
    if (columnOf(table, ...pathColumns) !== null && columnOf(table, ...labelColumns) !== null) found.push(name);
  }
  return found;
}

export interface FolderOptions {
  readonly platform: Platform;
  /** Class names in the order of their numbers; default: those found, sorted. */
  readonly classes: readonly string[] | null;
  /** Limit of decoded images kept by `image`, in bytes. */
  readonly cacheBytes: number;
}

/** @throws {DataError} no images, one class only; @throws {FileError} an image that cannot be read */
export async function openFolder(folder: string, options: FolderOptions): Promise<Dataset> {
  return fromFiles(folder, await discover(folder, options.platform.files), options);
}

/** A data set from labelled files. @param path the folder or the table, as the user wrote it */
export async function fromFiles(path: string, found: LabelledFiles, options: FolderOptions): Promise<Dataset> {
  const { files } = found;
  if (files.length === 0) {
    throw new DataError(path, {
      problem: "holds no labelled images",
      expected:
        "a folder for each class with images in it, or train/, val/, test/ with such folders, or a CSV with path,label",
      got: found.notes.join("; ") || "no images",
    });
  }
  const names = options.classes ?? sortNames(files.map((f) => f.className));
  const labels = numberClasses(files, names, path);
  const imageName = (index: number): string => files[index]?.name ?? `image ${index}`;
  const { classes, notes } = checkClasses(labels, names, path, imageName);
  const division = divide(found);
  const paths = files.map((f) => f.path);
  const sizes = await sizesOf(paths, options.platform.files);
  const images = await fileImages(paths, options.platform, options.cacheBytes);
  const fingerprint = await fingerprintOf([
    JSON.stringify({ version: 1, classes, division: found.division }),
    labels,
    JSON.stringify(files.map(({ name, part }, i) => [name, part, sizes[i]])),
  ]);
  const groups = files.map((f) => f.group).filter((g) => g !== null);
  return {
    name: baseName(path),
    count: files.length,
    classes,
    labels,
    groups: groups.length === files.length ? groups : null,
    division,
    ...images,
    fingerprint,
    notes: [...found.notes, ...notes],
    imageName,
    close: async () => {},
  };
}

/** The division that folders or a table name, as indices. */
export function divide({ files, division }: Pick<LabelledFiles, "files" | "division">): Division {
  const where = (part: string): Uint32Array => Uint32Array.from(files.flatMap((f, i) => (f.part === part ? [i] : [])));
  if (division === "none") return { kind: "none" };
  if (division === "folds") return { kind: "folds", folds: sortNames(files.map((f) => f.part ?? "")).map(where) };
  const orNull = (part: Uint32Array) => (part.length === 0 ? null : part);
  return {
    kind: "official",
    train: where("train"),
    validation: orNull(where("validation")),
    test: orNull(where("test")),
  };
}
