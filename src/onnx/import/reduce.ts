/** @file Import of reductions, softmax and cumulative sums. */
import { type Shape, sizeOf } from "../../common/tensor.js";
import { scalar } from "../../graph/build.js";
import type { Value } from "../../graph/value.js";
import {
  abs,
  add,
  exp,
  expand,
  log,
  mapAxis,
  max,
  mul,
  neg,
  reduceMax,
  reduceMean,
  reduceSum,
  reshape,
  slice,
  sqrt,
  sub,
} from "../../ops/index.js";
import type { ImportRule, ImportTable, NodeContext } from "./_context.js";

interface Reduction {
  readonly x: Value;
  readonly axes: readonly number[];
  readonly keep: boolean;
}

/** Axes are an attribute up to op set 17 (12 for ReduceSum) and an input from then on; none means all. */
function read(c: NodeContext): Reduction {
  const x = c.x(0);
  const rank = x.shape.length;
  const given = c.has("axes") ? c.ints("axes") : c.numbers(1, []);
  const all = given.length === 0 && !c.flag("noop_with_empty_axes") ? x.shape.map((_, i) => i) : given;
  return { x, axes: all.map((a) => c.axis(a, rank)), keep: c.flag("keepdims", true) };
}

const reduction =
  (f: (r: Reduction) => Value): ImportRule =>
  (c) =>
    f(read(c));

/** Product along the axes, as a chain of products: for the few elements of shapes and scales. */
const product: ImportRule = (c) => {
  const { x, axes, keep } = read(c);
  const count = axes.reduce((n, a) => n * (x.shape[a] ?? 1), 1);
  if (count > 64)
    return c.refuse("a product of so many elements is not supported", { expected: "at most 64", got: String(count) });
  let y = x;
  for (const axis of axes) {
    const n = y.shape[axis]!; // axis was checked by `read`
    const parts = Array.from({ length: n }, (_, i) => slice(y, { axis, start: i, end: i + 1 }));
    y = parts.reduce(mul);
  }
  return keep
    ? y
    : reshape(
        y,
        y.shape.filter((_, i) => !axes.includes(i)),
      );
};

const logSumExp = ({ x, axes, keep }: Reduction): Value => {
  const top = reduceMax(x, axes, true);
  const y = add(log(reduceSum(exp(sub(x, top)), axes, true)), top);
  return keep
    ? y
    : reshape(
        y,
        y.shape.filter((_, i) => !axes.includes(i)),
      );
};

/** Up to op set 12 everything from `axis` on is one axis. */
const rowwise =
  (name: "Softmax" | "LogSoftmax"): ImportRule =>
  (c) => {
    const x = c.x(0);
    const axis = c.axis(c.int("axis", c.opset < 13 ? 1 : -1), x.shape.length);
    if (c.opset >= 13 || axis === x.shape.length - 1) return c.op(name, [x], { axis });
    const rows: Shape = [sizeOf(x.shape.slice(0, axis)), sizeOf(x.shape.slice(axis))];
    return reshape(c.op(name, [reshape(x, rows)], { axis: 1 }), x.shape);
  };

const cumulative: ImportRule = (c) => {
  const x = c.x(0);
  const axis = c.axis(c.number(1), x.shape.length);
  const n = x.shape[axis]!; // checked by c.axis
  if (n > 4096)
    return c.refuse("a sum over so many places is not supported", { expected: "at most 4096", got: String(n) });
  const [exclusive, reverse] = [c.flag("exclusive"), c.flag("reverse")];
  const data = Float64Array.from({ length: n * n }, (_, i) => {
    const [to, from] = [Math.floor(i / n), i % n];
    const [a, b] = reverse ? [to, from] : [from, to];
    return a < b || (a === b && !exclusive) ? 1 : 0;
  });
  return mapAxis(x, axis, { rows: n, columns: n, data });
};

export const reduceTable: ImportTable = {
  ReduceSum: reduction(({ x, axes, keep }) => reduceSum(x, axes, keep)),
  ReduceMean: reduction(({ x, axes, keep }) => reduceMean(x, axes, keep)),
  ReduceMax: reduction(({ x, axes, keep }) => reduceMax(x, axes, keep)),
  ReduceMin: reduction(({ x, axes, keep }) => neg(reduceMax(neg(x), axes, keep))),
  ReduceL1: reduction(({ x, axes, keep }) => reduceSum(abs(x), axes, keep)),
  ReduceL2: reduction(({ x, axes, keep }) => sqrt(reduceSum(mul(x, x), axes, keep))),
  ReduceSumSquare: reduction(({ x, axes, keep }) => reduceSum(mul(x, x), axes, keep)),
  ReduceLogSum: reduction(({ x, axes, keep }) => log(reduceSum(x, axes, keep))),
  ReduceLogSumExp: reduction(logSumExp),
  ReduceProd: product,
  Softmax: rowwise("Softmax"),
  LogSoftmax: rowwise("LogSoftmax"),
  CumSum: cumulative,
  LpNormalization: (c) => {
    const x = c.x(0);
    const axes = [c.axis(c.int("axis", -1), x.shape.length)];
    const norm = c.int("p", 2) === 1 ? reduceSum(abs(x), axes, true) : sqrt(reduceSum(mul(x, x), axes, true));
    return c.op("Div", [x, expand(max(norm, scalar(1e-12)), x.shape)]);
  },
};
