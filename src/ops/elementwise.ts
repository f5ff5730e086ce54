/** @file Elementwise ops with NumPy broadcasting: arithmetic, comparisons, Where, Cast. */

import type { DType } from "../common/tensor.js";
import { scalar } from "../graph/build.js";
import type { Value } from "../graph/value.js";
import { broadcastShapes, map } from "./_nd.js";
import { apply, defineOp, type Op, type Sample, type Type } from "./define.js";
import { int, onnxTypeOf } from "./lowering.js";

const pairs: readonly Sample[] = [
  { shapes: { a: [2, 3], b: [2, 3] } },
  { shapes: { a: [2, 3, 2], b: [3, 1] } },
  { shapes: { a: [1, 3], b: [4, 1, 1] } },
];

const away: readonly Sample[] = pairs.map((s) => ({ ...s, ranges: { b: [0.5, 2] as const } }));

export const Add = defineOp({
  name: "Add",
  source: "ONNX Add-14",
  inputs: ["a", "b"],
  shape: ({ a, b }) => broadcastShapes("Add", a.shape, b.shape),
  grad: { a: ({ dy }) => dy, b: ({ dy }) => dy },
  evaluate: ({ a, b }) => map("Add", (p, q) => p + q, a, b),
  samples: pairs,
});
export const Sub = defineOp({
  name: "Sub",
  source: "ONNX Sub-14",
  inputs: ["a", "b"],
  shape: ({ a, b }) => broadcastShapes("Sub", a.shape, b.shape),
  grad: { a: ({ dy }) => dy, b: ({ dy }) => neg(dy) },
  evaluate: ({ a, b }) => map("Sub", (p, q) => p - q, a, b),
  samples: pairs,
});
export const Mul = defineOp({
  name: "Mul",
  source: "ONNX Mul-14",
  inputs: ["a", "b"],
  shape: ({ a, b }) => broadcastShapes("Mul", a.shape, b.shape),
  grad: { a: ({ b, dy }) => mul(dy, b), b: ({ a, dy }) => mul(dy, a) },
  evaluate: ({ a, b }) => map("Mul", (p, q) => p * q, a, b),
  samples: pairs,
});
export const Div = defineOp({
  name: "Div",
  source: "ONNX Div-14",
  inputs: ["a", "b"],
  shape: ({ a, b }) => broadcastShapes("Div", a.shape, b.shape),
  grad: { a: ({ b, dy }) => div(dy, b), b: ({ b, y, dy }) => neg(div(mul(dy, y), b)) },
  evaluate: ({ a, b }) => map("Div", (p, q) => p / q, a, b),
  samples: away,
});
/** Ties share the gradient in halves, as PyTorch. */
const extremum = (name: "Max" | "Min", pick: (p: number, q: number) => number) =>
  defineOp({
    name,
    source: `ONNX ${name}-13 of two inputs; at a tie each side gets half the gradient, as PyTorch`,
    inputs: ["a", "b"],
    shape: ({ a, b }) => broadcastShapes(name, a.shape, b.shape),
    grad: {
      a: ({ a, b, dy }) => mul(dy, share(name, a, b)),
      b: ({ a, b, dy }) => mul(dy, share(name, b, a)),
    },
    evaluate: ({ a, b }) => map(name, pick, a, b),
    samples: pairs,
  });
export const Max = extremum("Max", (p, q) => (Number.isNaN(p) || Number.isNaN(q) ? Number.NaN : Math.max(p, q)));
export const Min = extremum("Min", (p, q) => (Number.isNaN(p) || Number.isNaN(q) ? Number.NaN : Math.min(p, q)));
/** 1 where `a` wins, 1/2 at a tie, 0 elsewhere. */
const share = (name: "Max" | "Min", a: Value, b: Value): Value => {
  const wins = name === "Max" ? greater(a, b) : greater(b, a);
  return where(wins, scalar(1), where(equal(a, b), scalar(0.5), scalar(0)));
};

export const Pow = defineOp({
  name: "Pow",
  source: "ONNX Pow-15; the exponent's gradient is 0 where the base is 0, as PyTorch",
  inputs: ["a", "b"],
  shape: ({ a, b }) => broadcastShapes("Pow", a.shape, b.shape),
  grad: {
    a: ({ a, b, dy }) => mul(dy, mul(b, pow(a, sub(b, scalar(1))))),
    b: ({ a, y, dy }) => mul(dy, mul(y, where(greater(a, scalar(0)), log(max(a, scalar(1e-38))), scalar(0)))),
  },
  evaluate: ({ a, b }) => map("Pow", (p, q) => p ** q, a, b),
  samples: pairs.map((s) => ({ ...s, ranges: { a: [0.5, 2] as const } })),
});

const compare = (
  name: "Greater" | "GreaterOrEqual" | "Less" | "LessOrEqual" | "Equal",
  f: (p: number, q: number) => boolean,
) =>
  defineOp({
    name,
    source: `ONNX ${name}-13`,
    inputs: ["a", "b"],
    shape: ({ a, b }): readonly Type[] => [{ dtype: "bool", shape: broadcastShapes(name, a.shape, b.shape) }],
    grad: { a: "none", b: "none" },
    evaluate: ({ a, b }) => map(name, (p, q) => (f(p, q) ? 1 : 0), a, b),
    samples: pairs,
  });
export const Greater = compare("Greater", (p, q) => p > q);
export const GreaterOrEqual = compare("GreaterOrEqual", (p, q) => p >= q);
export const Less = compare("Less", (p, q) => p < q);
export const LessOrEqual = compare("LessOrEqual", (p, q) => p <= q);
export const Equal = compare("Equal", (p, q) => p === q);

export const Where = defineOp({
  name: "Where",
  source: "ONNX Where-16",
  inputs: ["condition", "a", "b"],
  shape: ({ condition, a, b }): readonly Type[] => [
    { dtype: a.dtype, shape: broadcastShapes("Where", condition.shape, a.shape, b.shape) },
  ],
  grad: {
    condition: "none",
    a: ({ condition, dy }) => where(condition, dy, scalar(0)),
    b: ({ condition, dy }) => where(condition, scalar(0), dy),
  },
  evaluate: ({ condition, a, b }) => map("Where", (c, p, q) => (c !== 0 ? p : q), condition, a, b),
  samples: [
    { shapes: { condition: [2, 3], a: [2, 3], b: [2, 3] }, ints: { condition: 2 } },
    { shapes: { condition: [3], a: [2, 3], b: [] }, ints: { condition: 2 } },
  ],
});

interface Unary {
  readonly source: string;
  readonly f: (x: number) => number;
  readonly grad: ((a: { x: Value; y: Value; dy: Value }) => Value) | "none";
  readonly range?: readonly [number, number];
}
const unary = (name: string, { source, f, grad, range }: Unary): Op =>
  defineOp({
    name,
    source,
    inputs: ["x"],
    shape: ({ x }) => x.shape,
    grad: { x: grad },
    evaluate: ({ x }) => ({ shape: x.shape, data: x.data.map(f) }),
    samples: [
      { shapes: { x: [2, 3] }, ...(range && { range }) },
      { shapes: { x: [7] }, ...(range && { range }) },
    ],
  });

export const Neg = unary("Neg", { source: "ONNX Neg-13", f: (x) => -x, grad: ({ dy }) => neg(dy) });
export const Abs = unary("Abs", { source: "ONNX Abs-13; 0 at 0", f: Math.abs, grad: ({ x, dy }) => mul(dy, sign(x)) });
export const Sign = unary("Sign", { source: "ONNX Sign-13", f: Math.sign, grad: "none" });
export const Exp = unary("Exp", { source: "ONNX Exp-13", f: Math.exp, grad: ({ y, dy }) => mul(dy, y) });
export const Log = unary("Log", {
  source: "ONNX Log-13",
  f: Math.log,
  grad: ({ x, dy }) => div(dy, x),
  range: [0.3, 3],
});
export const Sqrt = unary("Sqrt", {
  source: "ONNX Sqrt-13",
  f: Math.sqrt,
  grad: ({ y, dy }) => div(mul(dy, scalar(0.5)), y),
  range: [0.3, 3],
});
export const Reciprocal = unary("Reciprocal", {
  source: "ONNX Reciprocal-13",
  f: (x) => 1 / x,
  grad: ({ y, dy }) => neg(mul(dy, mul(y, y))),
  range: [0.4, 2],
});
export const Relu = unary("Relu", {
  source: "ONNX Relu-14; gradient 0 at 0, as PyTorch",
  f: (x) => (x > 0 ? x : x <= 0 ? 0 : x), // NaN stays NaN
  grad: ({ y, dy }) => where(greater(y, scalar(0)), dy, scalar(0)),
});
export const Sigmoid = unary("Sigmoid", {
  source: "ONNX Sigmoid-13",
  f: (x) => (x >= 0 ? 1 / (1 + Math.exp(-x)) : Math.exp(x) / (1 + Math.exp(x))),
  grad: ({ y, dy }) => mul(dy, mul(y, sub(scalar(1), y))),
});
export const Tanh = unary("Tanh", {
  source: "ONNX Tanh-13",
  f: Math.tanh,
  grad: ({ y, dy }) => mul(dy, sub(scalar(1), mul(y, y))),
});

export const Cast = defineOp({
  name: "Cast",
  source: "ONNX Cast-13; to a whole-number type it truncates and has no gradient",
  inputs: ["x"],
  attrs: { to: "float32" as DType },
  shape: ({ x }, { to }): readonly Type[] => [{ dtype: to, shape: x.shape }],
  grad: { x: ({ x, dy }) => (x.dtype.startsWith("float") ? cast(dy, x.dtype) : mul(dy, scalar(0))) },
  evaluate: ({ x }, { to }) => ({
    shape: x.shape,
    data: to.startsWith("float") ? x.data : x.data.map(to === "bool" ? (v) => (v !== 0 ? 1 : 0) : Math.trunc),
  }),
  lower: ({ x }, low, { to }) => low.emit("Cast", [x], { to: int(onnxTypeOf[to]) }),
  samples: [{ shapes: { x: [2, 3] } }],
});

export const add = (a: Value, b: Value): Value => apply(Add, [a, b]);
export const sub = (a: Value, b: Value): Value => apply(Sub, [a, b]);
export const mul = (a: Value, b: Value): Value => apply(Mul, [a, b]);
export const div = (a: Value, b: Value): Value => apply(Div, [a, b]);
export const max = (a: Value, b: Value): Value => apply(Max, [a, b]);
export const min = (a: Value, b: Value): Value => apply(Min, [a, b]);
export const pow = (a: Value, b: Value): Value => apply(Pow, [a, b]);
export const greater = (a: Value, b: Value): Value => apply(Greater, [a, b]);
export const greaterOrEqual = (a: Value, b: Value): Value => apply(GreaterOrEqual, [a, b]);
export const less = (a: Value, b: Value): Value => apply(Less, [a, b]);
export const lessOrEqual = (a: Value, b: Value): Value => apply(LessOrEqual, [a, b]);
export const equal = (a: Value, b: Value): Value => apply(Equal, [a, b]);
export const where = (condition: Value, a: Value, b: Value): Value => apply(Where, [condition, a, b]);
export const neg = (x: Value): Value => apply(Neg, [x]);
export const abs = (x: Value): Value => apply(Abs, [x]);
export const sign = (x: Value): Value => apply(Sign, [x]);
export const exp = (x: Value): Value => apply(Exp, [x]);
export const log = (x: Value): Value => apply(Log, [x]);
export const sqrt = (x: Value): Value => apply(Sqrt, [x]);
export const reciprocal = (x: Value): Value => apply(Reciprocal, [x]);
export const relu = (x: Value, name?: string): Value => apply(Relu, [x], undefined, name);
export const sigmoid = (x: Value): Value => apply(Sigmoid, [x]);
export const tanh = (x: Value): Value => apply(Tanh, [x]);
export const cast = (x: Value, to: DType): Value => (x.dtype === to ? x : apply(Cast, [x], { to }));
/** x limited to [low, high]. */
export const clip = (x: Value, low: number, high: number): Value => min(max(x, scalar(low)), scalar(high));
