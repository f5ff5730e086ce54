/** @file Quality of predictions: loss, accuracy, area under the ROC curve, confusion matrix; exact over batches and folds. */
import { DataError, ShapeError } from "../common/errors.js";
import type { Tensor } from "../common/tensor.js";
import { figuresOf } from "./dice.js";
import type { Evaluation } from "./types.js";

/** Predictions of a set of images, with what they are judged against. */
export interface Predicted {
  readonly classes: number;
  /** Images or volumes so far. */
  readonly count: number;
  evaluate(): Evaluation;
  /** For a safetensors file beside a run. */
  toTensors(): Map<string, Tensor>;
}

/** What runs and epochs are compared by: the mean Dice of segmentations, else the accuracy. */
export const figureOf = ({ dice, accuracy }: Pick<Evaluation, "dice" | "accuracy">): number => dice?.mean ?? accuracy;

/** What follows from a confusion matrix alone. */
export type ConfusionRates = Pick<Evaluation, "count" | "accuracy" | "balancedAccuracy" | "precision" | "recall">;

/**
 * Accuracy, precision and recall of `confusion[truth][predicted]` (counts). Precision is null for a class that was never
 * predicted, recall for one that does not occur; accuracy and balanced accuracy of nothing are NaN.
 */
export function confusionRates(confusion: readonly (readonly number[])[]): ConfusionRates {
  const predicted = confusion.map((_, c) => confusion.reduce((sum, row) => sum + (row[c] ?? 0), 0));
  const actual = confusion.map((row) => row.reduce((sum, n) => sum + n, 0));
  const right = confusion.map((row, c) => row[c] ?? 0);
  const share = (part: number, whole: number): number | null => (whole > 0 ? part / whole : null);
  const count = actual.reduce((sum, n) => sum + n, 0);
  // right, predicted and actual have one entry per class
  const recall = right.map((n, c) => share(n, actual[c]!));
  const seen = recall.filter((r) => r !== null);
  return {
    count,
    accuracy: right.reduce((sum, n) => sum + n, 0) / count,
    balancedAccuracy: seen.reduce((sum, r) => sum + r, 0) / seen.length,
    precision: right.map((n, c) => share(n, predicted[c]!)),
    recall,
  };
}

/**
 * Area under the ROC curve of one score against a yes/no truth: the share of (yes, no) pairs that the score orders rightly,
 * a tie counting one half (Mann–Whitney U with mid-ranks, as scikit-learn's roc_auc_score).
 *
 * @returns null where all or none are `positive`, or a score is NaN
 */
export function rocAuc(scores: Float64Array, positive: (index: number) => boolean): number | null {
  const order = Uint32Array.from(scores, (_, i) => i).sort((i, j) => scores[i]! - scores[j]! || 0); // || 0: ∞ − ∞ is a tie
  let positives = 0;
  let rankSum = 0;
  for (let start = 0; start < order.length; ) {
    const score = scores[order[start]!]!; // start is below the length
    if (Number.isNaN(score)) return null;
    let end = start + 1;
    while (end < order.length && scores[order[end]!] === score) end++;
    const midRank = (start + 1 + end) / 2; // ranks start+1 … end share their mean
    for (let i = start; i < end; i++) {
      if (positive(order[i]!)) {
        positives++;
        rankSum += midRank;
      }
    }
    start = end;
  }
  const negatives = order.length - positives;
  if (positives === 0 || negatives === 0) return null;
  return (rankSum - (positives * (positives + 1)) / 2) / (positives * negatives);
}

/**
 * Evaluation of logits against labels, in float64. The prediction is the class of the largest logit: the first of equal ones, and
 * NaN counts as the largest (as torch.argmax). The macro AUC is the mean over classes of one-against-rest, by the
 * log-odds ln p/(1 − p) of the softmax: they order samples as the probabilities do, do not saturate at 1, and are rounded to
 * multiples of 2^−24, so that samples that tie in exact arithmetic tie here.
 *
 * @param logits [count, classes], row by row
 * @param labels [count], each 0 … classes − 1
 * @throws {ShapeError} when the lengths do not agree
 * @throws {DataError} for a label outside the classes
 */
export function evaluate(logits: Float32Array, labels: Uint32Array, classes: number): Evaluation {
  checkLengths(logits, labels, classes);
  const count = labels.length;
  const confusion = Array.from({ length: classes }, () => new Array<number>(classes).fill(0));
  const logOdds = Array.from({ length: classes }, () => new Float64Array(count));
  const exp = new Float64Array(classes);
  let loss = 0;
  for (let i = 0; i < count; i++) {
    const label = labels[i]!; // i is below count
    if (label >= classes) {
      throw new DataError("evaluation", {
        problem: "a label is outside the classes",
        expected: `0 … ${classes - 1}`,
        got: `${label} (sample ${i})`,
      });
    }
    const row = logits.subarray(i * classes, (i + 1) * classes);
    const predicted = argmax(row);
    confusion[label]![predicted]!++; // both are below classes
    const top = row[predicted]!;
    let total = 0;
    for (let c = 0; c < classes; c++) total += exp[c] = Math.exp(row[c]! - top);
    loss += Math.log(total) - (row[label]! - top);
    // Σ of the other classes by sums from both ends: total − exp[c] would lose every digit where p is near 1.
    let before = 0;
    for (let c = 0; c < classes; c++) {
      logOdds[c]![i] = before;
      before += exp[c]!;
    }
    let after = 0;
    for (let c = classes - 1; c >= 0; c--) {
      logOdds[c]![i] = Math.round(Math.log(exp[c]! / (logOdds[c]![i]! + after)) * 2 ** 24); // in units of 2^−24
      after += exp[c]!;
    }
  }
  const { accuracy, balancedAccuracy, precision, recall } = confusionRates(confusion);
  return {
    count,
    loss: loss / count,
    accuracy,
    balancedAccuracy,
    macroAuc: macroAuc(logOdds, labels),
    confusion,
    precision,
    recall,
  };
}

/** Collects logits batch by batch; the result does not depend on how the samples were cut into batches. */
export class EvaluationAccumulator implements Predicted {
  private logits = new Float32Array(0);
  private labels = new Uint32Array(0);
  private used = 0;

  constructor(readonly classes: number) {}

  /** Samples so far. */
  get count(): number {
    return this.used;
  }

  /** Copies one batch. @throws {ShapeError} when logits are not [labels.length, classes] */
  add(logits: Float32Array, labels: Uint32Array): void {
    checkLengths(logits, labels, this.classes);
    const needed = this.used + labels.length;
    if (needed > this.labels.length) {
      const room = Math.max(needed, 2 * this.labels.length, 256);
      const [oldLogits, oldLabels] = [this.logits, this.labels];
      this.logits = new Float32Array(room * this.classes);
      this.labels = new Uint32Array(room);
      this.logits.set(oldLogits);
      this.labels.set(oldLabels);
    }
    this.logits.set(logits, this.used * this.classes);
    this.labels.set(labels, this.used);
    this.used = needed;
  }

  evaluate(): Evaluation {
    const { logits, labels } = this.samples();
    return evaluate(logits, labels, this.classes);
  }

  /** Views of what was added, in order: logits [count, classes] and labels [count]. */
  samples(): { readonly logits: Float32Array; readonly labels: Uint32Array } {
    return {
      logits: this.logits.subarray(0, this.used * this.classes),
      labels: this.labels.subarray(0, this.used),
    };
  }

  /** For a safetensors file beside a run, so that folds which ran in different processes can be pooled. */
  toTensors(): Map<string, Tensor> {
    const { logits, labels } = this.samples();
    return new Map<string, Tensor>([
      ["logits", { dtype: "float32", shape: [this.used, this.classes], data: logits.slice() }],
      ["labels", { dtype: "uint32", shape: [this.used], data: labels.slice() }],
    ]);
  }

  /** The inverse of `toTensors`. @throws {ShapeError} when the tensors are not of that form */
  static fromTensors(tensors: ReadonlyMap<string, Tensor>): EvaluationAccumulator {
    const logits = tensors.get("logits");
    const labels = tensors.get("labels");
    const classes = logits?.shape[1];
    if (logits?.dtype !== "float32" || labels?.dtype !== "uint32" || !classes) {
      throw new ShapeError("predictions", {
        problem: "not a record of predictions",
        expected: 'float32 "logits" [n, classes] and uint32 "labels" [n]',
        got: [...tensors].map(([name, t]) => `${t.dtype} "${name}" [${t.shape.join(",")}]`).join(", ") || "nothing",
      });
    }
    const all = new EvaluationAccumulator(classes);
    all.add(logits.data, labels.data);
    return all;
  }
}

/** One evaluation over the samples of all parts, as if one model had predicted them: how folds are pooled. @throws {ShapeError} */
export function pooledEvaluation(parts: readonly EvaluationAccumulator[]): Evaluation {
  const all = new EvaluationAccumulator(parts[0]?.classes ?? 0);
  for (const part of parts) {
    const { logits, labels } = part.samples();
    all.add(logits, labels);
  }
  return all.evaluate();
}

/**
 * What can be said of several sets together from their evaluations alone: all but the macro AUC, which is null, because the
 * order of samples across sets is not in them (`pooledEvaluation` has it).
 *
 * @throws {ShapeError} when the classes differ
 */
export function mergeEvaluations(parts: readonly Evaluation[]): Evaluation {
  const classes = parts[0]?.confusion.length ?? 0;
  const confusion = Array.from({ length: classes }, () => new Array<number>(classes).fill(0));
  let loss = 0;
  for (const part of parts) {
    if (part.confusion.length !== classes || part.confusion.some((row) => row.length !== classes)) {
      throw new ShapeError("evaluation", {
        problem: "evaluations of different classes cannot be merged",
        expected: `${classes} classes`,
        got: `${part.confusion.length} classes`,
      });
    }
    for (const [t, row] of part.confusion.entries()) {
      for (const [p, n] of row.entries()) confusion[t]![p]! += n; // both are below classes
    }
    if (part.count > 0) loss += part.loss * part.count; // the loss of no samples is NaN
  }
  const rates = confusionRates(confusion);
  const volumes = parts.flatMap((part) => part.dice?.volumes ?? []);
  return {
    ...rates,
    loss: loss / rates.count,
    macroAuc: null,
    confusion,
    ...(volumes.length > 0 && { dice: figuresOf(volumes, classes) }),
  };
}

function macroAuc(logOdds: readonly Float64Array[], labels: Uint32Array): number | null {
  if (logOdds.length < 2) return null;
  // Of two classes the areas are equal; the second alone is ranked, so that rounding cannot make them differ.
  const ranked = logOdds.length === 2 ? [1] : logOdds.map((_, c) => c);
  let sum = 0;
  for (const c of ranked) {
    const area = rocAuc(logOdds[c]!, (i) => labels[i] === c); // c is a class
    if (area === null) return null;
    sum += area;
  }
  return sum / ranked.length;
}

function argmax(row: Float32Array): number {
  let best = 0;
  for (let c = 0; c < row.length; c++) {
    const value = row[c]!; // c is below the length
    if (Number.isNaN(value)) return c;
    if (value > row[best]!) best = c;
  }
  return best;
}

function checkLengths(logits: Float32Array, labels: Uint32Array, classes: number): void {
  if (logits.length === labels.length * classes) return;
  throw new ShapeError("evaluation", {
    problem: "logits and labels do not belong together",
    expected: `${labels.length * classes} logits (${labels.length} labels × ${classes} classes)`,
    got: String(logits.length),
  });
}
