/** @file Labels of DICOM files: the folders that they lie in, or a table keyed by SOPInstanceUID or by path. */
import { DataError } from "../../common/errors.js";
import type { Platform } from "../../platform/types.js";
import { cell, columnOf, type Row, readCsv, type Table } from "../csv.js";
import { foldFolder, type LabelledFile, type LabelledFiles } from "../folder.js";
import { normalizePath, pathColumns } from "../groups.js";
import { partNames } from "../parts.js";
import { labelColumns, tableImages } from "../table.js";
import type { DicomEntry, Looked } from "./_look.js";
import { pseudonym } from "./_pseudonym.js";

export const uidColumns = ["sopinstanceuid", "sop_instance_uid", "instance_uid", "uid"] as const;

/** Labels of all images, or of those that the table names. */
export interface DicomLabels extends LabelledFiles {
  /** Name, inside the folder, of the table that they come from; null for folders. */
  readonly table: string | null;
}

const noLabels = (path: string, got: string): DataError =>
  new DataError(path, {
    problem: "holds no labelled images",
    expected:
      "a folder for each class, train/, val/, test/ with such folders, or a CSV with SOPInstanceUID,label or path,label",
    got,
  });

/** One folder per class, the same inside train/val/test or fold folders. */
export function labelsOfFolders(path: string, entries: readonly DicomEntry[]): DicomLabels {
  const parts = entries.map(({ name }) => name.split("/").slice(0, -1));
  const tops = [...new Set(parts.map(([top]) => top ?? ""))];
  const officialOf = (top: string): string | undefined => partNames[top.toLowerCase()];
  const official = tops.some((t) => officialOf(t) === "train") && tops.every((t) => officialOf(t) !== undefined);
  const folds = !official && tops.length >= 2 && tops.every((t) => foldFolder.test(t));
  const divided = official || folds;
  const files = entries.map(({ path: file, name }, i): LabelledFile => {
    const [top = "", inner = ""] = parts[i] ?? [];
    const className = divided ? inner : top;
    if (className === "") throw noLabels(path, `${name}, which lies in no class's folder`);
    const part = official ? (officialOf(top) ?? null) : folds ? String(Number(foldFolder.exec(top)?.[1])) : null;
    return { path: file, name, className, part, group: null };
  });
  return { files, division: official ? "official" : folds ? "folds" : "none", notes: [], table: null };
}

/** Names of the files that a key may mean: path inside the folder, or the file's own name where it is the only such one. */
function filesByPath(entries: readonly DicomEntry[]): (key: string) => DicomEntry | undefined {
  const byName = new Map<string, DicomEntry | undefined>();
  for (const entry of entries) {
    const short = entry.name.slice(entry.name.lastIndexOf("/") + 1);
    byName.set(short, byName.has(short) ? undefined : entry);
  }
  for (const entry of entries) byName.set(entry.name, entry);
  return (key) => byName.get(normalizePath(key));
}

/** The table with the path of its file in each row's key cell; rows about other files are dropped. */
async function keyed(table: Table, entries: readonly DicomEntry[], salt: string) {
  const uid = columnOf(table, ...uidColumns);
  const column = uid ?? columnOf(table, ...pathColumns);
  if (column === null || columnOf(table, ...labelColumns) === null) {
    throw new DataError(table.name, {
      problem: "has not the columns of a table of DICOM files",
      expected: "SOPInstanceUID,label or path,label, and perhaps split or fold, and group",
      got: table.header.join(","),
    });
  }
  const byUid = new Map(entries.map((entry) => [entry.description.sopInstanceUid, entry]));
  const byPath = filesByPath(entries);
  const rows: Row[] = [];
  for (const row of table.rows) {
    const key = cell(row, column);
    const entry = uid === null ? byPath(key) : byUid.get(await pseudonym("image", key, salt));
    if (entry !== undefined) rows.push({ line: row.line, cells: row.cells.with(column, entry.name) });
  }
  const header = table.header.map((name, i) =>
    i === column ? "path" : pathColumns.some((p) => p === name) ? "" : name,
  );
  return { table: { ...table, header, rows }, dropped: table.rows.length - rows.length };
}

/** Labels of the files that a table names. @throws {DataError} columns missing, rows about no file at all, a file twice */
export async function labelsOfTable(
  path: string,
  { entries, salt }: Pick<Looked, "entries" | "salt">,
  platform: Platform,
): Promise<DicomLabels> {
  const source = await platform.files.open(path);
  let table: Table;
  try {
    table = await readCsv(source, platform);
  } finally {
    await source.close();
  }
  const { table: found, dropped } = await keyed(table, entries, salt);
  if (found.rows.length === 0) {
    throw new DataError(path, {
      problem: "names none of the DICOM files",
      expected: "their SOPInstanceUID, or their paths inside the folder",
      got: `${table.rows.length} rows about other files`,
    });
  }
  const labels = tableImages(found, "");
  const paths = new Map(entries.map((entry) => [entry.name, entry.path]));
  const files = labels.files.map((file) => ({ ...file, path: paths.get(file.name) ?? file.path }));
  const notes = [...labels.notes];
  if (dropped > 0) notes.push(`${dropped} rows of the labels are about files that are not there`);
  const without = entries.length - files.length;
  if (without > 0) notes.push(`${without} of ${entries.length} DICOM images have no label: left out`);
  return { ...labels, files, notes, table: path };
}
