/** @file What the lowerings that choose layouts ask of a graph: who reads each value, and which tensors live from step to step. */
import { nodesOf } from "../graph/build.js";
import type { Graph, Node, Value } from "../graph/value.js";

/** Nodes that read each value; null for the graph itself, which returns it. */
export function readersOf(graph: Graph): ReadonlyMap<Value, readonly (Node | null)[]> {
  const readers = new Map<Value, (Node | null)[]>();
  const read = (v: Value, by: Node | null) => {
    const list = readers.get(v);
    if (list) list.push(by);
    else readers.set(v, [by]);
  };
  for (const v of graph.outputs.values()) read(v, null);
  for (const node of nodesOf(graph.outputs.values())) for (const v of node.inputs) if (v) read(v, node);
  return readers;
}

/** Whether a tensor is state that a step reads and gives back, by the names of `StepProgram`: its layout is the lowering's to choose. */
export const isState = (name: string): boolean => name.startsWith("state/") || name.startsWith("next/");
