import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { Random } from "../../common/random.js";
import { messageOf } from "../../formats/messages.testing.js";
import { zScore } from "./normalize.js";
import type { LabelVolume, Volume } from "./pairs.js";
import { cutLabel, cutVolume, randomPatch, type Size3 } from "./patches.js";

const volumeOf = (channels: number, [depth, height, width]: Size3): Volume => ({
  channels,
  depth,
  height,
  width,
  data: Float32Array.from({ length: channels * depth * height * width }, (_, i) => i + 1),
});
const labelOf = ([depth, height, width]: Size3, at: Readonly<Record<number, number>> = {}): LabelVolume => {
  const data = new Uint8Array(depth * height * width);
  for (const [i, c] of Object.entries(at)) data[Number(i)] = c;
  return { depth, height, width, data };
};

describe("cutting", () => {
  const volume = volumeOf(2, [2, 2, 3]);
  test("inside, of every channel", () => {
    expect([...cutVolume(volume, [1, 0, 1], [1, 2, 2])]).toEqual([8, 9, 11, 12, 20, 21, 23, 24]);
  });
  test("beyond the border there is 0", () => {
    expect([...cutVolume(volumeOf(1, [1, 1, 2]), [0, -1, -1], [1, 2, 4])]).toEqual([0, 0, 0, 0, 0, 1, 2, 0]);
    expect([...cutLabel(labelOf([1, 1, 2], { 0: 3, 1: 4 }), [0, 0, 1], [1, 1, 3])]).toEqual([4, 0, 0]);
    expect([...cutVolume(volume, [5, 0, 0], [1, 1, 1])]).toEqual([0, 0]);
  });
});

describe("random patches", () => {
  const volume = volumeOf(1, [8, 9, 10]);
  const label = labelOf([8, 9, 10], { 0: 1, 719: 2 });

  test("the same random numbers, the same patch; image and label from the same place", () => {
    const draw = (key: number) => randomPatch(volume, label, [3, 4, 5], new Random(7, key));
    expect(draw(1)).toEqual(draw(1));
    expect(new Set([0, 1, 2, 3, 4, 5].map((key) => draw(key).start.join())).size).toBeGreaterThan(1);
    const { image, label: classes, start } = draw(3);
    expect(image[0]).toBe(1 + (start[0] * 9 + start[1]) * 10 + start[2]);
    expect(classes).toEqual(cutLabel(label, start, [3, 4, 5]));
  });

  test("every place inside can be drawn, none beyond", () => {
    const seen = new Set<string>();
    for (let key = 0; key < 400; key++)
      seen.add(randomPatch(volume, label, [7, 8, 8], new Random(1, key)).start.join());
    expect([...seen].sort()).toEqual(
      [0, 1].flatMap((z) => [0, 1].flatMap((y) => [0, 1, 2].map((x) => [z, y, x].join()))).sort(),
    );
  });

  test("with foreground 1 every patch has some, each class as often as the other", () => {
    const counts = [0, 0, 0];
    for (let key = 0; key < 400; key++) {
      const patch = randomPatch(volume, label, [3, 3, 3], new Random(2, key), { foreground: 1 });
      const [found = 0] = patch.label.filter((c) => c > 0);
      counts[found] = (counts[found] ?? 0) + 1;
    }
    expect(counts[0]).toBe(0);
    expect(Math.abs((counts[1] ?? 0) - 200)).toBeLessThan(40);
  });

  test("a label without foreground, and a patch larger than the volume", () => {
    const patch = randomPatch(volumeOf(1, [1, 1, 2]), labelOf([1, 1, 2]), [1, 1, 5], new Random(3), { foreground: 1 });
    expect(patch).toEqual({ image: Float32Array.of(0, 1, 2, 0, 0), label: new Uint8Array(5), start: [0, 0, -1] });
  });

  test("shapes that differ, sizes that make no sense", async () => {
    expect(await messageOf(() => randomPatch(volume, labelOf([8, 9, 9]), [1, 1, 1], new Random(0)))).toBe(
      "randomPatch: image and label differ in shape\n  expected [8,9,10]\n  got      [8,9,9]",
    );
    expect(await messageOf(() => randomPatch(volume, label, [0, 1, 1], new Random(0)))).toBe(
      "patch size: makes no sense\n  expected three whole numbers from 1\n  got      0,1,1",
    );
  });

  test("patches always fit, whatever the sizes", () => {
    const size = fc.tuple(
      fc.integer({ min: 1, max: 6 }),
      fc.integer({ min: 1, max: 6 }),
      fc.integer({ min: 1, max: 6 }),
    );
    fc.assert(
      fc.property(size, size, fc.nat(), (shape, patch, seed) => {
        const result = randomPatch(volumeOf(1, shape), labelOf(shape, { 0: 1 }), patch, new Random(seed), {
          foreground: 0.5,
        });
        for (const axis of [0, 1, 2] as const) {
          if (patch[axis] <= shape[axis]) {
            expect(result.start[axis]).toBeGreaterThanOrEqual(0);
            expect(result.start[axis] + patch[axis]).toBeLessThanOrEqual(shape[axis]);
          } else expect(result.start[axis]).toBeLessThanOrEqual(0);
        }
        const covered = [0, 1, 2].reduce((n, i) => n * Math.min(shape[i] ?? 0, patch[i] ?? 0), 1);
        expect(result.image.filter((v) => v > 0)).toHaveLength(covered);
      }),
      { seed: 1, numRuns: 300 },
    );
  });
});

describe("z-score", () => {
  const of = (...values: number[]): Volume => ({
    channels: 1,
    depth: 1,
    height: 1,
    width: values.length,
    data: Float32Array.from(values),
  });
  test("mean 0 and deviation 1, of each channel by itself", () => {
    expect([...zScore(of(1, 3)).data]).toEqual([-1, 1]);
    const two = { ...of(1, 3, 100, 300), channels: 2, width: 2 };
    expect([...zScore(two).data]).toEqual([-1, 1, -1, 1]);
  });
  test("a volume of one value becomes 0", () => expect([...zScore(of(5, 5, 5)).data]).toEqual([0, 0, 0]));
  test("rare values are clipped first", () => {
    // Percentiles 25 and 75 of 0, 1, 2, 3, 1000 are 1 and 3: 1, 1, 2, 3, 3 has mean 2 and variance 0.8
    const expected = [-1, -1, 0, 1, 1].map((v) => Math.fround(v / Math.sqrt(0.8)));
    expect([...zScore(of(0, 1, 2, 3, 1000), { percentiles: [25, 75] }).data]).toEqual(expected);
  });
  test("with nonzero the background stays 0 and does not count", () => {
    expect([...zScore(of(0, 0, 0, 1, 3), { nonzero: true }).data]).toEqual([0, 0, 0, -1, 1]);
  });
  test("percentiles out of order", async () => {
    expect(await messageOf(() => zScore(of(1), { percentiles: [50, 50] }))).toBe(
      "percentiles: are out of order\n  expected 0 ≤ low < high ≤ 100\n  got      50, 50",
    );
  });
});
