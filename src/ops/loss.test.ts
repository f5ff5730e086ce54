import { describe, expect, test } from "vitest";
import { gradients } from "../autodiff/backward.js";
import { Random } from "../common/random.js";
import { input } from "../graph/build.js";
import type { Value } from "../graph/value.js";
import { crossEntropy, diceLoss, evaluateGraph, type LossName, lossNames, lossOf, type NdArray } from "./index.js";

const value = (shape: number[], data: readonly number[]): NdArray => ({ shape, data: Float64Array.from(data) });

/** Loss at these logits and labels. */
function at(loss: (logits: Value, labels: Value) => Value, logits: NdArray, labels: NdArray): number {
  const [x, y] = [input("x", "float32", logits.shape), input("y", "int64", labels.shape)];
  const [l] = evaluateGraph(
    [loss(x, y)],
    new Map([
      [x, logits],
      [y, labels],
    ]),
  );
  return l!.data[0]!;
}

test("Dice by hand: sure and right is 0, sure and wrong 1 − ε/(|P| + |G| + ε)", () => {
  const sure = value([1, 2, 4], [50, 50, -50, -50, -50, -50, 50, 50]); // classes 0 0 1 1
  expect(at(diceLoss, sure, value([1, 4], [0, 0, 1, 1]))).toBeCloseTo(0, 12);
  // p = 0 0 1 1, g = 1 1 0 0: (0 + 1) / (2 + 2 + 1)
  expect(at(diceLoss, sure, value([1, 4], [1, 1, 0, 0]))).toBeCloseTo(1 - 1 / 5, 12);
});

test("background counts only when asked for; a batch is one set", () => {
  // Even logits: p = 1/2 everywhere. Two images of two positions; class 1 is one of four positions.
  const logits = value([2, 2, 2], [0, 0, 0, 0, 0, 0, 0, 0]);
  const labels = value([2, 2], [0, 0, 1, 0]);
  const one = (2 * 0.5 + 1) / (2 + 1 + 1);
  const zero = (2 * 1.5 + 1) / (2 + 3 + 1);
  expect(at(diceLoss, logits, labels)).toBeCloseTo(1 - one, 12);
  expect(at((x, y) => diceLoss(x, y, { background: true }), logits, labels)).toBeCloseTo(1 - (one + zero) / 2, 12);
});

test("the sum of both is the sum of both, and cross-entropy is the mean over all positions", () => {
  const logits = value([1, 3, 2], [1, 2, 0, -1, 0.5, 0]);
  const labels = value([1, 2], [2, 0]);
  const each = lossNames.map((name) => at((x, y) => lossOf(name, x, y), logits, labels));
  expect(each[2]).toBeCloseTo(each[0]! + each[1]!, 12);
  const log = (a: number[], k: number) => a[k]! - Math.log(a.reduce((s, v) => s + Math.exp(v), 0));
  expect(at(crossEntropy, logits, labels)).toBeCloseTo(-(log([1, 0, 0.5], 2) + log([2, -1, 0], 0)) / 2, 12);
});

test("one class has no overlap to speak of", () => {
  expect(() => diceLoss(input("x", "float32", [1, 1, 2]), input("y", "int64", [1, 2]))).toThrow(
    "Dice loss: needs at least two classes",
  );
});

describe.each(lossNames)("%s", (name: LossName) => {
  test.each([[[2, 3]], [[2, 3, 4]], [[1, 2, 3, 2, 2]]])(
    "gradient agrees with central differences in float64 at %j",
    (shape) => {
      const random = new Random(3, name, shape.length);
      const size = shape.reduce((a, b) => a * b, 1);
      const logits = value(
        shape,
        Array.from({ length: size }, () => random.between(-2, 2)),
      );
      const space = [shape[0]!, ...shape.slice(2)];
      const labels = value(
        space,
        Array.from({ length: size / shape[1]! }, () => random.below(shape[1]!)),
      );
      const [x, y] = [input("x", "float32", shape), input("y", "int64", space)];
      const feeds = new Map([
        [x, logits],
        [y, labels],
      ]);
      const [gradient] = evaluateGraph(gradients(lossOf(name, x, y), [x]), feeds);
      for (let i = 0; i < size; i++) {
        const moved = (by: number) =>
          value(
            shape,
            [...logits.data].map((v, k) => (k === i ? v + by : v)),
          );
        const step = 1e-5;
        const slope =
          (at((a, b) => lossOf(name, a, b), moved(step), labels) -
            at((a, b) => lossOf(name, a, b), moved(-step), labels)) /
          (2 * step);
        expect(Math.abs(gradient!.data[i]! - slope), `element ${i}`).toBeLessThan(1e-9);
      }
    },
  );
});
