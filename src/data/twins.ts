/** @file Finds near-identical images in different parts of a data set: by hash first, then by the images themselves in small. */
import type { Dataset, RawImage } from "./types.js";

export interface Twins {
  /** For every image the most alike one of another part; −1 where there is none. */
  readonly twinOf: Int32Array;
  /** Images whose twin is equal to the last pixel. */
  readonly identical: number;
  /** False where so many images are alike that not all pairs were looked at. */
  readonly complete: boolean;
}

/** Images are compared as side × side means. */
const side = 16;
const cells = side * side;
/** Pixels that a mean is taken of, along each axis: enough for images that are equal but for noise. */
const samples = 4;
/** Grey levels of 255 by which near-identical images differ on average, and anywhere, at most. */
const meanDifference = 1.5;
const largestDifference = 12;
/** An image with a smaller deviation shows nothing: two of these are no leak. */
const emptyDeviation = 1.5;
/** Bits of 64 in which the hashes may differ. */
const hashDistance = 6;
/** Pairs that are looked at, at most: about ten seconds. */
const mostPairs = 3e8;

/**
 * @param partOf part of each image; −1 for one that plays no part. Images of one part are not compared.
 * @returns after about 20 µs an image, and 20 ns a pair with a common quarter of their hashes
 */
export async function findTwins(dataset: Dataset, partOf: ArrayLike<number>): Promise<Twins> {
  const { small, empty } = await shrink(dataset, partOf);
  const hashes = Array.from({ length: dataset.count }, (_, i) => hashOf(small.subarray(i * cells, (i + 1) * cells)));
  const twinOf = new Int32Array(dataset.count).fill(-1);
  const closest = new Float32Array(dataset.count).fill(Number.POSITIVE_INFINITY);
  let looked = 0;
  const compare = (a: number, b: number): void => {
    const [ha, hb] = [hashes[a]!, hashes[b]!]; // one for each image
    if (bits(ha[0] ^ hb[0]) + bits(ha[1] ^ hb[1]) > hashDistance) return;
    const difference = differenceOf(small, a, b, Math.max(closest[a]!, closest[b]!));
    if (difference < closest[a]!) [closest[a], twinOf[a]] = [difference, b];
    if (difference < closest[b]!) [closest[b], twinOf[b]] = [difference, a];
  };
  // Hashes that differ in a few bits agree in one of four quarters, but for bad luck: each quarter is spread over the whole image.
  for (let quarter = 0; quarter < 4; quarter++) {
    const buckets = new Map<number, number[]>();
    for (let i = 0; i < dataset.count; i++) {
      if ((partOf[i] ?? -1) < 0 || empty[i] === 1) continue;
      const key = (hashes[i]![quarter >> 1]! >>> (16 * (quarter & 1))) & 0xffff; // two words of two quarters
      const bucket = buckets.get(key);
      if (bucket) bucket.push(i);
      else buckets.set(key, [i]);
    }
    for (const bucket of buckets.values()) {
      for (const [k, a] of bucket.entries()) {
        if (looked > mostPairs) break;
        for (let l = k + 1; l < bucket.length; l++) {
          const b = bucket[l]!; // below the length
          if (partOf[a] !== partOf[b]) compare(a, b);
        }
        looked += bucket.length - k;
      }
    }
  }
  let identical = 0;
  for (const [i, twin] of twinOf.entries()) {
    if (twin >= 0 && closest[i] === 0 && (await equal(dataset, i, twin))) identical++;
  }
  return { twinOf, identical, complete: looked <= mostPairs };
}

/** Every image as means of 16×16 cells, in grey levels of 0 … 255, and whether there is anything to see. */
async function shrink(dataset: Dataset, partOf: ArrayLike<number>) {
  const small = new Float32Array(dataset.count * cells);
  let white = 0;
  for (let i = 0; i < dataset.count; i++) {
    if ((partOf[i] ?? -1) < 0) continue;
    const into = small.subarray(i * cells, (i + 1) * cells);
    meansOf(await dataset.image(i), into);
    for (const v of into) if (Math.abs(v) > white) white = Math.abs(v);
  }
  // Bytes are grey levels already; other types are scaled by the brightest mean of all.
  const scale = dataset.imageShape.type === "uint8" || white === 0 ? 1 : 255 / white;
  const empty = new Uint8Array(dataset.count);
  for (let i = 0; i < dataset.count; i++) {
    const own = small.subarray(i * cells, (i + 1) * cells);
    let [sum, squares] = [0, 0];
    for (let c = 0; c < cells; c++) {
      const v = own[c]! * scale; // below the length
      own[c] = v;
      sum += v;
      squares += v * v;
    }
    empty[i] = squares / cells - (sum / cells) ** 2 < emptyDeviation ** 2 ? 1 : 0;
  }
  return { small, empty };
}

/** Means over all channels; a few pixels of a cell stand for it. */
function meansOf({ channels, height, width, data }: RawImage, into: Float32Array): void {
  for (let r = 0; r < side; r++) {
    for (let c = 0; c < side; c++) {
      let sum = 0;
      for (let s = 0; s < samples * samples; s++) {
        const y = Math.floor(((r + (Math.floor(s / samples) + 0.5) / samples) * height) / side);
        const x = Math.floor(((c + ((s % samples) + 0.5) / samples) * width) / side);
        for (let k = 0; k < channels; k++) sum += data[(k * height + y) * width + x] ?? 0;
      }
      into[r * side + c] = sum / (samples * samples * channels);
    }
  }
}

/** Difference hash: whether a cell of 8×8 is brighter than the one after it; bit b belongs to quarter b mod 4. */
function hashOf(means: Float32Array): [number, number] {
  const words: [number, number] = [0, 0];
  const cell = (at: number): number => {
    const [r, c] = [2 * ((at >> 3) % 8), 2 * (at & 7)];
    const first = r * side + c;
    return means[first]! + means[first + 1]! + means[first + side]! + means[first + side + 1]!; // inside the 16×16
  };
  for (let b = 0; b < 64; b++) {
    // More than a level: cells that are equal but for noise, such as black corners, have a bit of 0.
    if (cell((b + 1) % 64) - cell(b) <= 4) continue;
    const [quarter, place] = [b & 3, b >> 2];
    words[quarter >> 1] = (words[quarter >> 1]! | (1 << (16 * (quarter & 1) + place))) >>> 0; // two words
  }
  return words;
}

function bits(x: number): number {
  let v = x - ((x >>> 1) & 0x55555555);
  v = (v & 0x33333333) + ((v >>> 2) & 0x33333333);
  return (((v + (v >>> 4)) & 0x0f0f0f0f) * 0x01010101) >>> 24;
}

/** Mean difference of two small images in grey levels; infinity where they are not near-identical, or no closer than `than`. */
function differenceOf(small: Float32Array, a: number, b: number, than: number): number {
  const most = cells * Math.min(meanDifference, than);
  let sum = 0;
  for (let c = 0; c < cells; c++) {
    const d = Math.abs(small[a * cells + c]! - small[b * cells + c]!); // both inside
    sum += d;
    if (d > largestDifference || sum > most) return Number.POSITIVE_INFINITY;
  }
  return sum / cells;
}

async function equal(dataset: Dataset, a: number, b: number): Promise<boolean> {
  const [one, two] = [await dataset.image(a), await dataset.image(b)];
  if (one.height !== two.height || one.width !== two.width || one.data.length !== two.data.length) return false;
  return one.data.every((v, i) => v === two.data[i]);
}
