/** @file Pairs of a NIfTI image and its label volume, for segmentation: found by name, checked, read when asked for. */
import { DataError } from "../../common/errors.js";
import type { Platform } from "../../platform/types.js";
import { gunzipHead, isGzip } from "../bounded-inflate.js";
import { some } from "../folder.js";
import type { SegmentationLabel, SegmentationVolume } from "../types.js";
import { join, visible } from "../walk.js";
import { headBytes } from "./_header.js";
import { describeNifti, type NiftiHeader, type NiftiVolume, readNifti } from "./read.js";

/** An image of one or several channels: float32 [channels, depth, height, width]. */
export type Volume = SegmentationVolume;

/** The class of every voxel: [depth, height, width]. */
export type LabelVolume = SegmentationLabel;

export interface NiftiPair {
  /** The files' common name without its ending: "hippocampus_001". */
  readonly name: string;
  /** [depth, height, width], of image and label alike. */
  readonly shape: readonly [number, number, number];
  /** Distance of voxels along depth, height and width. */
  readonly spacingMm: readonly [number, number, number];
  /** Channels of the image: the length of its fourth axis. */
  readonly channels: number;
  /** Reads the values, rescaled. @throws {FileError | DataError} damaged; values that are not numbers */
  image(): Promise<Volume>;
  /** Reads the classes. @throws {FileError | DataError} damaged; values that are not whole or outside the classes */
  label(): Promise<LabelVolume>;
}

export interface NiftiPairOptions {
  /** Number of classes, background included; labels have to lie below. Default: no limit but 256. */
  classes?: number;
}

/** Heads of NIfTI files are shorter, packed ones by far. */
const firstRead = 8192;
/** How NIfTI files end. */
export const niftiEnding = /\.nii(\.gz)?$/i;

const listed = (names: readonly string[]): string => `${names.length} (${some(names)})`;

/** Names without ending → paths. "_0000", which some tools put behind images of one channel, does not count. */
async function volumesIn(folder: string, platform: Pick<Platform, "files">): Promise<Map<string, string>> {
  const found = new Map<string, string>();
  for (const { name, kind } of await visible(platform.files, folder)) {
    if (kind !== "file" || !niftiEnding.test(name)) continue;
    const short = name.replace(niftiEnding, "").replace(/_0000$/, "");
    const before = found.get(short);
    if (before !== undefined)
      throw new DataError(folder, { problem: "holds the same volume twice", got: `${before}, ${name}` });
    found.set(short, join(folder, name));
  }
  if (found.size === 0)
    throw new DataError(folder, { problem: "holds no NIfTI volumes", expected: ".nii or .nii.gz files" });
  return found;
}

async function headOf(path: string, platform: Pick<Platform, "files">): Promise<NiftiHeader> {
  const source = await platform.files.open(path);
  try {
    return describeNifti(await source.read(0, Math.min(source.size, firstRead)), source.size, path);
  } finally {
    await source.close();
  }
}

async function volumeOf(path: string, platform: Pick<Platform, "files" | "inflate">): Promise<NiftiVolume> {
  const source = await platform.files.open(path);
  try {
    return await readNifti(await source.read(0, source.size), path, platform);
  } finally {
    await source.close();
  }
}

/** Depth, height, width and the length of the fourth axis; axes of length 1 at the end do not count. */
function space({ shape }: NiftiHeader, path: string): { shape: [number, number, number]; channels: number } {
  const [x = 1, y = 1, z = 1, t = 1, ...more] = shape;
  if (more.every((length) => length === 1)) return { shape: [z, y, x], channels: t };
  throw new DataError(path, {
    problem: "has too many axes",
    expected: "x, y, z and channels",
    got: `[${shape.join(",")}]`,
  });
}

/** Where voxel i of [depth, height, width] lies, as x,y,z for messages. */
const place = (i: number, [, height, width]: readonly number[]): string =>
  `voxel ${i % (width ?? 1)},${Math.floor(i / (width ?? 1)) % (height ?? 1)},${Math.floor(i / ((width ?? 1) * (height ?? 1)))}`;

function imageFrom(volume: NiftiVolume, shape: NiftiPair["shape"], channels: number): Volume {
  const data = volume.scaled();
  const bad = data.findIndex((v) => !Number.isFinite(v));
  if (bad >= 0) {
    throw new DataError(volume.name, {
      problem: "has values that are not numbers",
      got: `${data[bad]} at ${place(bad, shape)}, and ${data.reduce((n, v) => n + (Number.isFinite(v) ? 0 : 1), -1)} more`,
      hint: "set them to 0 (the background), for example with numpy.nan_to_num",
    });
  }
  const [depth, height, width] = shape;
  return { channels, depth, height, width, data };
}

function labelFrom(volume: NiftiVolume, shape: NiftiPair["shape"], classes: number): LabelVolume {
  const [depth, height, width] = shape;
  const data = new Uint8Array(volume.raw.length);
  for (let i = 0; i < data.length; i++) {
    const value = Number(volume.raw[i]) * volume.slope + volume.intercept;
    if (!Number.isInteger(value) || value < 0 || value >= classes) {
      throw new DataError(volume.name, {
        problem: Number.isInteger(value) ? "has a label outside the classes" : "has a label that is not whole",
        expected: `0 to ${classes - 1}`,
        got: `${value} at ${place(i, shape)}`,
      });
    }
    data[i] = value;
  }
  return { depth, height, width, data };
}

/**
 * Images and labels of the same name in two folders. Heads are read and compared at once, voxels when they are asked for.
 *
 * @returns sorted by name
 * @throws {FileError | DataError} an image without a label or the reverse, shapes that differ, a head that makes no sense
 */
export async function openNiftiPairs(
  imagesFolder: string,
  labelsFolder: string,
  platform: Pick<Platform, "files" | "inflate">,
  options: NiftiPairOptions = {},
): Promise<NiftiPair[]> {
  const images = await volumesIn(imagesFolder, platform);
  const labels = await volumesIn(labelsFolder, platform);
  const alone = [...images.keys()].filter((name) => !labels.has(name));
  const extra = [...labels.keys()].filter((name) => !images.has(name));
  if (alone.length > 0 || extra.length > 0) {
    throw new DataError(labelsFolder, {
      problem: "images and labels do not go together",
      expected: "a label of the same name for every image",
      got: [
        ...(alone.length > 0 ? [`images without a label: ${listed(alone)}`] : []),
        ...(extra.length > 0 ? [`labels without an image: ${listed(extra)}`] : []),
      ].join("; "),
    });
  }
  const pairs: NiftiPair[] = [];
  for (const [name, imagePath] of images) {
    const labelPath = labels.get(name) ?? ""; // every image has one, as was just checked
    const head = await headOf(imagePath, platform);
    const { shape, channels } = space(head, imagePath);
    const labelHead = await headOf(labelPath, platform);
    const label = space(labelHead, labelPath);
    if (label.channels !== 1 || label.shape.some((d, i) => d !== shape[i])) {
      throw new DataError(labelPath, {
        problem: "label and image differ in shape",
        expected: `[${head.shape.slice(0, 3).join(",")}], as ${imagePath}`,
        got: `[${labelHead.shape.join(",")}]`,
      });
    }
    const [x, y, z] = head.spacingMm;
    pairs.push({
      name,
      shape,
      channels,
      spacingMm: [z, y, x],
      image: async () => imageFrom(await volumeOf(imagePath, platform), shape, channels),
      label: async () => labelFrom(await volumeOf(labelPath, platform), shape, options.classes ?? 256),
    });
  }
  return pairs;
}

/** An image without a label, for predictions. */
export type NiftiImage = Omit<NiftiPair, "label"> & {
  /** Beginning of the file, unpacked, for `encodeLabelNifti`. */
  head(): Promise<Uint8Array>;
};

/** @throws {FileError | DataError} not NIfTI, a head that makes no sense */
export async function openNiftiImage(path: string, platform: Pick<Platform, "files" | "inflate">): Promise<NiftiImage> {
  const header = await headOf(path, platform);
  const { shape, channels } = space(header, path);
  const [x, y, z] = header.spacingMm;
  return {
    name: path
      .slice(path.lastIndexOf("/") + 1)
      .replace(niftiEnding, "")
      .replace(/_0000$/, ""),
    shape,
    channels,
    spacingMm: [z, y, x],
    image: async () => imageFrom(await volumeOf(path, platform), shape, channels),
    async head() {
      const source = await platform.files.open(path);
      try {
        const bytes = await source.read(0, Math.min(source.size, firstRead));
        return isGzip(bytes) ? gunzipHead(bytes, headBytes, path) : bytes.subarray(0, headBytes);
      } finally {
        await source.close();
      }
    },
  };
}
