/** @file Batches of patches of labelled volumes, by number and seed; and whole volumes ready to be predicted. */
import { DataError } from "../common/errors.js";
import { Random } from "../common/random.js";
import { zScore } from "./nifti/normalize.js";
import { type Patch, randomPatch, type Size3 } from "./nifti/patches.js";
import type { Batch, Dataset, SegmentationLabel, SegmentationVolume, TransformSpec, VolumeSpec } from "./types.js";

/** A volume with its intensities as the network sees them, and its classes. */
export interface PreparedVolume {
  readonly image: SegmentationVolume;
  readonly label: SegmentationLabel;
}

export interface PatchFeedOptions {
  readonly dataset: Dataset;
  readonly transform: TransformSpec;
  readonly seed: number;
  /** Limit of the volumes kept in memory, in bytes; default 2 GiB. Others are read again. */
  readonly cacheBytes?: number;
}

export interface PatchFeed {
  /**
   * Training patches. An index counts patches: volume + count · repetition, so that an epoch may take several of one volume.
   * The same seed, epoch and index give the same patch.
   */
  patches(indices: Uint32Array, epoch: number): Promise<Batch>;
  /** Patches for MetaLR's validation batches: neither mirrored nor drawn more often around the foreground than training's. */
  metaPatches(indices: Uint32Array, step: number): Promise<Batch>;
  /** The whole volume. @throws {FileError | DataError} damaged */
  whole(index: number): Promise<PreparedVolume>;
  close(): void;
}

/** [height, width] are patches of slices: depth 1. */
export const patchSize = ({ size }: Pick<TransformSpec, "size">): Size3 =>
  size.length === 3 ? size : [1, size[0], size[1]];

/** What the network sees of a volume. */
export const prepareVolume = (
  volume: SegmentationVolume,
  { intensity }: Pick<VolumeSpec, "intensity">,
): SegmentationVolume => (intensity === "z-score" ? zScore(volume) : volume);

/** @throws {DataError} a data set whose pixels have no classes */
export function openPatchFeed({ dataset, transform, seed, cacheBytes = 2 ** 31 }: PatchFeedOptions): PatchFeed {
  const { segmentation, count } = dataset;
  const { volume: spec } = transform;
  if (segmentation === undefined || spec === undefined) {
    throw new DataError(dataset.name, { problem: "has no classes of pixels or voxels to train a segmentation on" });
  }
  const size = patchSize(transform);
  const kept = new Map<number, Promise<PreparedVolume>>();
  let used = 0;
  const bytesOf = (index: number) => {
    const voxels = (segmentation.shapes[index] ?? []).reduce((n, d) => n * d, 1);
    return voxels * (4 * dataset.imageShape.channels + 1);
  };
  const read = async (index: number): Promise<PreparedVolume> => {
    const [image, label] = await Promise.all([segmentation.volume(index), segmentation.label(index)]);
    return { image: prepareVolume(image, spec), label };
  };
  const whole = (index: number): Promise<PreparedVolume> => {
    const known = kept.get(index);
    if (known !== undefined) return known;
    const reading = read(index);
    if (used + bytesOf(index) <= cacheBytes) {
      used += bytesOf(index);
      kept.set(index, reading);
      reading.catch(() => kept.delete(index)); // told to who asks for it
    }
    return reading;
  };
  const batch = async (
    indices: Uint32Array,
    draw: (index: number, at: number, volume: PreparedVolume) => Patch,
  ): Promise<Batch> => {
    const { channels } = transform;
    const voxels = size[0] * size[1] * size[2];
    const x = new Float32Array(indices.length * channels * voxels);
    const y = new Uint32Array(indices.length * voxels);
    for (const [at, index] of indices.entries()) {
      const patch = draw(index, at, await whole(index % count));
      x.set(patch.image, at * channels * voxels);
      y.set(patch.label, at * voxels);
    }
    return { x, shape: [indices.length, channels, ...transform.size], y, indices };
  };
  return {
    patches: (indices, epoch) =>
      batch(indices, (index, _, { image, label }) => {
        const random = new Random(seed, "patch", epoch, index);
        const patch = randomPatch(image, label, size, random, { foreground: spec.foreground });
        for (const axis of [0, 1, 2] as const) {
          if (spec.flip > 0 && random.uniform() < spec.flip) mirror(patch, size, transform.channels, axis);
        }
        return patch;
      }),
    metaPatches: (indices, step) =>
      batch(indices, (index, at, { image, label }) =>
        randomPatch(image, label, size, new Random(seed, "meta patch", step, at, index), {
          foreground: spec.foreground,
        }),
      ),
    whole,
    close: () => kept.clear(),
  };
}

/** Reverses image and label along one axis, in place. */
function mirror(patch: Patch, size: Size3, channels: number, axis: 0 | 1 | 2): void {
  const length = size[axis];
  const inner = size.slice(axis + 1).reduce((n, d) => n * d, 1);
  const turn = (data: Float32Array | Uint8Array): void => {
    for (let base = 0; base < data.length; base += length * inner) {
      for (let i = 0; i < length >> 1; i++) {
        const [left, right] = [base + i * inner, base + (length - 1 - i) * inner];
        const held = data.slice(left, left + inner);
        data.copyWithin(left, right, right + inner);
        data.set(held, right);
      }
    }
  };
  const voxels = size[0] * size[1] * size[2];
  for (let c = 0; c < channels; c++) turn(patch.image.subarray(c * voxels, (c + 1) * voxels));
  turn(patch.label);
}
