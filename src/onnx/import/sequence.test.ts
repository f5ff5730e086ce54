import { describe, expect, test } from "vitest";
import { int64, type Tensor } from "../../common/tensor.js";
import { importOnnx } from "../import.js";
import { message, modelOf, node, run } from "../import.testing.js";
import type { OnnxNode } from "../model.js";

const int = (value: number) => ({ type: "int" as const, value: BigInt(value) });
const one = (n: number) => int64([], [n]);
const numbers = { zero: one(0), one: one(1), two: one(2), last: one(-1), nine: one(9) };
const split = (sizes: string[], attributes: OnnxNode["attributes"] = { axis: int(1) }) =>
  node("SplitToSequence", ["x", ...sizes], "parts", attributes);
const at = (i: string, y: string) => node("SequenceAt", ["parts", i], y);

const outcome = (nodes: readonly OnnxNode[], tensors: Readonly<Record<string, Tensor>> = {}) =>
  run(importOnnx(modelOf(nodes, { ...numbers, ...tensors }, ["N", 5]), { file: "m.onnx" }), [1, 5], [1, 2, 3, 4, 5]);

describe("a tensor in parts, as torch.chunk", () => {
  test.each([
    ["equal parts, the last one smaller", [split(["two"]), at("two", "y")], [5]],
    ["counted from the end", [split(["two"]), at("last", "y")], [5]],
    ["the second of two and three", [split(["sizes"]), at("one", "y")], [3, 4, 5]],
    ["parts of one", [split([]), at("one", "y")], [2]],
    [
      "and joined again",
      [split(["two"]), node("ConcatFromSequence", ["parts"], "y", { axis: int(1) })],
      [1, 2, 3, 4, 5],
    ],
  ])("%s", (_, nodes, expected) => {
    const y = outcome(nodes, { sizes: int64([2], [2, 3]) });
    expect(y).toEqual({ shape: [1, expected.length], data: expected });
  });

  test("without its axis where parts of one are asked for so", () => {
    expect(outcome([split([], { axis: int(1), keepdims: int(0) }), at("one", "y")])).toEqual({ shape: [1], data: [2] });
  });
});

test.each([
  [
    "parts that do not fill the axis",
    [split(["sizes"]), at("one", "y")],
    'm.onnx: SplitToSequence "/block/parts/SplitToSequence": the parts do not fill the axis\n  expected 5\n  got      [2,2]',
  ],
  [
    "a place beyond the end",
    [split(["two"]), at("nine", "y")],
    'm.onnx: SequenceAt "/block/y/SequenceAt": the sequence is shorter\n  expected below 3\n  got      9',
  ],
  [
    "a sequence of another kind",
    [node("SequenceAt", ["x", "zero"], "y")],
    'm.onnx: SequenceAt "/block/y/SequenceAt": this sequence is not supported',
  ],
])("%s are refused", (_, nodes, expected) => {
  expect(message(() => outcome(nodes, { sizes: int64([2], [2, 2]) }))).toBe(expected);
});
