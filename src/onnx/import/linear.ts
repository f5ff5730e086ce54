/** @file Import of matrix products: Gemm, MatMul, Einsum. */
import { formatShape, type Shape, sizeOf } from "../../common/tensor.js";
import { scalar } from "../../graph/build.js";
import type { Value } from "../../graph/value.js";
import { matmul, mul, reduceSum, reshape, transpose } from "../../ops/index.js";
import type { ImportRule, ImportTable, NodeContext } from "./_context.js";

const scaled = (v: Value, factor: number): Value => (factor === 1 ? v : mul(v, scalar(factor)));

const gemmRule: ImportRule = (c) => {
  const [alpha, beta] = [c.float("alpha", 1), c.float("beta", 1)];
  const bias = c.maybe(2);
  const attrs = { transA: c.flag("transA"), transB: c.flag("transB") };
  return c.op("Gemm", [scaled(c.x(0), alpha), c.x(1), bias && scaled(bias, beta)], attrs);
};

/**
 * x [..., k] · w [k, n] for a matrix w: all leading axes are rows of one product, so that w's gradient is one product, too.
 * A w that is a transposed parameter is used as it is stored.
 */
function rowsTimes(c: NodeContext, x: Value, w: Value): Value {
  const k = x.shape.at(-1) ?? 1;
  const rows = reshape(x, [sizeOf(x.shape.slice(0, -1)), k]);
  const { node } = w;
  const stored = node.op.name === "Transpose" && String(node.attrs["perm"]) === "1,0" ? node.inputs[0] : null;
  const n = w.shape[1] ?? 1; // w is a matrix: the caller
  const y = stored
    ? c.op("Gemm", [rows, stored], { transA: false, transB: true })
    : c.op("Gemm", [rows, w], { transA: false, transB: false });
  return reshape(y, [...x.shape.slice(0, -1), n]);
}

const matmulRule: ImportRule = (c) => {
  let [a, b] = [c.x(0), c.x(1)];
  const [p, q] = [a.shape.length, b.shape.length];
  if (p === 0 || q === 0) return c.refuse("an operand is a scalar");
  // A vector is a row on the left and a column on the right; the axis it lent is dropped again.
  if (p === 1) a = reshape(a, [1, ...a.shape]);
  if (q === 1) b = reshape(b, [...b.shape, 1]);
  if (a.shape.at(-1) !== b.shape.at(-2)) {
    return c.refuse("inner dimensions differ", {
      expected: "[…, m, k] and […, k, n]",
      got: `${formatShape(c.x(0).shape)} and ${formatShape(c.x(1).shape)}`,
    });
  }
  const y = b.shape.length === 2 ? rowsTimes(c, a, b) : c.op("MatMul", [a, b]);
  const rank = y.shape.length;
  return reshape(
    y,
    y.shape.filter((_, i) => !(p === 1 && i === rank - 2) && !(q === 1 && i === rank - 1)),
  );
};

/** One operand of an Einsum: a value and the letter of each of its axes. */
interface Term {
  readonly value: Value;
  readonly letters: readonly string[];
}

/** The axes in the order of `letters`, those that are missing as 1. */
function arranged(t: Term, letters: readonly string[]): Value {
  const present = letters.filter((l) => t.letters.includes(l));
  const moved = transpose(
    t.value,
    present.map((l) => t.letters.indexOf(l)),
  );
  const sizes = new Map(present.map((l, i) => [l, moved.shape[i] ?? 1]));
  return reshape(
    moved,
    letters.map((l) => sizes.get(l) ?? 1),
  );
}

/** Sums over the letters that nobody asks for any more. */
function summed(t: Term, keep: ReadonlySet<string>): Term {
  const axes = t.letters.flatMap((l, i) => (keep.has(l) ? [] : [i]));
  return { value: reduceSum(t.value, axes), letters: t.letters.filter((l) => keep.has(l)) };
}

/** The product of two terms: letters of both that are kept are the batch, those that are not are contracted. */
function contracted(a: Term, b: Term, keep: ReadonlySet<string>): Term {
  const size = new Map([
    ...a.letters.map((l, i) => [l, a.value.shape[i] ?? 1] as const),
    ...b.letters.map((l, i) => [l, b.value.shape[i] ?? 1] as const),
  ]);
  const both = a.letters.filter((l) => b.letters.includes(l));
  const batch = both.filter((l) => keep.has(l));
  const inner = both.filter((l) => !keep.has(l));
  const [left, right] = [a.letters.filter((l) => !both.includes(l)), b.letters.filter((l) => !both.includes(l))];
  const dims = (letters: readonly string[]): Shape => letters.map((l) => size.get(l) ?? 1);
  const count = (letters: readonly string[]) => sizeOf(dims(letters));
  const x = reshape(arranged(a, [...batch, ...left, ...inner]), [count(batch), count(left), count(inner)]);
  const y = reshape(arranged(b, [...batch, ...inner, ...right]), [count(batch), count(inner), count(right)]);
  const letters = [...batch, ...left, ...right];
  return { value: reshape(matmul(x, y), dims(letters)), letters };
}

/** Einstein summation over any number of operands, two at a time from the left; "…" is not supported. */
const einsum: ImportRule = (c) => {
  const equation = c.text("equation").replace(/\s/g, "");
  const [left = "", right] = equation.split("->");
  const operands = left.split(",").map((letters) => [...letters]);
  // Without an arrow the result has the letters that occur once, in alphabetical order.
  const all = operands.flat();
  const output = right === undefined ? all.filter((l) => all.indexOf(l) === all.lastIndexOf(l)).sort() : [...right];
  const plain = operands.every((ls) => new Set(ls).size === ls.length && ls.every((l) => /[a-z]/i.test(l)));
  if (
    !plain ||
    operands.length !== c.node.inputs.length ||
    operands.some((ls, i) => ls.length !== c.x(i).shape.length)
  ) {
    return c.refuse("equation is not supported", {
      expected: "one letter for each axis of every operand, each once",
      got: `${equation} for ${c.inputs.map((v) => formatShape(v.shape)).join(", ")}`,
    });
  }
  const terms = operands.map((letters, i): Term => ({ value: c.x(i), letters }));
  let result: Term | null = null;
  terms.forEach((t, i) => {
    const later = new Set([...output, ...terms.slice(i + 1).flatMap((u) => u.letters)]);
    // Letters of this operand alone are summed before the product.
    const own = summed(t, new Set([...later, ...(result?.letters ?? [])]));
    result = result === null ? own : contracted(result, own, later);
  });
  const { value, letters }: Term = summed(result ?? c.refuse("has no operands"), new Set(output));
  if (output.some((l) => !letters.includes(l)))
    return c.refuse("the result has a letter that no operand has", { got: equation });
  return transpose(
    value,
    output.map((l) => letters.indexOf(l)),
  );
};

export const linearTable: ImportTable = { Gemm: gemmRule, MatMul: matmulRule, Einsum: einsum };
