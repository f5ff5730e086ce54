/** @file Images of another data set for the batches that MetaLR's learning rates are judged by: a few of the place where the model will be used. */
import { DataError } from "../common/errors.js";
import type { Dataset } from "./types.js";

/** Labelled images of another data set, with the classes of the one that is trained on. */
export interface MetaImages {
  /** Its labels are class numbers of the data that are trained on. */
  readonly dataset: Dataset;
  /** Those that are used, ascending: all of an undivided set, and never a part that its file keeps for testing. */
  readonly indices: Uint32Array;
  /** Things worth a line to the reader: images that are left out, a class that is missing. */
  readonly notes: readonly string[];
}

/** Names that only count ("0", "1", …) say nothing. */
const onlyNumbers = (names: readonly string[]): boolean => names.every((name, i) => name === String(i));

/**
 * Makes another data set fit: classes go by name, so that it may lack some or have them in another order; where one of the two has
 * numbers only, both must have equally many. The file's own test part is left out, so that the model can still be tested on it.
 *
 * @param data what is trained on
 * @throws {DataError} the same images, other classes, volumes, no image that may be used
 */
export function metaImages(data: Dataset, from: Dataset): MetaImages {
  if (from.fingerprint === data.fingerprint) {
    throw new DataError(from.name, {
      problem: "holds the very images that are trained on",
      hint: 'give images of another place, or take a part of the training images: --meta-data split (library: metaData: "split")',
    });
  }
  if ((from.imageShape.depth === undefined) !== (data.imageShape.depth === undefined)) {
    const kind = ({ imageShape }: Dataset) => (imageShape.depth === undefined ? "images" : "volumes");
    throw new DataError(from.name, {
      problem: "cannot judge the learning rates: the training data are of another kind",
      expected: kind(data),
      got: kind(from),
    });
  }
  const labels = sameClasses(data, from);
  const { division } = from;
  const own = division.kind === "official" && division.test !== null && division.test.length > 0 ? division : null;
  const indices =
    own === null
      ? Uint32Array.from(from.labels, (_, i) => i)
      : Uint32Array.from([...own.train, ...(own.validation ?? [])]).sort();
  if (indices.length === 0) {
    throw new DataError(from.name, {
      problem: "has only test images, which no choice may see",
      hint: "give labelled images that the model will not be tested on",
    });
  }
  const present = new Set(Array.from(indices, (i) => labels[i]));
  const absent = data.classes.filter((_, c) => !present.has(c));
  const notes = [
    ...(own === null
      ? []
      : [`${from.name}: its ${own.test?.length ?? 0} test images are not used for the learning rates`]),
    ...(absent.length === 0
      ? []
      : [`${from.name}, which judges the learning rates, has no image of ${absent.join(", ")}`]),
  ];
  return { dataset: { ...from, classes: data.classes, labels }, indices, notes };
}

/** Labels as class numbers of `data`. */
function sameClasses(data: Dataset, from: Dataset): Uint32Array {
  const refuse = (): never => {
    throw new DataError(from.name, {
      problem: "has other classes than the data that are trained on",
      expected: data.classes.join(", "),
      got: from.classes.join(", "),
      hint: "name its classes as those of the training data",
    });
  };
  if (onlyNumbers(data.classes) || onlyNumbers(from.classes)) {
    if (data.classes.length !== from.classes.length) refuse();
    return from.labels;
  }
  const numbers = from.classes.map((name) => data.classes.indexOf(name));
  return Uint32Array.from(from.labels, (label) => {
    const number = numbers[label] ?? -1;
    return number >= 0 ? number : refuse();
  });
}
