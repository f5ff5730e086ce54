/** @file What the demo's numbers allow one to say, and no more. */
import { formatFactor } from "../../records/format.js";

export interface MethodResult {
  readonly name: string;
  /** Accuracy on unseen images, one for each repetition. */
  readonly accuracies: readonly number[];
}

const mean = (values: readonly number[]): number => values.reduce((sum, v) => sum + v, 0) / values.length;
/** "+1.5", "−1.5", "0.0". */
const points = (share: number): string => {
  const size = Math.abs(100 * share).toFixed(1);
  return size === "0.0" ? size : `${share < 0 ? "−" : "+"}${size}`;
};

/** One sentence about a method against another, by the same repetitions. */
export function comparisonInWords(method: MethodResult, other: MethodResult): string {
  const differences = method.accuracies.map((a, i) => a - (other.accuracies[i] ?? Number.NaN));
  const n = differences.length;
  const average = mean(differences);
  const against = `${method.name} against ${other.name}: ${points(average)} percentage points on average`;
  if (n === 1) return `${against}; of a single repetition nothing can be said.`;
  const range = `${points(Math.min(...differences))} to ${points(Math.max(...differences))} in the ${n} repetitions`;
  const signs = new Set(differences.map(Math.sign));
  if (signs.size > 1) return `${against} (${range}): the sign changes, neither is clearly ahead here.`;
  if (average === 0) return `${against} (${range}): no difference here.`;
  return `${against} (${range}): ${average > 0 ? "ahead" : "behind"} in all ${n}, which ${n < 6 ? "are too few to be sure" : "speaks for itself"}.`;
}

/** Which rates MetaLR moved most, of the layers below the head. */
export function ratesInWords(groups: readonly string[], first: readonly number[], last: readonly number[]): string {
  const moved = groups
    .slice(0, -1)
    .map((group, j) => ({
      group,
      from: first[j],
      to: last[j],
      ratio: (last[j] ?? Number.NaN) / (first[j] ?? Number.NaN),
    }))
    .filter(({ ratio }) => ratio > 0 && Number.isFinite(ratio))
    .sort((a, b) => b.ratio - a.ratio);
  const [highest, lowest] = [moved[0], moved.at(-1)];
  if (!highest || !lowest) return "";
  if (highest.ratio === 1 && lowest.ratio === 1) return "MetaLR left all rates below the head where they were.";
  const words = ({ group, from, to }: typeof highest) => `${group} (${formatFactor(from, to)})`;
  if (lowest.ratio >= 1) return `MetaLR raised all rates below the head, most of all that of ${words(highest)}.`;
  if (highest.ratio <= 1) return `MetaLR lowered all rates below the head, most of all that of ${words(lowest)}.`;
  return `MetaLR raised the rate of ${words(highest)} most and lowered that of ${words(lowest)} most.`;
}
