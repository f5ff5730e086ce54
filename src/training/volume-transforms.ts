/** @file How volumes become patches and windows where nobody says otherwise, and whether network, data and sizes go together. */
import { UsageError } from "../common/errors.js";
import type { Dataset, TransformSpec, VolumeSpec } from "../data/types.js";
import type { Model } from "../models/types.js";
import type { Transforms } from "./options.js";

export interface VolumeTransformsOptions extends Partial<VolumeSpec> {
  readonly model: Pick<Model, "name" | "input">;
  readonly dataset: Pick<Dataset, "name" | "segmentation" | "imageShape">;
  /** Training volumes, for their size. */
  readonly train: Uint32Array;
  /** [depth, height, width], or [height, width] for a network for images; default as `usualPatch`. */
  readonly patch?: readonly number[];
  /** The same of the windows in which whole volumes are predicted; default the patch. */
  readonly window?: readonly number[];
}

/** Patches of so many voxels along an axis at most, where nobody says otherwise. */
const largest = { 2: 256, 3: 64 } as const;
/** Networks halve an image three to five times; sixteen suits most of them, and the built-in ones take eight. */
const step = 8;

/** Defaults of `VolumeSpec`. */
const defaultVolumeSpec: VolumeSpec = {
  intensity: "z-score",
  foreground: 1 / 3,
  flip: 0,
  perEpoch: 1,
  overlap: 0.5,
};

/** The median size of the training volumes, rounded up to a multiple of eight, 64 at most (256 for images). */
export function usualPatch({ model, dataset, train }: VolumeTransformsOptions): readonly number[] {
  const { dimensions } = model.input;
  const axes = dimensions === 3 ? [0, 1, 2] : [1, 2];
  return axes.map((axis) => {
    const lengths = Array.from(train, (i) => dataset.segmentation?.shapes[i]?.[axis] ?? step).sort((a, b) => a - b);
    const median = lengths[lengths.length >> 1] ?? step;
    return Math.min(largest[dimensions], Math.ceil(median / step) * step);
  });
}

/** @throws {UsageError} sizes that the network cannot take */
export function volumeTransforms(o: VolumeTransformsOptions): Transforms {
  const { model, dataset, intensity, foreground, flip, perEpoch, overlap } = o;
  const given = Object.entries({ intensity, foreground, flip, perEpoch, overlap }).filter(([, v]) => v !== undefined);
  const volume: VolumeSpec = { ...defaultVolumeSpec, ...Object.fromEntries(given) };
  const range = (name: string, value: number, ok: boolean, expected: string): void => {
    if (!ok) throw new UsageError(name, { problem: "is out of range", expected, got: String(value) });
  };
  range("foreground", volume.foreground, volume.foreground >= 0 && volume.foreground <= 1, "0 … 1");
  range("flip", volume.flip, volume.flip >= 0 && volume.flip <= 1, "0 … 1");
  range("overlap", volume.overlap, volume.overlap >= 0 && volume.overlap < 1, "0 … below 1");
  const { perEpoch: n } = volume;
  range("patches per volume", n, Number.isInteger(n) && n >= 1, "a whole number from 1");
  const sized = (what: string, size: readonly number[]): TransformSpec["size"] => {
    const { dimensions } = model.input;
    if (size.length !== dimensions || size.some((d) => !Number.isInteger(d) || d < 1)) {
      throw new UsageError(what, {
        problem: `does not fit ${model.name}`,
        expected: dimensions === 3 ? "depth, height and width" : "height and width",
        got: size.join("×"),
      });
    }
    return size as unknown as TransformSpec["size"]; // two or three numbers, as was just checked
  };
  const patch = sized("patch size", o.patch ?? model.input.size ?? usualPatch(o));
  const window = sized("window size", o.window ?? (o.patch === undefined ? (model.input.size ?? patch) : patch));
  const common = {
    channels: dataset.imageShape.channels,
    normalization: { mean: [0], std: [1] },
    augment: null,
    volume,
  };
  return { train: { ...common, size: patch }, evaluation: { ...common, size: window }, source: "each volume's own" };
}
