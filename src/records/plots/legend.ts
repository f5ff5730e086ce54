/** @file Legends beside a plot: a list of lines, or a colour ramp with selected labels where there are too many for a list. */
import { fitText, textWidth } from "./_measure.js";
import { type Ink, inks } from "./color.js";
import { type Box, fontSizes } from "./frame.js";
import type { Svg } from "./svg.js";

export interface LegendEntry {
  readonly label: string;
  readonly ink: Ink;
  readonly width?: number;
  readonly dash?: string;
  readonly opacity?: number;
  /** A dot instead of a line: measured here and there only. */
  readonly marker?: "line" | "dot";
  /** Behind the label, subdued: "frozen". */
  readonly note?: string;
}

const SWATCH = 20;
const GAP = 7;
const MAX_LABEL = 190;
const size = fontSizes.legend;

const labelOf = (entry: LegendEntry) => fitText(entry.label, size, MAX_LABEL);
const noteOf = (entry: LegendEntry) => (entry.note === undefined ? "" : `(${entry.note})`);

/** Width of either form, from the plot's right edge to the picture's. */
export function legendWidth(entries: readonly LegendEntry[], title = ""): number {
  const labels = entries.map((e) => textWidth(`${labelOf(e)} ${noteOf(e)}`, size));
  return Math.ceil(20 + Math.max(SWATCH + GAP + Math.max(0, ...labels), textWidth(title, size, true)) + 12);
}

/** Entries below each other, from the top of `box` on. */
export function drawLegend(svg: Svg, box: Box, entries: readonly LegendEntry[], title?: string): void {
  const x = box.left + box.width + 20;
  let y = box.top + 4;
  if (title !== undefined) {
    svg.text(x, y + 4, title, { size, bold: true });
    y += 20;
  }
  const pitch = Math.min(18, (box.height - (y - box.top)) / Math.max(entries.length, 1));
  for (const entry of entries) {
    if (entry.marker === "dot") svg.circle(x + SWATCH / 2, y, 2.6, { ink: entry.ink });
    else {
      const { ink, width = 2, dash, opacity } = entry;
      svg.line(x, y, x + SWATCH, y, {
        ink,
        width,
        ...(dash === undefined ? {} : { dash }),
        ...(opacity === undefined ? {} : { opacity }),
      });
    }
    const label = labelOf(entry);
    svg.text(x + SWATCH + GAP, y + 0.36 * size, label, { size });
    if (entry.note !== undefined) {
      svg.text(x + SWATCH + GAP + textWidth(`${label} `, size), y + 0.36 * size, noteOf(entry), {
        size,
        ink: inks.muted,
      });
    }
    y += pitch;
  }
}

/** One block of colour for each entry, first on top, with up to nine of them named, the first and the last always. */
export function drawRamp(svg: Svg, box: Box, entries: readonly LegendEntry[], title: string): void {
  const x = box.left + box.width + 20;
  const top = box.top + 18;
  const height = Math.min(box.height - 22, 260);
  svg.text(x, box.top + 8, title, { size, bold: true });
  const block = height / entries.length;
  for (const [i, { ink }] of entries.entries()) {
    svg.rect(x, top + i * block, 14, block + (i < entries.length - 1 ? 0.3 : 0), { ink }); // 0.3: no hairlines between
  }
  const labels = Math.max(2, Math.min(9, Math.floor(height / 15)));
  const named = new Set(
    Array.from({ length: labels }, (_, k) => Math.round((k * (entries.length - 1)) / (labels - 1))),
  );
  for (const i of named) {
    const entry = entries[i]!; // named indices are below the length
    const y = top + (i + 0.5) * block;
    svg.line(x + 14, y, x + 18, y, { ink: inks.axis });
    svg.text(x + 22, y + 0.36 * size, `${labelOf(entry)} ${noteOf(entry)}`, { size });
  }
}
