/** @file Tables of labels and groups: CSV with a header, quoted cells, comma, semicolon or tab; messages name lines, never cells. */
import { DataError } from "../common/errors.js";
import type { ByteSource, Platform } from "../platform/types.js";

export interface Row {
  /** 1 is the header's. */
  readonly line: number;
  readonly cells: readonly string[];
}

export interface Table {
  /** For messages. */
  readonly name: string;
  /** Lower case, trimmed. */
  readonly header: readonly string[];
  readonly rows: readonly Row[];
}

const maxBytes = 256 * 1024 * 1024;

/** Records of a CSV text; a quoted cell may hold delimiters, line ends and doubled quotes (RFC 4180). */
function* records(text: string, delimiter: string, name: string): Generator<Row> {
  let cells: string[] = [];
  let line = 1;
  let started = 1;
  let at = 0;
  while (at < text.length) {
    let cell = "";
    if (text[at] === '"') {
      at++;
      for (;;) {
        const quote = text.indexOf('"', at);
        if (quote < 0) throw new DataError(`${name} line ${started}`, { problem: "a quote is not closed" });
        cell += text.slice(at, quote);
        at = quote + 1;
        if (text[at] !== '"') break;
        cell += '"';
        at++;
      }
      line += cell.split("\n").length - 1;
    }
    let end = at;
    while (end < text.length && text[end] !== delimiter && text[end] !== "\n") end++;
    cells.push((cell + text.slice(at, end)).trim());
    at = end + 1;
    if (end >= text.length || text[end] === "\n") {
      if (cells.length > 1 || cells[0] !== "") yield { line: started, cells };
      cells = [];
      started = ++line;
    } else if (at >= text.length) cells.push(""); // a delimiter at the very end
  }
  if (cells.length > 0) yield { line: started, cells };
}

/** @throws {DataError} a quote that is not closed, rows of another length than the header, no rows */
export function parseCsv(text: string, name: string): Table {
  const clean = text.replace(/^\uFEFF/, "").replace(/\r\n?/g, "\n");
  const firstLine = clean.slice(0, Math.max(0, clean.indexOf("\n")) || clean.length);
  const count = (d: string) => firstLine.split(d).length;
  const delimiter = [",", ";", "\t"].reduce((best, d) => (count(d) > count(best) ? d : best));
  const [first, ...rows] = records(clean, delimiter, name);
  const header = (first?.cells ?? []).map((c) => c.toLowerCase());
  for (const { line, cells } of rows) {
    if (cells.length !== header.length) {
      throw new DataError(`${name} line ${line}`, {
        problem: "has another number of cells than the header",
        expected: `${header.length} cells`,
        got: `${cells.length} cells`,
      });
    }
  }
  if (rows.length === 0) throw new DataError(name, { problem: "has no rows under its header" });
  return { name, header, rows };
}

/** Text of a file, unpacked where it is gzip. */
export async function readCsv(source: ByteSource, platform: Pick<Platform, "inflate">): Promise<Table> {
  if (source.size > maxBytes) {
    throw new DataError(source.name, {
      problem: "is too large for a table",
      expected: `at most ${maxBytes} bytes`,
      got: `${source.size} bytes`,
    });
  }
  let bytes = await source.read(0, source.size);
  if (bytes[0] === 0x1f && bytes[1] === 0x8b) bytes = await platform.inflate(bytes, "gzip", maxBytes, source.name);
  try {
    return parseCsv(new TextDecoder("utf-8", { fatal: true }).decode(bytes), source.name);
  } catch (cause) {
    if (!(cause instanceof TypeError)) throw cause;
    throw new DataError(source.name, { problem: "is not UTF-8 text", hint: "save the table as CSV in UTF-8", cause });
  }
}

/** Position of the first of these columns that the table has; null where it has none of them. */
export function columnOf(table: Pick<Table, "header">, ...names: readonly string[]): number | null {
  for (const name of names) {
    const at = table.header.indexOf(name);
    if (at >= 0) return at;
  }
  return null;
}

/** A cell of a row; columns come from `columnOf`. */
export const cell = (row: Row, column: number): string => row.cells[column] ?? "";

/** A whole number ≥ 0 in a cell. @throws {DataError} naming line and column */
export function wholeNumber(table: Table, row: Row, column: number): number {
  const text = cell(row, column);
  if (!/^\d{1,9}$/.test(text)) {
    throw new DataError(`${table.name} line ${row.line}`, {
      problem: `column "${table.header[column]}" is not a whole number`,
    });
  }
  return Number(text);
}
