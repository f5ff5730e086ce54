/** @file The transforms of a run where nobody gives others: the released ones, with the normalisation that fits data and weights. */
import { pocusClasses } from "../data/pickle.js";
import { channelStatistics } from "../data/statistics.js";
import { releasedTransforms } from "../data/transforms.js";
import type { Dataset, Normalization, TransformSpec } from "../data/types.js";
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
  const measured = rounded(await channelStatistics(o.dataset, o.train));
  // One value for all where the network's channels are not the images' own (grey is repeated).
  const fits = measured.mean.length === o.model.input.channels;
  return [fits ? measured : averaged(measured), "training images"];
}

/** Five folds of the three POCUS classes: what the published program's numbers 0.18 and 0.24 were made for. */
const isReleasedData = ({ division, classes }: Dataset): boolean =>
  division.kind === "folds" && classes.length === pocusClasses.length && pocusClasses.every((c, i) => classes[i] === c);

/** Six digits are plenty, and read well in a run record. */
const rounded = ({ mean, std }: Normalization): Normalization => ({
  mean: mean.map((x) => Number(x.toPrecision(6))),
  std: std.map((x) => Number(x.toPrecision(6))),
});

/** One mean and deviation for all channels together. */
function averaged({ mean, std }: Normalization): Normalization {
  const k = mean.length;
  const m = mean.reduce((a, b) => a + b, 0) / k;
  const variance = mean.reduce((sum, x, c) => sum + (std[c] ?? 0) ** 2 + (x - m) ** 2, 0) / k;
  return { mean: [m], std: [Math.sqrt(variance)] };
}
