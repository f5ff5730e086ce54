import { describe, expect, test } from "vitest";
import { input } from "../graph/build.js";
import { add, cast, evaluateGraph, greater, matmul, mul, ops, relu, sumAll, where } from "../ops/index.js";
import { directional, gradients } from "./backward.js";
import { gradientError } from "./gradientError.js";

// Central differences with step 1e-5 in float64 are good to about 1e-10 relative for smooth functions.
const TOLERANCE = 1e-7;

describe.each(Object.values(ops).map((op) => [op.name, op] as const))("%s", (_, op) => {
  test.each(op.samples.map((s) => [JSON.stringify(s.shapes), s] as const))(
    "gradient agrees with central differences at %s",
    (_, sample) => {
      const { error, where } = gradientError(op, sample, { seed: 7, step: 1e-5 });
      expect(error, where).toBeLessThan(TOLERANCE);
    },
  );
});

const value = (shape: number[], ...data: number[]) => ({ shape, data: Float64Array.from(data) });

test("a value used twice gets both gradients: d(x² + 3x)/dx = 2x + 3", () => {
  const x = input("x", "float32", [2]);
  const three = input("three", "float32", []);
  const g = gradients(sumAll(add(mul(x, x), mul(three, x))), [x]);
  const [dx] = evaluateGraph(
    g,
    new Map([
      [x, value([2], 1, -4)],
      [three, value([], 3)],
    ]),
  );
  expect([...dx!.data]).toEqual([5, -5]);
});

test("a broadcast operand's gradient is summed back to its shape", () => {
  const x = input("x", "float32", [2, 3]);
  const b = input("b", "float32", [3]);
  const [db] = evaluateGraph(
    gradients(sumAll(add(x, b)), [b]),
    new Map([
      [x, value([2, 3], 1, 2, 3, 4, 5, 6)],
      [b, value([3], 0, 0, 0)],
    ]),
  );
  expect(db!.shape).toEqual([3]);
  expect([...db!.data]).toEqual([2, 2, 2]);
});

test("a parameter that the loss does not use has gradient zero", () => {
  const x = input("x", "float32", [2]);
  const unused = input("unused", "float32", [3]);
  const [g] = evaluateGraph(gradients(sumAll(x), [unused]), new Map());
  expect([...g!.data]).toEqual([0, 0, 0]);
});

test("the gradient flows on through a value that is itself asked for", () => {
  const x = input("x", "float32", [1]);
  const y = mul(x, x);
  const [dx, dy] = evaluateGraph(gradients(sumAll(mul(y, y)), [x, y]), new Map([[x, value([1], 3)]]));
  expect(dy!.data[0]).toBe(18); // dL/dy = 2y
  expect(dx!.data[0]).toBe(108); // dL/dx = 4x³
});

test("directional contracts a matrix product without forming the weight's gradient", () => {
  const x = input("x", "float32", [2, 2]);
  const w = input("w", "float32", [2, 1]);
  const d = input("d", "float32", [2, 1]);
  const loss = sumAll(relu(matmul(x, w)));
  const feeds = new Map([
    [x, value([2, 2], 1, 2, 3, 4)],
    [w, value([2, 1], 1, 1)],
    [d, value([2, 1], 10, 1)],
  ]);
  const [g] = gradients(loss, [w]);
  const [contracted, gradient] = evaluateGraph([directional(loss, [w], [d])[0]!, g!], feeds);
  expect([...gradient!.data]).toEqual([4, 6]);
  expect(contracted!.data[0]).toBe(46);
});

test("a mask that depends on the parameter carries no gradient: d(where(x > 0, x², 0))/dx = 2x where x > 0", () => {
  const x = input("x", "float32", [2]);
  const zero = input("zero", "float32", []);
  const g = gradients(sumAll(where(greater(x, zero), mul(x, x), zero)), [x]);
  const [dx] = evaluateGraph(
    g,
    new Map([
      [x, value([2], 3, -1)],
      [zero, value([], 0)],
    ]),
  );
  expect(dx!.data[0]).toBe(6);
  expect(dx!.data[1]).toBeCloseTo(0, 15); // zero of either sign
});

test("an op without a gradient on the path to a parameter is an error that names it", () => {
  const x = input("x", "float32", [2]);
  const loss = sumAll(cast(greater(x, x), "float32"));
  expect(() => gradients(loss, [x])).toThrow(
    'Greater: has no gradient by its input "a", which a parameter reaches\n  hint     freeze the layers before it, or replace the op',
  );
});
