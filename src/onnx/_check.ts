/** @file Checks of a graph as read: every input is made by somebody, every name once, no cycle, known domains. */
import { GraphError } from "../common/errors.js";
import type { OnnxGraph, OnnxNode } from "./model.js";

/** A node in a message: `Conv "layer1.0.conv1"`, or by its first output where nobody named it. */
export const nodeLabel = (n: OnnxNode): string => `${n.opType} "${n.name || (n.outputs[0] ?? "")}"`;

/** The subgraphs of a node (If, Loop, Scan). */
const subgraphs = (n: OnnxNode): OnnxGraph[] =>
  Object.values(n.attributes).flatMap((a) => (a.type === "graph" ? [a.value] : []));

/** All names a node reads: its inputs and what its subgraphs take from outside. */
function reads(n: OnnxNode): string[] {
  const names = n.inputs.filter((x) => x !== "");
  for (const g of subgraphs(n)) names.push(...readsFromOutside(g));
  return names;
}

function readsFromOutside(g: OnnxGraph): string[] {
  const own = new Set([...g.initializers.keys(), ...g.inputs.map((v) => v.name), ...g.nodes.flatMap((n) => n.outputs)]);
  return [...g.nodes.flatMap(reads), ...g.outputs.map((v) => v.name)].filter((x) => !own.has(x));
}

/** Which node makes each name; initializers and inputs are made by nobody (null). */
function makersOf(g: OnnxGraph, file: string): Map<string, OnnxNode | null> {
  const makers = new Map<string, OnnxNode | null>();
  const add = (name: string, maker: OnnxNode | null) => {
    const before = makers.get(name);
    if (before !== undefined) {
      throw new GraphError(`${file}: value "${name}"`, {
        problem: "made twice",
        got: [before, maker].map((m) => (m === null ? "an input or initializer" : nodeLabel(m))).join(" and "),
      });
    }
    makers.set(name, maker);
  };
  for (const v of g.inputs) add(v.name, null);
  for (const name of g.initializers.keys()) add(name, null);
  for (const n of g.nodes) for (const name of n.outputs) if (name !== "") add(name, n);
  return makers;
}

/** The nodes so that each comes after those it reads from; the given order is kept where it is already so. */
function sorted(g: OnnxGraph, makers: ReadonlyMap<string, OnnxNode | null>, file: string): readonly OnnxNode[] {
  const order: OnnxNode[] = [];
  const state = new Map<OnnxNode, "open" | "done">();
  for (const root of g.nodes) {
    // Depth first with a stack of our own: chains of ten thousand nodes must not overflow JavaScript's.
    const path: { node: OnnxNode; left: string[] }[] = [];
    const enter = (node: OnnxNode) => {
      state.set(node, "open");
      path.push({ node, left: reads(node).reverse() });
    };
    if (!state.has(root)) enter(root);
    for (let top = path.at(-1); top !== undefined; top = path.at(-1)) {
      const name = top.left.pop();
      if (name === undefined) {
        state.set(top.node, "done");
        order.push(top.node);
        path.pop();
        continue;
      }
      const maker = makers.get(name);
      if (maker === null || maker === undefined) continue;
      if (state.get(maker) === "open") {
        const cycle = path.slice(path.findIndex((p) => p.node === maker)).map((p) => nodeLabel(p.node));
        const flow = (cycle.length > 8 ? [...cycle.slice(0, 4), "…", ...cycle.slice(-3)] : cycle).reverse();
        throw new GraphError(`${file}: graph "${g.name}"`, {
          problem: "nodes wait for each other in a circle",
          got: [...flow, flow[0]].join(" → "),
        });
      }
      if (!state.has(maker)) enter(maker);
    }
  }
  return order;
}

/** The graph with its nodes in order. @param outer names that a subgraph may take from around it */
function checkNames(g: OnnxGraph, file: string, outer: ReadonlySet<string>): OnnxGraph {
  const makers = makersOf(g, file);
  const known = (name: string) => makers.has(name) || outer.has(name);
  for (const n of g.nodes) {
    for (const name of reads(n)) {
      if (!known(name)) {
        throw new GraphError(`${file}: ${nodeLabel(n)}`, {
          problem: "an input is missing",
          expected: `"${name}" as an input of the graph, an initializer or the output of a node`,
          got: "nothing of that name",
        });
      }
    }
  }
  for (const v of g.outputs) {
    if (!known(v.name)) {
      throw new GraphError(`${file}: output "${v.name}"`, {
        problem: "nobody makes it",
        expected: "the output of a node",
        got: "nothing of that name",
      });
    }
  }
  const inside = new Set([...outer, ...makers.keys()]);
  const nodes = sorted(g, makers, file).map((n) =>
    subgraphs(n).length === 0
      ? n
      : {
          ...n,
          attributes: Object.fromEntries(
            Object.entries(n.attributes).map(([key, a]) => [
              key,
              a.type === "graph" ? { type: "graph" as const, value: checkNames(a.value, file, inside) } : a,
            ]),
          ),
        },
  );
  return { ...g, nodes };
}

function checkDomains(g: OnnxGraph, opsets: ReadonlyMap<string, number>, file: string): void {
  for (const n of g.nodes) {
    if (!opsets.has(n.domain)) {
      throw new GraphError(`${file}: ${nodeLabel(n)}`, {
        problem: "op set of the node is not declared",
        expected: [...opsets].map(([domain, version]) => `${domain || "ai.onnx"} ${version}`).join(", "),
        got: n.domain || "ai.onnx",
      });
    }
    for (const sub of subgraphs(n)) checkDomains(sub, opsets, file);
  }
}

/**
 * Checks a graph and puts its nodes in topological order.
 *
 * @throws {GraphError} a name made twice, read but made by nobody, a cycle (naming its nodes), an undeclared domain
 */
export function checkGraph(g: OnnxGraph, opsets: ReadonlyMap<string, number>, file: string): OnnxGraph {
  checkDomains(g, opsets, file);
  return checkNames(g, file, new Set());
}
