import { describe, expect, test } from "vitest";
import { holm, meanInterval, pairedTTest, tDistribution, tQuantile, wilcoxonExact } from "./statistics.js";

describe("Student's t", () => {
  test("one degree of freedom is Cauchy: P(T ≤ 1) = 3/4", () => {
    expect(tDistribution(1, 1)).toBeCloseTo(0.75, 13);
    expect(tDistribution(-1, 1)).toBeCloseTo(0.25, 13);
  });
  test("two degrees: P(T ≤ t) = 1/2 + t/(2·√(2 + t²))", () => {
    for (const t of [0, 0.1, 1, 4, 50])
      expect(tDistribution(t, 2)).toBeCloseTo(0.5 + t / (2 * Math.sqrt(2 + t * t)), 13);
  });
  test("quantiles as in the tables", () => {
    const table = [
      [1, 12.7062],
      [2, 4.30265],
      [4, 2.77645],
      [9, 2.26216],
      [29, 2.04523],
      [1000, 1.96234],
    ] as const;
    for (const [df, t] of table) expect(tQuantile(0.975, df)).toBeCloseTo(t, 4);
  });
});

test("interval of 1, 2, 3: 2 ± 4.30265/√3", () => {
  expect(meanInterval([1, 2, 3])).toEqual({
    n: 3,
    mean: 2,
    deviation: 1,
    low: expect.closeTo(2 - 4.302653 / Math.sqrt(3), 5),
    high: expect.closeTo(2 + 4.302653 / Math.sqrt(3), 5),
  });
  expect(meanInterval([7])).toEqual({ n: 1, mean: 7, deviation: null, low: null, high: null });
});

test("paired t of 1, 2, 3: t = 2√3, p = 1 − t/√(2 + t²)", () => {
  expect(pairedTTest([1, 2, 3])).toEqual({
    t: expect.closeTo(2 * Math.sqrt(3), 12),
    df: 2,
    p: expect.closeTo(0.0741799, 7),
  });
  expect(pairedTTest([-1, 1])?.p).toBeCloseTo(1, 12);
  expect(pairedTTest([0.1 + 0.2, 0.3])).toBeNull(); // no spread
  expect(pairedTTest([5])).toBeNull();
});

describe("Wilcoxon's signed ranks, exactly", () => {
  test("five of one sign: 2 of 32 arrangements", () => {
    expect(wilcoxonExact([3, 1, 4, 2, 5])).toEqual({ n: 5, rankSum: 0, p: 2 / 32 });
    expect(wilcoxonExact([-3, -1, -4, -2, -5])?.p).toBe(2 / 32);
  });
  test("3, 2, −1: two of eight arrangements are as far out, on either side", () => {
    expect(wilcoxonExact([3, 2, -1])).toEqual({ n: 3, rankSum: 1, p: 0.5 });
  });
  test("ties share their rank, zeros are left out", () => {
    expect(wilcoxonExact([1, 1, -1, 0])).toEqual({ n: 3, rankSum: 2, p: 1 });
    // sizes 1, 2, 2, 4 have ranks 1, 2.5, 2.5, 4; −1 alone: sums ≤ 1 are {} and {1} of 16
    expect(wilcoxonExact([-1, 2, 2, 4])).toEqual({ n: 4, rankSum: 1, p: 0.25 });
    expect(wilcoxonExact([0, 0])).toBeNull();
  });
  test("eight differences with a published table: rank sum 3 is p = 0.0390625", () => {
    expect(wilcoxonExact([-1, -2, 3, 4, 5, 6, 7, 8])).toEqual({ n: 8, rankSum: 3, p: 10 / 256 });
  });
});

test("Holm: the smallest times 3, the next times 2, never falling", () => {
  expect(holm([0.02, 0.01, 0.5])).toEqual([0.04, 0.03, 0.5]);
  expect(holm([0.02, 0.011])).toEqual([0.022, 0.022]);
  expect(holm([0.9, 0.8])).toEqual([1, 1]);
});
