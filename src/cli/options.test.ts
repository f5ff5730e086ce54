/** @file Tests of options.ts: what is understood, and what is said about the rest. */
import { describe, expect, test } from "vitest";
import { UsageError } from "../common/errors.js";
import { bounds, choice, longName, type OptionSpec, path, readNumber, real, reals, whole, wholes } from "./options.js";

const about = (flags: string) => ({ flags, help: "" });
const parse = <T>(spec: OptionSpec<T>, given: string): T => {
  if (spec.parse === null) throw new Error("a flag has no value");
  return spec.parse(given);
};
const message = <T>(spec: OptionSpec<T>, given: string): string => {
  try {
    return `understood as ${String(parse(spec, given))}`;
  } catch (error) {
    expect(error).toBeInstanceOf(UsageError);
    return (error as UsageError).message; // checked in the line before
  }
};

test("the long name is what messages call an option by", () => {
  expect(longName("-b, --batch-size <n>")).toBe("--batch-size");
  expect(longName("--json")).toBe("--json");
});

test.each([
  ["3", 3],
  ["-0.5", -0.5],
  [".5", 0.5],
  ["1e-4", 1e-4],
  ["+2.", 2],
])("%s is a number", (given, value) => expect(readNumber(given)).toBe(value));

test.each(["", " ", "0x10", "1_000", "Infinity", "NaN", "1e", "1,5", "one"])("%o is no number", (given) =>
  expect(readNumber(given)).toBeNaN(),
);

describe("messages", () => {
  const batchSize = whole({ ...about("-b, --batch-size <n>"), min: 1 });
  test.each([
    [batchSize, "0", "--batch-size: must be a whole number ≥ 1, got 0"],
    [batchSize, "-3", "--batch-size: must be a whole number ≥ 1, got -3"],
    [batchSize, "1.5", "--batch-size: must be a whole number ≥ 1, got 1.5"],
    [batchSize, "many", "--batch-size: must be a whole number ≥ 1, got many"],
    [batchSize, "", '--batch-size: must be a whole number ≥ 1, got ""'],
    [batchSize, "1e300", "--batch-size: must be a whole number ≥ 1, got 1e300"],
    [
      whole({ ...about("--width <pixels>"), min: 240, max: 8000 }),
      "9",
      "--width: must be a whole number from 240 to 8000, got 9",
    ],
    [real({ ...about("-l, --lr <rate>"), above: 0 }), "0", "--lr: must be a number > 0, got 0"],
    [real({ ...about("-l, --lr <rate>"), above: 0 }), "nan", "--lr: must be a number > 0, got nan"],
    [real({ ...about("--momentum <m>"), min: 0, below: 1 }), "1", "--momentum: must be a number ≥ 0 and < 1, got 1"],
    [
      reals({ ...about("--std <s>"), above: 0 }),
      "0.2,0",
      '--std: must be a number > 0, or several with commas, got "0.2,0"',
    ],
    [
      wholes({ ...about("--folds <list>"), min: 1 }),
      "0",
      "--folds: must be whole numbers ≥ 1 with commas, such as 1,3 or 1-3, got 0",
    ],
    [
      wholes({ ...about("--folds <list>"), min: 1 }),
      "3-1",
      "--folds: must be whole numbers ≥ 1 with commas, such as 1,3 or 1-3, got 3-1",
    ],
    [
      bounds(about("--lr-bounds <min,max>")),
      "1e-2,1e-6",
      '--lr-bounds: must be MIN,MAX with 0 ≤ MIN < MAX, or none, got "1e-2,1e-6"',
    ],
    [
      bounds(about("--lr-bounds <min,max>")),
      "1e-6",
      "--lr-bounds: must be MIN,MAX with 0 ≤ MIN < MAX, or none, got 1e-6",
    ],
    [
      choice({ ...about("--optimizer <name>"), of: ["adam", "sgd"] }),
      "rmsprop",
      "--optimizer: must be one of adam, sgd, got rmsprop",
    ],
    [path(about("-d, --data <path>")), " ", '--data: must be a path, got " "'],
    [whole({ ...about("--seed <n>"), min: 0 }), "\u001b[31m", '--seed: must be a whole number ≥ 0, got "?[31m"'],
  ] as const)("%#", (spec: OptionSpec<unknown>, given, expected) => expect(message(spec, given)).toBe(expected));
});

test("values", () => {
  expect(parse(wholes({ ...about("--folds <list>"), min: 1 }), "3,1-2, 2")).toEqual([1, 2, 3]);
  expect(parse(bounds(about("--lr-bounds <b>")), "1e-6,1e-2")).toEqual([1e-6, 1e-2]);
  expect(parse(bounds(about("--lr-bounds <b>")), "None")).toBeNull();
  expect(parse(choice({ ...about("--method <m>"), of: ["lastLayer"] }), "lastlayer")).toBe("lastLayer");
  expect(parse(reals(about("--mean <m>")), "0.485,0.456,0.406")).toEqual([0.485, 0.456, 0.406]);
});
