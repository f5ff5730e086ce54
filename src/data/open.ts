/** @file `openDataset`: a path becomes a data set, by what the file or folder holds and not by its ending. */
import { DataError, FileError, UsageError } from "../common/errors.js";
import { describeContent } from "../formats/sniff.js";
import { isZip, openFile, openZip, type ZipEntry } from "../formats/zip.js";
import type { ByteSource, Platform } from "../platform/types.js";
import { datasetFromArrays } from "./arrays.js";
import { columnOf, readCsv } from "./csv.js";
import { looksLikeDicom, type WindowOption } from "./dicom/read.js";
import { fromFiles, openFolder } from "./folder.js";
import { groupedBy, pathColumns, withGroups } from "./groups.js";
import { openMaskDataset, pictureEnding } from "./masks.js";
import { niftiEnding } from "./nifti/pairs.js";
import { npzSource } from "./npz.js";
import { pickleSource } from "./pickle.js";
import { labelColumns, tableImages } from "./table.js";
import type { Dataset } from "./types.js";
import { startsWith } from "./walk.js";

export interface OpenOptions {
  readonly platform: Platform;
  /** Class names in the order of the labels; default: the file's own, else "0", "1", … */
  readonly classes?: readonly string[];
  /** CSV with the group (patient, video) of every image: fold,index,group or path,group (`withGroups`). */
  readonly groupsFile?: string;
  /** Instead of such a file: the group of an image by its number and name ("fold 2, frame 17", or its path). */
  readonly groups?: (index: number, name: string) => string;
  /**
   * For a folder of images or DICOM files: CSV with their labels, by path inside the folder or, for DICOM, by SOPInstanceUID; perhaps
   * also split or fold, and group. Default: the one such table in a folder of DICOM files, else the folders are the classes.
   */
  readonly labelsFile?: string;
  /** For DICOM files: which grey values become black and white; default "file", the window that each file brings along. */
  readonly window?: WindowOption;
  /**
   * For DICOM files: what patients' pseudonyms are made with, to keep to yourself; default from the content of the first file. Data sets
   * opened with the same salt have the same groups for the same patients.
   */
  readonly salt?: string;
  /** Decoded images of folders kept for `image`, in bytes; default 256 MiB. (Batches keep their own: `PreparerOptions.cacheBytes`.) */
  readonly cacheBytes?: number;
}

/**
 * Opens a data set: the released pickle (plain, in a zip, in split zip parts), .npz with MedMNIST's or similar keys,
 * a folder of images (class folders, train/val/test or fold folders, a CSV of labels), such a CSV, DICOM files, or a folder with
 * NIfTI volumes in images/ and their label volumes in labels/ (`Dataset.segmentation`).
 *
 * @throws {FileError} missing, empty, truncated, of another kind; @throws {DataError} content that does not make sense
 */
export async function openDataset(path: string, options: OpenOptions): Promise<Dataset> {
  const dataset = await openAny(path, options);
  if (options.groups !== undefined) {
    if (options.groupsFile !== undefined) {
      throw new UsageError(path, {
        problem: "has groups from a file and from a function",
        hint: "leave one of them out",
      });
    }
    return groupedBy(dataset, options.groups);
  }
  if (options.groupsFile === undefined) return dataset;
  const source = await options.platform.files.open(options.groupsFile);
  try {
    return await withGroups(dataset, source, options.platform);
  } finally {
    await source.close();
  }
}

async function openAny(path: string, options: OpenOptions): Promise<Dataset> {
  const { platform } = options;
  const classes = options.classes ?? null;
  const folderOptions = { platform, classes, cacheBytes: options.cacheBytes ?? 256 * 1024 * 1024 };
  const openDicom = async (): Promise<Dataset> => {
    const { openDicomDataset } = await import("./dicom/open.js"); // only where it is needed
    const { labelsFile, window, salt } = options;
    return openDicomDataset(path, platform, {
      ...(classes !== null && { classes }),
      ...(labelsFile !== undefined && { labelsFile }),
      ...(window !== undefined && { image: { window } }),
      ...(salt !== undefined && { salt }),
    });
  };
  if ((await platform.files.kind(path)) === "folder") {
    const volumes = await import("./nifti/dataset.js"); // only where it may be needed
    const pairs = await volumes.pairFolders(path, platform.files, (name) => niftiEnding.test(name));
    if (pairs !== null) return volumes.openNiftiDataset(path, pairs, platform, classes);
    const masked = await volumes.pairFolders(path, platform.files, (name) => pictureEnding.test(name));
    if (masked !== null) return openMaskDataset(path, masked, platform, classes);
    if (await startsWith(platform.files, path, looksLikeDicom)) return openDicom();
    refuse(options, ["window", "salt"], "no DICOM files", path);
    if (options.labelsFile === undefined) return openFolder(path, folderOptions);
    const table = await platform.files.open(options.labelsFile);
    try {
      return await fromFiles(path, tableImages(await readCsv(table, platform), path), folderOptions);
    } finally {
      await table.close();
    }
  }
  const source = await openFile(path, platform.files);
  try {
    const head = await source.read(0, Math.min(source.size, 4096));
    if (looksLikeDicom(head)) return await openDicom();
    refuse(options, ["labelsFile", "window", "salt"], "neither a folder nor DICOM files", path);
    if (isZip(head)) return await openArchive(source, path, platform, classes);
    if (isPickle(head))
      return await datasetFromArrays(pickleSource(await source.read(0, source.size), path, path, classes));
    if (looksLikeTable(head)) {
      const folder = path.includes("/") ? path.slice(0, path.lastIndexOf("/")) || "/" : ".";
      return await fromFiles(path, tableImages(await readCsv(source, platform), folder), folderOptions);
    }
    throw new FileError(path, {
      problem: "is not a data set that is read here",
      expected: "a pickle of (X, y), .npz, a zip of these, a folder of images or DICOM files, or a CSV with path,label",
      got: describeContent(head),
    });
  } finally {
    await source.close();
  }
}

/** An option that would be ignored in silence is a misunderstanding. */
function refuse(
  options: OpenOptions,
  names: readonly ("labelsFile" | "window" | "salt")[],
  why: string,
  path: string,
): void {
  const name = names.find((n) => options[n] !== undefined);
  if (name === undefined) return;
  const words = {
    labelsFile: "a labels file (--labels-file)",
    window: "a window (--window)",
    salt: "a salt (--salt-file)",
  };
  throw new UsageError(path, { problem: `is ${why}: ${words[name]} has no meaning`, hint: "leave it out" });
}

/** True for a DICOM file, and for a folder that holds such files. */
export async function holdsDicom(path: string, { files }: Platform): Promise<boolean> {
  const kind = await files.kind(path);
  if (kind === "folder") return startsWith(files, path, looksLikeDicom);
  if (kind === "missing") return false;
  const source = await openFile(path, files);
  try {
    return looksLikeDicom(await source.read(0, Math.min(source.size, 4096)));
  } finally {
    await source.close();
  }
}

/** Protocols 2 to 5 say so; 0 and 1 begin with a tuple's, list's or dictionary's opcode. */
const isPickle = (head: Uint8Array): boolean =>
  (head[0] === 0x80 && (head[1] ?? 255) <= 5) ||
  (head[0] !== undefined && "(]})".includes(String.fromCharCode(head[0])));

/** A first line with columns for paths and labels. */
function looksLikeTable(head: Uint8Array): boolean {
  const line =
    new TextDecoder()
      .decode(head)
      .replace(/^\uFEFF/, "")
      .split(/[\r\n]/)[0] ?? "";
  const header = line
    .toLowerCase()
    .split(/[,;\t]/)
    .map((h) => h.replaceAll('"', "").trim());
  return columnOf({ header }, ...pathColumns) !== null && columnOf({ header }, ...labelColumns) !== null;
}

/** A zip is an .npz when its members are arrays; else one pickle has to be in it. */
async function openArchive(
  source: ByteSource,
  path: string,
  platform: Platform,
  classes: readonly string[] | null,
): Promise<Dataset> {
  const zip = await openZip(source, platform.inflate);
  const visible = zip.entries.filter(({ name }) => !/(^|\/)(\.|__MACOSX\/)/.test(name));
  if (visible.length > 0 && visible.every(({ name }) => name.endsWith(".npy"))) {
    return datasetFromArrays(await npzSource(source, platform, classes));
  }
  const pickles = visible.length === 1 ? visible : visible.filter(({ name }) => /\.(pkl|pickle|p)$/i.test(name));
  const [pickle] = pickles;
  if (pickle === undefined || pickles.length > 1) throw notOneDataset(path, visible);
  const bytes = await zip.read(pickle);
  if (isPickle(bytes)) return datasetFromArrays(pickleSource(bytes, path, pickle.name, classes));
  throw notOneDataset(path, visible);
}

const notOneDataset = (path: string, entries: readonly ZipEntry[]): DataError =>
  new DataError(path, {
    problem: "the zip does not hold one data set",
    expected: "one pickle, or the arrays of an .npz",
    got:
      entries.length === 0
        ? "no files"
        : `${entries.length} files: ${entries
            .slice(0, 3)
            .map((e) => e.name)
            .join(", ")}${entries.length > 3 ? ", …" : ""}`,
    hint: "unpack archives of images and give the folder",
  });
