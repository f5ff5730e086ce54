/** @file Import of elementwise ops: arithmetic, comparisons, activations. */
import { constantTensor, scalar } from "../../graph/build.js";
import type { Value } from "../../graph/value.js";
import {
  abs,
  add,
  cos,
  div,
  elu,
  exp,
  gelu,
  greater,
  hardSigmoid,
  max,
  min,
  mul,
  prelu,
  reciprocal,
  sin,
  softplus,
  sqrt,
  sub,
  tanh,
  where,
} from "../../ops/index.js";
import type { ImportRule, ImportTable, NodeContext } from "./_context.js";

const isFloat = (v: Value) => v.dtype.startsWith("float");
/** Ops that are ours under the same name, with all inputs and no attributes. */
const same: ImportRule = (c) => c.op(c.node.opType, c.inputs);
const fromTheLeft =
  (f: (a: Value, b: Value) => Value): ImportRule =>
  (c) =>
    c.inputs.reduce(f);

/** Whole numbers are divided towards zero, as in C. */
const divide: ImportRule = (c) => {
  const y = c.op("Div", [c.x(0), c.x(1)]);
  return isFloat(y) ? y : c.op("Cast", [y], { to: y.dtype });
};

/** Small fixed exponents become products and roots, whose gradients are cheap and right at 0. */
const power: ImportRule = (c) => {
  const x = c.x(0);
  const exponent = constantTensor(c.x(1));
  const p = exponent?.data.length === 1 ? Number(exponent.data[0]) : Number.NaN;
  if (isFloat(x)) {
    if (p === 1) return x;
    if (p === 2) return mul(x, x);
    if (p === 3) return mul(mul(x, x), x);
    if (p === 4) return mul(mul(x, x), mul(x, x));
    if (p === 0.5) return sqrt(x);
    if (p === -0.5) return reciprocal(sqrt(x));
    if (p === -1) return reciprocal(x);
  }
  return c.op("Pow", [x, c.op("Cast", [c.x(1)], { to: x.dtype })]);
};

const clip: ImportRule = (c) => {
  const x = c.x(0);
  const known = (i: number) => c.maybe(i) === null || c.isKnown(i);
  if (known(1) && known(2)) {
    const [low, high] = [c.number(1, Number.NEGATIVE_INFINITY), c.number(2, Number.POSITIVE_INFINITY)];
    return c.op("Clip", [x], { min: low, max: high });
  }
  const [low, high] = [c.maybe(1), c.maybe(2)];
  const above = low ? max(x, low) : x;
  return high ? min(above, high) : above;
};

/** 0.5·x·(1 + tanh(√(2/π)·(x + 0.044715·x³))). */
const tanhGelu = (x: Value): Value => {
  const inner = mul(scalar(Math.sqrt(2 / Math.PI)), add(x, mul(scalar(0.044715), mul(x, mul(x, x)))));
  return mul(mul(scalar(0.5), x), add(scalar(1), tanh(inner)));
};

const leaky = (c: NodeContext) => c.op("LeakyRelu", [c.x(0)], { alpha: c.float("alpha", 0.01) });

export const elementwiseTable: ImportTable = {
  Add: same,
  Sub: same,
  Mul: same,
  Div: divide,
  Pow: power,
  Max: fromTheLeft(max),
  Min: fromTheLeft(min),
  Sum: fromTheLeft(add),
  Mean: (c) => mul(c.inputs.reduce(add), scalar(1 / c.node.inputs.length)),
  Mod: (c) => c.op("Mod", c.inputs, { fmod: c.flag("fmod") }),
  Greater: same,
  GreaterOrEqual: same,
  Less: same,
  LessOrEqual: same,
  Equal: same,
  And: same,
  Or: same,
  Xor: same,
  Not: same,
  Where: same,
  Neg: same,
  Abs: same,
  Sign: same,
  Exp: same,
  Log: same,
  Sqrt: same,
  Reciprocal: same,
  Floor: same,
  Ceil: same,
  Round: same,
  Sin: (c) => sin(c.x(0)),
  Cos: (c) => cos(c.x(0)),
  Erf: same,
  Relu: same,
  Sigmoid: same,
  Tanh: same,
  Softplus: same,
  LeakyRelu: leaky,
  PRelu: (c) => prelu(c.x(0), c.x(1)),
  Elu: (c) => elu(c.x(0), c.float("alpha", 1)),
  Selu: (c) => mul(elu(c.x(0), c.float("alpha", 1.6732632423543772)), scalar(c.float("gamma", 1.0507009873554805))),
  Celu: (c) => {
    // α·(e^(x/α) − 1) below zero, x above: Elu of x/α, scaled back.
    const alpha = c.float("alpha", 1);
    return mul(elu(div(c.x(0), scalar(alpha)), 1), scalar(alpha));
  },
  HardSigmoid: (c) => hardSigmoid(c.x(0), c.float("alpha", 0.2), c.float("beta", 0.5)),
  HardSwish: (c) => mul(c.x(0), hardSigmoid(c.x(0), 1 / 6, 0.5)),
  Mish: (c) => mul(c.x(0), tanh(softplus(c.x(0)))),
  Gelu: (c) => (c.text("approximate", "none") === "tanh" ? tanhGelu(c.x(0)) : gelu(c.x(0))),
  Softsign: (c) => div(c.x(0), add(scalar(1), abs(c.x(0)))),
  ThresholdedRelu: (c) => where(greater(c.x(0), scalar(c.float("alpha", 1))), c.x(0), scalar(0)),
  Shrink: (c) => {
    const [x, lambd, bias] = [c.x(0), c.float("lambd", 0.5), c.float("bias", 0)];
    const outside = where(greater(x, scalar(lambd)), sub(x, scalar(bias)), scalar(0));
    return where(greater(scalar(-lambd), x), add(x, scalar(bias)), outside);
  },
  Clip: clip,
  Sinh: (c) => mul(scalar(0.5), sub(exp(c.x(0)), exp(mul(c.x(0), scalar(-1))))),
  Cosh: (c) => mul(scalar(0.5), add(exp(c.x(0)), exp(mul(c.x(0), scalar(-1))))),
};
