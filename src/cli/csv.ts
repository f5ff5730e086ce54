/** @file Lines of CSV, quoted as RFC 4180 says. */

/** Quotes a cell that holds a comma, a quote or a line break; quotes inside are doubled. */
const csvCell = (text: string): string => (/[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text);

/** One line without its line break. */
export const csvLine = (cells: readonly string[]): string => cells.map(csvCell).join(",");
