import fc from "fast-check";
import { describe, expect, test } from "vitest";
import {
  confusionRates,
  EvaluationAccumulator,
  evaluate,
  mergeEvaluations,
  pooledEvaluation,
  rocAuc,
} from "./metrics.js";

const logits = (...rows: number[][]) => Float32Array.from(rows.flat());
const labels = (...y: number[]) => Uint32Array.from(y);

/** 40 samples of 3 classes in steps of a quarter, from the minimal standard generator; the same numbers were given to scikit-learn. */
function quarterLogits(): { z: Float32Array; y: Uint32Array } {
  let state = 1;
  const next = () => (state = (state * 16807) % 2147483647);
  const z = new Float32Array(120);
  const y = new Uint32Array(40);
  for (let i = 0; i < 40; i++) {
    y[i] = next() % 3;
    for (let k = 0; k < 3; k++) z[3 * i + k] = ((next() % 17) - 8) / 4 + (k === y[i] ? 1 : 0);
  }
  return { z, y };
}

describe("evaluate", () => {
  test("four samples of two classes, by hand", () => {
    const result = evaluate(logits([0, 0], [0, Math.log(3)], [0, Math.log(3)], [5, 0]), labels(0, 1, 0, 0), 2);
    expect(result.count).toBe(4);
    // −ln of 1/2, 3/4, 1/4 and 1/(1 + e^−5)
    const loss = (Math.log(2) + Math.log(4 / 3) + Math.log(4) + Math.log1p(Math.exp(-5))) / 4;
    expect(result.loss).toBeCloseTo(loss, 7); // ln 3 is rounded to float32
    expect(result.confusion).toEqual([
      [2, 1],
      [0, 1],
    ]);
    expect(result.accuracy).toBe(0.75);
    expect(result.recall).toEqual([2 / 3, 1]);
    expect(result.precision).toEqual([1, 0.5]);
    expect(result.balancedAccuracy).toBe((2 / 3 + 1) / 2);
    // class 1 scored ln 3; class 0 scored 0, ln 3 (a tie) and −5: (1 + ½ + 1) / 3
    expect(result.macroAuc).toBe(2.5 / 3);
  });

  test("40 samples of three classes agree with scikit-learn 1.9", () => {
    const { z, y } = quarterLogits();
    const result = evaluate(z, y, 3);
    expect(result.loss).toBeCloseTo(0.8473325624516279, 12);
    expect(result.accuracy).toBe(0.575);
    expect(result.balancedAccuracy).toBeCloseTo(0.5763888888888888, 14);
    expect(result.macroAuc).toBeCloseTo(0.8042534722222223, 14); // of probabilities rounded to 10 digits: many tie
    expect(result.confusion).toEqual([
      [8, 2, 2],
      [6, 9, 1],
      [2, 4, 6],
    ]);
    expect(result.precision).toEqual([0.5, 0.6, 6 / 9]);
    expect(result.recall).toEqual([8 / 12, 0.5625, 0.5]);
  });

  test("two classes agree with scikit-learn 1.9 on the score of the second", () => {
    const { z, y } = quarterLogits();
    const two = Float32Array.from({ length: 80 }, (_, i) => z[3 * (i >> 1) + (i & 1)] ?? 0);
    expect(
      evaluate(
        two,
        y.map((c) => Math.min(c, 1)),
        2,
      ).macroAuc,
    ).toBeCloseTo(0.7351190476190477, 14);
  });

  test("an absent class has no recall, is left out of balanced accuracy, and leaves no macro AUC", () => {
    const result = evaluate(logits([1, 0, 0], [0, 1, 0], [1, 0, 0]), labels(0, 1, 1), 3);
    expect(result.recall).toEqual([1, 0.5, null]);
    expect(result.precision).toEqual([0.5, 1, null]);
    expect(result.balancedAccuracy).toBe(0.75);
    expect(result.macroAuc).toBeNull();
  });

  test("a class alone leaves no macro AUC", () => {
    expect(evaluate(logits([1, 0], [0, 1]), labels(1, 1), 2).macroAuc).toBeNull();
  });

  test("nothing at all: NaN, no division error", () => {
    const result = evaluate(logits(), labels(), 2);
    expect(result).toMatchObject({ count: 0, loss: Number.NaN, accuracy: Number.NaN, macroAuc: null });
  });

  test("the first of equal logits is predicted", () => {
    expect(evaluate(logits([2, 2, 1]), labels(1), 3).confusion[1]).toEqual([1, 0, 0]);
  });

  test("logits of hundreds neither overflow nor saturate the order", () => {
    const result = evaluate(logits([0, 500], [0, 400], [0, 300], [300, 0]), labels(1, 0, 1, 0), 2);
    expect(result.loss).toBe(100); // only the second sample is wrong, by 400
    expect(result.macroAuc).toBe(0.75); // 500 > 400 > 300 > −300: three of four pairs
  });

  test("a NaN logit makes the loss NaN and the AUC null", () => {
    const result = evaluate(logits([0, Number.NaN], [1, 0]), labels(1, 0), 2);
    expect(result.loss).toBeNaN();
    expect(result.macroAuc).toBeNull();
  });

  test("a label outside the classes is refused", () => {
    expect(() => evaluate(logits([0, 0], [0, 0]), labels(0, 2), 2)).toThrow(
      "evaluation: a label is outside the classes\n  expected 0 … 1\n  got      2 (sample 1)",
    );
  });

  test("logits that do not fill [labels, classes] are refused", () => {
    expect(() => evaluate(logits([0, 0], [0]), labels(0, 1), 2)).toThrow(
      "evaluation: logits and labels do not belong together\n  expected 4 logits (2 labels × 2 classes)\n  got      3",
    );
  });
});

describe("rocAuc", () => {
  test("is the share of ordered pairs, a tie counting one half", () => {
    fc.assert(
      fc.property(fc.array(fc.tuple(fc.integer({ min: -3, max: 3 }), fc.boolean()), { maxLength: 40 }), (samples) => {
        const wins: number[] = [];
        for (const [a, yes] of samples) {
          for (const [b, no] of samples) if (yes && !no) wins.push(a > b ? 1 : a === b ? 0.5 : 0);
        }
        const expected = wins.length === 0 ? null : wins.reduce((s, w) => s + w, 0) / wins.length;
        const area = rocAuc(
          Float64Array.from(samples, ([score]) => score),
          (i) => samples[i]?.[1] ?? false,
        );
        if (expected === null || area === null) expect(area).toBe(expected);
        else expect(area).toBeCloseTo(expected, 12);
      }),
    );
  });

  test("infinite scores are ordered and tie with themselves", () => {
    const scores = Float64Array.of(Number.POSITIVE_INFINITY, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY);
    expect(rocAuc(scores, (i) => i === 0)).toBe(0.75);
  });
});

describe("pooling", () => {
  test("does not depend on how samples were cut into batches or folds", () => {
    const { z, y } = quarterLogits();
    const whole = evaluate(z, y, 3);
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 40 }), fc.integer({ min: 0, max: 40 }), (a, b) => {
        const cuts = [0, Math.min(a, b), Math.max(a, b), 40];
        const folds = [0, 1, 2].map((f) => {
          const fold = new EvaluationAccumulator(3);
          fold.add(z.subarray(3 * cuts[f]!, 3 * cuts[f + 1]!), y.subarray(cuts[f], cuts[f + 1])); // cuts has four
          return fold;
        });
        expect(pooledEvaluation(folds)).toEqual(whole);
      }),
    );
  });

  test("pooled AUC is not the mean of the folds' AUCs", () => {
    const fold = (z: Float32Array, y: Uint32Array) => {
      const all = new EvaluationAccumulator(2);
      all.add(z, y);
      return all;
    };
    const first = fold(logits([0, 1], [0, 2]), labels(0, 1));
    const second = fold(logits([0, -2], [0, -1]), labels(0, 1));
    expect([first.evaluate().macroAuc, second.evaluate().macroAuc]).toEqual([1, 1]);
    expect(pooledEvaluation([first, second]).macroAuc).toBe(0.75); // the second fold's yes (−1) is below the first's no (1)
  });

  test("evaluations alone merge to the same figures, but for the AUC", () => {
    const { z, y } = quarterLogits();
    const parts = [evaluate(z.subarray(0, 30), y.subarray(0, 10), 3), evaluate(z.subarray(30), y.subarray(10), 3)];
    const { loss, macroAuc, ...rest } = evaluate(z, y, 3);
    const merged = mergeEvaluations([...parts, evaluate(logits(), labels(), 3)]);
    expect(merged).toMatchObject(rest);
    expect(merged.loss).toBeCloseTo(loss, 12);
    expect([merged.macroAuc, typeof macroAuc]).toEqual([null, "number"]);
    expect(() => mergeEvaluations([...parts, evaluate(logits([0, 0]), labels(0), 2)])).toThrow(
      "evaluation: evaluations of different classes cannot be merged\n  expected 3 classes\n  got      2 classes",
    );
  });

  test("predictions survive their tensors", () => {
    const { z, y } = quarterLogits();
    const fold = new EvaluationAccumulator(3);
    fold.add(z, y);
    const back = EvaluationAccumulator.fromTensors(fold.toTensors());
    expect(back.evaluate()).toEqual(fold.evaluate());
  });

  test("other tensors are refused as predictions", () => {
    const tensors = new Map([["w", { dtype: "float32", shape: [2], data: new Float32Array(2) } as const]]);
    expect(() => EvaluationAccumulator.fromTensors(tensors)).toThrow(
      'predictions: not a record of predictions\n  expected float32 "logits" [n, classes] and uint32 "labels" [n]\n  got      float32 "w" [2]',
    );
  });
});

test("confusion rates of a matrix by hand", () => {
  const rates = confusionRates([
    [3, 1],
    [0, 0],
  ]);
  expect(rates).toEqual({ count: 4, accuracy: 0.75, balancedAccuracy: 0.75, precision: [1, 0], recall: [0.75, null] });
});
