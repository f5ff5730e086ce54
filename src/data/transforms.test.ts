import { describe, expect, test } from "vitest";
import { noise, reference, sha256 } from "../../fixtures/transforms/reference.js";
import { Random } from "../common/random.js";
import { centralCrop, randomCrop } from "./crop.js";
import { createTransform, releasedTransforms } from "./transforms.js";
import type { RawImage, TransformSpec } from "./types.js";

const image = (channels: number, height: number, width: number, seed: number): RawImage => ({
  channels,
  height,
  width,
  data: noise(channels * height * width, seed),
});

const plain = (over: Partial<TransformSpec> = {}): TransformSpec => ({
  size: [2, 2],
  channels: 1,
  normalization: { mean: [0], std: [1] },
  augment: null,
  ...over,
});

describe("the released transforms equal torchvision's float32 results, bit for bit", () => {
  test.each(reference.transform)(
    "$channels channels $from, crop $crop, flip $flip",
    ({ channels, from, seed, crop, flip, sha256: wanted }) => {
      const transform = createTransform(crop === null ? releasedTransforms.evaluation : releasedTransforms.train);
      const base = transform.resize(image(channels, ...from, seed), "test");
      const out = new Float32Array(transform.length + 5);
      const rectangle = crop === null ? null : { top: crop[0], left: crop[1], height: crop[2], width: crop[3] };
      transform.finish(base, { crop: rectangle, flip }, out, 5);
      expect(sha256(out.subarray(5))).toBe(wanted);
    },
  );
});

test("colour becomes grey by PIL's luma, when asked for", () => {
  const transform = createTransform(plain({ size: [16, 16], colorToGrey: "luma" }));
  const grey = transform.resize(image(3, 16, 16, reference.luma.seed), "test");
  expect(grey.channels).toBe(1);
  expect(sha256(grey.data)).toBe(reference.luma.sha256);
});

test("16-bit pixels are divided by 65535, float pixels are taken as they are", () => {
  const transform = createTransform(plain({ normalization: { mean: [0.5], std: [0.5] } }));
  const run = (data: Uint16Array | Float32Array) => {
    const out = new Float32Array(4);
    const base = transform.resize({ channels: 1, height: 2, width: 2, data }, "test");
    transform.finish(base, { crop: null, flip: false }, out, 0);
    return [...out];
  };
  expect(run(Uint16Array.of(0, 65535, 0, 65535))).toEqual([-1, 1, -1, 1]);
  expect(run(Float32Array.of(0, 1, 0.5, 2))).toEqual([-1, 1, 0, 3]);
});

test("a flip mirrors 16-bit rows, too", () => {
  const transform = createTransform(plain());
  const out = new Float32Array(4);
  const data = Float32Array.of(1, 2, 3, 4);
  transform.finish(
    transform.resize({ channels: 1, height: 2, width: 2, data }, "t"),
    { crop: null, flip: true },
    out,
    0,
  );
  expect([...out]).toEqual([2, 1, 4, 3]);
});

describe("random resized crop", () => {
  const ranges = { scale: [0.8, 1], ratio: [0.8, 1.25] } as const;

  test("stays inside the image, with area and ratio in their ranges up to rounding", () => {
    for (let i = 0; i < 2000; i++) {
      const crop = randomCrop(64, 64, ranges, new Random(1, i));
      expect(crop.top + crop.height).toBeLessThanOrEqual(64);
      expect(crop.left + crop.width).toBeLessThanOrEqual(64);
      expect((crop.height * crop.width) / 4096).toBeGreaterThan(0.78);
      expect(crop.width / crop.height).toBeGreaterThan(0.79);
      expect(crop.width / crop.height).toBeLessThan(1.27);
    }
  });

  test("the same seed and keys give the same crop", () => {
    const draw = (index: number) => randomCrop(64, 64, ranges, new Random(5, "augment", 3, index));
    expect(draw(17)).toEqual(draw(17));
    expect(draw(17)).not.toEqual(draw(18));
  });

  test("an image too narrow for every try gets torchvision's central crop", () => {
    expect(centralCrop(10, 100, ranges)).toEqual({ top: 0, left: 44, height: 10, width: 12 }); // round(12.5) is 12
    expect(centralCrop(100, 10, ranges)).toEqual({ top: 44, left: 0, height: 12, width: 10 });
    expect(centralCrop(10, 11, ranges)).toEqual({ top: 0, left: 0, height: 10, width: 11 });
    expect(randomCrop(2, 100, ranges, new Random(0))).toEqual(centralCrop(2, 100, ranges));
  });
});

test("without augmentation nothing is drawn", () => {
  expect(createTransform(releasedTransforms.evaluation).draw(new Random(0))).toEqual({ crop: null, flip: false });
});

describe("refusals", () => {
  test("colour for a grey network", () => {
    expect(() => createTransform(plain()).resize(image(3, 4, 4, 0), "frame 3")).toThrow(
      [
        "frame 3: is a colour image, and the network takes grey",
        "  expected 1 channel",
        "  got      3 channels",
        '  hint     turn colour into grey with colorToGrey: "luma", or choose a network with three input channels',
      ].join("\n"),
    );
  });

  test("two channels for a network of three", () => {
    expect(() => createTransform(plain({ channels: 3 })).resize(image(2, 4, 4, 0), "frame 3")).toThrow(
      "frame 3: has channels that the network cannot take\n  expected 1 or 3 channels\n  got      2 channels",
    );
  });

  test("a volume", () => {
    expect(() => createTransform(plain()).resize({ ...image(1, 4, 8, 0), height: 4, width: 4, depth: 2 }, "v")).toThrow(
      [
        "v: is a volume, and the network takes images",
        "  expected an image of 1 channels",
        "  got      a volume of 2×4×4 voxels",
        "  hint     choose a network for volumes, or give the slices as images",
      ].join("\n"),
    );
  });

  test.each([
    [{ size: [0, 4] }, "image size is out of range\n  expected whole numbers from 1 to 65536\n  got      0×4"],
    [{ channels: 1.5 }, "number of channels is out of range\n  expected a whole number from 1\n  got      1.5"],
    [
      { normalization: { mean: [0, 0], std: [1] } },
      "mean of the normalisation\n  expected 1 or 1 values\n  got      2 values",
    ],
    [{ normalization: { mean: [0], std: [0] } }, "std of the normalisation\n  expected numbers above 0\n  got      0"],
    [{ augment: { crop: null, flip: 1.5 } }, "probability of a flip\n  expected 0 to 1\n  got      1.5"],
    [
      { augment: { crop: { scale: [0, 1], ratio: [1, 1] }, flip: 0 } },
      "area share of the crop\n  expected 0 < low ≤ high ≤ 1\n  got      0, 1",
    ],
    [
      { augment: { crop: { scale: [1, 1], ratio: [2, 1] }, flip: 0 } },
      "aspect ratio of the crop\n  expected 0 < low ≤ high\n  got      2, 1",
    ],
  ] satisfies [Partial<TransformSpec>, string][])("%o", (over, message) => {
    expect(() => createTransform(plain(over))).toThrow(`transform: ${message}`);
  });
});
