/** @file Data sets without images, for tests of their division. */
import type { SplitOptions } from "./splits.js";
import type { Dataset, Division } from "./types.js";

export function fake(labels: readonly number[], over: Partial<Dataset> = {}): Dataset {
  return {
    name: "fake",
    count: labels.length,
    classes: Array.from({ length: Math.max(...labels) + 1 }, (_, c) => `class ${c}`),
    labels: Uint32Array.from(labels),
    groups: null,
    division: { kind: "none" },
    imageShape: { channels: 1, height: 1, width: 1 },
    fingerprint: "",
    notes: [],
    imageName: String,
    image: () => Promise.reject(new Error("no images here")),
    close: async () => {},
    ...over,
  };
}

export const indices = (...ranges: [from: number, to: number][]): Uint32Array =>
  Uint32Array.from(ranges.flatMap(([from, to]) => Array.from({ length: to - from }, (_, i) => from + i)));

export const options = (over: Partial<SplitOptions> = {}): SplitOptions => ({
  select: "last",
  metaData: "train",
  seed: 0,
  ...over,
});

/** Five folds of four images, classes 0, 1, 0, 1. */
export const fiveFolds: Division = { kind: "folds", folds: [0, 4, 8, 12, 16].map((from) => indices([from, from + 4])) };
export const twenty = Array.from({ length: 20 }, (_, i) => i % 2);
