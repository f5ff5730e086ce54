/** @file Pooling in blocked layouts. */
import type { Node, Value } from "../../graph/value.js";
import type { PoolAttributes } from "../../ops/index.js";
import { int, ints } from "../../ops/lowering.js";
import type { Context } from "./context.js";
import { isBlockable, NCHWC } from "./layout.js";

/**
 * Maxima in blocks. Their places, which the gradient reads, come from the plain operator: its maxima are then left aside, since a
 * conversion of them takes longer than pooling once more in blocks.
 */
export function maxPoolRule(c: Context, node: Node): boolean {
  const [x] = node.inputs as [Value]; // MaxPool's input
  const [y, indices] = node.outputs as unknown as [Value, Value];
  const a = node.attrs as unknown as PoolAttributes;
  if (!isBlockable(x.shape, c.block) || !c.has(x, "image") || !a.dilations.every((d) => d === 1)) return false;
  const attributes = {
    kernel_shape: ints(a.kernel),
    strides: ints(a.strides),
    pads: ints([...a.padsBegin, ...a.padsEnd]),
  };
  if (c.isRead(y)) c.put(y, "image", c.e.emit("MaxPool", [c.get(x, "image")], attributes, NCHWC));
  if (c.isRead(indices)) {
    const all = { ...attributes, dilations: ints(a.dilations), storage_order: int(0) };
    c.put(indices, "plain", c.e.emitMany("MaxPool", [c.get(x, "plain")], 2, all)[1]!); // two were asked for
  }
  return true;
}
