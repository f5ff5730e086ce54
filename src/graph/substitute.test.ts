import { expect, test } from "vitest";
import { add, evaluateGraph, mul } from "../ops/index.js";
import { input } from "./build.js";
import { inputsOf, substitute } from "./substitute.js";

const [a, b, c] = ["a", "b", "c"].map((name) => input(name, "float32", [])) as [
  ReturnType<typeof input>,
  ReturnType<typeof input>,
  ReturnType<typeof input>,
]; // three names

test("a value is computed from the replacement, and reads no longer what made the original", () => {
  const product = mul(a, b);
  const sum = add(product, a);
  const [replaced] = substitute([sum], new Map([[product, c]]));
  expect([...inputsOf([sum])].sort()).toEqual(["a", "b"]);
  expect([...inputsOf([replaced!])].sort()).toEqual(["a", "c"]);
  const number = (x: number) => ({ shape: [], data: Float64Array.of(x) });
  const feeds = new Map([
    [a, number(2)],
    [c, number(10)],
  ]);
  expect(evaluateGraph([replaced!], feeds)[0]?.data[0]).toBe(12);
});

test("what reads no replaced value stays the very same", () => {
  const sum = add(a, b);
  expect(substitute([sum, c], new Map([[mul(a, b), c]]))).toEqual([sum, c]);
  expect(substitute([c], new Map([[c, a]]))).toEqual([a]);
});
