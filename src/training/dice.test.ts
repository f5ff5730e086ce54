/** @file Tests of Dice by hand: of classes, and its mean over volumes. */
import { expect, test } from "vitest";
import { diceOf, meanDice } from "./dice.js";

/** Voxels counted as [truth · classes + predicted]. */
const counted = (predicted: readonly number[], truth: readonly number[], classes: number): number[] => {
  const counts = new Array<number>(classes * classes).fill(0);
  for (const [i, t] of truth.entries()) counts[t * classes + (predicted[i] ?? 0)]!++; // classes are below `classes`
  return counts;
};

test("Dice by hand: 2·both / (ours + theirs)", () => {
  //                 background 1 of 2 and 2; class 1: 2 of 3 and 2; class 2: 1 of 1 and 2
  expect(diceOf(counted([0, 0, 1, 1, 1, 2], [0, 2, 1, 1, 0, 2], 4), 4)).toEqual([0.5, 0.8, 2 / 3, null]);
});

test("a class in neither is null, a class in one of them 0", () => {
  expect(diceOf(counted([1], [0], 3), 3)).toEqual([0, 0, null]);
});

test("the mean leaves out volumes without the class", () => {
  expect(
    meanDice([
      [1, null, null],
      [0.5, 0.25, null],
    ]),
  ).toEqual([0.75, 0.25, null]);
});
