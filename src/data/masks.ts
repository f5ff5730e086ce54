/** @file A data set of pictures and masks of the same names: segmentation in two dimensions, as volumes of depth 1. */
import { DataError } from "../common/errors.js";
import type { Platform } from "../platform/types.js";
import { baseName } from "./arrays.js";
import { decodeFile } from "./decode.js";
import { fileImages, sizesOf } from "./files.js";
import { fingerprintOf } from "./fingerprint.js";
import { some } from "./folder.js";
import type { PairFolders } from "./nifti/dataset.js";
import type { Dataset, RawImage, SegmentationLabel, SegmentationVolume } from "./types.js";
import { join, picturesIn } from "./walk.js";

/** How pictures end that can be told by their names. */
export const pictureEnding = /\.(png|jpe?g|webp|tiff?|bmp|gif)$/i;

/** The largest number of classes that masks are believed to have: more are no classes but grey values. */
const mostClasses = 64;
/** Decoded pictures kept, in bytes. */
const cacheBytes = 256 * 1024 * 1024;

/** Names without ending → paths; "_mask", "_label" and "_seg" at a mask's end do not count. */
async function picturesOf(folder: string, platform: Pick<Platform, "files">): Promise<Map<string, string>> {
  const found = new Map<string, string>();
  const { pictures } = await picturesIn(platform.files, folder);
  for (const path of pictures) {
    const name = path
      .slice(join(folder, "").length)
      .replace(pictureEnding, "")
      .replace(/_(mask|label|seg|segmentation)$/i, "");
    if (found.has(name)) throw new DataError(folder, { problem: "holds the same picture twice", got: name });
    found.set(name, path);
  }
  return found;
}

/** Grey values of a mask, one a pixel; colours are refused unless all channels are equal. */
function valuesOf({ channels, data, height, width }: RawImage, path: string): Uint8Array {
  const size = height * width;
  const values = new Uint8Array(size);
  for (let i = 0; i < size; i++) {
    const value = data[i]!; // channels · size are there
    for (let c = 1; c < Math.min(channels, 3); c++) {
      if (data[c * size + i] === value) continue;
      throw new DataError(path, {
        problem: "is a mask in colours, and which colour is which class is not known",
        expected: "one grey value a class: 0 the background, 1, 2, …",
      });
    }
    if (!Number.isInteger(value) || value < 0 || value > 255) {
      throw new DataError(path, { problem: "is a mask with values beyond 255", got: String(value) });
    }
    values[i] = value;
  }
  return values;
}

/** Values in units of 0 … 255, whatever the picture's type. */
const asFloat = ({ data }: RawImage): Float32Array => (data instanceof Float32Array ? data : Float32Array.from(data));

/**
 * Opens `folder`/images and `folder`/masks. Masks hold one grey value a class: 0, 1, 2, …, or 0 and 255 alone for two classes. All masks
 * are read once, to know their values and sizes; pictures are read when they are needed.
 *
 * @throws {FileError | DataError} pictures and masks that do not go together, masks in colours or with more than 64 values
 */
export async function openMaskDataset(
  folder: string,
  folders: PairFolders,
  platform: Platform,
  classes: readonly string[] | null = null,
): Promise<Dataset> {
  const images = await picturesOf(folders.images, platform);
  const masks = await picturesOf(folders.labels, platform);
  const alone = [...images.keys()].filter((name) => !masks.has(name));
  const extra = [...masks.keys()].filter((name) => !images.has(name));
  if (alone.length > 0 || extra.length > 0) {
    throw new DataError(folders.labels, {
      problem: "pictures and masks do not go together",
      expected: "a mask of the same name for every picture",
      got: [
        ...(alone.length > 0 ? [`pictures without a mask: ${alone.length} (${some(alone)})`] : []),
        ...(extra.length > 0 ? [`masks without a picture: ${extra.length} (${some(extra)})`] : []),
      ].join("; "),
    });
  }
  const names = [...images.keys()];
  const paths = [...images.values()];
  const maskPaths = names.map((name) => masks.get(name) ?? ""); // every picture has one, as was just checked
  const seen = new Set<number>();
  const shapes: [number, number, number][] = [];
  for (const path of maskPaths) {
    const mask = await decodeFile(path, platform);
    shapes.push([1, mask.height, mask.width]);
    for (const value of valuesOf(mask, path)) seen.add(value);
    if (seen.size > mostClasses) {
      throw new DataError(path, {
        problem: "has too many values for a mask",
        expected: `one grey value a class, ${mostClasses} at most`,
        hint: "lossy formats such as JPEG blur classes together: save masks as PNG",
      });
    }
  }
  const binary = [...seen].every((v) => v === 0 || v === 255) && seen.has(255);
  const largest = binary ? 1 : Math.max(...seen);
  const count = classes?.length ?? largest + 1;
  if (largest >= count || largest === 0) {
    throw new DataError(folders.labels, {
      problem: largest === 0 ? "every mask is background only" : "has a value outside the classes",
      expected: `0 to ${Math.max(1, count - 1)}`,
      got: String(largest),
    });
  }
  if (largest >= mostClasses) {
    throw new DataError(folders.labels, {
      problem: "has values that are no numbers of classes",
      expected: "0, 1, 2, …, or 0 and 255 alone",
      got: [...seen].sort((a, b) => a - b).join(", "),
    });
  }
  const pixels = await fileImages(paths, platform, cacheBytes);
  const { channels } = pixels.imageShape;
  const at = (index: number): { path: string; mask: string; name: string; shape: readonly number[] } => {
    const [path, mask, name, shape] = [paths[index], maskPaths[index], names[index], shapes[index]];
    if (path !== undefined && mask !== undefined && name !== undefined && shape) return { path, mask, name, shape };
    throw new DataError(folder, { problem: "there is no such picture", got: String(index) });
  };
  const volume = async (index: number): Promise<SegmentationVolume> => {
    const { path, shape } = at(index);
    const image = await pixels.image(index);
    const { height, width } = image;
    if (height !== shape[1] || width !== shape[2]) {
      throw new DataError(path, {
        problem: "has another size than its mask",
        expected: `${shape[1]}×${shape[2]}`,
        got: `${height}×${width}`,
      });
    }
    if (image.channels !== channels) {
      throw new DataError(path, {
        problem: "has other channels than other pictures",
        expected: String(channels),
        got: String(image.channels),
      });
    }
    return { channels, depth: 1, height, width, data: asFloat(image) };
  };
  const label = async (index: number): Promise<SegmentationLabel> => {
    const { mask } = at(index);
    const image = await decodeFile(mask, platform);
    const values = valuesOf(image, mask);
    return {
      depth: 1,
      height: image.height,
      width: image.width,
      data: binary ? values.map((v) => Number(v > 0)) : values,
    };
  };
  const sizes = await sizesOf([...paths, ...maskPaths], platform.files);
  const called = classes ?? Array.from({ length: count }, (_, c) => (c === 0 ? "background" : String(c)));
  return {
    name: baseName(folder),
    count: names.length,
    classes: called,
    labels: new Uint32Array(names.length),
    segmentation: { shapes, volume, label },
    groups: null,
    division: { kind: "none" },
    imageShape: { ...pixels.imageShape, depth: 1 },
    fingerprint: await fingerprintOf([JSON.stringify(names), Uint32Array.from(sizes), JSON.stringify(called)]),
    notes: binary ? ["masks have the values 0 and 255: 255 is class 1"] : [],
    imageName: (index) => at(index).name,
    image: volume,
    close: async () => {},
  };
}
