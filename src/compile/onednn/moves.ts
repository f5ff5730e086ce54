/** @file Rules of the native plan for operators that only move elements: shapes, transposing, slicing, joining, padding. */
import { sizeOf } from "../../common/tensor.js";
import type { Node, Value } from "../../graph/value.js";
import { typeNumber } from "./layout.js";
import { type Planner, real, size, stridesOf } from "./planner.js";
import type { Rule } from "./rules.js";

const numbers = (node: Node, name: string) => node.attrs[name] as readonly number[]; // the op's attribute is a list
const held = (v: Value) => typeNumber[v.dtype] !== undefined && sizeOf(v.shape) > 0;

/** The same elements in the same order under another shape. */
export const reshapeRule: Rule = (p, node) => {
  const x = node.inputs[0]!; // Reshape has one input
  if (!held(x)) return false;
  p.put(node.outputs[0]!, "plain", p.get(x, "plain"));
  return true;
};

export const transposeRule: Rule = (p, node) => {
  const x = node.inputs[0]!;
  const y = node.outputs[0]!;
  if (!held(x)) return false;
  const own = stridesOf(x.shape);
  const strides = numbers(node, "perm").map((a) => own[a]!); // a permutation of the axes
  const source = p.get(x, "plain");
  p.copy(y.shape, { buffer: source, strides }, { buffer: p.make(y, "plain"), strides: stridesOf(y.shape) });
  return true;
};

export const expandRule: Rule = (p, node) => {
  const x = node.inputs[0]!;
  const y = node.outputs[0]!;
  if (!held(x) || sizeOf(y.shape) === 0) return false;
  const own = stridesOf(x.shape);
  const lead = y.shape.length - x.shape.length;
  const strides = y.shape.map((_, i) => (i < lead || x.shape[i - lead] === 1 ? 0 : own[i - lead]!)); // i − lead is an axis of x
  const source = p.get(x, "plain");
  p.copy(y.shape, { buffer: source, strides }, { buffer: p.make(y, "plain"), strides: stridesOf(y.shape) });
  return true;
};

export const sliceRule: Rule = (p, node) => {
  const x = node.inputs[0]!;
  const y = node.outputs[0]!;
  if (!held(x) || sizeOf(y.shape) === 0) return false;
  const [starts, axes, steps] = [numbers(node, "starts"), numbers(node, "axes"), numbers(node, "steps")];
  const channels = axes.length === 1 && axes[0] === 1 && steps[0] === 1;
  if (channels && p.canBlock(x) && p.canBlock(y) && p.has(x, "blocked") && starts[0]! % p.block === 0) {
    // Whole blocks of channels: one stretch of memory an image.
    const row = (v: Value) => sizeOf(v.shape.slice(1));
    const source = p.get(x, "blocked");
    const at = starts[0]! * sizeOf(x.shape.slice(2));
    p.copy(
      [x.shape[0]!, row(y)],
      { buffer: source, strides: [row(x), 1], at },
      { buffer: p.make(y, "blocked"), strides: [row(y), 1] },
    );
    return true;
  }
  const source = p.get(x, "plain");
  const taken = { buffer: source, ...places(node, x.shape) };
  p.copy(y.shape, taken, { buffer: p.make(y, "plain"), strides: stridesOf(y.shape) });
  return true;
};

/** Where a slice of an array of this shape begins, and its strides in there. */
function places(node: Node, shape: readonly number[]): { readonly at: number; readonly strides: number[] } {
  const [starts, axes, steps] = [numbers(node, "starts"), numbers(node, "axes"), numbers(node, "steps")];
  const strides = stridesOf(shape);
  let at = 0;
  axes.forEach((axis, i) => {
    at += starts[i]! * strides[axis]!; // checked by the op's shape rule
    strides[axis] = strides[axis]! * steps[i]!;
  });
  return { at, strides };
}

export const sliceGradRule: Rule = (p, node) => {
  const dy = node.inputs[0]!;
  const dx = node.outputs[0]!;
  if (dy.dtype !== "float32" || sizeOf(dx.shape) === 0) return false;
  const source = p.get(dy, "plain");
  const to = p.make(dx, "plain");
  fill(p, to, sizeOf(dx.shape), 0);
  if (sizeOf(dy.shape) === 0) return true;
  p.copy(dy.shape, { buffer: source, strides: stridesOf(dy.shape) }, { buffer: to, ...places(node, dx.shape) });
  return true;
};

export const concatRule: Rule = (p, node) => {
  const parts = node.inputs as readonly Value[]; // a variadic input has no gaps
  const y = node.outputs[0]!;
  if (!parts.every((v) => typeNumber[v.dtype] !== undefined) || sizeOf(y.shape) === 0) return false;
  const given = Number(node.attrs["axis"]);
  const axis = given < 0 ? given + y.shape.length : given;
  const blocked =
    axis === 1 && p.canBlock(y) && parts.every((v) => p.canBlock(v)) && parts.some((v) => p.has(v, "blocked"));
  const layout = blocked ? "blocked" : "plain";
  const sources = parts.map((v) => p.get(v, layout));
  const to = p.make(y, layout);
  const row = sizeOf(y.shape.slice(axis));
  let at = 0;
  parts.forEach((v, i) => {
    const own = sizeOf(v.shape.slice(axis));
    const outer = sizeOf(v.shape.slice(0, axis));
    if (own * outer > 0) {
      p.copy(
        [outer, own],
        { buffer: sources[i]!, strides: [own, 1] }, // one source a part
        { buffer: to, strides: [row, 1], at },
      );
    }
    at += own;
  });
  return true;
};

/** Padding by a constant; negative pads cut. */
export const padRule: Rule = (p, node) => {
  const x = node.inputs[0]!;
  const y = node.outputs[0]!;
  if (x.dtype !== "float32" || sizeOf(y.shape) === 0) return false;
  const [before, after] = [numbers(node, "before"), numbers(node, "after")];
  const source = p.get(x, "plain");
  const to = p.make(y, "plain");
  fill(p, to, sizeOf(y.shape), Number(node.attrs["value"]));
  const [from, into] = [stridesOf(x.shape), stridesOf(y.shape)];
  const kept = x.shape.map((d, i) => d + Math.min(0, before[i]!) + Math.min(0, after[i]!)); // one pad an axis
  if (kept.some((d) => d <= 0)) return true;
  const offset = (strides: readonly number[], sign: 1 | -1) =>
    strides.reduce((n, s, i) => n + s * Math.max(0, sign * before[i]!), 0);
  p.copy(
    kept,
    { buffer: source, strides: from, at: offset(from, -1) },
    { buffer: to, strides: into, at: offset(into, 1) },
  );
  return true;
};

function fill(p: Planner, to: ReturnType<Planner["buffer"]>, n: number, value: number): void {
  p.emit("Fill", [size(n), real(value), to], [], [to]);
}
