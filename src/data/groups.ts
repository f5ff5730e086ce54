/** @file Groups (patient, video, examination) of images from a table beside the data. */
import { DataError } from "../common/errors.js";
import type { ByteSource, Platform } from "../platform/types.js";
import { cell, columnOf, type Row, readCsv, type Table, wholeNumber } from "./csv.js";
import type { Dataset } from "./types.js";

export const groupColumns = ["group", "patient", "patient_id", "examination", "video"] as const;
export const pathColumns = ["path", "file", "filename", "image", "image_path"] as const;

/**
 * The same data set with a group for every image. The table has the column "group" and says which image a row is about by
 * fold,index (fold counted from 0 as in the file, or from 1), by split,index (train, val, test), by index alone, or by path.
 * Where it has a column "class" with the data's class names, these have to agree with the labels.
 *
 * @param source CSV, also gzipped
 * @throws {DataError} columns missing, an image without a row or with two, a row about no image
 */
export async function withGroups(
  dataset: Dataset,
  source: ByteSource,
  platform: Pick<Platform, "inflate">,
): Promise<Dataset> {
  const table = await readCsv(source, platform);
  const group = columnOf(table, ...groupColumns);
  if (group === null) throw missingColumns(table);
  const find = finder(dataset, table);
  const classColumn = columnOf(table, "class", "label");
  const checkable = classColumn !== null && table.rows.every((row) => dataset.classes.includes(cell(row, classColumn)));
  const groups = new Array<string | undefined>(dataset.count).fill(undefined);
  for (const row of table.rows) {
    const where = `${table.name} line ${row.line}`;
    const index = find(row);
    if (index === null) {
      throw new DataError(where, {
        problem: "is about an image that the data do not have",
        hint: "use the table that belongs to these data",
      });
    }
    if (groups[index] !== undefined)
      throw new DataError(where, {
        problem: "is about an image that an earlier line already named",
        got: dataset.imageName(index),
      });
    if (cell(row, group) === "") throw new DataError(where, { problem: "has no group" });
    const label = dataset.classes[dataset.labels[index] ?? 0] ?? "";
    if (checkable && cell(row, classColumn) !== label) {
      throw new DataError(where, {
        problem: "has another class than the data",
        expected: `${label} (${dataset.imageName(index)})`,
        got: cell(row, classColumn),
        hint: "use the table that belongs to these data",
      });
    }
    groups[index] = cell(row, group);
  }
  const known = groups.filter((g) => g !== undefined);
  if (known.length !== dataset.count) {
    throw new DataError(table.name, {
      problem: "does not name every image",
      expected: `${dataset.count} images`,
      got: `${known.length}; the first without a group is ${dataset.imageName(groups.indexOf(undefined))}`,
    });
  }
  return { ...dataset, groups: known };
}

/**
 * The same data set with the groups that a function gives.
 * @param groupOf an image's group by its number and name
 * @throws {DataError} a group that is no text, or empty
 */
export function groupedBy(dataset: Dataset, groupOf: (index: number, name: string) => string): Dataset {
  const groups = Array.from({ length: dataset.count }, (_, i) => {
    const group: unknown = groupOf(i, dataset.imageName(i)); // JavaScript may give anything
    if (typeof group === "string" && group !== "") return group;
    throw new DataError(dataset.name, {
      problem: `the function gave no group for image ${i}`,
      expected: "a text that is not empty",
      got: typeof group === "string" ? "an empty one" : typeof group,
    });
  });
  return { ...dataset, groups };
}

const missingColumns = (table: Table): DataError =>
  new DataError(table.name, {
    problem: "has not the columns of a groups table",
    expected: "fold,index,group, or split,index,group, or index,group, or path,group",
    got: table.header.join(","),
  });

/** Which image a row is about. */
function finder(dataset: Dataset, table: Table): (row: Row) => number | null {
  const index = columnOf(table, "index");
  const fold = columnOf(table, "fold");
  const split = columnOf(table, "split");
  const path = columnOf(table, ...pathColumns);
  const { division } = dataset;
  if (index !== null && fold !== null && division.kind === "folds") {
    const numbers = table.rows.map((row) => wholeNumber(table, row, fold));
    const { folds } = division;
    // Numbers 1 … k are folds counted from 1; anything else has to be 0 … k − 1.
    const base = numbers.includes(folds.length) && !numbers.includes(0) ? 1 : 0;
    return (row) => folds[wholeNumber(table, row, fold) - base]?.[wholeNumber(table, row, index)] ?? null;
  }
  if (index !== null && split !== null && division.kind === "official") {
    const parts = new Map([
      ["train", division.train],
      ["val", division.validation],
      ["validation", division.validation],
      ["test", division.test],
    ]);
    return (row) => parts.get(cell(row, split).toLowerCase())?.[wholeNumber(table, row, index)] ?? null;
  }
  if (path !== null) {
    const byName = new Map(Array.from({ length: dataset.count }, (_, i) => [dataset.imageName(i), i]));
    return (row) => byName.get(normalizePath(cell(row, path))) ?? null;
  }
  if (index !== null && fold === null && split === null) {
    return (row) => (wholeNumber(table, row, index) < dataset.count ? wholeNumber(table, row, index) : null);
  }
  throw missingColumns(table);
}

/** "./a\b.png" and "a/b.png" are the same image. */
export const normalizePath = (path: string): string => path.replaceAll("\\", "/").replace(/^(\.\/)+/, "");
