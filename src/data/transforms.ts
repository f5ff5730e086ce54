/** @file From a stored image to the network's input: resize, random resized crop, flip, normalise, as torchvision on PIL images. */
import { DataError, UsageError } from "../common/errors.js";
import type { Random } from "../common/random.js";
import { type Crop, randomCrop } from "./crop.js";
import { resize8, resizeFloat } from "./resize.js";
import type { Normalization, RawImage, TransformSpec } from "./types.js";

/** The released program's transforms: 64×64, three channels, mean 0.18 and standard deviation 0.24. */
export const releasedTransforms: { readonly train: TransformSpec; readonly evaluation: TransformSpec } = {
  train: {
    size: [64, 64],
    channels: 3,
    normalization: { mean: [0.18], std: [0.24] },
    augment: { crop: { scale: [0.8, 1], ratio: [0.8, 1.25] }, flip: 0.5 },
  },
  evaluation: { size: [64, 64], channels: 3, normalization: { mean: [0.18], std: [0.24] }, augment: null },
};

/** An image after the deterministic part: resized, not yet cropped or normalised. Planar [channels, height, width]. */
export interface ResizedImage {
  /** As stored (1 for grey, which is repeated only at the end), or 1 after "luma". */
  readonly channels: number;
  /** uint8 from 8-bit images; float32 in the stored units from others. */
  readonly data: Uint8Array | Float32Array;
  /** Largest value of the stored integer type, which becomes 1; 1 for float images, taken as they are. */
  readonly white: number;
}

/** What is random about one image. */
export interface Draw {
  readonly crop: Crop | null;
  readonly flip: boolean;
}

export interface Transform {
  readonly spec: TransformSpec;
  /** Elements of one result: channels·height·width. */
  readonly length: number;
  /** Everything that is the same in every epoch; worth keeping. `into` receives the pixels where it is given and fits. */
  resize(image: RawImage, name: string, into?: Uint8Array | Float32Array): ResizedImage;
  /** The random part's numbers; crop null and flip false for a transform without augmentation. */
  draw(random: Random): Draw;
  /** Crop, flip, scale to [0, 1], normalise; float32 [channels, height, width] into out at `offset`. */
  finish(image: ResizedImage, draw: Draw, out: Float32Array, offset: number): void;
}

/**
 * Prepares a transform; cheap to call, meant to be kept. Results equal torchvision's on PIL images bit for bit for 8-bit
 * images; 16-bit and float images go through the same filter in float (PIL's mode "F"). 8-bit values are divided by 255,
 * 16-bit by 65535; float pixels are taken as they are.
 *
 * @throws {UsageError} when a number of the specification makes no sense
 */
export function createTransform(spec: TransformSpec): Transform {
  checkSpec(spec);
  const [height, width] = spec.size;
  const plane = height * width;
  const mean = perChannel(spec.normalization.mean, spec.channels);
  const std = perChannel(spec.normalization.std, spec.channels);
  const tables = mean.map((m, c) => normalizationTable(m, std[c]!)); // std has mean's length
  let cropped8 = new Uint8Array(0);
  let croppedFloat = new Float32Array(0);

  const resize: Transform["resize"] = (stored, name, into) => {
    const image = matchChannels(stored, spec, name);
    const size = image.channels * plane;
    const source = (c: number) => c * image.height * image.width;
    if (image.data instanceof Uint8Array) {
      const data = into instanceof Uint8Array && into.length === size ? into : new Uint8Array(size);
      for (let c = 0; c < image.channels; c++) {
        const from = { ...image, data: image.data, offset: source(c), stride: image.width };
        resize8(from, width, height, data.subarray(c * plane, (c + 1) * plane));
      }
      return { channels: image.channels, data, white: 255 };
    }
    const data = into instanceof Float32Array && into.length === size ? into : new Float32Array(size);
    for (let c = 0; c < image.channels; c++) {
      const from = { ...image, data: image.data, offset: source(c), stride: image.width };
      resizeFloat(from, width, height, data.subarray(c * plane, (c + 1) * plane));
    }
    return { channels: image.channels, data, white: image.data instanceof Uint16Array ? 65535 : 1 };
  };

  const draw: Transform["draw"] = (random) => {
    if (spec.augment === null) return { crop: null, flip: false };
    const crop = spec.augment.crop === null ? null : randomCrop(height, width, spec.augment.crop, random);
    return { crop, flip: random.uniform() < spec.augment.flip };
  };

  /** The pixels of channel c after the crop, and where they begin. */
  const cropPlane = (image: ResizedImage, crop: Crop | null, c: number): [Uint8Array | Float32Array, number] => {
    if (crop === null) return [image.data, c * plane];
    const from = {
      offset: c * plane + crop.top * width + crop.left,
      stride: width,
      width: crop.width,
      height: crop.height,
    };
    if (image.data instanceof Uint8Array) {
      if (cropped8.length === 0) cropped8 = new Uint8Array(plane);
      resize8({ ...from, data: image.data }, width, height, cropped8);
      return [cropped8, 0];
    }
    if (croppedFloat.length === 0) croppedFloat = new Float32Array(plane);
    resizeFloat({ ...from, data: image.data }, width, height, croppedFloat);
    return [croppedFloat, 0];
  };

  const finish: Transform["finish"] = (image, { crop, flip }, out, offset) => {
    let pixels: Uint8Array | Float32Array = image.data;
    let from = 0;
    for (let c = 0; c < spec.channels; c++) {
      if (c < image.channels) [pixels, from] = cropPlane(image, crop, c);
      const to = offset + c * plane;
      if (pixels instanceof Uint8Array) {
        lookUp(pixels, from, tables[c]!, width, height, flip, out, to); // one table per channel
      } else normalize(pixels, from, image.white, mean[c]!, std[c]!, width, height, flip, out, to);
    }
  };

  return { spec, length: spec.channels * plane, resize, draw, finish };
}

/** float32 arithmetic in torchvision's order: v / 255 (to_tensor), − mean, / std (normalize). */
function normalizationTable(mean: number, std: number): Float32Array {
  const m = Math.fround(mean);
  const s = Math.fround(std);
  return Float32Array.from({ length: 256 }, (_, v) => Math.fround(Math.fround(v / 255) - m) / s);
}

function lookUp(
  pixels: Uint8Array,
  from: number,
  table: Float32Array,
  width: number,
  height: number,
  flip: boolean,
  out: Float32Array,
  to: number,
): void {
  if (!flip) {
    const length = width * height;
    for (let i = 0; i < length; i++) out[to + i] = table[pixels[from + i]!]!; // a byte is below 256
    return;
  }
  for (let y = 0; y < height; y++) {
    const last = from + y * width + width - 1;
    const row = to + y * width;
    for (let x = 0; x < width; x++) out[row + x] = table[pixels[last - x]!]!;
  }
}

function normalize(
  pixels: Float32Array,
  from: number,
  white: number,
  mean: number,
  std: number,
  width: number,
  height: number,
  flip: boolean,
  out: Float32Array,
  to: number,
): void {
  const m = Math.fround(mean);
  const s = Math.fround(std);
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      const v = pixels[from + y * width + (flip ? width - 1 - x : x)]!; // inside the plane
      out[to + y * width + x] = Math.fround(Math.fround(v / white) - m) / s;
    }
  }
}

/** The image with the channels that the transform works on: 1 (repeated later) or the network's own number. */
function matchChannels(image: RawImage, spec: TransformSpec, name: string): RawImage {
  if (image.depth !== undefined) {
    throw new DataError(name, {
      problem: "is a volume, and the network takes images",
      expected: `an image of ${spec.channels} channels`,
      got: `a volume of ${image.depth}×${image.height}×${image.width} voxels`,
      hint: "choose a network for volumes, or give the slices as images",
    });
  }
  if (image.channels === spec.channels || image.channels === 1) return image;
  if (spec.channels === 1 && image.channels === 3) {
    if (spec.colorToGrey === "luma") return toLuma(image);
    throw new DataError(name, {
      problem: "is a colour image, and the network takes grey",
      expected: "1 channel",
      got: "3 channels",
      hint: 'turn colour into grey with colorToGrey: "luma", or choose a network with three input channels',
    });
  }
  throw new DataError(name, {
    problem: "has channels that the network cannot take",
    expected: spec.channels === 1 ? "1 channel" : `1 or ${spec.channels} channels`,
    got: `${image.channels} channels`,
  });
}

/** ITU-R 601-2 luma in PIL's 16-bit fixed point for 8-bit images, in float for others. */
function toLuma(image: RawImage): RawImage {
  const size = image.height * image.width;
  const { data } = image;
  if (data instanceof Uint8Array) {
    const grey = new Uint8Array(size);
    for (let i = 0; i < size; i++) {
      // three planes of `size` pixels
      grey[i] = (data[i]! * 19595 + data[size + i]! * 38470 + data[2 * size + i]! * 7471 + 0x8000) >> 16;
    }
    return { ...image, channels: 1, data: grey };
  }
  const grey = data instanceof Uint16Array ? new Uint16Array(size) : new Float32Array(size);
  const half = data instanceof Uint16Array ? 0.5 : 0;
  for (let i = 0; i < size; i++) {
    grey[i] = data[i]! * 0.299 + data[size + i]! * 0.587 + data[2 * size + i]! * 0.114 + half;
  }
  return { ...image, channels: 1, data: grey };
}

/** A value per channel of the network from one per channel or one for all. */
const perChannel = (values: readonly number[], channels: number): readonly number[] =>
  values.length === 1 ? new Array<number>(channels).fill(values[0]!) : values; // length 1

function checkSpec(spec: TransformSpec): void {
  const wrong = (problem: string, expected: string, got: string): never => {
    throw new UsageError("transform", { problem, expected, got });
  };
  const [height, width] = spec.size;
  const sideIsFine = (n: number) => Number.isInteger(n) && n >= 1 && n <= 65536;
  if (!sideIsFine(height) || !sideIsFine(width)) {
    wrong("image size is out of range", "whole numbers from 1 to 65536", `${height}×${width}`);
  }
  if (!Number.isInteger(spec.channels) || spec.channels < 1) {
    wrong("number of channels is out of range", "a whole number from 1", String(spec.channels));
  }
  checkNormalization(spec.normalization, spec.channels, wrong);
  const { augment } = spec;
  if (augment === null) return;
  if (!(augment.flip >= 0 && augment.flip <= 1)) wrong("probability of a flip", "0 to 1", String(augment.flip));
  if (augment.crop === null) return;
  const { scale, ratio } = augment.crop;
  if (!(scale[0] > 0 && scale[0] <= scale[1] && scale[1] <= 1)) {
    wrong("area share of the crop", "0 < low ≤ high ≤ 1", scale.join(", "));
  }
  if (!(ratio[0] > 0 && ratio[0] <= ratio[1] && ratio[1] < Number.POSITIVE_INFINITY)) {
    wrong("aspect ratio of the crop", "0 < low ≤ high", ratio.join(", "));
  }
}

function checkNormalization(
  { mean, std }: Normalization,
  channels: number,
  wrong: (problem: string, expected: string, got: string) => void,
): void {
  for (const [what, values] of [
    ["mean", mean],
    ["std", std],
  ] as const) {
    if (values.length !== 1 && values.length !== channels) {
      wrong(`${what} of the normalisation`, `1 or ${channels} values`, `${values.length} values`);
    }
    const fine = values.every((v) => Number.isFinite(v) && (what === "mean" || v > 0));
    if (!fine)
      wrong(`${what} of the normalisation`, what === "mean" ? "finite numbers" : "numbers above 0", values.join(", "));
  }
}
