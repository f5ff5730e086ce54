/** @file What a network is trained by: cross-entropy, soft Dice, and their sum. */
import { UsageError } from "../common/errors.js";
import { scalar } from "../graph/build.js";
import type { Value } from "../graph/value.js";
import { add, div, mul, sub } from "./elementwise.js";
import { reduceMean, reduceSum } from "./reduce.js";
import { slice } from "./slice.js";
import { crossEntropy, oneHot, softmax } from "./softmax.js";

export interface DiceOptions {
  /** Added to numerator and denominator of every class; > 0, default 1. A class in neither prediction nor label then costs nothing. */
  readonly smooth?: number;
  /** Counts class 0, too; default false: its overlap is near 1 whatever the network does. */
  readonly background?: boolean;
}

/**
 * 1 − mean over classes of (2 Σ p·g + ε) / (Σ p + Σ g + ε), p the softmax of the logits and g the one-hot labels. Sums go over all
 * positions of all images of the batch together ("batch Dice"): small structures that one patch lacks do not shake the loss.
 *
 * @param logits float32 [N, classes, …space], at least two classes
 * @param labels int64 [N, …space], each 0 … classes − 1
 * @returns a scalar of shape []
 * @see Milletari et al., V-Net, 3DV 2016, with p and g unsquared in the denominator as in Drozdzal et al., DLMIA 2016
 */
export function diceLoss(logits: Value, labels: Value, { smooth = 1, background = false }: DiceOptions = {}): Value {
  const classes = logits.shape[1] ?? 0;
  if (classes < 2) {
    throw new UsageError("Dice loss", { problem: "needs at least two classes", got: String(classes) });
  }
  const foreground = (x: Value): Value => (background ? x : slice(x, { axis: 1, start: 1, end: classes }));
  const p = foreground(softmax(logits, 1));
  const g = foreground(oneHot(labels, classes));
  const axes = logits.shape.flatMap((_, i) => (i === 1 ? [] : [i]));
  const epsilon = scalar(smooth);
  const both = add(mul(reduceSum(mul(p, g), axes), scalar(2)), epsilon);
  const sizes = add(reduceSum(add(p, g), axes), epsilon);
  return sub(scalar(1), reduceMean(div(both, sizes), [0]));
}

/** The losses by name; "dice+cross-entropy" is the sum of both, as in nnU-Net (Isensee et al. 2021). */
export const lossNames = ["cross-entropy", "dice", "dice+cross-entropy"] as const;
export type LossName = (typeof lossNames)[number];

/** The loss of that name of logits [N, classes, …space] and labels [N, …space]. */
export function lossOf(name: LossName, logits: Value, labels: Value): Value {
  if (name === "cross-entropy") return crossEntropy(logits, labels);
  const dice = diceLoss(logits, labels);
  return name === "dice" ? dice : add(dice, crossEntropy(logits, labels));
}
