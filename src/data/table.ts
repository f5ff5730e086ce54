/** @file Labels in a CSV: path,label and, where it has them, split or fold and group. */
import { DataError } from "../common/errors.js";
import { cell, columnOf, type Table } from "./csv.js";
import type { LabelledFile, LabelledFiles } from "./folder.js";
import { groupColumns, normalizePath, pathColumns } from "./groups.js";
import { partNames } from "./parts.js";
import { join } from "./walk.js";

export const labelColumns = ["label", "class", "category", "diagnosis"] as const;

/**
 * The images of a table; relative paths count from `folder`, the table's own.
 *
 * @throws {DataError} columns missing, empty cells, a path twice, unknown split names; lines are named, cells are not
 */
export function tableImages(table: Table, folder: string): LabelledFiles {
  const path = columnOf(table, ...pathColumns);
  const label = columnOf(table, ...labelColumns);
  const split = columnOf(table, "split", "set", "subset");
  const fold = columnOf(table, "fold");
  const group = columnOf(table, ...groupColumns);
  if (path === null || label === null) {
    throw new DataError(table.name, {
      problem: "has not the columns of a table of images",
      expected: "path,label, and perhaps split or fold, and group",
      got: table.header.join(","),
    });
  }
  if (split !== null && fold !== null) {
    throw new DataError(table.name, {
      problem: "divides the images in two ways at once",
      expected: "a column split or a column fold",
      got: "both",
    });
  }
  const seen = new Map<string, number>();
  const files = table.rows.map((row): LabelledFile => {
    const where = `${table.name} line ${row.line}`;
    const need = (column: number): string => {
      if (cell(row, column) === "")
        throw new DataError(where, { problem: `column "${table.header[column]}" is empty` });
      return cell(row, column);
    };
    const name = normalizePath(need(path));
    const before = seen.get(name);
    if (before !== undefined) throw new DataError(where, { problem: `names the same image as line ${before}` });
    seen.set(name, row.line);
    let part: string | null = null;
    if (fold !== null) part = need(fold);
    else if (split !== null) {
      part = partNames[need(split).toLowerCase()] ?? null;
      if (part === null)
        throw new DataError(where, {
          problem: `column "${table.header[split]}" has an unknown name`,
          expected: "train, val or test",
        });
    }
    const absolute = /^(\/|[A-Za-z]:\/)/.test(name);
    return {
      path: absolute ? name : join(folder, name),
      name,
      className: need(label),
      part,
      group: group === null ? null : need(group),
    };
  });
  const folds = new Set(files.map((f) => f.part)).size;
  const division = split !== null ? "official" : fold !== null && folds > 1 ? "folds" : "none";
  return { files, division, notes: [] };
}
