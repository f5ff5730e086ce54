/** @file Tests of words.ts: no more is said than the numbers allow. */
import { describe, expect, test } from "vitest";
import { comparisonInWords, ratesInWords } from "./words.js";

describe("one method against another", () => {
  const against = (mine: number[], others: number[]) =>
    comparisonInWords({ name: "MetaLR", accuracies: mine }, { name: "last layer", accuracies: others });

  test.each([
    [[0.9], [0.8], "+10.0 percentage points on average; of a single repetition nothing can be said."],
    [
      [0.9, 0.8, 0.85],
      [0.8, 0.78, 0.84],
      "+4.3 percentage points on average (+1.0 to +10.0 in the 3 repetitions): ahead in all 3, which are too few to be sure.",
    ],
    [
      [0.7, 0.7],
      [0.8, 0.75],
      "−7.5 percentage points on average (−10.0 to −5.0 in the 2 repetitions): behind in all 2, which are too few to be sure.",
    ],
    [
      [0.9, 0.7],
      [0.8, 0.8],
      "0.0 percentage points on average (−10.0 to +10.0 in the 2 repetitions): the sign changes, neither is clearly ahead here.",
    ],
    [[0.5, 0.5], [0.5, 0.5], "0.0 percentage points on average (0.0 to 0.0 in the 2 repetitions): no difference here."],
  ])("%j against %j", (mine, others, words) =>
    expect(against(mine, others)).toBe(`MetaLR against last layer: ${words}`),
  );
});

describe("rates", () => {
  const groups = ["stem", "layer1", "fc"];
  test.each([
    [[1, 2, 9], "MetaLR raised all rates below the head, most of all that of layer1 (×2.00)."],
    [[0.5, 0.25, 9], "MetaLR lowered all rates below the head, most of all that of layer1 (×0.250)."],
    [[3, 0.5, 1], "MetaLR raised the rate of stem (×3.00) most and lowered that of layer1 (×0.500) most."],
    [[1, 1, 1], "MetaLR left all rates below the head where they were."],
    [[], ""],
  ])("%j", (last, words) => expect(ratesInWords(groups, [1, 1, 1], last)).toBe(words));
});
