/** @file Rules of the native plan for max pooling, which keeps the winning tap of every window in one byte. */
import { type Shape, sizeOf } from "../../common/tensor.js";
import type { Node, Value } from "../../graph/value.js";
import type { Layout } from "./layout.js";
import { elementNumber, type Planner, size, sizes } from "./planner.js";
import type { Region, Word } from "./program.js";
import type { Rule } from "./rules.js";

/** The window of a pooling op over three space axes. */
function windowOf(p: Planner, x: Value, y: Shape, a: Node["attrs"], layout: Layout, held: Region): Word[] {
  const three = (list: unknown, fill: number) => {
    const given = list as readonly number[]; // pooling attributes are lists of numbers
    return [...new Array<number>(3 - given.length).fill(fill), ...given];
  };
  const block = layout === "blocked" ? p.block : 1;
  return [
    size((x.shape[0]! * x.shape[1]!) / block), // [N, C, …]
    size(block),
    ...sizes(three(x.shape.slice(2), 1)),
    ...sizes(three(y.slice(2), 1)),
    ...sizes(three(a["kernel"], 1)),
    ...sizes(three(a["strides"], 1)),
    ...sizes(three(a["padsBegin"], 0)),
    ...sizes(three(a["dilations"], 1)),
    elementNumber(held),
  ];
}

export const maxPoolRule: Rule = (p, node) => {
  const x = node.inputs[0]!; // MaxPool has one input
  const [y, indices] = node.outputs as readonly Value[] as [Value, Value];
  const kernel = node.attrs["kernel"] as readonly number[];
  const gradientOnly = p.readersOf(indices).every((r) => r?.op.name === "MaxPoolGrad");
  if (x.dtype !== "float32" || kernel.length > 3 || sizeOf(kernel) > 255 || !gradientOnly) return false;
  const layout = p.imageLayout(x);
  const source = p.get(x, layout);
  const to = p.make(y, layout);
  const taps = p.isRead(indices) ? p.buffer("bool", sizeOf(y.shape)) : null; // one byte an element
  if (taps) p.taps.set(indices, { buffer: taps, layout });
  p.emit("MaxPool", [...windowOf(p, x, y.shape, node.attrs, layout, source), source, to, taps], [source], [to, taps]);
  return true;
};

export const maxPoolGradRule: Rule = (p, node) => {
  const [indices, dy] = node.inputs as [Value, Value]; // MaxPoolGrad's inputs
  const taps = p.taps.get(indices);
  const x = indices.node.inputs[0];
  if (!taps || !x) return false;
  const { layout, buffer } = taps;
  const cotangent = p.get(dy, layout);
  const to = p.make(node.outputs[0]!, layout);
  const words = [...windowOf(p, x, dy.shape, indices.node.attrs, layout, cotangent), buffer, cotangent, to];
  p.emit("MaxPoolGradient", words, [buffer, cotangent], [to]);
  return true;
};
