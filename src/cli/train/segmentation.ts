/** @file The options of `metalr train` for segmentation, and what they mean for a plan. */
import { UsageError } from "../../common/errors.js";
import type { Dataset, Split } from "../../data/types.js";
import { printable } from "../../formats/bytes.js";
import type { Model } from "../../models/types.js";
import { type LossName, lossNames } from "../../ops/index.js";
import type { Transforms } from "../../training/options.js";
import { volumeTransforms } from "../../training/volume-transforms.js";
import { choice, longName, type OptionSpec, type OptionValues, real, whole } from "../options.js";
import type { TrainFlags } from "./flags.js";

/** Two or three numbers: 64x64, 32x48x32; one for all axes. */
const voxels = (flags: string, help: string, usual: string): OptionSpec<readonly number[]> => ({
  flags,
  help,
  default: usual,
  parse: (given) => {
    const parts = given.split(/\s*[x×]\s*/i);
    const size = parts.map(Number);
    if (parts.every((p) => /^\d{1,4}$/.test(p)) && size.every((n) => n >= 1 && n <= 4096) && size.length <= 3)
      return size;
    throw new UsageError(longName(flags), {
      problem: `must be voxels such as 64, 64x64 or 32x48x32 (depth x height x width), got "${printable(given)}"`,
    });
  },
});

export const segmentationFlags = {
  loss: choice({
    flags: "--loss <name>",
    help: `${lossNames.join(", ")}: the mean over all voxels, soft Dice of the foreground, or their sum`,
    default: "dice+cross-entropy",
    of: lossNames,
  }),
  patchSize: voxels(
    "--patch-size <voxels>",
    "of training patches: 32x48x32 (depth x height x width), or 64 for all axes",
    "the median volume in steps of 8, 64 at most (images: 256)",
  ),
  windowSize: voxels("--window-size <voxels>", "of the windows in which whole volumes are predicted", "--patch-size"),
  overlap: real({
    flags: "--overlap <x>",
    help: "share that neighbouring windows overlap by at least",
    default: "0.5",
    min: 0,
    below: 1,
  }),
  patchesPerVolume: whole({
    flags: "--patches-per-volume <n>",
    help: "training patches of a volume in an epoch",
    default: "1",
    min: 1,
    max: 1000,
  }),
  foreground: real({
    flags: "--foreground <x>",
    help: "share of training patches centred on a voxel of a random class but the background",
    default: "0.33",
    min: 0,
    below: 1.0001,
  }),
  flip: real({
    flags: "--flip <x>",
    help: "probability of mirroring a training patch along each axis; beware of left and right",
    default: "0",
    min: 0,
    below: 1.0001,
  }),
  intensity: choice({
    flags: "--intensity <how>",
    help: "z-score: every volume to mean 0 and deviation 1; none: as stored",
    default: "z-score",
    of: ["z-score", "none"],
  }),
};

type Given = OptionValues<typeof segmentationFlags>;

/** Options that mean nothing for these data, refused by name. */
export function refuseForeign(given: TrainFlags, dataset: Dataset): void {
  const segments = dataset.segmentation !== undefined;
  const foreign: [name: string, value: unknown][] = segments
    ? [
        ["--image-size", given.imageSize],
        ["--mean", given.mean],
        ["--std", given.std],
      ]
    : Object.entries(segmentationFlags).map(([name, { flags }]) => [longName(flags), given[name as keyof Given]]); // its own keys
  const found = foreign.find(([, value]) => value !== undefined);
  if (found === undefined) return;
  throw new UsageError(found[0], {
    problem: segments
      ? "has no meaning for volumes and images with a class for every voxel or pixel"
      : "is for data with a class for every voxel or pixel (a folder with images/ and labels/)",
    hint: segments ? "see --patch-size and --intensity" : "leave it out",
  });
}

/** The built-in network for these data where nobody names one. */
export const usualUNet = ({ segmentation }: Dataset): string =>
  segmentation?.shapes.some(([depth]) => depth > 1) ? "unet3d" : "unet2d";

export const withLoss = (model: Model, loss: LossName | undefined): Model =>
  loss === undefined ? model : { ...model, loss };

/** One number is for every axis. */
const spread = (size: readonly number[] | undefined, { input }: Model): readonly number[] | undefined =>
  size?.length === 1 ? new Array<number>(input.dimensions).fill(size[0] ?? 0) : size;

/** Patches and windows as the options ask for them. @throws {UsageError} sizes that the network cannot take */
export function patchesOf(given: TrainFlags, model: Model, dataset: Dataset, split: Split): Transforms {
  const { foreground, flip, overlap, intensity, patchesPerVolume } = given;
  const [patch, window] = [spread(given.patchSize, model), spread(given.windowSize, model)];
  return volumeTransforms({
    model,
    dataset,
    train: split.train,
    ...(patch && { patch }),
    ...(window && { window }),
    ...(foreground !== undefined && { foreground }),
    ...(flip !== undefined && { flip }),
    ...(overlap !== undefined && { overlap }),
    ...(intensity && { intensity }),
    ...(patchesPerVolume !== undefined && { perEpoch: patchesPerVolume }),
  });
}
