/** @file Rounding, remainders and logic: what exported graphs compute shapes, coordinates and masks with; and sine and cosine. */
import type { Value } from "../graph/value.js";
import { broadcastShapes, map } from "./_nd.js";
import { apply, defineOp, type Op, type Type } from "./define.js";
import { mul, neg } from "./elementwise.js";
import { int } from "./lowering.js";

/** A step function: its derivative is 0 almost everywhere, which is no use to training, so there is none. */
const step = (name: string, version: number, f: (x: number) => number): Op =>
  defineOp({
    name,
    source: `ONNX ${name}-${version}`,
    inputs: ["x"],
    shape: ({ x }) => x.shape,
    grad: { x: "none" },
    evaluate: ({ x }) => ({ shape: x.shape, data: x.data.map(f) }),
    samples: [{ shapes: { x: [2, 3] } }],
  });

/** Halves go to the even neighbour. */
const roundEven = (x: number): number => {
  const r = Math.round(x);
  return Math.abs(x % 1) === 0.5 && r % 2 !== 0 ? r - 1 : r;
};

export const Floor = step("Floor", 13, Math.floor);
export const Ceil = step("Ceil", 13, Math.ceil);
export const Round = step("Round", 11, roundEven);

export const Mod = defineOp({
  name: "Mod",
  source: "ONNX Mod-13; the sign of the divisor, or with fmod of the dividend",
  inputs: ["a", "b"],
  attrs: { fmod: false },
  shape: ({ a, b }) => broadcastShapes("Mod", a.shape, b.shape),
  grad: { a: "none", b: "none" },
  evaluate: ({ a, b }, { fmod }) => map("Mod", (p, q) => (fmod ? p % q : p - q * Math.floor(p / q)), a, b),
  lower: ({ a, b }, low, { fmod }) => low.emit("Mod", [a, b], { fmod: int(fmod ? 1 : 0) }),
  samples: [{ shapes: { a: [2, 3], b: [3] }, attrs: { fmod: true }, ranges: { b: [0.5, 2] } }],
});

const logic = (name: "And" | "Or" | "Xor", f: (a: boolean, b: boolean) => boolean): Op =>
  defineOp({
    name,
    source: `ONNX ${name}-7`,
    inputs: ["a", "b"],
    shape: ({ a, b }): readonly Type[] => [{ dtype: "bool", shape: broadcastShapes(name, a.shape, b.shape) }],
    grad: { a: "none", b: "none" },
    evaluate: ({ a, b }) => map(name, (p, q) => (f(p !== 0, q !== 0) ? 1 : 0), a, b),
    lower: ({ a, b }, low) =>
      low.emit(
        name,
        [a, b].map((v) => low.emit("Cast", [v], { to: int(9) })),
      ),
    samples: [{ shapes: { a: [2, 3], b: [3] }, ints: { a: 2, b: 2 } }],
  });
export const And = logic("And", (a, b) => a && b);
export const Or = logic("Or", (a, b) => a || b);
export const Xor = logic("Xor", (a, b) => a !== b);

export const Not: Op = defineOp({
  name: "Not",
  source: "ONNX Not-1",
  inputs: ["x"],
  shape: ({ x }): readonly Type[] => [{ dtype: "bool", shape: x.shape }],
  grad: { x: "none" },
  evaluate: ({ x }) => ({ shape: x.shape, data: x.data.map((v) => (v === 0 ? 1 : 0)) }),
  lower: ({ x }, low) => low.emit("Not", [low.emit("Cast", [x], { to: int(9) })]),
  samples: [{ shapes: { x: [2, 3] }, ints: { x: 2 } }],
});

export const Sin: Op = defineOp({
  name: "Sin",
  source: "ONNX Sin-7",
  inputs: ["x"],
  shape: ({ x }) => x.shape,
  grad: { x: ({ x, dy }) => mul(dy, cos(x)) },
  evaluate: ({ x }) => ({ shape: x.shape, data: x.data.map(Math.sin) }),
  samples: [{ shapes: { x: [2, 3] } }],
});
export const Cos: Op = defineOp({
  name: "Cos",
  source: "ONNX Cos-7",
  inputs: ["x"],
  shape: ({ x }) => x.shape,
  grad: { x: ({ x, dy }) => neg(mul(dy, sin(x))) },
  evaluate: ({ x }) => ({ shape: x.shape, data: x.data.map(Math.cos) }),
  samples: [{ shapes: { x: [2, 3] } }],
});

export const sin = (x: Value): Value => apply(Sin, [x]);
export const cos = (x: Value): Value => apply(Cos, [x]);
