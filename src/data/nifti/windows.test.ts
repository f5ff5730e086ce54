import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { messageOf } from "../../formats/messages.testing.js";
import type { Volume } from "./pairs.js";
import { cutVolume, type Size3 } from "./patches.js";
import { gaussianWeights, slidingWindows, startStitching, stitched, stitchInto } from "./windows.js";

describe("sliding windows", () => {
  test.each([
    [10, 4, 0.5, [0, 2, 4, 6]],
    [10, 4, 0, [0, 3, 6]],
    [9, 4, 0.5, [0, 2, 3, 5]],
    [4, 4, 0.5, [0]],
    [3, 4, 0.5, [0]],
    [2, 5, 0.5, [-1]],
  ])("along %i with windows of %i and overlap %d", (length, size, overlap, expected) => {
    expect(slidingWindows([1, 1, length], [1, 1, size], overlap).map(([, , x]) => x)).toEqual(expected);
  });

  test("an overlap of 1 would never end", async () => {
    expect(await messageOf(() => slidingWindows([4, 4, 4], [2, 2, 2], 1))).toBe(
      `sliding windows: make no sense
  expected lengths from 1 and an overlap of at least 0 and below 1
  got      [4,4,4], windows of [2,2,2], overlap 1`,
    );
  });
});

describe("Gaussian weights", () => {
  test("are 1 in the middle, fall to all sides alike, and are never 0", () => {
    const weights = gaussianWeights([1, 1, 5]);
    expect(weights[2]).toBe(1);
    expect(weights[0]).toBe(weights[4]);
    expect(weights[1]).toBeCloseTo(Math.exp(-0.5 * (1 / 0.625) ** 2), 6);
    expect(gaussianWeights([64, 64, 64], 0.02).every((w) => w > 0)).toBe(true);
  });
});

test("cutting a volume into windows and stitching them gives the volume back", () => {
  const length = fc.integer({ min: 1, max: 7 });
  const size = fc.tuple(length, length, length);
  fc.assert(
    fc.property(size, size, fc.double({ min: 0, max: 0.9, noNaN: true }), (shape: Size3, window: Size3, overlap) => {
      const [depth, height, width] = shape;
      const data = Float32Array.from({ length: 2 * depth * height * width }, (_, i) => (i * 37) % 101);
      const volume: Volume = { channels: 2, depth, height, width, data };
      const weights = gaussianWeights(window);
      const stitching = startStitching(2, shape);
      for (const start of slidingWindows(shape, window, overlap)) {
        stitchInto(stitching, cutVolume(volume, start, window), start, window, weights);
      }
      expect(stitching.weights.every((w) => w > 0)).toBe(true);
      const result = stitched(stitching);
      for (const [i, v] of data.entries()) expect(Math.abs((result[i] ?? Number.NaN) - v)).toBeLessThan(1e-4); // float32 sums
    }),
    { seed: 3, numRuns: 200 },
  );
});

test("a result of another length is refused", async () => {
  const stitching = startStitching(3, [2, 2, 2]);
  expect(
    await messageOf(() => stitchInto(stitching, new Float32Array(8), [0, 0, 0], [2, 2, 2], new Float32Array(8))),
  ).toBe("stitchInto: result and weights do not fill the window\n  expected 24 and 8 elements\n  got      8 and 8");
});
