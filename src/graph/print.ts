/** @file A graph as text, one node a line: for eyes, diffs and snapshot tests. */
import { formatShape } from "../common/tensor.js";
import { constantOp, inputOp, nodesOf } from "./build.js";
import type { Attribute, Graph, Node, Value } from "./value.js";

const formatAttribute = (a: Attribute): string =>
  typeof a === "object" && a !== null && "dtype" in a ? `${a.dtype}${formatShape(a.shape)}` : JSON.stringify(a);

/**
 * @example
 * graph step(x float32[8,3], w float32[3,2])
 *   %0 float32[8,2] = MatMul(x, w)
 *   return loss = %0
 */
export function printGraph(graph: Graph): string {
  const names = new Map<Value, string>();
  for (const [name, value] of graph.inputs) names.set(value, name);
  let count = 0;
  const nameOf = (v: Value): string => {
    let name = names.get(v);
    if (name === undefined) {
      name = v.node.op === inputOp ? String(v.node.attrs["name"]) : `%${count++}`;
      names.set(v, name);
    }
    return name;
  };
  const typed = (v: Value) => `${nameOf(v)} ${v.dtype}${formatShape(v.shape)}`;
  const line = (node: Node): string => {
    const args = node.inputs.map((v) => (v ? nameOf(v) : "–"));
    const attrs = Object.entries(node.attrs)
      .filter(([, a]) => a !== undefined)
      .map(([k, a]) => `${k}=${formatAttribute(a)}`);
    const label = node.name ? `  # ${node.name}` : "";
    return `  ${node.outputs.map(typed).join(", ")} = ${node.op.name}(${[...args, ...attrs].join(", ")})${label}`;
  };
  const inputs = [...graph.inputs].map(([name, v]) => `${name} ${v.dtype}${formatShape(v.shape)}`);
  const lines = [`graph ${graph.name}(${inputs.join(", ")})`];
  for (const node of nodesOf(graph.outputs.values())) if (node.op !== inputOp) lines.push(line(node));
  for (const [name, v] of graph.outputs) lines.push(`  return ${name} = ${nameOf(v)}`);
  return lines.join("\n").replaceAll(constantOp.name, "Constant");
}
