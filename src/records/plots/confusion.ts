/** @file The confusion matrix as a picture: counts, and shade by the share of each true class. */
import { formatCount } from "../format.js";
import { fitText, textWidth } from "./_measure.js";
import { inks, shade } from "./color.js";
import { fontSizes } from "./frame.js";
import { Svg, type Theme } from "./svg.js";

export interface ConfusionData {
  readonly classes: readonly string[];
  /** confusion[truth][predicted], counts. */
  readonly confusion: readonly (readonly number[])[];
  readonly title?: string;
  readonly theme?: Theme;
}

/** Rows are the truth, columns the prediction. Beyond 16 classes the numbers give way to shade alone. */
export function confusionMatrix(data: ConfusionData): string {
  const { classes, confusion, title } = data;
  const n = Math.max(classes.length, 1);
  const cell = n <= 4 ? 84 : n <= 8 ? 62 : n <= 16 ? 42 : Math.max(8, Math.floor(620 / n));
  const numbers = n <= 16;
  const size = cell >= 15 ? fontSizes.tick : Math.max(5, cell * 0.7);
  const labels = classes.map((name) => fitText(name, size, 150));
  const widest = Math.max(0, ...labels.map((l) => textWidth(l, size)));
  const turned = widest > cell - 8;
  const left = Math.ceil(widest) + 46;
  const bottomLabels = turned ? Math.ceil(widest * 0.71) + 18 : 20;
  const top = title === undefined ? 14 : 42;
  // Turned labels end below their own cell, so that only the key needs room on the right.
  const width = Math.max(
    left + n * cell + 96,
    title === undefined ? 0 : 24 + textWidth(title, fontSizes.title, true) + left,
  );
  const height = top + n * cell + bottomLabels + 30;
  const svg = new Svg(
    Math.ceil(width),
    Math.ceil(height),
    data.theme ?? { mode: "light" },
    title ?? "Confusion matrix",
  );
  if (title !== undefined) svg.text(left, top - 16, title, { size: fontSizes.title, bold: true });

  for (const [t, row] of confusion.entries()) {
    const total = row.reduce((sum, count) => sum + count, 0);
    const y = top + t * cell;
    for (const [p, count] of row.entries()) {
      const share = total > 0 ? count / total : 0;
      const { fill, text } = shade(share);
      const x = left + p * cell;
      const tip = `${classes[t] ?? t} taken for ${classes[p] ?? p}: ${formatCount(count)}`;
      svg.rect(x + 0.75, y + 0.75, cell - 1.5, cell - 1.5, { ink: fill, radius: n <= 16 ? 3 : 0, tip });
      if (!numbers) continue;
      const middle = { x: x + cell / 2, y: y + cell / 2 };
      const big = cell >= 60;
      const digits = formatCount(count);
      const countSize = Math.min(big ? 15 : 11.5, (cell - 6) / Math.max(textWidth(digits, 1), 1));
      svg.text(middle.x, middle.y + (big ? 1 : 0.36 * countSize), digits, {
        size: countSize,
        ink: text,
        anchor: "middle",
      });
      if (!big || total === 0) continue;
      svg.text(middle.x, middle.y + 17, percent(share), { size: 9.5, ink: text, anchor: "middle" });
    }
    svg.text(left - 8, y + cell / 2 + 0.36 * size, labels[t] ?? "", { size, anchor: "end" });
  }
  const bottom = top + n * cell;
  for (const [p, label] of labels.entries()) {
    const x = left + (p + 0.5) * cell;
    if (turned) svg.text(x + 3, bottom + 12, label, { size, anchor: "end", rotate: -45 });
    else svg.text(x, bottom + 16, label, { size, anchor: "middle" });
  }
  const middle = left + (n * cell) / 2;
  svg.text(middle, height - 10, "Predicted class", { size: fontSizes.label, anchor: "middle" });
  svg.text(18, top + (n * cell) / 2, "True class", { size: fontSizes.label, anchor: "middle", rotate: -90 });
  drawKey(svg, left + n * cell + 18, top, Math.min(n * cell, 160));
  return svg.toString();
}

const percent = (share: number): string => (share > 0 && share < 0.005 ? "<1 %" : `${(100 * share).toFixed(0)} %`);

/** What the shades mean: share of the row. */
function drawKey(svg: Svg, x: number, top: number, height: number): void {
  const pieces = 32;
  for (let i = 0; i < pieces; i++) {
    const t = 1 - i / (pieces - 1);
    svg.rect(x, top + (i * height) / pieces, 10, height / pieces + 0.3, { ink: shade(t).fill });
  }
  for (const t of [1, 0.5, 0]) {
    const y = top + (1 - t) * height;
    const drop = t === 1 ? 0.72 * 9.5 : t === 0 ? 0 : 0.36 * 9.5;
    svg.text(x + 15, y + drop, `${100 * t} %`, { size: 9.5, ink: inks.muted });
  }
  svg.text(x, top + height + 14, "of the row", { size: 9.5, ink: inks.muted });
}
