/** @file The transforms of a run where nobody gives others: the released ones, with the normalisation that fits data and weights. */
import { DataError } from "../common/errors.js";
import { pocusClasses } from "../data/pickle.js";
import { releasedTransforms } from "../data/transforms.js";
import type { Dataset, Normalization, RawImage, TransformSpec } from "../data/types.js";
import type { Model } from "../models/types.js";
import type { Transforms } from "./options.js";

export interface DefaultTransformsOptions {
  readonly model: Pick<Model, "input" | "normalization">;
  readonly dataset: Dataset;
  /** Training images, for their mean and standard deviation. */
  readonly train: Uint32Array;
  /** Size [height, width] of the network's input; default the one that the network asks for, else 64×64. */
  readonly size?: readonly [number, number];
  /** Default: the released program's for data of its layout and classes, else the weights' own, else that of the training images. */
  readonly normalization?: Normalization;
  /** Default: the released program's crop and flip; null for none. */
  readonly augment?: TransformSpec["augment"];
  readonly colorToGrey?: "luma";
}

/** @throws {DataError} training images that cannot be read */
export async function defaultTransforms(o: DefaultTransformsOptions): Promise<Transforms> {
  const [height = 64, width = 64] = o.size ?? o.model.input.size ?? releasedTransforms.train.size;
  const [normalization, source] = await chooseNormalization(o);
  const evaluation: TransformSpec = {
    size: [height, width],
    channels: o.model.input.channels,
    normalization,
    augment: null,
    ...(o.colorToGrey && { colorToGrey: o.colorToGrey }),
  };
  const augment = o.augment === undefined ? releasedTransforms.train.augment : o.augment;
  return { train: { ...evaluation, augment }, evaluation, source };
}

async function chooseNormalization(o: DefaultTransformsOptions): Promise<[Normalization, string]> {
  if (o.normalization) return [o.normalization, "given"];
  if (isReleasedData(o.dataset)) return [releasedTransforms.train.normalization, "released"];
  if (o.model.normalization) return [o.model.normalization, "weights"];
  const measured = await pixelStatistics(o.dataset, o.train);
  // One value for all where the network's channels are not the images' own (grey is repeated).
  const fits = measured.mean.length === o.model.input.channels;
  return [fits ? measured : averaged(measured), "training images"];
}

/** Five folds of the three POCUS classes: what the published program's numbers 0.18 and 0.24 were made for. */
const isReleasedData = ({ division, classes }: Dataset): boolean =>
  division.kind === "folds" && classes.length === pocusClasses.length && pocusClasses.every((c, i) => classes[i] === c);

/** Of more images than this, evenly spaced ones are measured. */
const MEASURED_IMAGES = 2000;
/** What integers are divided by, as the transforms do; float pixels are taken as they are. */
const white = ({ data }: RawImage): number =>
  data instanceof Uint8Array ? 255 : data instanceof Uint16Array ? 65535 : 1;

/** Mean and standard deviation of each channel over all pixels of the images (of 2,000 evenly spaced ones where there are more). */
export async function pixelStatistics(
  dataset: Pick<Dataset, "image" | "imageName">,
  images: Uint32Array,
): Promise<Normalization> {
  const every = Math.max(1, images.length / MEASURED_IMAGES);
  const sums: { n: number; mean: number; m2: number }[] = [];
  for (let at = 0; at < images.length; at += every) {
    const index = images[Math.floor(at)]!; // at is below the length
    const image = await dataset.image(index);
    if (sums.length > 0 && sums.length !== image.channels) {
      throw new DataError(dataset.imageName(index), {
        problem: "has another number of channels than the images before it",
        expected: String(sums.length),
        got: String(image.channels),
        hint: "give the normalisation, so that it need not be measured",
      });
    }
    const plane = image.data.length / image.channels;
    for (let c = 0; c < image.channels; c++) {
      sums[c] ??= { n: 0, mean: 0, m2: 0 };
      merge(sums[c]!, moments(image.data.subarray(c * plane, (c + 1) * plane), white(image))); // just made
    }
  }
  const rounded = (x: number) => Number(x.toPrecision(6));
  return {
    mean: sums.map(({ mean }) => rounded(mean)),
    std: sums.map(({ n, m2 }) => rounded(Math.sqrt(m2 / n)) || 1), // constant images stay as they are
  };
}

function moments(pixels: ArrayLike<number>, scale: number) {
  let sum = 0;
  for (let i = 0; i < pixels.length; i++) sum += pixels[i]!; // i is below the length
  const mean = sum / pixels.length;
  let m2 = 0;
  for (let i = 0; i < pixels.length; i++) m2 += (pixels[i]! - mean) ** 2;
  return { n: pixels.length, mean: mean / scale, m2: m2 / scale ** 2 };
}

/** Adds the moments of further pixels (Chan, Golub, LeVeque 1979). */
function merge(all: { n: number; mean: number; m2: number }, part: { n: number; mean: number; m2: number }): void {
  const n = all.n + part.n;
  const delta = part.mean - all.mean;
  all.m2 += part.m2 + (delta ** 2 * all.n * part.n) / n;
  all.mean += (delta * part.n) / n;
  all.n = n;
}

/** One mean and deviation for all channels together. */
function averaged({ mean, std }: Normalization): Normalization {
  const k = mean.length;
  const m = mean.reduce((a, b) => a + b, 0) / k;
  const variance = mean.reduce((sum, x, c) => sum + (std[c] ?? 0) ** 2 + (x - m) ** 2, 0) / k;
  return { mean: [m], std: [Math.sqrt(variance)] };
}
