/** @file A data set of NIfTI volumes and their label volumes: a folder with images and labels of the same names. */
import { DataError } from "../../common/errors.js";
import type { Platform } from "../../platform/types.js";
import { baseName } from "../arrays.js";
import { fingerprintOf } from "../fingerprint.js";
import type { Dataset } from "../types.js";
import { join, visible } from "../walk.js";
import { niftiEnding, openNiftiPairs } from "./pairs.js";

/** Names that the two folders have: the Medical Segmentation Decathlon's and nnU-Net's among them. */
const imageFolders = ["images", "imagesTr", "image", "volumes"];
const labelFolders = ["labels", "labelsTr", "label", "masks", "segmentations"];

/** The largest number of classes that a label volume is believed to have. */
const mostClasses = 64;

export interface PairFolders {
  readonly images: string;
  readonly labels: string;
}

/** The folders of images and labels inside a folder, where the first one holds files that `belongs` says yes to; else null. */
export async function pairFolders(
  folder: string,
  files: Platform["files"],
  belongs: (name: string) => boolean,
): Promise<PairFolders | null> {
  const names = new Map((await visible(files, folder)).filter((e) => e.kind === "folder").map((e) => [e.name, e.name]));
  const find = (wanted: readonly string[]) =>
    wanted.map((w) => [...names.keys()].find((n) => n.toLowerCase() === w.toLowerCase())).find((n) => n !== undefined);
  const [images, labels] = [find(imageFolders), find(labelFolders)];
  if (images === undefined || labels === undefined) return null;
  const inside = await visible(files, join(folder, images));
  if (!inside.some((e) => e.kind === "file" && belongs(e.name))) return null;
  return { images: join(folder, images), labels: join(folder, labels) };
}

/** Class names by number from the Decathlon's dataset.json ({"labels": {"0": "background", …}}); null where it has none. */
async function namedClasses(folder: string, files: Platform["files"]): Promise<readonly string[] | null> {
  const path = join(folder, "dataset.json");
  if ((await files.kind(path)) !== "file") return null;
  let labels: unknown;
  try {
    const whole: unknown = JSON.parse(await files.readText(path));
    labels = typeof whole === "object" && whole !== null && "labels" in whole ? whole.labels : null;
  } catch {
    return null; // not ours to mend: the label volumes say how many classes there are
  }
  if (typeof labels !== "object" || labels === null) return null;
  const entries = Object.entries(labels);
  // The Decathlon writes {"0": "background"}, nnU-Net {"background": 0}.
  const byNumber = new Map(
    entries.map(([k, v]) => (/^\d+$/.test(k) ? [Number(k), String(v)] : [Number(v), k]) as [number, string]),
  );
  const names = Array.from({ length: byNumber.size }, (_, c) => byNumber.get(c));
  return names.length >= 2 && names.every((n) => n !== undefined) ? (names as string[]) : null; // every: none is missing
}

/**
 * Opens `folder`/images and `folder`/labels (also imagesTr, labelsTr, masks, …). The classes are those of dataset.json, else
 * 0 … the largest label of all label volumes, which are read once for it.
 *
 * @param classes names of the classes, background first
 * @throws {FileError | DataError} volumes and labels that do not go together, damaged ones, labels outside the classes
 */
export async function openNiftiDataset(
  folder: string,
  folders: PairFolders,
  platform: Platform,
  classes: readonly string[] | null = null,
): Promise<Dataset> {
  const named = classes ?? (await namedClasses(folder, platform.files));
  const pairs = await openNiftiPairs(folders.images, folders.labels, platform, {
    classes: named?.length ?? mostClasses,
  });
  const channels = new Set(pairs.map((p) => p.channels));
  if (channels.size > 1) {
    throw new DataError(folder, { problem: "volumes differ in their channels", got: [...channels].join(", ") });
  }
  let largest = 0;
  if (named === null) {
    for (const pair of pairs) largest = (await pair.label()).data.reduce((m, v) => Math.max(m, v), largest);
    if (largest === 0) throw new DataError(folder, { problem: "every label volume is background only" });
  }
  const names = named ?? Array.from({ length: largest + 1 }, (_, c) => (c === 0 ? "background" : String(c)));
  const same = (axis: 0 | 1 | 2) =>
    new Set(pairs.map((p) => p.shape[axis])).size === 1 ? (pairs[0]?.shape[axis] ?? null) : null;
  const at = (index: number) => {
    const pair = pairs[index];
    if (pair === undefined) throw new DataError(folder, { problem: "there is no such volume", got: String(index) });
    return pair;
  };
  const sizes: string[] = [];
  for (const part of [folders.images, folders.labels]) {
    for (const { name, kind } of await visible(platform.files, part)) {
      if (kind !== "file" || !niftiEnding.test(name)) continue;
      const source = await platform.files.open(join(part, name));
      sizes.push(`${name} ${source.size}`);
      await source.close();
    }
  }
  return {
    name: baseName(folder),
    count: pairs.length,
    classes: names,
    labels: new Uint32Array(pairs.length),
    segmentation: {
      shapes: pairs.map((p) => p.shape),
      volume: (i) => at(i).image(),
      label: (i) => at(i).label(),
    },
    groups: null,
    division: { kind: "none" },
    imageShape: { channels: pairs[0]?.channels ?? 1, depth: same(0), height: same(1), width: same(2), type: "float32" },
    fingerprint: await fingerprintOf([
      JSON.stringify(sizes),
      JSON.stringify(names),
      JSON.stringify(pairs.map((p) => p.shape)),
    ]),
    notes: [],
    imageName: (i) => at(i).name,
    image: (i) => at(i).image(),
    close: async () => {},
  };
}
