/** @file Import of ops whose result is known when the model is opened (shapes, ranges, masks), and of ops that change nothing. */
import { type DType, formatShape, int64, type Tensor, zeros } from "../../common/tensor.js";
import { constant } from "../../graph/build.js";
import type { Value } from "../../graph/value.js";
import { fromNd, mul } from "../../ops/index.js";
import { dtypeFromOnnx, onnxTypeName } from "../dtype.js";
import type { ImportRule, ImportTable, NodeContext } from "./_context.js";

const known = (dtype: DType, shape: readonly number[], data: ArrayLike<number>): Value =>
  constant(fromNd(dtype, { shape, data: Float64Array.from(data) }) as Tensor); // data and dtype belong together: fromNd

const dtypeOf = (c: NodeContext, code: number): DType =>
  dtypeFromOnnx(code) ??
  c.refuse("type is not supported", { expected: "a float, integer or bool type", got: onnxTypeName(code) });

const constantNode: ImportRule = (c) => {
  const [[key, a] = ["", undefined]] = Object.entries(c.node.attributes);
  switch (a?.type) {
    case "tensor":
      return constant(a.value, c.name);
    case "float":
      return known("float32", [], [a.value]);
    case "floats":
      return known("float32", [a.value.length], a.value);
    case "int":
      return constant({ dtype: "int64", shape: [], data: BigInt64Array.of(a.value) });
    case "ints":
      return constant({ dtype: "int64", shape: [a.value.length], data: BigInt64Array.from(a.value) });
    default:
      return c.refuse("this kind of constant is not supported", { got: key });
  }
};

const shapeOf: ImportRule = (c) => {
  const { shape } = c.x(0);
  const end = c.int("end", shape.length);
  const part = shape.slice(c.int("start", 0), end);
  return constant(int64([part.length], part));
};

/** More elements than this are no shape or mask but an attack on memory. */
const maxElements = 2 ** 24;
const checkedSize = (c: NodeContext, shape: readonly number[]) => {
  const n = shape.reduce((a, d) => a * d, 1);
  return n <= maxElements && shape.every((d) => d >= 0)
    ? shape
    : c.refuse("a constant is too large", { expected: `at most ${maxElements} elements`, got: formatShape(shape) });
};

const filled: ImportRule = (c) => {
  const shape = checkedSize(c, c.numbers(0));
  const value = c.node.attributes["value"];
  if (value === undefined) return constant(zeros("float32", shape) as Tensor); // float32 zeros are a Tensor
  if (value.type !== "tensor" || value.value.data.length !== 1) return c.refuse('attribute "value" is not one number');
  const { dtype, data } = value.value;
  return known(dtype, shape, new Float64Array(shape.reduce((a, d) => a * d, 1)).fill(Number(data[0])));
};

const range: ImportRule = (c) => {
  const [start, limit, step] = [c.number(0), c.number(1), c.number(2)];
  const n = Math.max(0, Math.ceil((limit - start) / step));
  if (!Number.isFinite(n)) return c.refuse("the range does not end");
  const [length = 0] = checkedSize(c, [n]);
  return known(
    c.x(0).dtype,
    [length],
    Float64Array.from({ length }, (_, i) => start + i * step),
  );
};

/** The lower or upper triangle of the last two axes: a product with a mask. */
const triangle: ImportRule = (c) => {
  const x = c.x(0);
  const [rows = 0, columns = 0] = x.shape.slice(-2);
  checkedSize(c, [rows, columns]);
  const [k, upper] = [c.number(1, 0), c.flag("upper", true)];
  const mask = Float64Array.from({ length: rows * columns }, (_, i) => {
    const distance = (i % columns) - Math.floor(i / columns);
    return (upper ? distance >= k : distance <= k) ? 1 : 0;
  });
  return mul(x, known(x.dtype, [rows, columns], mask));
};

/** Places of the nonzero elements of a known tensor, [rank, count]. */
const nonZero: ImportRule = (c) => {
  const t = c.tensor(0);
  const hits = c.numbers(0).flatMap((v, i) => (v !== 0 ? [i] : []));
  const places = t.shape.flatMap((d, axis) => {
    const inner = t.shape.slice(axis + 1).reduce((a, n) => a * n, 1);
    return hits.map((i) => Math.floor(i / inner) % d);
  });
  return known("int64", [t.shape.length, hits.length], places);
};

const oneHot: ImportRule = (c) => {
  const [indices, depth, [off = 0, on = 1]] = [c.numbers(0), c.number(1), c.numbers(2)];
  if (c.int("axis", -1) !== -1) return c.refuse("an axis other than −1 is not supported");
  const shape = checkedSize(c, [...c.x(0).shape, depth]);
  const data = new Float64Array(indices.length * depth).fill(off);
  indices.forEach((i, k) => {
    const at = i < 0 ? i + depth : i;
    if (at >= 0 && at < depth) data[k * depth + at] = on;
  });
  return known(c.x(2).dtype, shape, data);
};

const cast: ImportRule = (c) => c.op("Cast", [c.x(0)], { to: dtypeOf(c, c.int("to")) });
const castIfNeeded: ImportRule = (c) => (dtypeOf(c, c.int("to")) === c.x(0).dtype ? c.x(0) : cast(c));

/** Fine-tuning keeps its steps free of chance, so Dropout passes its input on in training, too. */
const dropout: ImportRule = (c) => [c.x(0), null];

/** The branch that a known condition takes. */
const branch: ImportRule = (c) => {
  const taken = c.node.attributes[c.number(0) !== 0 ? "then_branch" : "else_branch"];
  if (taken?.type !== "graph") return c.refuse("a branch is missing");
  return c.pass.inline(taken.value);
};

export const knownTable: ImportTable = {
  Constant: constantNode,
  Shape: shapeOf,
  Size: (c) => constant(int64([], [c.x(0).shape.reduce((a, d) => a * d, 1)])),
  ConstantOfShape: filled,
  Range: range,
  Trilu: triangle,
  NonZero: nonZero,
  OneHot: oneHot,
  EyeLike: (c) => {
    const [rows = 0, columns = 0] = c.x(0).shape;
    const k = c.int("k", 0);
    checkedSize(c, [rows, columns]);
    const data = Float64Array.from({ length: rows * columns }, (_, i) =>
      (i % columns) - Math.floor(i / columns) === k ? 1 : 0,
    );
    return known(c.has("dtype") ? dtypeOf(c, c.int("dtype")) : c.x(0).dtype, [rows, columns], data);
  },
  Cast: castIfNeeded,
  CastLike: (c) => (c.x(0).dtype === c.x(1).dtype ? c.x(0) : c.op("Cast", [c.x(0)], { to: c.x(1).dtype })),
  Identity: (c) => c.x(0),
  Dropout: dropout,
  If: branch,
};
