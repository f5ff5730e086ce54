/** @file Matrix products: MatMul with batch broadcasting, Gemm with transposed operands. */
import { ShapeError } from "../common/errors.js";
import { formatShape } from "../common/tensor.js";
import type { Value } from "../graph/value.js";
import { broadcastShapes, nd, stridesOf, walk } from "./_nd.js";
import { apply, defineOp, type NdArray } from "./define.js";
import { int } from "./lowering.js";
import { transpose } from "./shape.js";

const swapLast = (x: Value): Value => {
  const r = x.shape.length;
  return transpose(x, [...Array.from({ length: r - 2 }, (_, i) => i), r - 1, r - 2]);
};

const mismatch = (op: string, a: readonly number[], b: readonly number[]) =>
  new ShapeError(op, {
    problem: "inner dimensions differ",
    expected: "[…, m, k] and […, k, n]",
    got: `${formatShape(a)} and ${formatShape(b)}`,
  });

export const MatMul = defineOp({
  name: "MatMul",
  source: "ONNX MatMul-13 of operands with at least two axes; the leading ones broadcast",
  inputs: ["a", "b"],
  shape: ({ a, b }) => {
    const [p, q] = [a.shape.length, b.shape.length];
    if (p < 2 || q < 2 || a.shape[p - 1] !== b.shape[q - 2]) throw mismatch("MatMul", a.shape, b.shape);
    const batch = broadcastShapes("MatMul", a.shape.slice(0, -2), b.shape.slice(0, -2));
    return [...batch, a.shape[p - 2]!, b.shape[q - 1]!]; // both have at least two axes
  },
  grad: {
    a: ({ b, dy }) => matmul(dy, swapLast(b)),
    b: ({ a, dy }) => matmul(swapLast(a), dy),
  },
  linear: { a: ({ b }, d) => matmul(d, b), b: ({ a }, d) => matmul(a, d) },
  evaluate: ({ a, b }, _, types) => {
    const y = nd(types[0]!.shape);
    const rank = y.shape.length;
    const [m, n] = [y.shape[rank - 2]!, y.shape[rank - 1]!];
    const k = a.shape[a.shape.length - 1]!;
    const strides = (x: NdArray) => {
      const own = stridesOf(x.shape);
      const shift = rank - x.shape.length;
      return Array.from({ length: rank - 2 }, (_, i) => (i < shift || x.shape[i - shift] === 1 ? 0 : own[i - shift]!));
    };
    walk(y.shape.slice(0, -2), [strides(a), strides(b)], (batch, at) => {
      for (let i = 0; i < m; i++)
        for (let j = 0; j < n; j++) {
          let s = 0;
          for (let l = 0; l < k; l++) s += a.data[at[0]! + i * k + l]! * b.data[at[1]! + l * n + j]!;
          y.data[(batch * m + i) * n + j] = s;
        }
    });
    return y;
  },
  samples: [{ shapes: { a: [2, 3], b: [3, 4] } }, { shapes: { a: [2, 1, 2, 3], b: [5, 3, 2] } }],
});

export const Gemm = defineOp({
  name: "Gemm",
  source: "ONNX Gemm-13: op(a)·op(b) + c, alpha = beta = 1",
  inputs: ["a", "b"],
  optional: ["c"],
  attrs: { transA: false, transB: false },
  shape: ({ a, b, c }, { transA, transB }) => {
    const [m, k] = transA ? [a.shape[1], a.shape[0]] : [a.shape[0], a.shape[1]];
    const [k2, n] = transB ? [b.shape[1], b.shape[0]] : [b.shape[0], b.shape[1]];
    if (a.shape.length !== 2 || b.shape.length !== 2 || m === undefined || n === undefined || k !== k2) {
      throw mismatch("Gemm", a.shape, b.shape);
    }
    if (c) broadcastShapes("Gemm", [m, n], c.shape);
    return [m, n];
  },
  grad: {
    a: ({ b, dy, attrs: { transA, transB } }) =>
      transA ? gemm(b, dy, null, { transA: transB, transB: true }) : gemm(dy, b, null, { transB: !transB }),
    b: ({ a, dy, attrs: { transA, transB } }) =>
      transB ? gemm(dy, a, null, { transA: true, transB: transA }) : gemm(a, dy, null, { transA: !transA }),
    c: ({ dy }) => dy,
  },
  linear: {
    a: ({ b, attrs }, d) => gemm(d, b, null, attrs),
    b: ({ a, attrs }, d) => gemm(a, d, null, attrs),
  },
  evaluate: ({ a, b, c }, { transA, transB }, types) => {
    const y = nd(types[0]!.shape);
    const [m, n] = [y.shape[0]!, y.shape[1]!];
    const k = transA ? a.shape[0]! : a.shape[1]!;
    for (let i = 0; i < m; i++)
      for (let j = 0; j < n; j++) {
        let s = 0;
        for (let l = 0; l < k; l++)
          s += a.data[transA ? l * m + i : i * k + l]! * b.data[transB ? j * k + l : l * n + j]!;
        y.data[i * n + j] = s;
      }
    if (c) {
      const pad = 2 - c.shape.length;
      const own = stridesOf(c.shape);
      const strides = [0, 1].map((i) => (i < pad || c.shape[i - pad] === 1 ? 0 : own[i - pad]!));
      walk([m, n], [strides], (i, at) => {
        y.data[i] = y.data[i]! + c.data[at[0]!]!;
      });
    }
    return y;
  },
  lower: ({ a, b, c }, low, { transA, transB }) =>
    low.emit("Gemm", c ? [a, b, c] : [a, b], { transA: int(transA ? 1 : 0), transB: int(transB ? 1 : 0) }),
  samples: [
    { shapes: { a: [2, 3], b: [3, 4], c: [4] } },
    { shapes: { a: [3, 2], b: [4, 3], c: [2, 1] }, attrs: { transA: true, transB: true } },
    { shapes: { a: [2, 3], b: [4, 3] }, attrs: { transB: true } },
  ],
});

export const matmul = (a: Value, b: Value): Value => apply(MatMul, [a, b]);
export const gemm = (
  a: Value,
  b: Value,
  c: Value | null = null,
  o: { transA?: boolean; transB?: boolean } = {},
): Value => apply(Gemm, [a, b, c], { transA: o.transA ?? false, transB: o.transB ?? false });
/** y = x·Wᵀ + b with W [out, in], as torch.nn.Linear. */
export const linear = (x: Value, w: Value, b: Value | null, name?: string): Value =>
  apply(Gemm, [x, w, b], { transA: false, transB: true }, name);
