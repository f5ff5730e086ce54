/** @file Tests of meta.ts: other data sets for MetaLR's validation batches. */
import { expect, test } from "vitest";
import { DataError } from "../common/errors.js";
import { metaImages } from "./meta.js";
import type { Dataset } from "./types.js";

const dataset = (o: Partial<Dataset>): Dataset => ({
  name: "data.npz",
  count: o.labels?.length ?? 0,
  classes: ["benign", "malignant", "normal"],
  labels: Uint32Array.of(0, 1, 2, 0),
  groups: null,
  division: { kind: "none" },
  imageShape: { channels: 1, height: 8, width: 8 },
  fingerprint: "one",
  notes: [],
  imageName: String,
  image: async () => ({ channels: 1, height: 1, width: 1, data: new Uint8Array(1) }),
  close: async () => {},
  ...o,
});
const data = dataset({});
const site = (o: Partial<Dataset>) => dataset({ name: "site/", fingerprint: "two", ...o });
const messageOf = (f: () => unknown): string => {
  try {
    f();
  } catch (error) {
    if (error instanceof DataError) return error.message;
    throw error;
  }
  return "no error";
};

test("classes go by name: another order, and one that is missing and is told", () => {
  const {
    dataset: fitted,
    indices,
    notes,
  } = metaImages(data, site({ classes: ["malignant", "benign"], labels: Uint32Array.of(0, 1, 1) }));
  expect([...fitted.labels]).toEqual([1, 0, 0]);
  expect(fitted.classes).toEqual(data.classes);
  expect([...indices]).toEqual([0, 1, 2]);
  expect(notes).toEqual(["site/, which judges the learning rates, has no image of normal"]);
});

test("numbers agree with any names, as many as there are", () => {
  const from = site({ classes: ["0", "1", "2"], labels: Uint32Array.of(2, 1, 0) });
  expect([...metaImages(data, from).dataset.labels]).toEqual([2, 1, 0]);
  expect(messageOf(() => metaImages(data, site({ classes: ["0", "1"], labels: Uint32Array.of(1, 0) })))).toBe(
    "site/: has other classes than the data that are trained on\n  expected benign, malignant, normal\n  got      0, 1\n  hint     name its classes as those of the training data",
  );
});

test("its own test part stays unseen", () => {
  const of = (...i: number[]) => Uint32Array.from(i);
  const from = site({
    labels: of(0, 1, 2, 0, 1, 2),
    division: { kind: "official", train: of(3, 4), validation: of(1), test: of(0, 2, 5) },
  });
  const { indices, notes } = metaImages(data, from);
  expect([...indices]).toEqual([1, 3, 4]);
  expect(notes).toEqual([
    "site/: its 3 test images are not used for the learning rates",
    "site/, which judges the learning rates, has no image of normal",
  ]);
  const onlyTest = site({ division: { kind: "official", train: of(), validation: null, test: of(0, 1, 2, 3) } });
  expect(messageOf(() => metaImages(data, onlyTest))).toBe(
    "site/: has only test images, which no choice may see\n  hint     give labelled images that the model will not be tested on",
  );
});

test("the very images that are trained on, other classes and volumes are refused", () => {
  expect(messageOf(() => metaImages(data, site({ fingerprint: "one" })))).toMatch(
    /^site\/: holds the very images that are trained on\n {2}hint/,
  );
  expect(messageOf(() => metaImages(data, site({ classes: ["benign", "cyst", "normal"] })))).toBe(
    "site/: has other classes than the data that are trained on\n  expected benign, malignant, normal\n  got      benign, cyst, normal\n  hint     name its classes as those of the training data",
  );
  const volumes = site({ imageShape: { channels: 1, depth: 8, height: 8, width: 8 } });
  expect(messageOf(() => metaImages(data, volumes))).toBe(
    "site/: cannot judge the learning rates: the training data are of another kind\n  expected images\n  got      volumes",
  );
});
