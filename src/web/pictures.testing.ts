/** @file Folders of PNGs for tests: made-up ultrasound images, one folder a class. */
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { Random } from "../common/random.js";
import { scanners, syntheticDataset } from "../data/synthetic.js";
import { encodeGreyPng } from "../formats/png.js";

/**
 * Every pixel has some noise: areas of one value would all pass a ReLU's corner at once, and two machines that round differently would
 * part there.
 * @returns how many pictures there are
 */
export async function writePictures(folder: string, size: number, patients: number): Promise<number> {
  const data = await syntheticDataset({ scanner: scanners.a, seed: 3, size, train: { patients, frames: 2 } });
  for (let i = 0; i < data.count; i++) {
    const image = await data.image(i);
    const random = new Random(7, "noise", i);
    const pixels = Uint8Array.from(image.data, (v) => Math.min(255, v + random.below(64)));
    const into = join(folder, data.classes[data.labels[i] ?? 0] ?? "");
    mkdirSync(into, { recursive: true });
    writeFileSync(join(into, `${String(i).padStart(3, "0")}.png`), encodeGreyPng(pixels, size, size));
  }
  return data.count;
}
