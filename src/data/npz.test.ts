/** @file Tests of .npz data sets: MedMNIST's keys and others, dtypes, labels, parts, and what is refused. */
import { mkdtempSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { type Tensor, tensor } from "../common/tensor.js";
import { writeNpz } from "../formats/npz.js";
import { nodePlatform } from "../platform/node/index.js";
import { openDataset } from "./open.js";
import { table } from "./open.testing.js";

const platform = nodePlatform;
const folder = mkdtempSync(join(tmpdir(), "metalr-"));

describe("npz", () => {
  const images = (shape: number[], first = 0): Tensor =>
    tensor(
      "uint8",
      shape,
      Uint8Array.from({ length: shape.reduce((a, b) => a * b, 1) }, (_, i) => (i + first) & 255),
    );
  const labels = (...values: number[]): Tensor => tensor("uint8", [values.length, 1], Uint8Array.from(values));
  const save = (arrays: Record<string, Tensor>): string => {
    const path = join(folder, "data.npz");
    writeFileSync(path, writeNpz(new Map(Object.entries(arrays)), { compress: true }));
    return path;
  };
  const open = (arrays: Record<string, Tensor>) => openDataset(save(arrays), { platform });

  test("MedMNIST's keys, grey", async () => {
    const d = await open({
      train_images: images([4, 5, 6]),
      val_images: images([2, 5, 6]),
      test_images: images([3, 5, 6]),
      train_labels: labels(0, 1, 1, 0),
      val_labels: labels(1, 0),
      test_labels: labels(1, 1, 0),
    });
    expect(table(d)).toEqual([
      [2, 2],
      [1, 1],
      [1, 2],
    ]);
    expect(d.imageShape).toEqual({ channels: 1, height: 5, width: 6, type: "uint8" });
    expect([d.imageName(4), d.imageName(8)]).toEqual(["validation, image 0", "test, image 2"]);
    expect((await d.image(5)).data[0]).toBe(30);
  });

  test("colour last becomes planar; colour first stays", async () => {
    const last = await open({ train_images: images([2, 4, 5, 3]), train_labels: labels(0, 1) });
    const image = await last.image(0);
    expect(image).toMatchObject({ channels: 3, height: 4, width: 5 });
    expect([...image.data.subarray(0, 3), image.data[20], image.data[40]]).toEqual([0, 3, 6, 1, 2]);
    const first = await open({ train_images: images([2, 3, 4, 5]), train_labels: labels(0, 1) });
    expect([...(await first.image(0)).data.subarray(0, 3)]).toEqual([0, 1, 2]);
    expect(first.division).toMatchObject({ kind: "official", validation: null, test: null });
  });

  test("volumes have a depth", async () => {
    const d = await open({ x: images([2, 4, 5, 6]), y: labels(0, 1) });
    expect(d.imageShape).toEqual({ channels: 1, depth: 4, height: 5, width: 6, type: "uint8" });
    expect(await d.image(1)).toMatchObject({ channels: 1, depth: 4, height: 5, width: 6 });
  });

  test.each([[["x", "y"]], [["images", "labels"]], [["X", "target"]]])(
    "%s, without division",
    async ([x = "", y = ""]) => {
      const d = await open({ [x]: images([4, 5, 6]), [y]: labels(0, 1, 1, 0) });
      expect([d.division.kind, d.count]).toEqual(["none", 4]);
    },
  );

  test("Keras' x_train and y_test, and folds by name", async () => {
    const keras = await open({
      x_train: images([2, 5, 6]),
      y_train: labels(0, 1),
      x_test: images([2, 5, 6]),
      y_test: labels(1, 0),
    });
    expect(table(keras)).toEqual([
      [1, 1],
      [0, 0],
      [1, 1],
    ]);
    const folds = await open({
      fold1_images: images([2, 5, 6]),
      fold1_labels: labels(0, 1),
      fold0_images: images([1, 5, 6]),
      fold0_labels: labels(1),
    });
    expect(table(folds)).toEqual([
      [0, 1],
      [1, 1],
    ]);
  });

  test("fold and group of every image", async () => {
    const d = await open({
      images: images([4, 5, 6]),
      labels: labels(0, 1, 1, 0),
      fold: labels(2, 1, 2, 1),
      group: labels(7, 8, 7, 9),
      remarks: labels(0),
    });
    expect(d.division).toEqual({ kind: "folds", folds: [Uint32Array.of(1, 3), Uint32Array.of(0, 2)] });
    expect(d.groups).toEqual(["7", "8", "7", "9"]);
    expect(d.notes).toEqual(["arrays that are not used: remarks"]);
  });

  test("16-bit stays 16-bit, bool becomes black and white, other types become float", async () => {
    const y = labels(0, 1);
    const u16 = await open({ x: tensor("uint16", [2, 1, 2], Uint16Array.of(0, 65535, 3, 4)), y });
    expect((await u16.image(0)).data).toEqual(Uint16Array.of(0, 65535));
    const bool = await open({ x: tensor("bool", [2, 1, 2], Uint8Array.of(0, 1, 1, 0)), y });
    expect((await bool.image(0)).data).toEqual(Uint8Array.of(0, 255));
    const i64 = await open({ x: tensor("int64", [2, 1, 2], BigInt64Array.of(-1000n, 0n, 5n, 3000n)), y });
    expect((await i64.image(0)).data).toEqual(Float32Array.of(-1000, 0));
    expect(i64.notes).toEqual(["x: float pixels from -1000 to 3000 are taken as they are, not divided by 255"]);
  });

  test("a class between others that no image has is noted", async () => {
    const d = await open({ x: images([3, 5, 6]), y: labels(0, 2, 2) });
    expect([d.classes, d.notes]).toEqual([["0", "1", "2"], ["no image has class 1"]]);
  });

  const refused: [string, Record<string, Tensor>, string][] = [
    [
      "several labels for each image",
      { train_images: images([2, 5, 6]), train_labels: tensor("uint8", [2, 14], new Uint8Array(28)) },
      ": train_labels: has 14 labels for each image\n  expected one class for each image, [n] or [n,1]\n  got      [2,14]\n  hint     multi-label data are not supported: keep one column, or write each image's class as one number",
    ],
    [
      "no images and labels",
      { a: images([2, 5, 6]) },
      ": no images and labels among the arrays\n  expected train_images and train_labels (also val_ and test_), or x and y, or images and labels\n  got      a",
    ],
    [
      "images without labels",
      { train_images: images([2, 5, 6]), train_labels: labels(0, 1), test_images: images([1, 5, 6]) },
      ': "test_images" has no labels beside it\n  got      train_images, train_labels, test_images',
    ],
    [
      "two divisions",
      { train_images: images([2, 5, 6]), train_labels: labels(0, 1), x: images([1, 5, 6]), y: labels(0) },
      ": the arrays are divided in two ways at once\n  expected train, val and test, or folds, or one pair of images and labels\n  got      train_images, x",
    ],
    [
      "two candidates",
      { x: images([2, 5, 6]), images: images([2, 5, 6]), y: labels(0, 1) },
      ": two arrays could be the images\n  got      x and images",
    ],
    [
      "images of one dimension too few",
      { x: images([2, 30]), y: labels(0, 1) },
      ": x: images have the wrong shape\n  expected [n,H,W], [n,H,W,3], [n,3,H,W], or volumes [n,D,H,W]\n  got      [2,30]",
    ],
    [
      "images without pixels",
      { x: images([2, 0, 6]), y: labels(0, 1) },
      ": x: images have no pixels\n  expected [n,H,W], [n,H,W,3], [n,3,H,W], or volumes [n,D,H,W]\n  got      [2,0,6]",
    ],
    [
      "alpha",
      { x: images([2, 5, 6, 4]), y: labels(0, 1) },
      ": x: images have four channels\n  expected [n,H,W], [n,H,W,3], [n,3,H,W], or volumes [n,D,H,W]\n  got      [2,5,6,4]\n  hint     drop the alpha channel: images[..., :3]",
    ],
    [
      "groups of another number",
      { x: images([2, 5, 6]), y: labels(0, 1), group: labels(1) },
      ": group: numbers of images and groups differ\n  expected 2 groups, one for each image\n  got      1 groups",
    ],
  ];
  test.each(refused)("refused: %s", async (_, arrays, message) => {
    await expect(open(arrays)).rejects.toThrow(
      expect.objectContaining({ code: "data", message: join(folder, "data.npz") + message }),
    );
  });

  test("the fingerprint changes with a pixel, a label and the division", async () => {
    const x = images([4, 5, 6]);
    const y = labels(0, 1, 1, 0);
    const pixel = images([4, 5, 6]);
    pixel.data[17] = 255;
    const prints = [
      await open({ x, y }),
      await open({ x: pixel, y }),
      await open({ x, y: labels(0, 1, 0, 1) }),
      await open({ train_images: x, train_labels: y }),
      await open({ x, y, fold: labels(0, 0, 1, 1) }),
    ].map((d) => d.fingerprint);
    expect(new Set(prints).size).toBe(5);
    expect((await open({ x, y })).fingerprint).toBe(prints[0]);
    expect(prints[0]).toMatch(/^[0-9a-f]{64}$/);
  });
});
