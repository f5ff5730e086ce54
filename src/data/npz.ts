/** @file Images and labels of .npz files: MedMNIST's keys, x and y, Keras' x_train, folds. */
import { DataError } from "../common/errors.js";
import { type Npz, openNpz } from "../formats/npz.js";
import type { ByteSource, Platform } from "../platform/types.js";
import type { ArrayPart, ArraySource } from "./arrays.js";
import { partNames } from "./parts.js";

const roles: Readonly<Record<string, "images" | "labels" | "folds" | "groups">> = {
  images: "images",
  image: "images",
  imgs: "images",
  x: "images",
  data: "images",
  labels: "labels",
  label: "labels",
  y: "labels",
  targets: "labels",
  target: "labels",
  fold: "folds",
  folds: "folds",
  group: "groups",
  groups: "groups",
  patient: "groups",
  patients: "groups",
};

interface Key {
  readonly role: "images" | "labels" | "folds" | "groups";
  /** "train", "validation", "test", a fold's number, or "" . */
  readonly part: string;
}

/** "val_labels" is the labels of the validation part; "fold3_x" and "x_3" the images of fold 3; null for other names. */
function understand(name: string): Key | null {
  const words = name
    .toLowerCase()
    .split(/[^a-z0-9]+|(?<=[a-z])(?=\d)|(?<=\d)(?=[a-z])/)
    .filter((w) => w !== "");
  if (words.length === 1) {
    const role = roles[words[0] ?? ""];
    return role === undefined ? null : { role, part: "" };
  }
  const numbers = words.filter((w) => /^\d+$/.test(w));
  const rest = words.filter((w) => !/^\d+$/.test(w) && !(w === "fold" && numbers.length === 1));
  const found = rest.map((w) => roles[w]).filter((r) => r !== undefined);
  const parts = rest.map((w) => partNames[w]).filter((p) => p !== undefined);
  const [role] = found;
  if (role === undefined || found.length !== 1 || found.length + parts.length !== rest.length) return null;
  if (parts.length === 1 && numbers.length === 0) return { role, part: parts[0] ?? "" };
  if (parts.length === 0 && numbers.length === 1) return { role, part: String(Number(numbers[0])) };
  return null;
}

/** Which arrays belong together. @throws {DataError} no images and labels among the names, one without the other */
function planOf(npz: Npz): {
  parts: { part: string; images: string; labels: string }[];
  folds?: string;
  groups?: string;
  ignored: string[];
} {
  const byPart = new Map<string, { images?: string; labels?: string }>();
  const alone: { folds?: string; groups?: string } = {};
  const ignored: string[] = [];
  for (const name of npz.names) {
    const key = understand(name);
    if (key === null) ignored.push(name);
    else if (key.role === "folds" || key.role === "groups") {
      if (key.part === "") alone[key.role] = name;
      else ignored.push(name);
    } else {
      const part = byPart.get(key.part) ?? {};
      const before = part[key.role];
      if (before !== undefined) {
        throw new DataError(npz.name, { problem: `two arrays could be the ${key.role}`, got: `${before} and ${name}` });
      }
      part[key.role] = name;
      byPart.set(key.part, part);
    }
  }
  const parts = [...byPart].flatMap(([part, { images, labels }]) => {
    if (images !== undefined && labels !== undefined) return [{ part, images, labels }];
    if (images !== undefined && part !== "") {
      throw new DataError(npz.name, { problem: `"${images}" has no labels beside it`, got: npz.names.join(", ") });
    }
    ignored.push(...[images, labels].filter((n) => n !== undefined));
    return [];
  });
  if (parts.length === 0) {
    throw new DataError(npz.name, {
      problem: "no images and labels among the arrays",
      expected: "train_images and train_labels (also val_ and test_), or x and y, or images and labels",
      got: npz.names.length === 0 ? "no arrays" : npz.names.join(", "),
    });
  }
  return { parts, ...alone, ignored };
}

/** @throws {FileError} damaged; @throws {DataError} names or shapes that do not make a data set */
export async function npzSource(
  source: ByteSource,
  platform: Pick<Platform, "inflate">,
  classes: readonly string[] | null,
): Promise<ArraySource> {
  const npz = await openNpz(source, platform);
  const plan = planOf(npz);
  const order = ["train", "validation", "test"] as const;
  const official = plan.parts.filter((p) => order.some((o) => o === p.part));
  const folds = plan.parts.filter((p) => /^\d+$/.test(p.part)).sort((a, b) => Number(a.part) - Number(b.part));
  const single = plan.parts.filter((p) => p.part === "");
  const chosen = official.length > 0 ? official : folds.length > 0 ? folds : single;
  if (chosen.length !== plan.parts.length) {
    throw new DataError(npz.name, {
      problem: "the arrays are divided in two ways at once",
      expected: "train, val and test, or folds, or one pair of images and labels",
      got: plan.parts.map((p) => p.images).join(", "),
    });
  }
  const sorted = official.length > 0 ? order.flatMap((o) => chosen.filter((p) => p.part === o)) : chosen;
  const parts: ArrayPart[] = [];
  for (const [i, { part, images, labels }] of sorted.entries()) {
    const what = official.length > 0 ? part : folds.length > 1 ? `fold ${i + 1}` : "";
    // Labels are small: read first, so that a wrong file is refused before its images take memory.
    const values = await npz.read(labels);
    parts.push({ what, imagesName: images, labelsName: labels, images: await npz.read(images), labels: values });
  }
  const foldOf =
    plan.folds === undefined || chosen !== single ? null : { name: plan.folds, values: await npz.read(plan.folds) };
  const groups = plan.groups === undefined || chosen !== single ? null : await npz.read(plan.groups);
  if (groups !== null && groups.data.length !== (parts[0]?.images.shape[0] ?? 0)) {
    throw new DataError(`${npz.name}: ${plan.groups}`, {
      problem: "numbers of images and groups differ",
      expected: `${parts[0]?.images.shape[0]} groups, one for each image`,
      got: `${groups.data.length} groups`,
    });
  }
  return {
    path: source.name,
    parts,
    division:
      official.length > 0 ? sorted.map((p) => p.part as (typeof order)[number]) : folds.length > 1 ? "folds" : "none", // official parts are of `order`
    classes,
    groups: groups === null ? null : Array.from(groups.data, String),
    ...(foldOf === null ? {} : { foldOf }),
    notes: plan.ignored.length === 0 ? [] : [`arrays that are not used: ${plan.ignored.join(", ")}`],
  };
}
