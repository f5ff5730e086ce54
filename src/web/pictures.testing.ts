/** @file Folders of PNGs for tests: made-up ultrasound images, one folder a class. */
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { scanners, syntheticDataset } from "../data/synthetic.js";
import { encodeGreyPng } from "../formats/png.js";

/** @returns how many pictures there are */
export async function writePictures(folder: string, size: number, patients: number): Promise<number> {
  const data = await syntheticDataset({ scanner: scanners.a, seed: 3, size, train: { patients, frames: 2 } });
  for (let i = 0; i < data.count; i++) {
    const image = await data.image(i);
    if (!(image.data instanceof Uint8Array)) throw new Error("synthetic images have bytes");
    const into = join(folder, data.classes[data.labels[i] ?? 0] ?? "");
    mkdirSync(into, { recursive: true });
    writeFileSync(join(into, `${String(i).padStart(3, "0")}.png`), encodeGreyPng(image.data, size, size));
  }
  return data.count;
}
