/** @file Data sets from arrays in memory (pickle, npz): shapes, labels and pixels checked, pixels moved to shared memory. */
import { DataError, InternalError } from "../common/errors.js";
import { formatShape, type Tensor } from "../common/tensor.js";
import { fingerprintOf } from "./fingerprint.js";
import { checkClasses, readLabels, type StoredLabels } from "./labels.js";
import { imageLength, imageOfBlocks, makeBlock, type PixelArray } from "./pixels.js";
import type { Dataset, Division, PixelBlock, PixelType } from "./types.js";

/** Images and labels that belong together: a fold, or one of train, validation and test. */
export interface ArrayPart {
  /** "fold 2", "train"; "" where the data have one part. */
  readonly what: string;
  /** Names of the arrays, for messages. */
  readonly imagesName: string;
  readonly labelsName: string;
  readonly images: Tensor;
  readonly labels: StoredLabels;
}

export interface ArraySource {
  /** As the user wrote it. */
  readonly path: string;
  readonly parts: readonly ArrayPart[];
  /** Which parts `parts` are. */
  readonly division: "folds" | "none" | readonly ("train" | "validation" | "test")[];
  /** Class names, where the file or the caller knows them. */
  readonly classes: readonly string[] | null;
  readonly groups: readonly string[] | null;
  /** Fold of every image, for a single part. */
  readonly foldOf?: { readonly name: string; readonly values: StoredLabels };
  readonly notes: readonly string[];
}

type Form = Pick<PixelBlock, "channels" | "depth" | "height" | "width" | "layout">;

/** The last step of a path. */
export const baseName = (path: string): string =>
  path
    .replace(/[/\\]+$/, "")
    .split(/[/\\]/)
    .at(-1) ?? path;

/**
 * What the axes of [n, …] mean: grey [n,H,W]; colour first or last [n,3,H,W], [n,H,W,3] (also with 1); volumes [n,D,H,W],
 * [n,C,D,H,W], [n,D,H,W,C].
 */
function formOf(shape: readonly number[], where: string): Form {
  const refuse = (problem: string, hint?: string): never => {
    throw new DataError(where, {
      problem,
      expected: "[n,H,W], [n,H,W,3], [n,3,H,W], or volumes [n,D,H,W]",
      got: formatShape(shape),
      ...(hint === undefined ? {} : { hint }),
    });
  };
  if (shape.length < 3 || shape.length > 5) refuse("images have the wrong shape");
  if (shape[0] === 0)
    throw new DataError(where, { problem: "has no images", expected: "at least one image", got: formatShape(shape) });
  if (shape.includes(0)) refuse("images have no pixels");
  const isColour = (n: number | undefined) => n === 1 || n === 3;
  const [a, b, c, d] = shape.slice(1) as [number, number, number, number]; // a, b exist; c, d are used where the rank has them
  if (shape.length === 3) return { channels: 1, height: a, width: b, layout: "planar" };
  if (shape.length === 4) {
    if (isColour(a) && isColour(c)) refuse("images could have their channels first or last");
    if (isColour(a)) return { channels: a, height: b, width: c, layout: "planar" };
    if (isColour(c)) return { channels: c, height: a, width: b, layout: "interleaved" };
    if (c === 4 && a > 4) refuse("images have four channels", "drop the alpha channel: images[..., :3]");
    return { channels: 1, depth: a, height: b, width: c, layout: "planar" };
  }
  if (isColour(a) === isColour(d)) refuse("it is not clear which axis of the volumes is the channel");
  if (isColour(a)) return { channels: a, depth: b, height: c, width: d, layout: "planar" };
  return { channels: d, depth: a, height: b, width: c, layout: "interleaved" };
}

/** uint8 and uint16 stay; bool becomes 0 and 255; everything else float32. */
const pixelType = (dtype: Tensor["dtype"]): PixelType =>
  dtype === "uint8" || dtype === "bool" ? "uint8" : dtype === "uint16" ? "uint16" : "float32";

function fillPixels(images: Tensor, out: PixelArray): void {
  if (images.dtype === "bool") for (const [i, v] of images.data.entries()) out[i] = v * 255;
  else if (images.data instanceof BigInt64Array || images.data instanceof BigUint64Array) {
    for (const [i, v] of images.data.entries()) out[i] = Number(v);
  } else out.set(images.data);
}

/** The range of float pixels. @throws {DataError} with the first image that has a NaN or an infinity */
function floatRange(block: PixelBlock, where: string): [number, number] {
  const length = imageLength(block);
  const data = new Float32Array(block.buffer, block.byteOffset, length * block.count);
  const bad = data.findIndex((v) => !Number.isFinite(v));
  if (bad >= 0) {
    const image = Math.floor(bad / length);
    throw new DataError(where, {
      problem: "pixel is not a finite number",
      got: `${data[bad]} in image ${image}`,
      hint: "remove the image or repair its pixels",
    });
  }
  let low = Number.POSITIVE_INFINITY;
  let high = Number.NEGATIVE_INFINITY;
  for (const v of data) {
    if (v < low) low = v;
    if (v > high) high = v;
  }
  return [low, high];
}

/** @throws {DataError} whatever does not fit together, naming file, array and image */
export async function datasetFromArrays(source: ArraySource): Promise<Dataset> {
  const { path, parts } = source;
  const notes = [...source.notes];
  const blocks: PixelBlock[] = [];
  const partLabels: Uint32Array[] = [];
  for (const part of parts) {
    const where = `${path}: ${part.imagesName}`;
    const form = formOf(part.images.shape, where);
    const count = part.images.shape[0] ?? 0; // formOf has seen it
    const first = blocks[0];
    if (
      first !== undefined &&
      (first.channels !== form.channels || (first.depth === undefined) !== (form.depth === undefined))
    ) {
      throw new DataError(where, {
        problem: "images differ in kind from those of the first part",
        expected: formatShape(parts[0]?.images.shape ?? []),
        got: formatShape(part.images.shape),
      });
    }
    partLabels.push(readLabels(part.labels, count, `${path}: ${part.labelsName}`));
    const type = pixelType(part.images.dtype);
    const block = inMemory(path, () => makeBlock({ ...form, count, type }, (out) => fillPixels(part.images, out)));
    blocks.push(block);
    if (type === "float32") {
      const [low, high] = floatRange(block, where);
      if (low < -1 || high > 1.5) {
        notes.push(`${part.imagesName}: float pixels from ${low} to ${high} are taken as they are, not divided by 255`);
      }
    }
  }
  const starts = startsOf(blocks.map((b) => b.count));
  const count = starts.at(-1) ?? 0;
  const labels = new Uint32Array(count);
  for (const [p, part] of partLabels.entries()) labels.set(part, starts[p]);

  const noun = source.division === "folds" ? "frame" : "image";
  const imageName = (index: number): string => {
    const p = starts.findLastIndex((start) => start <= index);
    const what = parts[p]?.what ?? "";
    return `${what === "" ? "" : `${what}, `}${noun} ${index - (starts[p] ?? 0)}`;
  };
  const { classes, notes: classNotes } = checkClasses(labels, source.classes, path, imageName);
  const { foldOf } = source;
  const ofImages = foldOf === undefined ? null : readLabels(foldOf.values, count, `${path}: ${foldOf.name}`);
  const division = ofImages === null ? divisionOf(source.division, starts) : foldsFrom(ofImages);
  const fingerprint = await fingerprintOf([
    JSON.stringify({ version: 1, classes: classes.length, division: source.division, starts }),
    labels,
    ...(ofImages === null ? [] : [ofImages]),
    ...blocks.map((b) => `${b.type} ${b.layout} ${b.channels}×${b.depth ?? 1}×${b.height}×${b.width}`),
    ...blocks.map((b) => new Uint8Array(b.buffer)),
  ]);
  return {
    name: baseName(path),
    count,
    classes,
    labels,
    groups: source.groups,
    division,
    imageShape: commonShape(blocks),
    fingerprint,
    notes: [...notes, ...classNotes],
    imageName,
    image: async (index) => imageOfBlocks(blocks, index),
    pixels: { kind: "blocks", blocks },
    close: async () => {},
  };
}

/** First index of every part, and the number of all images at the end. */
function startsOf(counts: readonly number[]): number[] {
  const starts = [0];
  for (const count of counts) starts.push((starts.at(-1) ?? 0) + count);
  return starts;
}

const range = (from: number, to: number): Uint32Array => Uint32Array.from({ length: to - from }, (_, i) => from + i);

function divisionOf(kind: ArraySource["division"], starts: readonly number[]): Division {
  if (kind === "none") return { kind: "none" };
  const indices = starts.slice(1).map((end, p) => range(starts[p] ?? 0, end));
  if (kind === "folds") return { kind: "folds", folds: indices };
  const part = (name: "train" | "validation" | "test") => indices[kind.indexOf(name)] ?? null;
  return {
    kind: "official",
    train: part("train") ?? new Uint32Array(0),
    validation: part("validation"),
    test: part("test"),
  };
}

/** Folds from a number per image; numbers that do not occur make no fold. */
function foldsFrom(foldOf: Uint32Array): Division {
  const folds = [...new Set(foldOf)].sort((a, b) => a - b).map((fold) => indicesWhere(foldOf, (f) => f === fold));
  return folds.length < 2 ? { kind: "none" } : { kind: "folds", folds };
}

const indicesWhere = (values: Uint32Array, is: (v: number) => boolean): Uint32Array => {
  const indices: number[] = [];
  for (const [i, v] of values.entries()) if (is(v)) indices.push(i);
  return Uint32Array.from(indices);
};

function commonShape(blocks: readonly PixelBlock[]): Dataset["imageShape"] {
  const first = blocks[0];
  if (first === undefined) throw new InternalError("a data set has at least one part");
  const common = (axis: "depth" | "height" | "width") =>
    blocks.every((b) => b[axis] === first[axis]) ? (first[axis] ?? null) : null;
  return {
    channels: first.channels,
    ...(first.depth === undefined ? {} : { depth: common("depth") }),
    height: common("height"),
    width: common("width"),
    type: blocks.every((b) => b.type === first.type) ? first.type : "float32",
  };
}

/** Shared memory for a part. @throws {DataError} when the machine has not got it */
function inMemory(path: string, make: () => PixelBlock): PixelBlock {
  try {
    return make();
  } catch (cause) {
    if (!(cause instanceof RangeError)) throw cause;
    throw new DataError(path, { problem: "the images do not fit into memory", cause });
  }
}
