/** @file The sheet of example images of the demo: what each scanner makes of each class. */
import { type Scanner, scanners, syntheticClasses, syntheticUltrasound } from "../../data/synthetic.js";
import { encodeGreyPng } from "../../formats/png.js";
import { escapeXml, fontFamily } from "../../records/plots/svg.js";

const SHOWN = 4;
const ZOOM = 2;
const GAP = 4;
const LEFT = 104;
const TOP = 34;

/** SVG: classes as rows, the two scanners side by side with a few patients each. */
export function exampleSheet(size: number, seed: number): string {
  const side = size * ZOOM;
  const block = SHOWN * (side + GAP);
  const width = LEFT + 2 * block + 24 + 8;
  const height = TOP + syntheticClasses.length * (side + GAP) + 8;
  const parts: string[] = [`<rect width="${width}" height="${height}" fill="#ffffff"/>`];
  for (const [s, scanner] of [scanners.a, scanners.b].entries()) {
    const x0 = LEFT + s * (block + 24);
    parts.push(text(x0, 22, scanner.name, 'font-weight="bold"'));
    for (const [kind, images] of examples(scanner, size, seed).entries()) {
      for (const [i, image] of images.entries()) {
        const href = `data:image/png;base64,${base64(encodeGreyPng(image, side, side))}`;
        parts.push(
          `<image x="${x0 + i * (side + GAP)}" y="${TOP + kind * (side + GAP)}" width="${side}" height="${side}" href="${href}"/>`,
        );
      }
    }
  }
  for (const [kind, name] of syntheticClasses.entries()) {
    parts.push(text(8, TOP + kind * (side + GAP) + side / 2 + 4, name, ""));
  }
  return `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${height}" viewBox="0 0 ${width} ${height}" font-family="${fontFamily}">${parts.join("")}</svg>`;
}

const text = (x: number, y: number, words: string, more: string): string =>
  `<text x="${x}" y="${y}" font-size="13" fill="#222222" ${more}>${escapeXml(words)}</text>`;

/** A few pictures of each class, every pixel a square of ZOOM × ZOOM. */
function examples(scanner: Scanner, size: number, seed: number): Uint8Array[][] {
  const { images, labels } = syntheticUltrasound({ scanner, seed, size, patients: SHOWN, frames: 1, part: "train" });
  const side = size * ZOOM;
  return syntheticClasses.map((_, kind) =>
    labels.flatMap((label, n) => {
      if (label !== kind) return [];
      const large = new Uint8Array(side * side);
      for (let y = 0; y < side; y++)
        for (let x = 0; x < side; x++) {
          const [row, column] = [Math.floor(y / ZOOM), Math.floor(x / ZOOM)];
          large[y * side + x] = images.data[(n * size + row) * size + column] ?? 0; // inside image n
        }
      return [large];
    }),
  );
}

function base64(bytes: Uint8Array): string {
  let binary = "";
  for (const byte of bytes) binary += String.fromCharCode(byte);
  return btoa(binary);
}
