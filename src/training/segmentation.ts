/** @file Quality of segmentations: Dice of every class, volume by volume, and what follows from the voxels counted. */
import { ShapeError } from "../common/errors.js";
import type { Tensor } from "../common/tensor.js";
import type { LossName } from "../ops/index.js";
import { diceOf, figuresOf } from "./dice.js";
import { confusionRates, type Predicted } from "./metrics.js";
import type { Evaluation } from "./types.js";

/** What is kept of one volume. */
interface Counted {
  readonly name: string;
  /** [truth · classes + predicted], voxels. */
  readonly counts: Uint32Array;
  readonly loss: number;
}

/** Adds two volumes of classes to `counts`, [truth · classes + predicted]. */
export function countVoxels(
  counts: Uint32Array,
  predicted: Uint8Array,
  truth: ArrayLike<number>,
  classes: number,
): void {
  for (let i = 0; i < predicted.length; i++) counts[(truth[i] ?? 0) * classes + (predicted[i] ?? 0)]! += 1; // both are classes
}

/**
 * Loss of a whole volume, in float64: as the training's, its Dice over this volume alone.
 * @param probabilities [classes, voxels]
 */
export function volumeLoss(name: LossName, probabilities: Float32Array, truth: Uint8Array, classes: number): number {
  const n = truth.length;
  let crossEntropy = 0;
  const [both, sizes] = [new Float64Array(classes), new Float64Array(classes)];
  for (let i = 0; i < n; i++) {
    const t = truth[i]!; // i is below the length
    crossEntropy -= Math.log(Math.max(probabilities[t * n + i] ?? 0, 1e-12));
    both[t]! += probabilities[t * n + i] ?? 0;
    sizes[t]! += 1;
  }
  for (let c = 0; c < classes; c++) for (let i = 0; i < n; i++) sizes[c]! += probabilities[c * n + i]!;
  crossEntropy /= n;
  let overlap = 0;
  for (let c = 1; c < classes; c++) overlap += (2 * both[c]! + 1) / (sizes[c]! + 1); // c is below the number of classes
  const dice = 1 - overlap / (classes - 1);
  return name === "dice" ? dice : name === "cross-entropy" ? crossEntropy : dice + crossEntropy;
}

/** Collects segmented volumes one by one. */
export class SegmentationAccumulator implements Predicted {
  private readonly volumes: Counted[] = [];

  constructor(readonly classes: number) {}

  /** Volumes so far. */
  get count(): number {
    return this.volumes.length;
  }

  /** @param predicted class of every voxel, as `truth` */
  add(name: string, predicted: Uint8Array, truth: Uint8Array, loss: number): void {
    if (predicted.length !== truth.length) {
      throw new ShapeError("evaluation", {
        problem: "prediction and label differ in their voxels",
        expected: String(truth.length),
        got: String(predicted.length),
      });
    }
    const counts = new Uint32Array(this.classes ** 2);
    countVoxels(counts, predicted, truth, this.classes);
    this.volumes.push({ name, counts, loss });
  }

  /** Accuracy, precision, recall and confusion are those of voxels, of all volumes together; the loss is the mean over volumes. */
  evaluate(): Evaluation {
    const { classes, volumes } = this;
    const confusion = Array.from({ length: classes }, (_, t) =>
      Array.from({ length: classes }, (__, p) => volumes.reduce((n, v) => n + (v.counts[t * classes + p] ?? 0), 0)),
    );
    const { count, accuracy, balancedAccuracy, precision, recall } = confusionRates(confusion);
    // In the order in which a checkpoint gives it back: the same run gives the same bytes.
    return {
      count,
      loss: volumes.reduce((sum, v) => sum + v.loss, 0) / volumes.length,
      accuracy,
      balancedAccuracy,
      macroAuc: null,
      confusion,
      precision,
      recall,
      dice: figuresOf(
        volumes.map((v) => ({ name: v.name, dice: diceOf(v.counts, classes) })),
        classes,
      ),
    };
  }

  /** "voxels" uint32 [volumes, truth, predicted], "losses" float32 [volumes], and "names", UTF-8 of a JSON list. */
  toTensors(): Map<string, Tensor> {
    const { classes, volumes } = this;
    const n = volumes.length;
    const voxels = new Uint32Array(n * classes ** 2);
    for (const [i, v] of volumes.entries()) voxels.set(v.counts, i * classes ** 2);
    const names = new TextEncoder().encode(JSON.stringify(volumes.map((v) => v.name)));
    return new Map<string, Tensor>([
      ["voxels", { dtype: "uint32", shape: [n, classes, classes], data: voxels }],
      ["losses", { dtype: "float64", shape: [n], data: Float64Array.from(volumes, (v) => v.loss) }],
      ["names", { dtype: "uint8", shape: [names.length], data: names }],
    ]);
  }

  /** The inverse of `toTensors`; null for tensors of something else. */
  static fromTensors(tensors: ReadonlyMap<string, Tensor>): SegmentationAccumulator | null {
    const [voxels, losses, names] = [tensors.get("voxels"), tensors.get("losses"), tensors.get("names")];
    const classes = voxels?.shape[1];
    if (voxels?.dtype !== "uint32" || losses?.dtype !== "float64" || names?.dtype !== "uint8" || !classes) return null;
    let list: unknown;
    try {
      list = JSON.parse(new TextDecoder().decode(names.data));
    } catch {
      return null;
    }
    const all = new SegmentationAccumulator(classes);
    if (!Array.isArray(list) || voxels.data.length !== list.length * classes ** 2) return null;
    for (const [i, name] of list.entries()) {
      const counts = voxels.data.slice(i * classes ** 2, (i + 1) * classes ** 2);
      all.volumes.push({ name: String(name), counts, loss: losses.data[i] ?? Number.NaN });
    }
    return all;
  }
}
