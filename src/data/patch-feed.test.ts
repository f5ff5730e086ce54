import { expect, test } from "vitest";
import { messageOf } from "../formats/messages.testing.js";

import { openPatchFeed, patchSize } from "./patch-feed.js";
import type { Dataset, TransformSpec, VolumeSpec } from "./types.js";

/** Volumes of 4 × 4 × 4 whose values count from 0, and whose label is 1 where the value is above 31. */
const dataset: Dataset = {
  name: "counting",
  count: 2,
  classes: ["below", "above"],
  labels: new Uint32Array(2),
  segmentation: {
    shapes: [
      [4, 4, 4],
      [4, 4, 4],
    ],
    volume: async (i) => ({
      channels: 1,
      depth: 4,
      height: 4,
      width: 4,
      data: Float32Array.from({ length: 64 }, (_, k) => k + 100 * i),
    }),
    label: async () => ({
      depth: 4,
      height: 4,
      width: 4,
      data: Uint8Array.from({ length: 64 }, (_, k) => Number(k > 31)),
    }),
  },
  groups: null,
  division: { kind: "none" },
  imageShape: { channels: 1, depth: 4, height: 4, width: 4 },
  fingerprint: "",
  notes: [],
  imageName: String,
  image: async () => ({ channels: 1, height: 1, width: 1, data: new Float32Array(1) }),
  close: async () => {},
};
const spec = (size: TransformSpec["size"], volume: Partial<VolumeSpec> = {}): TransformSpec => ({
  size,
  channels: 1,
  normalization: { mean: [0], std: [1] },
  augment: null,
  volume: { intensity: "none", foreground: 0, flip: 0, perEpoch: 1, overlap: 0.5, ...volume },
});
const feed = (transform: TransformSpec, seed = 1) => openPatchFeed({ dataset, transform, seed });

test("a patch is a piece of its volume, and its label the same piece", async () => {
  const { x, y, shape } = await feed(spec([2, 2, 2])).patches(Uint32Array.of(1, 0), 3);
  expect(shape).toEqual([2, 1, 2, 2, 2]);
  for (const [n, index] of [1, 0].entries()) {
    const first = (x[n * 8] ?? 0) - 100 * index;
    const want = [0, 1, 4, 5, 16, 17, 20, 21].map((d) => first + d);
    expect(Array.from(x.slice(n * 8, n * 8 + 8), (v) => v - 100 * index)).toEqual(want);
    expect([...y.slice(n * 8, n * 8 + 8)]).toEqual(want.map((v) => Number(v > 31)));
  }
});

test("seed, epoch and repetition decide the patch, the place in the batch does not", async () => {
  const source = feed(spec([2, 2, 2]));
  const first = async (index: number, epoch: number, from = source) =>
    (await from.patches(Uint32Array.of(index), epoch)).x[0];
  expect((await source.patches(Uint32Array.of(1, 0), 1)).x[8]).toBe(await first(0, 1));
  const places = new Set<number | undefined>();
  for (let epoch = 1; epoch < 9; epoch++) places.add(await first(0, epoch));
  expect(places.size).toBeGreaterThan(2);
  const repeated = new Set<number | undefined>();
  for (let r = 0; r < 8; r++) repeated.add(await first(2 * r, 1)); // repetition r of volume 0 of 2
  expect(repeated.size).toBeGreaterThan(2);
  expect([...repeated].every((v) => v !== undefined && v < 64)).toBe(true);
});

test("patches for the learning rates follow the step, and are never mirrored", async () => {
  const source = feed(spec([2, 2, 2], { flip: 1 }));
  const { x } = await source.metaPatches(Uint32Array.of(0), 4);
  expect((x[1] ?? 0) - (x[0] ?? 0)).toBe(1);
  expect((await source.metaPatches(Uint32Array.of(0), 4)).x).toEqual(x);
});

test("mirrored along every axis, image and label run backwards together", async () => {
  const { x, y } = await feed(spec([4, 4, 4], { flip: 1 })).patches(Uint32Array.of(0), 1);
  expect([...x]).toEqual(Array.from({ length: 64 }, (_, k) => 63 - k));
  expect([...y]).toEqual(Array.from({ length: 64 }, (_, k) => Number(k < 32)));
});

test("a patch beyond the volume is filled with zeros and background", async () => {
  const { x, y } = await feed(spec([4, 4, 6])).patches(Uint32Array.of(1), 1);
  expect([...x.slice(0, 6)]).toEqual([0, 100, 101, 102, 103, 0]);
  expect([...y.slice(90)]).toEqual([0, 1, 1, 1, 1, 0]);
});

test("two numbers are patches of slices", async () => {
  expect(patchSize({ size: [3, 2] })).toEqual([1, 3, 2]);
  const { shape, y } = await feed(spec([3, 2])).patches(Uint32Array.of(0), 1);
  expect([shape, y.length]).toEqual([[1, 1, 3, 2], 6]);
});

test("z-scores are of the whole volume, and volumes beyond the cache are read again", async () => {
  const transform = spec([4, 4, 4], { intensity: "z-score" });
  for (const cacheBytes of [2 ** 20, 0]) {
    const source = openPatchFeed({ dataset, transform, seed: 1, cacheBytes });
    const { image } = await source.whole(1);
    expect(image.data.reduce((a, b) => a + b, 0)).toBeCloseTo(0, 4);
    expect(image.data.reduce((a, b) => a + b * b, 0) / 64).toBeCloseTo(1, 5);
    const again = await source.whole(1);
    expect(again.image === image).toBe(cacheBytes > 0);
  }
});

test("images with one class each have no patches", async () => {
  const { segmentation: _, ...plain } = dataset;
  expect(await messageOf(() => openPatchFeed({ dataset: plain, transform: spec([2, 2, 2]), seed: 1 }))).toBe(
    "counting: has no classes of pixels or voxels to train a segmentation on",
  );
});
