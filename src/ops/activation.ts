/** @file Activations that exported networks carry, each one ONNX node forward: Clip, LeakyRelu, PRelu, Elu, Softplus, HardSigmoid, Erf. */

import { scalar } from "../graph/build.js";
import type { Value } from "../graph/value.js";
import { broadcastShapes, map } from "./_nd.js";
import { apply, defineOp, type Sample } from "./define.js";
import { add, exp, greater, less, min, mul, neg, sigmoid, where } from "./elementwise.js";
import { float } from "./lowering.js";

const zero = () => scalar(0);
/** Both sides of zero occur in every sample; zero itself does not. */
const samples = (attrs?: Sample["attrs"]): readonly Sample[] => [
  { shapes: { x: [3, 5] }, ...(attrs && { attrs }) },
  { shapes: { x: [7] }, range: [-4, 4], ...(attrs && { attrs }) },
];

export const Clip = defineOp({
  name: "Clip",
  source: "ONNX Clip-13 with known bounds; no gradient at a bound, as PyTorch's hardtanh and ReLU6",
  inputs: ["x"],
  attrs: { min: Number.NEGATIVE_INFINITY, max: Number.POSITIVE_INFINITY },
  shape: ({ x }) => x.shape,
  grad: {
    x: ({ x, y, dy, attrs }) => {
      // y differs from both bounds exactly where x lies strictly between them.
      const above = Number.isFinite(attrs.min) ? where(greater(y, scalar(attrs.min)), dy, zero()) : dy;
      return Number.isFinite(attrs.max) ? where(less(x, scalar(attrs.max)), above, zero()) : above;
    },
  },
  evaluate: ({ x }, { min, max }) => ({ shape: x.shape, data: x.data.map((v) => Math.min(Math.max(v, min), max)) }),
  lower: ({ x }, low, { min, max }) =>
    low.emit("Clip", [
      x,
      Number.isFinite(min) ? low.scalar(min) : "",
      ...(Number.isFinite(max) ? [low.scalar(max)] : []),
    ]),
  samples: [
    ...samples({ min: 0, max: 1.5 }),
    ...samples({ min: -1, max: Number.POSITIVE_INFINITY }),
    ...samples({ min: Number.NEGATIVE_INFINITY, max: 1 }),
  ],
});

export const LeakyRelu = defineOp({
  name: "LeakyRelu",
  source: "ONNX LeakyRelu-16; at 0 the slope side, as PyTorch",
  inputs: ["x"],
  attrs: { alpha: 0.01 },
  shape: ({ x }) => x.shape,
  grad: { x: ({ x, dy, attrs }) => where(greater(x, zero()), dy, mul(dy, scalar(attrs.alpha))) },
  evaluate: ({ x }, { alpha }) => ({ shape: x.shape, data: x.data.map((v) => (v > 0 ? v : alpha * v)) }),
  lower: ({ x }, low, { alpha }) => low.emit("LeakyRelu", [x], { alpha: float(alpha) }),
  samples: samples({ alpha: 0.1 }),
});

export const PRelu = defineOp({
  name: "PRelu",
  source: "ONNX PRelu-16: x where x > 0, else slope·x; at x = 0 the slope side, as PyTorch",
  inputs: ["x", "slope"],
  shape: ({ x, slope }) => {
    broadcastShapes("PRelu", x.shape, slope.shape);
    return x.shape;
  },
  grad: {
    x: ({ x, slope, dy }) => where(greater(x, zero()), dy, mul(slope, dy)),
    slope: ({ x, dy }) => mul(min(x, zero()), dy),
  },
  evaluate: ({ x, slope }) => map("PRelu", (v, s) => (v > 0 ? v : s * v), x, slope),
  samples: [{ shapes: { x: [2, 3], slope: [1] } }, { shapes: { x: [2, 3, 4], slope: [3, 1] } }],
});

export const Elu = defineOp({
  name: "Elu",
  source: "ONNX Elu-6: x where x > 0, else α(eˣ − 1)",
  inputs: ["x"],
  attrs: { alpha: 1 },
  shape: ({ x }) => x.shape,
  // y + α = αeˣ where x ≤ 0; there y ≤ 0, and the exponential is never formed again.
  grad: { x: ({ x, y, dy, attrs }) => where(greater(x, zero()), dy, mul(dy, add(y, scalar(attrs.alpha)))) },
  evaluate: ({ x }, { alpha }) => ({ shape: x.shape, data: x.data.map((v) => (v > 0 ? v : alpha * Math.expm1(v))) }),
  lower: ({ x }, low, { alpha }) => low.emit("Elu", [x], { alpha: float(alpha) }),
  samples: samples({ alpha: 1.3 }),
});

export const Softplus = defineOp({
  name: "Softplus",
  source: "ONNX Softplus-1: log(1 + eˣ) = max(x, 0) + log1p(e^−|x|)",
  inputs: ["x"],
  shape: ({ x }) => x.shape,
  grad: { x: ({ x, dy }) => mul(dy, sigmoid(x)) },
  evaluate: ({ x }) => ({
    shape: x.shape,
    data: x.data.map((v) => Math.max(v, 0) + Math.log1p(Math.exp(-Math.abs(v)))),
  }),
  samples: samples(),
});

export const HardSigmoid = defineOp({
  name: "HardSigmoid",
  source: "ONNX HardSigmoid-6: max(0, min(1, αx + β)); no gradient at the corners, as PyTorch",
  inputs: ["x"],
  attrs: { alpha: 0.2, beta: 0.5 },
  shape: ({ x }) => x.shape,
  grad: {
    x: ({ y, dy, attrs }) =>
      where(greater(y, zero()), where(less(y, scalar(1)), mul(dy, scalar(attrs.alpha)), zero()), zero()),
  },
  evaluate: ({ x }, { alpha, beta }) => ({
    shape: x.shape,
    data: x.data.map((v) => Math.max(0, Math.min(1, alpha * v + beta))),
  }),
  lower: ({ x }, low, { alpha, beta }) => low.emit("HardSigmoid", [x], { alpha: float(alpha), beta: float(beta) }),
  samples: samples({ alpha: 1 / 6, beta: 0.5 }),
});

/**
 * erf by its series ∑ (−1)ⁿ x²ⁿ⁺¹/(n!(2n+1)) up to |x| = 2.5 and the continued fraction of erfc beyond
 * (Abramowitz and Stegun 7.1.5, 7.1.14); good to 1e-14, where Math has none.
 */
function erf(x: number): number {
  const a = Math.abs(x);
  if (Number.isNaN(x)) return x;
  if (a > 6) return Math.sign(x);
  if (a <= 2.5) {
    let term = x;
    let sum = x;
    for (let n = 1; Math.abs(term) > 1e-18; n++) {
      term *= -(x * x) / n;
      sum += term / (2 * n + 1);
    }
    return (2 / Math.sqrt(Math.PI)) * sum;
  }
  let fraction = 0;
  for (let k = 60; k > 0; k--) fraction = k / 2 / (a + fraction);
  return Math.sign(x) * (1 - Math.exp(-a * a) / (Math.sqrt(Math.PI) * (a + fraction)));
}

export const Erf = defineOp({
  name: "Erf",
  source: "ONNX Erf-13; derivative 2/√π·e^−x²",
  inputs: ["x"],
  shape: ({ x }) => x.shape,
  grad: { x: ({ x, dy }) => mul(dy, mul(scalar(2 / Math.sqrt(Math.PI)), exp(neg(mul(x, x))))) },
  evaluate: ({ x }) => ({ shape: x.shape, data: x.data.map(erf) }),
  samples: samples(),
});

/** x limited to [min, max], as one node; ±Infinity for no bound. */
export const clamp = (x: Value, min: number, max: number): Value => apply(Clip, [x], { min, max });
export const leakyRelu = (x: Value, alpha = 0.01): Value => apply(LeakyRelu, [x], { alpha });
export const prelu = (x: Value, slope: Value): Value => apply(PRelu, [x, slope]);
export const elu = (x: Value, alpha = 1): Value => apply(Elu, [x], { alpha });
export const softplus = (x: Value): Value => apply(Softplus, [x]);
export const hardSigmoid = (x: Value, alpha = 0.2, beta = 0.5): Value => apply(HardSigmoid, [x], { alpha, beta });
export const erfOf = (x: Value): Value => apply(Erf, [x]);
/** x·Φ(x), the exact form: 0.5·x·(1 + erf(x/√2)). */
export const gelu = (x: Value): Value => mul(mul(x, scalar(0.5)), add(erfOf(mul(x, scalar(Math.SQRT1_2))), scalar(1)));
