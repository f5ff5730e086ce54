/** @file Labels from files as class numbers: whole, inside the classes, one per image, more than one class. */
import { DataError } from "../common/errors.js";
import { formatShape, type Tensor } from "../common/tensor.js";

/** Labels as files hold them: an array, or a list of plain numbers. */
export type StoredLabels = Pick<Tensor, "shape" | "data"> | readonly (number | bigint)[];

/**
 * One class number per image.
 *
 * @param where file and array, for messages: "data.npz: val_labels"
 * @param images how many there must be
 * @throws {DataError} several labels per image, another count, a label that is negative or not whole
 */
export function readLabels(labels: StoredLabels, images: number, where: string): Uint32Array {
  const [shape, data] = "data" in labels ? [labels.shape, labels.data] : [[labels.length], labels];
  const columns = shape.slice(1).reduce((n, d) => n * d, 1);
  if (shape.length === 0 || (columns !== 1 && (shape[0] ?? 0) > 0)) {
    throw new DataError(where, {
      problem: columns > 1 ? `has ${columns} labels for each image` : "is not a list of labels",
      expected: "one class for each image, [n] or [n,1]",
      got: formatShape(shape),
      hint: "multi-label data are not supported: keep one column, or write each image's class as one number",
    });
  }
  if (data.length !== images) {
    throw new DataError(where, {
      problem: "numbers of images and labels differ",
      expected: `${images} labels, one for each image`,
      got: `${data.length} labels`,
    });
  }
  const out = new Uint32Array(images);
  for (let i = 0; i < images; i++) {
    const label = Number(data[i]);
    if (!Number.isInteger(label) || label < 0 || label > 0xffffffff) {
      throw new DataError(where, {
        problem: "label is not a class number",
        expected: "whole numbers from 0",
        got: `${data[i]} for image ${i}`,
      });
    }
    out[i] = label;
  }
  return out;
}

/**
 * The class names, once every label has been seen: those given, else "0", "1", … up to the largest label.
 *
 * @param nameOf for messages: "fold 2, frame 17"
 * @throws {DataError} a label outside the classes, one class only
 */
export function checkClasses(
  labels: Uint32Array,
  given: readonly string[] | null,
  file: string,
  nameOf: (index: number) => string,
): { classes: readonly string[]; notes: string[] } {
  const limit = given?.length ?? labels.length; // without names: no more classes than images
  const counts: number[] = [];
  for (const [i, label] of labels.entries()) {
    if (label >= limit) {
      throw new DataError(`${file}: ${nameOf(i)}`, {
        problem: "label is outside the classes",
        expected:
          given === null ? `0 to ${limit - 1} (there are ${limit} images)` : `0 to ${limit - 1} (${given.join(", ")})`,
        got: String(label),
      });
    }
    counts[label] = (counts[label] ?? 0) + 1;
  }
  const classes = given ?? Array.from({ length: counts.length }, (_, c) => String(c));
  const present = classes.filter((_, c) => (counts[c] ?? 0) > 0);
  if (present.length < 2) {
    throw new DataError(file, {
      problem: "all images have the same label",
      expected: "at least two classes",
      got: `class "${present[0]}" ${labels.length} times`,
    });
  }
  const absent = classes.filter((_, c) => (counts[c] ?? 0) === 0);
  const notes =
    absent.length === 0
      ? []
      : [`no image has ${absent.length === 1 ? "class" : "one of the classes"} ${absent.join(", ")}`];
  return { classes, notes };
}

/**
 * Class numbers of images whose classes are known by name.
 *
 * @param names in the order of the numbers
 * @throws {DataError} a name that is not among them
 */
export function numberClasses(
  images: readonly { readonly className: string; readonly name: string }[],
  names: readonly string[],
  path: string,
): Uint32Array {
  const numbers = new Map(names.map((name, c) => [name, c]));
  return Uint32Array.from(images, ({ className, name }) => {
    const label = numbers.get(className);
    if (label !== undefined) return label;
    throw new DataError(`${path}: ${name}`, {
      problem: "label is outside the classes",
      expected: names.join(", "),
      got: className,
    });
  });
}
