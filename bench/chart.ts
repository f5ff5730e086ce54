/** @file The bench as a picture: the step of everybody as bars against the released one, and how it grows as lines. */
import { type ContenderName, contenders, type Growth, labels, type Measured, ms, type Result } from "./report.js";

// Okabe–Ito: told apart by colour-blind readers, and on grey paper by their lightness.
const colors: Readonly<Record<ContenderName, string>> = { ours: "#0072b2", released: "#d55e00", twoPass: "#e69f00" };
const ink = "#333";

const escapes: Readonly<Record<string, string>> = { "&": "&amp;", "<": "&lt;", ">": "&gt;" };
const escaped = (s: string) => s.replace(/[&<>]/g, (c) => escapes[c] ?? c);
const text = (x: number, y: number, s: string, extra = "") =>
  `<text x="${r(x)}" y="${r(y)}" ${extra}>${escaped(s)}</text>`;
const r = (x: number) => Number(x.toFixed(1));
const line = (x1: number, y1: number, x2: number, y2: number, stroke: string, extra = "") =>
  `<line x1="${r(x1)}" y1="${r(y1)}" x2="${r(x2)}" y2="${r(y2)}" stroke="${stroke}" ${extra}/>`;

const width = 860;
const left = 150;

interface Piece {
  readonly svg: string;
  readonly height: number;
}

function legend(names: readonly ContenderName[]): Piece {
  const items = names.map((name, i) => {
    const x = left + i * 190;
    return `<rect x="${x}" y="0" width="12" height="12" fill="${colors[name]}"/>${text(x + 18, 11, labels[name])}`;
  });
  return { svg: items.join(""), height: 28 };
}

/** Bars as shares of the slowest contender of each workload, the time beside each; a thin line from minimum to maximum. */
function bars(measured: readonly Measured[]): Piece {
  const bar = 13;
  const full = width - left - 130;
  const out: string[] = [];
  let y = 0;
  for (const { workload, contenders: by } of measured) {
    const ran = contenders.flatMap((name) => (by[name] ? [[name, by[name]] as const] : []));
    const slowest = Math.max(...ran.map(([, result]) => result.medianMs));
    out.push(text(left - 10, y + (ran.length * bar) / 2 + 4, workload.name, 'text-anchor="end"'));
    for (const [name, result] of ran) {
      // An outlier would leave the picture: its line ends at the edge.
      const at = (value: number) => left + full * Math.min(value / slowest, 1.08);
      out.push(
        `<rect x="${left}" y="${r(y)}" width="${r(at(result.medianMs) - left)}" height="${bar - 2}" fill="${colors[name]}"/>`,
      );
      out.push(line(at(result.minMs), y + bar / 2 - 1, at(result.maxMs), y + bar / 2 - 1, ink));
      out.push(text(Math.max(at(result.medianMs), at(result.maxMs)) + 6, y + bar - 3, `${ms(result.medianMs)} ms`));
      y += bar;
    }
    y += 12;
  }
  return { svg: out.join("\n"), height: y + 14 };
}

/** A round number of at least x: 1, 2 or 5 times a power of ten. */
function roundUp(x: number): number {
  const power = 10 ** Math.floor(Math.log10(x));
  return power * ([1, 2, 5, 10].find((step) => step * power >= x) ?? 10);
}

/** One axis of growth: measured points and the fitted line of every contender. */
function lines(grown: readonly Growth[], x0: number, w: number): Piece {
  const h = 230;
  const maxX = Math.max(...grown.flatMap((g) => g.points.map(([x]) => x)));
  const maxY = roundUp(Math.max(...grown.flatMap((g) => g.points.map(([, y]) => y))));
  const px = (x: number) => x0 + (w * x) / (maxX * 1.03);
  const py = (y: number) => h - (h * y) / maxY;
  const out = [line(x0, h, x0 + w, h, ink)];
  for (const share of [0, 0.25, 0.5, 0.75, 1]) {
    const y = share * maxY;
    out.push(
      line(x0, py(y), x0 + w, py(y), "#ddd"),
      text(x0 - 6, py(y) + 4, y === 0 ? "0" : ms(y), 'text-anchor="end"'),
    );
  }
  const axis = grown[0]?.axis ?? "images in a batch";
  const tick = (x: number) => (axis === "pixels in an image" ? `${Math.sqrt(x)}²` : String(x));
  const xs = [...new Set(grown.flatMap((g) => g.points.map(([x]) => x)))].sort((a, b) => a - b);
  let last = -Infinity;
  for (const x of xs) {
    out.push(line(px(x), h, px(x), h + 4, ink));
    if (px(x) - last < 30) continue;
    out.push(text(px(x), h + 18, tick(x), 'text-anchor="middle"'));
    last = px(x);
  }
  out.push(text(x0 + w / 2, h + 38, `${axis} → milliseconds a step`, 'text-anchor="middle"'));
  for (const { contender, points, line: fit } of grown) {
    const y = (x: number) => py(fit.intercept + fit.slope * x);
    out.push(line(px(0), y(0), px(maxX), y(maxX), colors[contender], 'stroke-width="1.5"'));
    for (const [x, v] of points)
      out.push(`<circle cx="${r(px(x))}" cy="${r(py(v))}" r="3.5" fill="${colors[contender]}"/>`);
  }
  return { svg: out.join("\n"), height: h + 56 };
}

/** A whole SVG document. @param caption machine and date, in one line */
export function chart(measured: readonly Measured[], grown: readonly Growth[], caption: string): string {
  const ran = contenders.filter((name) =>
    measured.some((m): m is Measured => (m.contenders[name] satisfies Result | null) !== null),
  );
  const pieces: Piece[] = [];
  pieces.push({
    svg: text(left, 14, "Time of one MetaLR step, two threads each", 'font-size="15" font-weight="600"'),
    height: 30,
  });
  pieces.push(legend(ran), bars(measured));
  const axes = [...new Set(grown.map((g) => g.axis))];
  if (axes.length > 0) {
    const drawn = axes.map((axis, i) =>
      lines(
        grown.filter((g) => g.axis === axis),
        60 + i * 425,
        350,
      ),
    );
    pieces.push({
      svg: drawn.map((piece) => piece.svg).join("\n"),
      height: Math.max(...drawn.map((piece) => piece.height)),
    });
  }
  pieces.push({ svg: text(20, 12, caption, 'fill="#666" font-size="11"'), height: 16 });
  let y = 20;
  const placed = pieces.map((piece) => {
    const group = `<g transform="translate(0,${r(y)})">${piece.svg}</g>`;
    y += piece.height + 8;
    return group;
  });
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${r(y)}" font-family="DejaVu Sans, Helvetica, Arial, sans-serif" font-size="12" fill="${ink}">
<rect width="${width}" height="${r(y)}" fill="#fff"/>
${placed.join("\n")}
</svg>
`;
}
