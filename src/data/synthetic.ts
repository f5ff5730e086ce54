/**
 * @file Data sets of ultrasound-like images of the lung, for the demo, tests and benches that have no data. They look like the real
 * thing and teach nothing about patients.
 */
import { Random } from "../common/random.js";
import type { TensorOf } from "../common/tensor.js";
import { anatomy, beam, picture } from "./_ultrasound.js";
import { datasetFromArrays } from "./arrays.js";
import type { Dataset } from "./types.js";

/** How one machine turns echoes into a picture. Depths are shares of the deepest echo that it shows. */
export interface Scanner {
  readonly name: string;
  /** Half of the sector's angle, in degrees. */
  readonly halfAngle: number;
  /** Distance from the sector's apex to the skin. */
  readonly apex: number;
  /** Depth setting: 1 shows what "1" does at half the size at 2. */
  readonly depth: number;
  /** Width of the point spread function along and across the beam, in grid cells (96 along, 64 across). */
  readonly blur: readonly [axial: number, lateral: number];
  /** Range of echoes between black and white, and gain, in dB. */
  readonly rangeDb: number;
  readonly gainDb: number;
  /** Extra gain at the largest depth, in dB. */
  readonly timeGainDb: number;
  /** Level of electronic noise, in dB. */
  readonly noiseDb: number;
  /** Exponent of the grey map: above 1 darkens the middle. */
  readonly gamma: number;
}

/** Two machines that no radiologist would mistake for each other. */
export const scanners = {
  a: {
    name: "scanner A",
    halfAngle: 31,
    apex: 0.2,
    depth: 1,
    blur: [0.9, 1.1],
    rangeDb: 58,
    gainDb: 0,
    timeGainDb: 4,
    noiseDb: -58,
    gamma: 1,
  },
  b: {
    name: "scanner B",
    halfAngle: 20,
    apex: 0.8,
    depth: 1.35,
    blur: [1.9, 3.2],
    rangeDb: 40,
    gainDb: 4,
    timeGainDb: 14,
    noiseDb: -34,
    gamma: 1.5,
  },
} as const satisfies Readonly<Record<string, Scanner>>;

/** What the images show: the patterns that lung ultrasound is read by. */
export const syntheticClasses = ["A-lines", "B-lines", "consolidation"] as const;

export interface SyntheticPart {
  /** Patients of every class; their frames never stand in another part. */
  readonly patients: number;
  /** Pictures of every patient. */
  readonly frames: number;
}

export interface SyntheticOptions {
  readonly scanner: Scanner;
  /** Same seed, same pictures; parts and scanners draw from streams of their own. */
  readonly seed: number;
  /** Height and width in pixels. */
  readonly size: number;
}

/** Pictures uint8 [n, size, size] with class and patient; patient by patient, the classes in turn. */
export function syntheticUltrasound(o: SyntheticOptions & SyntheticPart & { readonly part: string }): {
  readonly images: TensorOf<"uint8">;
  readonly labels: readonly number[];
  readonly groups: readonly string[];
} {
  const { scanner, seed, size, patients, frames, part } = o;
  const classes = syntheticClasses.length;
  const count = patients * classes * frames;
  const data = new Uint8Array(count * size * size);
  const labels: number[] = [];
  const groups: string[] = [];
  for (let n = 0; n < count; n++) {
    const patient = Math.floor(n / frames);
    const kind = patient % classes;
    const keys = [scanner.name, part, patient] as const;
    const body = anatomy(kind, new Random(seed, "anatomy", ...keys));
    const grey = beam(body, scanner, new Random(seed, "frame", ...keys, n % frames));
    picture(grey, scanner, size, data.subarray(n * size * size, (n + 1) * size * size));
    labels.push(kind);
    groups.push(`${part} ${patient + 1}`);
  }
  return { images: { dtype: "uint8", shape: [count, size, size], data }, labels, groups };
}

/** A data set of synthetic pictures with official parts; a part with no patients is left out. */
export async function syntheticDataset(
  o: SyntheticOptions & {
    readonly train: SyntheticPart;
    readonly validation?: SyntheticPart;
    readonly test?: SyntheticPart;
  },
): Promise<Dataset> {
  const parts = (["train", "validation", "test"] as const).flatMap((name) => {
    const part = o[name];
    return part === undefined || part.patients === 0
      ? []
      : [{ name, ...syntheticUltrasound({ ...o, ...part, part: name }) }];
  });
  return datasetFromArrays({
    path: o.scanner.name,
    parts: parts.map(({ name, images, labels }) => ({
      what: name,
      imagesName: name,
      labelsName: name,
      images,
      labels,
    })),
    division: parts.map(({ name }) => name),
    classes: syntheticClasses,
    groups: parts.flatMap(({ groups }) => groups),
    notes: [],
  });
}
