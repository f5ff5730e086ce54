/** @file Patches of a volume and its label: cut anywhere, drawn at random, more often around the foreground if wished. */
import { ShapeError, UsageError } from "../../common/errors.js";
import type { Random } from "../../common/random.js";
import type { LabelVolume, Volume } from "./pairs.js";

/** Along depth, height and width. */
export type Size3 = readonly [depth: number, height: number, width: number];

/** What lies beyond the volume is 0, which is the mean after `zScore`; labels there are background. */
export interface Patch {
  /** [channels, depth, height, width]. */
  readonly image: Float32Array;
  /** [depth, height, width]. */
  readonly label: Uint8Array;
  /** Of the patch's first voxel in the volume; negative where the patch is larger than the volume. */
  readonly start: Size3;
}

type Grid = Pick<LabelVolume, "depth" | "height" | "width">;
const sizeOf = ({ depth, height, width }: Grid): Size3 => [depth, height, width];

function checkSize(size: Size3): void {
  if (size.every((d) => Number.isInteger(d) && d >= 1)) return;
  throw new UsageError("patch size", {
    problem: "makes no sense",
    expected: "three whole numbers from 1",
    got: size.join(","),
  });
}

/** Copies the part of one channel that lies inside, row by row. `out` is zeroed. */
function cut(
  from: Float32Array | Uint8Array,
  grid: Grid,
  start: Size3,
  size: Size3,
  out: Float32Array | Uint8Array,
): void {
  const [z0, y0, x0] = start;
  const [depth, height, width] = size;
  const x = Math.max(0, x0);
  const count = Math.min(grid.width, x0 + width) - x;
  if (count <= 0) return;
  for (let z = Math.max(0, z0); z < Math.min(grid.depth, z0 + depth); z++) {
    for (let y = Math.max(0, y0); y < Math.min(grid.height, y0 + height); y++) {
      const at = (z * grid.height + y) * grid.width + x;
      out.set(from.subarray(at, at + count), ((z - z0) * height + (y - y0)) * width + (x - x0));
    }
  }
}

/** The part of a volume that begins at `start`: [channels, depth, height, width], 0 beyond the volume. */
export function cutVolume(volume: Volume, start: Size3, size: Size3): Float32Array {
  const voxels = size[0] * size[1] * size[2];
  const all = volume.depth * volume.height * volume.width;
  const out = new Float32Array(volume.channels * voxels);
  for (let c = 0; c < volume.channels; c++) {
    cut(volume.data.subarray(c * all, (c + 1) * all), volume, start, size, out.subarray(c * voxels, (c + 1) * voxels));
  }
  return out;
}

/** The same part of a label volume, background beyond it. */
export function cutLabel(label: LabelVolume, start: Size3, size: Size3): Uint8Array {
  const out = new Uint8Array(size[0] * size[1] * size[2]);
  cut(label.data, label, start, size, out);
  return out;
}

/** Voxels of each class but 0, by label volume: counted once, so that drawing is cheap. */
const foregrounds = new WeakMap<LabelVolume, readonly Uint32Array[]>();

function foregroundOf(label: LabelVolume): readonly Uint32Array[] {
  const known = foregrounds.get(label);
  if (known !== undefined) return known;
  const counts = new Uint32Array(256);
  for (const c of label.data) counts[c]!++; // a byte is below 256
  const places = Array.from(counts, (count, c) => new Uint32Array(c === 0 ? 0 : count));
  const next = new Uint32Array(256);
  for (let i = 0; i < label.data.length; i++) {
    const c = label.data[i]!; // i is below the length
    if (c !== 0) places[c]![next[c]!++] = i;
  }
  const present = places.filter((list) => list.length > 0);
  foregrounds.set(label, present);
  return present;
}

export interface RandomPatchOptions {
  /**
   * Share of patches, 0 … 1, that are centred on a voxel of a random class of the foreground (each class that occurs is
   * as likely as the others); default 0.
   */
  foreground?: number;
}

/** Where a patch around this voxel begins, moved so that it lies inside if it fits; centred if it does not. */
const inside = (start: number, size: number, length: number): number =>
  size >= length ? Math.floor((length - size + 1) / 2) : Math.min(Math.max(start, 0), length - size);

/**
 * A random patch; the same `random` gives the same patch.
 *
 * @param size may be larger than the volume: then it is centred and filled with 0
 * @throws {ShapeError} image and label differ in shape
 */
export function randomPatch(
  volume: Volume,
  label: LabelVolume,
  size: Size3,
  random: Random,
  { foreground = 0 }: RandomPatchOptions = {},
): Patch {
  checkSize(size);
  const lengths = sizeOf(volume);
  if (sizeOf(label).some((d, i) => d !== lengths[i])) {
    throw new ShapeError("randomPatch", {
      problem: "image and label differ in shape",
      expected: `[${lengths.join(",")}]`,
      got: `[${sizeOf(label).join(",")}]`,
    });
  }
  const classes = foreground > 0 && random.uniform() < foreground ? foregroundOf(label) : [];
  let start: Size3;
  if (classes.length > 0) {
    const voxels = classes[random.below(classes.length)]!; // below the number of classes, each with voxels
    const voxel = voxels[random.below(voxels.length)]!;
    const [z, y, x] = [
      Math.floor(voxel / (label.height * label.width)),
      Math.floor(voxel / label.width) % label.height,
      voxel % label.width,
    ];
    const around = (at: number, axis: 0 | 1 | 2): number =>
      inside(at - Math.floor(size[axis] / 2), size[axis], lengths[axis]);
    start = [around(z, 0), around(y, 1), around(x, 2)];
  } else {
    const anywhere = (axis: 0 | 1 | 2): number => {
      const room = lengths[axis] - size[axis];
      return room <= 0 ? inside(0, size[axis], lengths[axis]) : random.below(room + 1);
    };
    start = [anywhere(0), anywhere(1), anywhere(2)];
  }
  return { image: cutVolume(volume, start, size), label: cutLabel(label, start, size), start };
}
