/** @file Parts what an exporter stored once because it was equal when it was written: in the network these are tensors of their own. */
import type { Tensor } from "../../common/tensor.js";
import type { OnnxGraph, OnnxNode } from "../model.js";
import { anonymous, isWeightInput } from "./roles.js";

/** PyTorch writes a tensor that equals another as an Identity of it; it becomes an initializer again. */
function withoutIdentities(graph: OnnxGraph): OnnxGraph {
  const initializers = new Map(graph.initializers);
  const nodes = graph.nodes.filter((n) => {
    const [from = "", to = ""] = [n.inputs[0], n.outputs[0]];
    const t = initializers.get(from);
    if (n.opType !== "Identity" || n.domain !== "" || t === undefined) return true;
    if (graph.outputs.some((o) => o.name === to)) return true;
    initializers.set(to, t);
    return false;
  });
  return { ...graph, nodes, initializers };
}

/** A vector, or the slope of a PRelu. A shared matrix is shared on purpose. */
const isVector = (t: Tensor | undefined): boolean =>
  t?.dtype === "float32" && t.shape.length > 0 && t.shape.filter((d) => d > 1).length < 2;

/** Vectors without a name of their own that several operators have as their weight: one for each. */
function withoutSharedVectors(graph: OnnxGraph): OnnxGraph {
  const initializers = new Map(graph.initializers);
  const times = new Map<string, number>();
  const own = (n: OnnxNode, name: string, input: number): string => {
    const t = graph.initializers.get(name);
    if (!anonymous.test(name) || !isWeightInput(n, input) || !isVector(t) || t === undefined) return name;
    const count = (times.get(name) ?? 0) + 1;
    times.set(name, count);
    if (count === 1) return name;
    const copy = `${name}.${count}`;
    initializers.set(copy, t);
    return copy;
  };
  const nodes = graph.nodes.map((n) => ({ ...n, inputs: n.inputs.map((name, i) => own(n, name, i)) }));
  return { ...graph, nodes, initializers };
}

/** The graph with one initializer for each tensor that the network trained. */
export const separate = (graph: OnnxGraph): OnnxGraph => withoutSharedVectors(withoutIdentities(graph));
