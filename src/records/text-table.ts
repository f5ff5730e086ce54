/** @file Tables for a terminal: columns as wide as their widest cell. */

/** How words are set off; the default leaves them as they are. */
export interface TextStyle {
  readonly bold?: (text: string) => string;
  readonly dim?: (text: string) => string;
  readonly warn?: (text: string) => string;
}

const same = (text: string): string => text;

/** Cells that a terminal gives a text: two for East Asian and emoji characters, none for combining marks. */
export function displayWidth(text: string): number {
  let width = 0;
  for (const character of text) {
    if (/\p{M}|\p{Cf}/u.test(character)) continue;
    width +=
      /[\u1100-\u115f\u2e80-\ua4cf\uac00-\ud7a3\uf900-\ufaff\ufe30-\ufe6f\uff00-\uff60\uffe0-\uffe6]|\p{Extended_Pictographic}/u.test(
        character,
      )
        ? 2
        : 1;
  }
  return width;
}

export interface Column {
  readonly header: string;
  /** Default "right": numbers. */
  readonly align?: "left" | "right";
}

/** Columns as wide as their widest cell, two spaces between; lines have no trailing spaces and are joined by line breaks. */
export function table(columns: readonly Column[], rows: readonly (readonly string[])[], style: TextStyle = {}): string {
  const { bold = same } = style;
  const widths = columns.map(({ header }, c) =>
    Math.max(displayWidth(header), ...rows.map((row) => displayWidth(row[c] ?? ""))),
  );
  const lineOf = (cells: readonly string[], emphasise: (text: string) => string) =>
    columns
      .map(({ align = "right" }, c) => {
        const cell = cells[c] ?? "";
        const space = " ".repeat(Math.max(0, widths[c]! - displayWidth(cell))); // one width a column
        return align === "left" ? emphasise(cell) + space : space + emphasise(cell);
      })
      .join("  ")
      .trimEnd();
  return [
    lineOf(
      columns.map((c) => c.header),
      bold,
    ),
    ...rows.map((row) => lineOf(row, same)),
  ].join("\n");
}
