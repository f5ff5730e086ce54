import { expect, test } from "vitest";
import { messageOf } from "../formats/messages.testing.js";
import { dicePerClass, meanDice } from "./dice.js";

test("Dice by hand: 2·both / (ours + theirs)", () => {
  //                                 background 1 of 2 and 2; class 1: 2 of 3 and 2; class 2: 1 of 1 and 2
  expect(dicePerClass(Uint8Array.of(0, 0, 1, 1, 1, 2), Uint8Array.of(0, 2, 1, 1, 0, 2), 4)).toEqual([
    0.5,
    0.8,
    2 / 3,
    null,
  ]);
});

test("a class in neither is null, a class in one of them 0", () => {
  expect(dicePerClass(Uint8Array.of(1), Uint8Array.of(0), 3)).toEqual([0, 0, null]);
});

test("the mean leaves out volumes without the class", () => {
  expect(
    meanDice([
      [1, null, null],
      [0.5, 0.25, null],
    ]),
  ).toEqual([0.75, 0.25, null]);
});

test("lengths that differ", async () => {
  expect(await messageOf(() => dicePerClass(new Uint8Array(2), new Uint8Array(3), 2))).toBe(
    "dice: prediction and truth differ in length\n  expected 3 labels\n  got      2",
  );
});
