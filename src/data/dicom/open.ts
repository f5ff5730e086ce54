/** @file DICOM data sets: a file, or a folder of them; labels from class folders or a table; one image per frame. */
import { DataError, FileError } from "../../common/errors.js";
import type { Platform } from "../../platform/types.js";
import { baseName } from "../arrays.js";
import { columnOf } from "../csv.js";
import { fingerprintOf } from "../fingerprint.js";
import { divide, type LabelledFile, some, sortNames } from "../folder.js";
import { pathColumns } from "../groups.js";
import { checkClasses, numberClasses } from "../labels.js";
import { labelColumns } from "../table.js";
import type { Dataset, PixelType, RawImage } from "../types.js";
import { join } from "../walk.js";
import { type DicomLabels, labelsOfFolders, labelsOfTable, uidColumns } from "./_labels.js";
import { type DicomEntry, type Looked, lookAtAll } from "./_look.js";
import { codecsOf } from "./codecs.js";
import { type DicomDescription, type DicomImage, type ImageOptions, readDicom } from "./read.js";

export interface DicomDatasetOptions {
  /**
   * CSV with the columns SOPInstanceUID or path, label (or class), and perhaps split or fold, and group.
   * Default: the one such table in the folder itself, else the names of the folders are the classes.
   */
  labelsFile?: string;
  /** Class names in the order of their numbers; default: those found, sorted. */
  classes?: readonly string[];
  /** All images get the one class "unlabelled": for predictions. */
  unlabelled?: boolean;
  /** How grey values become images; default as `DicomImage.image`. */
  image?: ImageOptions;
  /** Of the pseudonyms; default: from the content of the first file, so that nobody without it can try patients' ids. */
  salt?: string;
  /** "skip" leaves out files that cannot be read, and says so; default "error". */
  unreadable?: "error" | "skip";
}

/** Parsed files kept for the next frame of theirs. */
const openFiles = 4;
/** Of all files together. */
const mostImages = 2 ** 21;

function pixelType({ channels, bitsStored, photometric }: DicomDescription, options: ImageOptions): PixelType {
  if (channels === 1 && options.window === "none") return "float32";
  const bits = channels === 1 ? (options.bits ?? bitsStored) : bitsStored;
  return bits <= 8 || photometric === "PALETTE COLOR" ? "uint8" : "uint16";
}

/** Grey as red, green and blue. */
function inColour(image: RawImage): RawImage {
  if (image.channels === 3) return image;
  const { data } = image;
  const make = data instanceof Float32Array ? Float32Array : data instanceof Uint8Array ? Uint8Array : Uint16Array;
  const three = new make(3 * data.length);
  for (let c = 0; c < 3; c++) three.set(data, c * data.length);
  return { ...image, channels: 3, data: three };
}

/** Reads frames; the last few files stay parsed. */
function frameReader(platform: Platform, options: ImageOptions | undefined) {
  const codecs = codecsOf(platform);
  const kept = new Map<string, Promise<DicomImage>>();
  const open = async (path: string): Promise<DicomImage> => {
    const source = await platform.files.open(path);
    try {
      return await readDicom(await source.read(0, source.size), path, codecs === undefined ? {} : { codecs });
    } finally {
      await source.close();
    }
  };
  return {
    async image(path: string, frame: number): Promise<RawImage> {
      const file = kept.get(path) ?? open(path);
      kept.delete(path); // to the end: most recently used
      kept.set(path, file);
      for (const old of kept.keys()) {
        if (kept.size <= openFiles) break;
        kept.delete(old);
      }
      try {
        return await (await file).image(frame, options);
      } catch (error) {
        kept.delete(path); // the next one who asks reads it again
        throw error;
      }
    },
    close: () => kept.clear(),
  };
}

/** The one table in the folder that has the columns for it. */
async function tableInside(path: string, { others }: Looked, platform: Platform): Promise<string | null> {
  const tables: string[] = [];
  for (const name of others.filter((other) => /^[^/]+\.csv$/i.test(other))) {
    const [line = ""] = (await platform.files.readText(join(path, name))).split(/[\r\n]/, 1);
    const header = line.split(/[,;\t]/).map((cell) =>
      cell
        .replace(/["\uFEFF]/g, "")
        .trim()
        .toLowerCase(),
    );
    const has = (...columns: readonly string[]): boolean => columnOf({ header }, ...columns) !== null;
    if (has(...labelColumns) && has(...uidColumns, ...pathColumns)) tables.push(name);
  }
  if (tables.length <= 1) return tables[0] ?? null;
  throw new DataError(path, {
    problem: "holds several tables of labels",
    got: tables.join(", "),
    hint: "name the one that you mean as labelsFile",
  });
}

async function labelled(
  path: string,
  looked: Looked,
  platform: Platform,
  options: DicomDatasetOptions,
): Promise<DicomLabels> {
  if (options.labelsFile !== undefined) return labelsOfTable(options.labelsFile, looked, platform);
  if (options.unlabelled === true) {
    const files = looked.entries.map(
      (entry): LabelledFile => ({
        path: entry.path,
        name: entry.name,
        className: "unlabelled",
        part: null,
        group: null,
      }),
    );
    return { files, division: "none", notes: ['no labels: all images are of the class "unlabelled"'], table: null };
  }
  const inside = await tableInside(path, looked, platform);
  if (inside !== null) return { ...(await labelsOfTable(join(path, inside), looked, platform)), table: inside };
  return labelsOfFolders(path, looked.entries);
}

/** The same assumption in many files is one note. */
function notesOf(entries: readonly DicomEntry[], ownGroups: boolean): string[] {
  const of = (count: number) => `${count} of ${entries.length} files`;
  const counts = new Map<string, number>();
  for (const { description } of entries) {
    for (const note of description.notes) counts.set(note, (counts.get(note) ?? 0) + 1);
  }
  const notes = [...counts].map(([note, count]) => `${of(count)}: ${note}`);
  if (!ownGroups) return notes;
  const by = (kind: DicomDescription["groupedBy"]) => entries.filter((e) => e.description.groupedBy === kind).length;
  const [studies, none] = [by("StudyInstanceUID"), by(null)];
  if (studies > 0) notes.push(`${of(studies)} have no (0010,0020) PatientID: their groups are studies`);
  if (none > 0) notes.push(`${of(none)} name neither a patient nor a study: each is a group of its own`);
  return notes;
}

const common = (values: readonly number[]): number | null => {
  const [first, ...rest] = new Set(values);
  return first !== undefined && rest.length === 0 ? first : null;
};

/** One frame as an image of the set. */
interface FrameImage extends LabelledFile {
  readonly entry: DicomEntry;
  readonly frame: number;
}

/**
 * Opens DICOM files as a data set, without decoding them: heads alone are read. Frames are images; patients are groups,
 * by pseudonym. Files that hold no image are left out and named in `notes`. Where some images have colours, all get three
 * channels.
 *
 * @param path a file or a folder, searched with all folders in it
 * @throws {FileError | DataError} no DICOM, a file that cannot be read, no labels, one class only
 */
export async function openDicomDataset(
  path: string,
  platform: Platform,
  options: DicomDatasetOptions = {},
): Promise<Dataset> {
  const looked = await lookAtAll(path, platform.files, options.salt ?? null);
  const [broken] = looked.broken;
  if (broken !== undefined && options.unreadable !== "skip") throw broken.error;
  if (looked.entries.length === 0) {
    throw new FileError(path, {
      problem: "holds no DICOM images",
      got: `${looked.withoutImage.length} DICOM files without pixels, ${looked.others.length} other files`,
    });
  }
  const labels = await labelled(path, looked, platform, options);
  const byPath = new Map(looked.entries.map((entry) => [entry.path, entry]));
  const entries = labels.files.flatMap((file) => byPath.get(file.path) ?? []);
  const count = entries.reduce((n, { description }) => n + description.frames, 0);
  if (count > mostImages) {
    throw new DataError(path, { problem: "holds too many frames", expected: `at most ${mostImages}`, got: `${count}` });
  }
  const images = labels.files.flatMap((file): FrameImage[] => {
    const entry = byPath.get(file.path);
    return Array.from({ length: entry?.description.frames ?? 0 }, (_, frame) => ({ ...file, entry: entry!, frame })); // no entry, no frames
  });
  const imageName = (index: number): string => {
    const image = images[index];
    if (image === undefined) return `image ${index}`;
    return image.entry.description.frames === 1 ? image.name : `${image.name}, frame ${image.frame}`;
  };
  const names = options.classes ?? sortNames(labels.files.map((f) => f.className));
  const classOf = numberClasses(images, names, path);
  const oneClass = options.unlabelled === true && options.labelsFile === undefined;
  const checked = oneClass ? { classes: names, notes: [] } : checkClasses(classOf, names, path, imageName);
  const ownGroups = labels.files.every(({ group }) => group === null);
  const groups = images.map(({ group, entry }) => group ?? entry.description.group ?? `file ${entry.name}`);
  const channels = entries.some(({ description }) => description.channels === 3) ? 3 : 1;
  const types = new Set(entries.map(({ description }) => pixelType(description, options.image ?? {})));
  const notes = [...labels.notes];
  const others = looked.others.filter((name) => name !== labels.table);
  if (others.length > 0) notes.push(`files that are not used: ${some(others)}`);
  if (looked.withoutImage.length > 0) notes.push(`DICOM files without an image: ${some(looked.withoutImage)}`);
  if (looked.broken.length > 0) {
    notes.push(`files that cannot be read and are left out: ${some(looked.broken.map(({ name }) => name))}`);
  }
  const reader = frameReader(platform, options.image);
  return {
    name: baseName(path),
    count: images.length,
    classes: checked.classes,
    labels: classOf,
    groups: ownGroups && entries.every(({ description }) => description.group === null) ? null : groups,
    division: divide({ files: images, division: labels.division }),
    imageShape: {
      channels,
      height: common(entries.map(({ description }) => description.rows)),
      width: common(entries.map(({ description }) => description.columns)),
      type: types.has("float32") ? "float32" : types.has("uint16") ? "uint16" : "uint8",
    },
    fingerprint: await fingerprintOf([
      JSON.stringify({ version: 1, classes: checked.classes, division: labels.division, image: options.image ?? null }),
      classOf,
      JSON.stringify(labels.files.map(({ name, part }, i) => [name, part, entries[i]?.size])),
    ]),
    notes: [...notes, ...notesOf(entries, ownGroups), ...checked.notes],
    imageName,
    async image(index) {
      const found = images[index];
      if (found === undefined) {
        throw new DataError(path, {
          problem: "has no such image",
          expected: `0 to ${images.length - 1}`,
          got: `${index}`,
        });
      }
      const image = await reader.image(found.path, found.frame);
      return channels === 3 ? inColour(image) : image;
    },
    close: async () => reader.close(),
  };
}
