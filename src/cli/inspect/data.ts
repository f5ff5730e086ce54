/** @file A data set in words: images, classes, and how they are divided. */
import type { Dataset } from "../../data/types.js";
import { formatCount } from "../../records/format.js";
import { type TextStyle, table } from "../../records/text.js";
import type { Inspected } from "./types.js";

export function describeData(path: string, dataset: Dataset, style: TextStyle): Inspected {
  const { count, classes, labels, groups, division, imageShape, fingerprint, notes } = dataset;
  const parts = partsOf(dataset);
  const countsOf = (indices: Iterable<number>): number[] => {
    const counts = classes.map(() => 0);
    for (const i of indices) {
      const label = labels[i] ?? 0; // i is an index into the data set
      counts[label] = (counts[label] ?? 0) + 1;
    }
    return counts;
  };
  const groupsIn = (indices: Iterable<number>): number => new Set(Array.from(indices, (i) => groups?.[i] ?? "")).size;
  const total = countsOf(labels.keys());
  const facts = {
    kind: "data",
    images: count,
    shape: imageShape,
    classes: classes.map((name, c) => ({ name, images: total[c] ?? 0 })),
    division: division.kind,
    parts: parts.map(([name, indices]) => ({
      name,
      images: indices.length,
      classes: countsOf(indices),
      ...(groups && { groups: groupsIn(indices) }),
    })),
    groups: groups === null ? null : new Set(groups).size,
    fingerprint,
    notes,
  };
  const rows = parts.map(([name, indices]) => [
    name,
    ...countsOf(indices).map(formatCount),
    formatCount(indices.length),
    ...(groups === null ? [] : [formatCount(groupsIn(indices))]),
  ]);
  rows.push([
    "all",
    ...total.map(formatCount),
    formatCount(count),
    ...(groups === null ? [] : [formatCount(new Set(groups).size)]),
  ]);
  const text = [
    `${path}: a data set of ${formatCount(count)} ${shapeInWords(imageShape)}, ${classes.length} classes, ${divisionInWords(dataset)}`,
    ...notes.map((note) => `  note: ${note}`),
    `  fingerprint ${fingerprint.slice(0, 16)}`,
    "",
    table(
      [
        { header: "part", align: "left" },
        ...classes.map((header) => ({ header })),
        { header: "images" },
        ...(groups === null ? [] : [{ header: "groups" }]),
      ],
      rows,
      style,
    ),
  ].join("\n");
  return { facts, text };
}

function partsOf({ division }: Pick<Dataset, "division">): [name: string, indices: Uint32Array][] {
  if (division.kind === "folds") return division.folds.map((fold, f) => [`fold ${f + 1}`, fold]);
  if (division.kind === "none") return [];
  const { train, validation, test } = division;
  return [
    ["train", train],
    ...(validation ? [["validation", validation] as [string, Uint32Array]] : []),
    ...(test ? [["test", test] as [string, Uint32Array]] : []),
  ];
}

const divisionInWords = ({ division }: Pick<Dataset, "division">): string =>
  division.kind === "folds"
    ? `${division.folds.length} folds`
    : division.kind === "official"
      ? `with its own parts ${partsOf({ division })
          .map(([name]) => name)
          .join(", ")}`
      : "not divided";

function shapeInWords({ channels, depth, height, width, type }: Dataset["imageShape"]): string {
  const axes = [...(depth === undefined ? [] : [depth]), height, width];
  const size = axes.some((n) => n === null) ? "of several sizes" : `of ${axes.join("×")}`;
  return `${channels === 1 ? "grey" : "colour"} ${depth === undefined ? "images" : "volumes"} ${size}${type === undefined ? "" : `, ${type}`}`;
}
