/** @file Graphs with values put in the place of others, and what a graph reads. */
import { inputOp, makeNode, nodesOf } from "./build.js";
import type { Value } from "./value.js";

/** The same values computed from replacements: wherever a key of `by` was read, its value is read instead. */
export function substitute(values: readonly Value[], by: ReadonlyMap<Value, Value>): Value[] {
  const now = new Map<Value, Value>(by);
  for (const node of nodesOf(values)) {
    const inputs = node.inputs.map((v) => (v ? (now.get(v) ?? v) : null));
    if (inputs.every((v, i) => v === node.inputs[i])) continue;
    const changed = makeNode(node.op, inputs, node.attrs, node.outputs, node.name);
    for (const v of node.outputs) if (!by.has(v)) now.set(v, changed.outputs[v.index]!); // as many outputs as the original
  }
  return values.map((v) => now.get(v) ?? v);
}

/** Names of the graph inputs that values are computed from. */
export const inputsOf = (values: Iterable<Value>): ReadonlySet<string> =>
  new Set(nodesOf(values).flatMap(({ op, attrs }) => (op === inputOp ? [String(attrs["name"])] : [])));
