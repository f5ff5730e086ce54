import { expect, test } from "vitest";
import { float32, tensor } from "../common/tensor.js";
import { type ArrayPart, datasetFromArrays } from "./arrays.js";
import { channelStatistics } from "./statistics.js";

const open = (images: ArrayPart["images"]) =>
  datasetFromArrays({
    path: "d",
    parts: [{ what: "", imagesName: "x", labelsName: "y", images, labels: [0, 1] }],
    division: "none",
    classes: null,
    groups: null,
    notes: [],
  });

test("mean and standard deviation of each channel over all pixels, in units of 1/255", async () => {
  const d = await open(tensor("uint8", [2, 3, 1, 2], Uint8Array.of(0, 255, 51, 51, 0, 0, 255, 0, 51, 51, 0, 102)));
  const all = await channelStatistics(d, Uint32Array.of(0, 1));
  expect(all.mean[0]).toBeCloseTo(0.5, 12);
  expect(all.std[0]).toBeCloseTo(0.5, 12);
  expect([all.mean[1], all.std[1]]).toEqual([0.2, 1]); // constant: divided by 1
  expect(all.mean[2]).toBeCloseTo(0.1, 12);
  expect(all.std[2]).toBeCloseTo(Math.sqrt(0.03), 12);
  expect((await channelStatistics(d, Uint32Array.of(0))).mean).toEqual([0.5, 0.2, 0]);
});

test("16-bit by 65535, float as it is", async () => {
  const u16 = await open(tensor("uint16", [2, 1, 2], Uint16Array.of(0, 65535, 0, 65535)));
  expect(await channelStatistics(u16, Uint32Array.of(0, 1))).toEqual({ mean: [0.5], std: [0.5] });
  const float = await open(float32([2, 1, 2], [1, 3, 1, 3]));
  expect(await channelStatistics(float, Uint32Array.of(0, 1))).toEqual({ mean: [2], std: [1] });
});
