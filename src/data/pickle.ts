/** @file The released data set's layout: a pickle of (X, y), lists of folds, X[i] uint8 [n,3,H,W], y[i] labels. */
import { DataError } from "../common/errors.js";
import { formatShape, type Tensor } from "../common/tensor.js";
import { isTensor, type PlainValue, readNumpyPickle } from "../formats/pickle-numpy.js";
import { type ArrayPart, type ArraySource, baseName } from "./arrays.js";
import type { StoredLabels } from "./labels.js";

/** Classes of the released POCUS data, in the order of its labels. */
export const pocusClasses = ["covid19", "pneumonia", "regular"] as const;

const isList = (value: PlainValue | undefined): value is readonly PlainValue[] => Array.isArray(value);

/** What a value is, in a few words and without its content. */
function describe(value: PlainValue | undefined): string {
  if (value === undefined) return "nothing";
  if (value === null) return "None";
  if (isList(value)) return `a list of ${value.length}`;
  if (value instanceof Map) return `a dictionary of ${value.size}`;
  if (value instanceof Set) return `a set of ${value.size}`;
  if (value instanceof Uint8Array) return `${value.length} bytes`;
  if (typeof value === "object") return `an array ${"shape" in value ? formatShape(value.shape) : ""}`.trim();
  return `a ${typeof value}`;
}

/** Labels of one fold: an array, or a list of numbers. */
function labelsOf(value: PlainValue | undefined, where: string): StoredLabels {
  if (value !== undefined && isTensor(value)) return value;
  if (isList(value)) {
    const numbers = value.filter((v): v is number | bigint => typeof v === "number" || typeof v === "bigint");
    if (numbers.length === value.length) return numbers;
  }
  throw new DataError(where, {
    problem: "is not an array of labels",
    expected: "a NumPy array of whole numbers",
    got: describe(value),
  });
}

function imagesOf(value: PlainValue | undefined, where: string): Tensor {
  if (value !== undefined && isTensor(value)) return value;
  throw new DataError(where, {
    problem: "is not an array of images",
    expected: "a NumPy array [n,3,H,W]",
    got: describe(value),
    hint: "stack images of one size with numpy.stack before saving",
  });
}

/** [k, n, …] as k arrays of [n, …]. */
function alongFirstAxis(t: Tensor): Tensor[] {
  const [k = 0, ...rest] = t.shape;
  const length = rest.reduce((n, d) => n * d, 1);
  // subarray keeps dtype and data of one kind; TypeScript cannot follow the union
  return Array.from(
    { length: k },
    (_, i) => ({ ...t, shape: rest, data: t.data.subarray(i * length, (i + 1) * length) }) as Tensor,
  );
}

/** The two halves: of a tuple or list of two, or of a dictionary with the usual keys. */
function halves(value: PlainValue): [PlainValue | undefined, PlainValue | undefined] | null {
  if (isList(value) && value.length === 2) return [value[0], value[1]];
  if (value instanceof Map) {
    for (const [x, y] of [
      ["X", "y"],
      ["x", "y"],
      ["images", "labels"],
      ["data", "labels"],
    ] as const) {
      if (value.has(x) && value.has(y)) return [value.get(x), value.get(y)];
    }
  }
  return null;
}

/**
 * Arrays and labels of a pickle.
 *
 * @param path as the user wrote it; @param member name of the pickle where it lies in a zip, else the path
 * @throws {FileError} not a pickle, truncated, a refused global; @throws {DataError} other content
 */
export function pickleSource(
  bytes: Uint8Array,
  path: string,
  member: string,
  classes: readonly string[] | null,
): ArraySource {
  const value = readNumpyPickle(bytes, path);
  const pair = halves(value);
  if (pair === null) {
    throw new DataError(path, {
      problem: "the pickle does not hold images and labels",
      expected: "(X, y): a list of arrays [n,3,H,W], one for each fold, and a list of labels",
      got: describe(value),
    });
  }
  let [x, y] = pair;
  if (x !== undefined && y !== undefined && isTensor(x) && isTensor(y)) {
    const [k, n] = x.shape;
    if (y.shape.length === 2 && y.shape[0] === k && y.shape[1] === n && y.shape[1] !== 1) {
      x = alongFirstAxis(x); // folds of equal size that NumPy made into one array
      y = alongFirstAxis(y);
    }
  }
  const parts = isList(x) ? foldParts(x, y, path) : [{ what: "", ...pairOf(x, y, path, "") }];
  const released = parts.length > 1 && /pocus/i.test(baseName(path) + baseName(member));
  const known = classes ?? (released && largestLabel(parts) === 2 ? pocusClasses : null);
  const notes =
    classes === null && known !== null ? [`classes are named as in the released POCUS data: ${known.join(", ")}`] : [];
  return { path, parts, division: parts.length > 1 ? "folds" : "none", classes: known, groups: null, notes };
}

const pairOf = (x: PlainValue | undefined, y: PlainValue | undefined, path: string, at: string) => ({
  imagesName: `X${at}`,
  labelsName: `y${at}`,
  images: imagesOf(x, `${path}: X${at}`),
  labels: labelsOf(y, `${path}: y${at}`),
});

function foldParts(x: readonly PlainValue[], y: PlainValue | undefined, path: string): ArrayPart[] {
  const ys = y !== undefined && !isList(y) && isTensor(y) && y.shape.length > 1 ? alongFirstAxis(y) : y;
  if (x.length === 0 || !isList(ys) || ys.length !== x.length) {
    throw new DataError(path, {
      problem: "X and y differ in their number of folds",
      expected: "as many arrays of labels as arrays of images, at least one",
      got: `X is ${describe(x)}, y is ${describe(y)}`,
    });
  }
  return x.map((images, i) => ({ what: `fold ${i + 1}`, ...pairOf(images, ys[i], path, `[${i}]`) }));
}

function largestLabel(parts: readonly ArrayPart[]): number {
  let largest = 0;
  for (const { labels } of parts)
    for (const v of "data" in labels ? labels.data : labels) largest = Math.max(largest, Number(v));
  return largest;
}
