/** @file Tests of twins.ts and leaks.ts: near-identical images are found, others are not; real data sets. */
import { existsSync } from "node:fs";
import { expect, test } from "vitest";
import { Random } from "../common/random.js";
import { nodePlatform } from "../platform/node/index.js";
import { findLeaks, sharedImages } from "./leaks.js";
import { openDataset } from "./open.js";
import { planSplits } from "./splits.js";
import { findTwins } from "./twins.js";
import type { Dataset, RawImage, Split } from "./types.js";

const size = 24;
/** A picture of smooth blobs; the same number, the same picture. */
function picture(seed: number, change: (v: number, i: number) => number = (v) => v): RawImage {
  const random = new Random(seed, "picture");
  const blobs = Array.from(
    { length: 6 },
    () => [random.uniform(), random.uniform(), 60 + 160 * random.uniform()] as const,
  );
  const data = new Uint8Array(size * size);
  for (const i of data.keys()) {
    const [y, x] = [Math.floor(i / size) / size, (i % size) / size];
    const v = blobs.reduce(
      (sum, [cy, cx, level]) => sum + level * Math.exp(-((y - cy) ** 2 + (x - cx) ** 2) / 0.02),
      0,
    );
    data[i] = Math.max(0, Math.min(255, change(Math.min(v, 250), i)));
  }
  return { channels: 1, height: size, width: size, data };
}

const dataset = (images: readonly RawImage[], o: Partial<Dataset> = {}): Dataset => ({
  name: "pictures",
  count: images.length,
  classes: ["a", "b"],
  labels: Uint32Array.from(images, (_, i) => i % 2),
  groups: null,
  division: { kind: "none" },
  imageShape: { channels: 1, height: size, width: size, type: "uint8" },
  fingerprint: "",
  notes: [],
  imageName: (i) => `image ${i}`,
  image: async (i) => images[i] ?? picture(0),
  close: async () => {},
  ...o,
});
const of = (...indices: number[]) => Uint32Array.from(indices);
const fold = (name: string, test: Uint32Array, train: Uint32Array): Split => ({
  name,
  train,
  meta: train,
  validation: of(),
  test,
});

test("an equal image and one with noise are found in the other part, others and those of the same part are not", async () => {
  const noisy = picture(1, (v, i) => v + ((i * 7919) % 3) - 1);
  const images = [picture(1), picture(2), picture(2), picture(3), noisy, picture(3), picture(4)];
  const { twinOf, identical, complete } = await findTwins(dataset(images), [0, 0, 0, 0, 1, 1, 1]);
  expect([...twinOf]).toEqual([4, -1, -1, 5, 0, 3, -1]);
  expect([identical, complete]).toEqual([2, true]);
});

test("images that play no part, and empty ones, are left alone", async () => {
  const black = picture(1, () => 0);
  const { twinOf } = await findTwins(dataset([picture(1), picture(1), black, black]), [-1, 1, 0, 1]);
  expect([...twinOf]).toEqual([-1, -1, -1, -1]);
});

test("a brighter or shifted picture is another one", async () => {
  const brighter = picture(1, (v) => v * 1.2);
  const base = picture(1).data;
  const shifted = picture(1, (_, i) => base[(i + 2) % base.length] ?? 0);
  const { twinOf } = await findTwins(dataset([picture(1), brighter, shifted]), [0, 1, 2]);
  expect([...twinOf]).toEqual([-1, -1, -1]);
});

test("16-bit images are scaled by the brightest", async () => {
  const wide = (image: RawImage, step: number): RawImage => ({
    ...image,
    data: Uint16Array.from(image.data, (v) => v * 16 + step),
  });
  const images = [wide(picture(1), 0), wide(picture(1), 3), wide(picture(2), 0)];
  const deep = dataset(images, { imageShape: { channels: 1, height: size, width: size, type: "uint16" } });
  expect([...(await findTwins(deep, [0, 1, 1])).twinOf]).toEqual([1, 0, -1]);
});

test("thousands of images against each other", async () => {
  const many = Array.from({ length: 1500 }, (_, i) => picture(i % 1490));
  const { twinOf, identical } = await findTwins(
    dataset(many),
    many.map((_, i) => (i < 1490 ? 0 : 1)),
  );
  expect([...twinOf.slice(0, 10)]).toEqual([1490, 1491, 1492, 1493, 1494, 1495, 1496, 1497, 1498, 1499]);
  expect([identical, twinOf.slice(10, 1490).every((t) => t === -1)]).toEqual([20, true]);
});

test("in words: how many, in which folds, an example, and what to do", async () => {
  const images = [picture(1), picture(2), picture(1), picture(3), picture(4), picture(5)];
  const splits = [
    fold("fold-1", of(0, 1), of(2, 3, 4, 5)),
    fold("fold-2", of(2, 3), of(0, 1, 4, 5)),
    fold("fold-3", of(4, 5), of(0, 1, 2, 3)),
  ];
  const found = await findLeaks(dataset(images), splits, { byGroup: false });
  expect(found.all).toEqual([
    "2 of 6 test images (fold-1: 1, fold-2: 1) have a near-identical image, 2 of them equal to the last pixel, among those that the run learns from, such as image 0 and image 2: the test result will look better than on new images. Say which images are of one patient or video (--groups-file) and divide by it (--by-group), or leave the doubles out",
  ]);
  expect([...found.bySplit]).toEqual([
    ["fold-1", "1 of 2 test images have a near-identical image among those that the run learns from"],
    ["fold-2", "1 of 2 test images have a near-identical image among those that the run learns from"],
  ]);
  const grouped = dataset(images, { groups: ["p", "q", "r", "s", "t", "u"] });
  expect((await findLeaks(grouped, splits, { byGroup: false })).all[0]).toMatch(
    /\. Divide by group \(--by-group\), or leave the doubles out$/,
  );
  expect((await findLeaks(grouped, splits, { byGroup: true })).all[0]).toMatch(
    /\. They are in different groups: one patient or video may have two names; correct the groups, or leave the doubles out$/,
  );
  const clean = [fold("run", of(1, 3), of(0, 2, 4, 5))];
  expect((await findLeaks(dataset(images), clean, { byGroup: false })).all).toEqual([]);
});

test("groups that are known and in several folds", async () => {
  const images = [1, 2, 3, 4].map((seed) => picture(seed));
  const splits = [fold("fold-1", of(0, 1), of(2, 3)), fold("fold-2", of(2, 3), of(0, 1))];
  const data = dataset(images, { groups: ["p", "q", "q", "r"] });
  expect((await findLeaks(data, splits, { byGroup: false })).all).toEqual([
    "1 of 3 groups have images in several folds: the folds' test results will look better than on new groups. Divide by group (--by-group)",
  ]);
});

test("images of two data sets that are the same", async () => {
  const data = dataset([picture(1), picture(2), picture(3)]);
  const other = dataset([picture(4), picture(3), picture(1), picture(2)], { imageName: (i) => `site/${i}` });
  expect(await sharedImages(data, of(0, 2), other, of(0, 1, 3))).toEqual({ count: 1, example: ["site/1", "image 2"] });
  expect(await sharedImages(data, of(0, 2), other, of(0, 3))).toBeNull();
});

const real = "../shared/data";
test.skipIf(!existsSync(real))(
  "POCUS with its groups: 13 of 62 straddle folds (skipped without ../shared/data)",
  async () => {
    const options = { platform: nodePlatform, groupsFile: `${real}/pocus/attribution.csv.gz` };
    const data = await openDataset(`${real}/pocus/pocus_data_all.zip.001`, options);
    const split = { select: "validation", metaData: "train", seed: 1 } as const;
    expect((await findLeaks(data, planSplits(data, split), { byGroup: false })).all[1]).toMatch(
      /^13 of 62 groups have images in several folds: /,
    );
    // The same two frames are filed under two groups: dividing by group does not part them from each other.
    const { all } = await findLeaks(data, planSplits(data, { ...split, byGroup: true }), { byGroup: true });
    expect(all.map((a) => a.replace(/ \(.*\)/, "").slice(0, 60))).toEqual([
      "2 of 1721 test images have a near-identical image among thos",
    ]);
  },
);
test.skipIf(!existsSync(real)).each([
  [
    "pocus/pocus_data_all.zip.001",
    /^2 of 1721 test images \(fold-1: 1, fold-3: 1\) have a near-identical image among /,
  ],
  [
    "medmnist/breastmnist.npz",
    /^17 of 156 test images have a near-identical image, 1 of them equal to the last pixel, among /,
  ],
  ["medmnist/retinamnist.npz", null],
] as const)("%s, as comparing every pair finds (skipped without ../shared/data)", async (file, words) => {
  const data = await openDataset(`${real}/${file}`, { platform: nodePlatform });
  const splits = planSplits(data, { select: "validation", metaData: "train", seed: 1 });
  const { all } = await findLeaks(data, splits, { byGroup: false });
  if (words === null) expect(all).toEqual([]);
  else expect(all[0]).toMatch(words);
});
