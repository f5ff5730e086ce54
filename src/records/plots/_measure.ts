/** @file Widths of text in DejaVu Sans, so that a picture can be laid out without a browser. */

/** Advance widths of U+0020 … U+007E in thousandths of the font size, as the font's hmtx table has them. */
// biome-ignore format: a table
const widths = [
  318, 401, 460, 838, 636, 950, 780, 275, 390, 390, 500, 838, 318, 361, 318, 337, 636, 636, 636, 636, 636, 636, 636, 636, 636, 636,
  337, 337, 838, 838, 838, 531, 1000, 684, 686, 698, 770, 632, 575, 775, 752, 295, 295, 656, 557, 863, 748, 787, 603, 787, 695, 635,
  611, 732, 684, 989, 685, 611, 685, 390, 337, 390, 838, 500, 500, 613, 635, 550, 635, 615, 352, 635, 634, 278, 278, 579, 278, 974,
  634, 612, 635, 635, 411, 521, 392, 634, 592, 818, 592, 592, 525, 636, 337, 636, 838,
];

/** Width in pixels; bold text is about 1.1 times as wide. East Asian characters count as squares. */
export function textWidth(text: string, size: number, bold = false): number {
  let sum = 0;
  for (const character of text) {
    const code = character.codePointAt(0) ?? 0;
    sum += widths[code - 32] ?? (character === "×" || character === "−" ? 838 : code >= 0x2e80 ? 1000 : 640);
  }
  return (sum / 1000) * size * (bold ? 1.11 : 1);
}

/** The text, shortened in its middle with "…" to at most `width` pixels; both ends of a layer's name tell something. */
export function fitText(text: string, size: number, width: number, bold = false): string {
  if (textWidth(text, size, bold) <= width) return text;
  const characters = [...text];
  for (let keep = characters.length - 1; keep > 1; keep--) {
    const head = Math.ceil(keep / 2);
    const short = `${characters.slice(0, head).join("")}…${characters.slice(characters.length - (keep - head)).join("")}`;
    if (textWidth(short, size, bold) <= width) return short;
  }
  return "…";
}
