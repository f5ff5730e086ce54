import { mkdtempSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import sharp from "sharp";
import { describe, expect, test } from "vitest";
import { noise } from "../../fixtures/transforms/reference.js";
import { Random } from "../common/random.js";
import { float32, tensor } from "../common/tensor.js";
import { nodePlatform } from "../platform/node/index.js";
import { datasetFromArrays } from "./arrays.js";
import { openDataset } from "./open.js";
import { openPreparer, type Preparer } from "./preparer.js";
import { createTransform } from "./transforms.js";
import type { Batch, Dataset, TransformSpec } from "./types.js";

const colour = (count: number, height = 12, width = 10): Promise<Dataset> =>
  datasetFromArrays({
    path: "noise.npz",
    parts: [
      {
        what: "",
        imagesName: "x",
        labelsName: "y",
        images: tensor("uint8", [count, 3, height, width], noise(count * 3 * height * width, 1)),
        labels: Array.from({ length: count }, (_, i) => i % 2),
      },
    ],
    division: "none",
    classes: null,
    groups: null,
    notes: [],
  });

const training: TransformSpec = {
  size: [8, 8],
  channels: 3,
  normalization: { mean: [0.2], std: [0.25] },
  augment: { crop: { scale: [0.5, 1], ratio: [0.8, 1.25] }, flip: 0.5 },
};
const evaluation: TransformSpec = { ...training, augment: null };

const range = (n: number) => Uint32Array.from({ length: n }, (_, i) => i);
const serial = openPreparer({ platform: nodePlatform });

/** Batches of four (the last one of what is left) in the order of the indices, as training asks for them. */
async function batches(
  dataset: Dataset,
  o: { preparer?: Preparer; transform?: TransformSpec; indices?: Uint32Array; epoch?: number; size?: number } = {},
): Promise<Batch[]> {
  const { preparer = serial, transform = training, indices = range(dataset.count), epoch = 1, size = 4 } = o;
  const source = preparer.source(dataset, transform, 3);
  const all: Promise<Batch>[] = [];
  for (let at = 0; at < indices.length; at += size) all.push(source.batch(indices.slice(at, at + size), epoch));
  return Promise.all(all);
}

test("a batch has the images of its indices in their order, with their labels", async () => {
  const [batch] = await batches(await colour(10), { indices: Uint32Array.of(9, 2, 5) });
  expect(batch?.shape).toEqual([3, 3, 8, 8]);
  expect([...batch!.indices]).toEqual([9, 2, 5]);
  expect([...batch!.y]).toEqual([1, 0, 1]);
});

test("augmentation is that of the key (seed, augment, epoch, image)", async () => {
  const data = await colour(10);
  const indices = Uint32Array.of(7, 0, 4, 1);
  const [first] = await batches(data, { indices, epoch: 7 });
  const transform = createTransform(training);
  const expected = new Float32Array(4 * transform.length);
  for (const [n, i] of indices.entries()) {
    const draw = transform.draw(new Random(3, "augment", 7, i));
    transform.finish(transform.resize(await data.image(i), ""), draw, expected, n * transform.length);
  }
  expect(first!.x).toEqual(expected);
  expect((await batches(data, { indices, epoch: 8 }))[0]!.x).not.toEqual(expected);
});

/** A folder of PNG files of different sizes, some grey. */
async function pictures(): Promise<string> {
  const folder = mkdtempSync(join(tmpdir(), "metalr-"));
  const rows = ["path,label"];
  for (let i = 0; i < 12; i++) {
    const channels = i % 3 === 0 ? 1 : 3;
    const [width, height] = [9 + i, 20 - i];
    const raw = { width, height, channels } as const;
    const png = await sharp(noise(width * height * channels, i), { raw })
      .toColourspace(channels === 1 ? "b-w" : "srgb")
      .png()
      .toBuffer();
    writeFileSync(join(folder, `${i}.png`), png);
    rows.push(`${i}.png,${i % 2 === 0 ? "sick" : "well"}`);
  }
  writeFileSync(join(folder, "labels.csv"), rows.join("\n"));
  return folder;
}

/** As a data set of another reader: threads cannot find its pixels. */
const withoutPixels = ({ pixels: _, ...rest }: Dataset): Dataset => rest;

describe("results are the same for any number of threads", () => {
  test.each([
    ["arrays in memory", () => colour(30)],
    ["arrays that have the network's size already", () => colour(30, 8, 8)],
    ["image files", async () => openDataset(await pictures(), { platform: nodePlatform })],
    ["a data set that hands its images over", async () => withoutPixels(await colour(30))],
  ])("%s", async (_, open) => {
    const results: Batch[][] = [];
    for (const workers of [0, 1, 3]) {
      const dataset = await open(); // opened anew, so that nothing is shared between the runs
      const preparer = openPreparer({ platform: nodePlatform, workers });
      expect(preparer.workers).toBe(workers);
      const o = { preparer, size: 5 };
      const train = [...(await batches(dataset, { ...o, epoch: 1 })), ...(await batches(dataset, { ...o, epoch: 2 }))];
      results.push([...train, ...(await batches(dataset, { ...o, transform: evaluation, epoch: 0 }))]);
      preparer.close();
    }
    expect(results[1]).toEqual(results[0]);
    expect(results[2]).toEqual(results[0]);
  });

  test("with a cache too small for all images, and with none", async () => {
    const dataset = await colour(30);
    const runs: Batch[][] = [];
    for (const cacheBytes of [2 ** 20, 2000, 0]) {
      const preparer = openPreparer({ platform: nodePlatform, workers: 2, cacheBytes });
      const copy = { ...dataset }; // caches belong to the object
      runs.push([...(await batches(copy, { preparer })), ...(await batches(copy, { preparer, epoch: 2 }))]);
      preparer.close();
    }
    expect(runs[1]).toEqual(runs[0]);
    expect(runs[2]).toEqual(runs[0]);
  });

  test("16-bit and float pixels, too", async () => {
    const pixels = Float32Array.from(noise(6 * 100, 4), (v) => v / 255);
    const open = () =>
      datasetFromArrays({
        path: "float.npz",
        parts: [
          {
            what: "",
            imagesName: "x",
            labelsName: "y",
            images: float32([6, 10, 10], pixels),
            labels: [0, 1, 0, 1, 0, 1],
          },
        ],
        division: "none",
        classes: null,
        groups: null,
        notes: [],
      });
    const run = async (workers: number) => {
      const preparer = openPreparer({ platform: nodePlatform, workers });
      const dataset = await open();
      return [...(await batches(dataset, { preparer })), ...(await batches(dataset, { preparer }))];
    };
    expect(await run(2)).toEqual(await run(0));
  });
});

describe("errors", () => {
  test("a damaged image, from a thread, names the file", async () => {
    const folder = await pictures();
    writeFileSync(join(folder, "7.png"), "no picture");
    const dataset = await openDataset(folder, { platform: nodePlatform });
    for (const workers of [0, 1]) {
      const preparer = openPreparer({ platform: nodePlatform, workers });
      const source = preparer.source(dataset, training, 0);
      await expect(source.batch(Uint32Array.of(1, 7), 0)).rejects.toThrow(
        [
          `${folder}/7.png: is not a readable image`,
          "  expected PNG, JPEG, WebP, TIFF, BMP or GIF",
          "  got      text",
        ].join("\n"),
      );
      expect((await source.batch(Uint32Array.of(1, 2), 0)).shape).toEqual([2, 3, 8, 8]); // it goes on
    }
  });

  test("colour images for a network of grey ones", async () => {
    const dataset = await colour(10);
    expect(() => serial.source(dataset, { ...training, channels: 1 }, 0)).toThrow(
      'noise.npz: is a colour image, and the network takes grey\n  expected 1 channel\n  got      3 channels\n  hint     turn colour into grey with colorToGrey: "luma", or choose a network with three input channels',
    );
  });

  test("workers out of range", () => {
    expect(() => openPreparer({ workers: 65 })).toThrow(
      "workers: is out of range\n  expected a whole number from 0 to 64\n  got      65",
    );
  });

  test("a volume for a network of images", async () => {
    const volumes = await datasetFromArrays({
      path: "v.npz",
      parts: [
        {
          what: "",
          imagesName: "x",
          labelsName: "y",
          images: tensor("uint8", [2, 4, 5, 6], noise(240, 0)),
          labels: [0, 1],
        },
      ],
      division: "none",
      classes: null,
      groups: null,
      notes: [],
    });
    expect(() => serial.source(volumes, training, 0)).toThrow(
      [
        "v.npz: is a volume, and the network takes images",
        "  expected an image of 3 channels",
        "  got      a volume of 4×5×6 voxels",
        "  hint     choose a network for volumes, or give the slices as images",
      ].join("\n"),
    );
  });
});
