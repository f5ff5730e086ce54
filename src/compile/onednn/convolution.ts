/** @file Rules of the native plan: convolutions and their gradients. */
import { sizeOf } from "../../common/tensor.js";
import type { Node, Value } from "../../graph/value.js";
import type { ConvAttributes } from "../../ops/index.js";
import {
  type Convolution,
  emitConvolution,
  gainsAsProduct,
  gainsByPatches,
  gainsByWinograd,
  type Kind,
  planPatches,
  planProduct,
  resultOf,
} from "./algorithms.js";
import type { Layout } from "./layout.js";
import type { Planner } from "./planner.js";
import type { Region } from "./program.js";
import type { Rule } from "./rules.js";

/** A convolution or one of its gradients: the result is made, the rest is there or converted. */
function convolution(
  p: Planner,
  kind: Kind,
  a: ConvAttributes,
  { x, w, y, bias = null }: { x: Value; w: Value; y: Value; bias?: Value | null },
): boolean {
  const space = x.shape.length - 2;
  if (space < 1 || space > 3 || [x, w, y].some((v) => v.dtype !== "float32" || sizeOf(v.shape) === 0)) return false;
  const layoutOf = (v: Value): Layout => (p.canBlock(v) ? "blocked" : "plain");
  const weightLayout: Layout = a.group === 1 && p.canBlockWeight(w) ? "weight" : "plain";
  const layouts = [layoutOf(x), weightLayout, layoutOf(y)] as const;
  const values = [x, w, y] as const;
  const buffers = values.map((v, i) => (i === resultOf[kind] ? null : p.get(v, layouts[i]!))); // three of each
  const offset = bias ? p.get(bias, "plain") : null;
  const to = p.make(values[resultOf[kind]], layouts[resultOf[kind]]);
  buffers[resultOf[kind]] = to;
  const c: Convolution = {
    kind,
    shapes: [x.shape, w.shape, y.shape],
    attributes: a,
    regions: buffers as [Region, Region, Region], // all three are set now
    layouts,
    bias: offset,
  };
  const blocked = layouts.every((l) => l !== "plain");
  if (blocked && gainsAsProduct(p, c)) planProduct(p, c);
  else if (blocked && gainsByPatches(p, c)) planPatches(p, c);
  else emitConvolution(p, c, blocked && gainsByWinograd(p, c) ? "Winograd" : "Convolution");
  return true;
}

const attributesOf = (node: Node) => node.attrs as unknown as ConvAttributes; // the convolution ops' attributes

export const convRule: Rule = (p, node) => {
  const [x, w, bias] = node.inputs as [Value, Value, Value | null]; // Conv's inputs
  return convolution(p, 0, attributesOf(node), { x, w, y: node.outputs[0]!, bias });
};
export const inputGradRule: Rule = (p, node) => {
  const [w, y] = node.inputs as [Value, Value]; // ConvInputGrad's inputs
  return convolution(p, 1, attributesOf(node), { x: node.outputs[0]!, w, y });
};
export const weightGradRule: Rule = (p, node) => {
  const [x, y] = node.inputs as [Value, Value]; // ConvWeightGrad's inputs
  return convolution(p, 2, attributesOf(node), { x, w: node.outputs[0]!, y });
};
