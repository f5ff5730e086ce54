/** @file Tests of synthetic.ts: reproducible, of two kinds of machine, patients on one side only. */
import { describe, expect, test } from "vitest";
import { scanners, syntheticClasses, syntheticDataset, syntheticUltrasound } from "./synthetic.js";

const options = { seed: 3, size: 24, patients: 2, frames: 2, part: "train" } as const;
const mean = (pixels: Uint8Array) => pixels.reduce((sum, p) => sum + p, 0) / pixels.length;

describe("pictures", () => {
  const a = syntheticUltrasound({ ...options, scanner: scanners.a });
  const b = syntheticUltrasound({ ...options, scanner: scanners.b });

  test("patients of every class in turn, each with its frames", () => {
    expect(a.images.shape).toEqual([12, 24, 24]);
    expect(a.labels).toEqual([0, 0, 1, 1, 2, 2, 0, 0, 1, 1, 2, 2]);
    expect(a.groups.slice(0, 4)).toEqual(["train 1", "train 1", "train 2", "train 2"]);
  });

  test("the same seed gives the same pictures, another seed others", () => {
    expect(syntheticUltrasound({ ...options, scanner: scanners.a }).images).toEqual(a.images);
    expect(syntheticUltrasound({ ...options, seed: 4, scanner: scanners.a }).images).not.toEqual(a.images);
  });

  test("frames of one patient differ, and are more alike than those of two patients of the class", () => {
    const frame = (n: number) => a.images.data.subarray(n * 576, (n + 1) * 576);
    const distance = (m: number, n: number) => frame(m).reduce((sum, p, i) => sum + (p - (frame(n)[i] ?? 0)) ** 2, 0);
    expect(distance(0, 1)).toBeGreaterThan(0);
    for (const first of [0, 2, 4]) expect(distance(first, first + 1)).toBeLessThan(distance(first, first + 6));
  });

  test("the sector is bright on a black ground, brighter with scanner B", () => {
    for (const { images } of [a, b]) {
      for (const corner of [0, 23, 576 - 24, 575]) expect(images.data[corner]).toBe(0);
      expect(mean(images.data)).toBeGreaterThan(15);
    }
    expect(mean(b.images.data)).toBeGreaterThan(mean(a.images.data));
  });
});

test("as a data set: official parts, no patient in two of them", async () => {
  const part = { patients: 2, frames: 2 };
  const dataset = await syntheticDataset({
    seed: 1,
    size: 16,
    scanner: scanners.b,
    train: part,
    validation: part,
    test: part,
  });
  expect(dataset.classes).toEqual(syntheticClasses);
  expect(dataset.imageShape).toMatchObject({ channels: 1, height: 16, width: 16, type: "uint8" });
  const { division, groups } = dataset;
  if (division.kind !== "official") throw new Error("it has official parts");
  const patients = [division.train, division.validation, division.test].map(
    (p) => new Set(Array.from(p ?? [], (i) => groups?.[i])),
  );
  expect(patients.map((p) => p.size)).toEqual([6, 6, 6]);
  expect(new Set(patients.flatMap((p) => [...p])).size).toBe(18);
});
