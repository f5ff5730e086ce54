/** @file Parts what an exporter stored once because it was equal when it was written: in the network these are tensors of their own. */
import type { Tensor } from "../../common/tensor.js";
import type { OnnxGraph, OnnxNode } from "../model.js";
import { anonymous, isInert, isWeightInput } from "./roles.js";
import { moduleOfNode } from "./scope.js";

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
const isVector = (t: Tensor | undefined): t is Tensor & { dtype: "float32" } =>
  t?.dtype === "float32" && t.shape.length > 0 && t.shape.filter((d) => d > 1).length < 2;
/** As fresh biases and norms are: what is equal then need not be the same tensor. */
const isFresh = (t: Tensor) => t.data.every((v: number | bigint) => v === t.data[0] && (v === 0 || v === 1));

const norms = new Set(["BatchNormalization", "InstanceNormalization", "LayerNormalization", "GroupNormalization"]);
const layers = new Set(["Conv", "ConvTranspose", "Gemm", "MatMul"]);

/** Where a vector is read: the matrix that it belongs to ("" for a norm's), the module, and what PyTorch calls it there. */
interface Place {
  readonly matrix: string;
  readonly module: string;
  readonly leaf: "weight" | "bias";
}

/** Null where the operator has no weight, and the vector is added to nothing that a matrix makes. */
function placeOf(n: OnnxNode, input: number, graph: OnnxGraph, makers: ReadonlyMap<string, OnnxNode>): Place | null {
  const module = moduleOfNode(n);
  if (n.opType === "Add") {
    const other = n.inputs[1 - input] ?? "";
    const product = makers.get(other);
    if (product?.opType === "MatMul") return { matrix: product.inputs[1] ?? "", module, leaf: "bias" };
    // Of a product of constants only the result is in the file.
    return graph.initializers.has(other) ? { matrix: other, module, leaf: "bias" } : null;
  }
  if (!isWeightInput(n, input)) return null;
  if (norms.has(n.opType)) return { matrix: "", module, leaf: input === 1 ? "weight" : "bias" };
  return { matrix: layers.has(n.opType) ? (n.inputs[1] ?? "") : "", module, leaf: input === 2 ? "bias" : "weight" };
}

/** Whether two places have a tensor each, though the file has one for both. */
function isApart(first: Place, other: Place, name: string, t: Tensor, n: OnnxNode): boolean {
  if (n.opType === "Add") return isFresh(t) && first.matrix !== other.matrix;
  if (anonymous.test(name)) return true;
  if (first.matrix !== "" || other.matrix !== "") return first.matrix !== other.matrix;
  // A module that is called twice has its norm in both calls.
  return norms.has(n.opType) && isFresh(t) && (first.module === "" || first.module !== other.module);
}

/** Vectors that several layers or norms have as their weight, though each had one of its own: one for each. */
function withoutSharedVectors(graph: OnnxGraph): OnnxGraph {
  const initializers = new Map(graph.initializers);
  const makers = new Map(graph.nodes.flatMap((n) => n.outputs.map((o) => [o, n] as const)));
  const taken = (name: string) => initializers.has(name) || makers.has(name);
  const known = new Map<string, { place: Place; name: string }[]>();
  const own = (n: OnnxNode, name: string, input: number): string => {
    const t = graph.initializers.get(name);
    const place = isVector(t) ? placeOf(n, input, graph, makers) : null;
    if (t === undefined || place === null || isInert(name, t, n)) return name;
    const places = known.get(name) ?? [];
    const same = places.find((p) => !isApart(p.place, place, name, t, n));
    if (same) return same.name;
    const count = places.length + 1;
    // The layer's own name for it, where the file tells it; else the stored one, numbered.
    const matrix = /^(.+)\.weight$/.exec(place.matrix)?.[1] ?? place.module;
    const wanted = [matrix === "" ? null : `${matrix}.${place.leaf}`, `${name}.${count}`];
    const copy = count === 1 ? name : (wanted.find((w) => w !== null && !taken(w)) ?? `${name}.${count}.${input}`);
    known.set(name, [...places, { place, name: copy }]);
    if (copy !== name) initializers.set(copy, t);
    return copy;
  };
  const nodes = graph.nodes.map((n) => ({ ...n, inputs: n.inputs.map((name, i) => own(n, name, i)) }));
  return { ...graph, nodes, initializers };
}

/** The graph with one initializer for each tensor that the network trained. */
export const separate = (graph: OnnxGraph): OnnxGraph => withoutSharedVectors(withoutIdentities(graph));
