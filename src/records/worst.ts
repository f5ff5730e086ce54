/** @file The images that a run's network was most wrong about, from the predictions in its folder. */
import type { Tensor } from "../common/tensor.js";
import type { FileSystem } from "../platform/types.js";
import { join, readTensors, runFiles } from "./files.js";

export interface WorstImage {
  /** In the data set; null in runs that did not keep it. */
  readonly index: number | null;
  /** Class, 0 … classes − 1. */
  readonly truth: number;
  readonly predicted: number;
  /** By class; they add up to 1. */
  readonly probabilities: readonly number[];
}

export interface WorstImages {
  /** Of the data set; "test" after the end, else the part that the last epoch was judged by. */
  readonly part: string;
  /** Whose weights predicted; null where the file does not say. */
  readonly epoch: number | null;
  readonly count: number;
  readonly wrong: number;
  /** Least probability of the true class first. */
  readonly images: readonly WorstImage[];
}

/**
 * The `most` images whose true class got the least probability: test images at the selected epoch where the run has ended, else
 * the images that the last epoch was judged by. Of equal ones the first comes first.
 *
 * @returns null where nothing was predicted yet, or predictions are not one row of logits an image
 * @throws {FileError} damaged
 */
export async function worstImages(files: FileSystem, folder: string, most = 24): Promise<WorstImages | null> {
  for (const name of ["selected", "epoch"] as const) {
    const path = join(folder, `${runFiles.predictions}/${name}.safetensors`);
    if ((await files.kind(path)) !== "file") continue;
    const { tensors, metadata } = await readTensors(files, path);
    const found = worstOf(tensors, most);
    if (found === null) continue;
    const epoch = Number(metadata["epoch"] ?? Number.NaN);
    return {
      part: metadata["part"] === "validation" ? "validation" : "test",
      epoch: Number.isInteger(epoch) ? epoch : null,
      ...found,
    };
  }
  return null;
}

function worstOf(
  tensors: ReadonlyMap<string, Tensor>,
  most: number,
): Pick<WorstImages, "count" | "wrong" | "images"> | null {
  const [logits, labels, indices] = ["logits", "labels", "indices"].map((name) => tensors.get(name));
  const [n = 0, k = 0] = logits?.shape ?? [];
  if (logits?.dtype !== "float32" || labels?.dtype !== "uint32" || logits.shape.length !== 2 || k === 0) return null;
  if (labels.data.length !== n || logits.data.length !== n * k || labels.data.some((c) => c >= k)) return null;
  const known = indices?.dtype === "uint32" && indices.data.length === n ? indices.data : null;
  let wrong = 0;
  const losses = new Float64Array(n);
  for (let i = 0; i < n; i++) {
    const row = logits.data.subarray(i * k, (i + 1) * k);
    const { top, predicted } = largest(row);
    const truth = labels.data[i]!; // below n
    if (predicted !== truth) wrong++;
    const total = row.reduce((sum, z) => sum + Math.exp(z - top), 0);
    const loss = Math.log(total) - (row[truth]! - top); // truth was checked to be a class
    losses[i] = Number.isNaN(loss) ? Number.POSITIVE_INFINITY : loss;
  }
  const order = Uint32Array.from({ length: n }, (_, i) => i)
    .sort((a, b) => losses[b]! - losses[a]! || a - b) // both below n; ∞ − ∞ is a tie
    .subarray(0, most);
  return {
    count: n,
    wrong,
    images: Array.from(order, (i): WorstImage => {
      const row = logits.data.subarray(i * k, (i + 1) * k);
      const { top, predicted } = largest(row);
      const powers = Array.from(row, (z) => Math.exp(z - top));
      const total = powers.reduce((a, b) => a + b, 0);
      return {
        index: known?.[i] ?? null,
        truth: labels.data[i]!, // i is below n
        predicted,
        probabilities: powers.map((p) => p / total),
      };
    }),
  };
}

/** As `evaluate` predicts: the first of equal ones, and NaN counts as the largest. */
function largest(row: Float32Array): { readonly top: number; readonly predicted: number } {
  const broken = row.findIndex((z) => Number.isNaN(z));
  const top = broken >= 0 ? Number.NaN : row.reduce((a, b) => Math.max(a, b), Number.NEGATIVE_INFINITY);
  return { top, predicted: broken >= 0 ? broken : row.indexOf(top) };
}
