/** @file Checks a graph before it is compiled and names the node that is wrong. */
import { GraphError } from "../common/errors.js";
import { inputOp, nodesOf } from "./build.js";
import type { Graph, Node, Value } from "./value.js";

const describe = (node: Node) => `${node.op.name}${node.name ? ` "${node.name}"` : ""}`;

/**
 * Every input of the graph is an Input node of the right name, every Input node that an output needs is listed, no cycle,
 * and every value belongs to the node that claims to make it.
 *
 * @throws {GraphError} naming the first node that is wrong
 */
export function verifyGraph(graph: Graph): void {
  const listed = new Set<Value>(graph.inputs.values());
  for (const [name, value] of graph.inputs) {
    if (value.node.op !== inputOp) {
      throw new GraphError(`graph "${graph.name}"`, { problem: `input "${name}" is made by ${describe(value.node)}` });
    }
  }
  if (graph.outputs.size === 0) throw new GraphError(`graph "${graph.name}"`, { problem: "no outputs" });
  const seen = new Set<Node>();
  for (const node of nodesOf(graph.outputs.values())) {
    for (const v of node.inputs) {
      if (v === null) continue;
      if (v.node.outputs[v.index] !== v) {
        throw new GraphError(describe(node), { problem: `internal: an input is not an output of ${describe(v.node)}` });
      }
      if (!seen.has(v.node)) throw new GraphError(describe(node), { problem: "the graph has a cycle" });
    }
    if (node.op === inputOp && !node.outputs.some((v) => listed.has(v))) {
      throw new GraphError(`graph "${graph.name}"`, {
        problem: `input "${String(node.attrs["name"])}" is used but not listed among the inputs`,
      });
    }
    seen.add(node);
  }
}
