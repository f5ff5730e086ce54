/** @file Batch norm in inference form, taken into the convolution or linear layer before it. */
import type { FloatTensor, Tensor } from "../common/tensor.js";
import type { OnnxModel, OnnxNode } from "./model.js";

/** Which axis of a layer's weight counts its outputs; null where a factor for each output is no factor for each row of it. */
function outputAxis(n: OnnxNode): 0 | 1 | null {
  const int = (key: string, otherwise: bigint) => {
    const a = n.attributes[key];
    return a?.type === "int" ? a.value : otherwise;
  };
  if (n.opType === "Conv") return 0;
  if (n.opType === "ConvTranspose") return int("group", 1n) === 1n ? 1 : null;
  const plain = ["alpha", "beta"].every((key) => {
    const a = n.attributes[key];
    return a === undefined || (a.type === "float" && a.value === 1);
  });
  if (n.opType !== "Gemm" || !plain) return null;
  return int("transB", 0n) === 1n ? 0 : 1;
}

/** W·s along an axis, in float64. */
function scaled(w: FloatTensor, axis: 0 | 1, factors: Float64Array): FloatTensor {
  const inner = w.shape.slice(axis + 1).reduce((a, d) => a * d, 1);
  const data = w.data.map((v, i) => v * (factors[Math.floor(i / inner) % factors.length] ?? 1));
  return { dtype: "float32", shape: w.shape, data };
}

/**
 * The model with every BatchNormalization that directly follows a layer taken into it:
 * W' = W·s and b' = (b − mean)·s + bias with s = scale/√(variance + ε), for each output channel. Others stay as they are:
 * after a sum or a concatenation, after a layer whose result somebody else reads, or whose weight another node reads, too.
 */
export function foldBatchNorm(model: OnnxModel): OnnxModel {
  const { graph } = model;
  const readers = new Map<string, number>();
  for (const name of [...graph.nodes.flatMap((n) => n.inputs), ...graph.outputs.map((o) => o.name)]) {
    readers.set(name, (readers.get(name) ?? 0) + 1);
  }
  const makers = new Map(graph.nodes.flatMap((n) => n.outputs.map((o) => [o, n] as const)));
  const initializers = new Map<string, Tensor>(graph.initializers);
  const replaced = new Map<OnnxNode, OnnxNode | null>();
  const float = (name: string | undefined): FloatTensor | null => {
    const t = graph.initializers.get(name ?? "");
    return t?.dtype === "float32" ? t : null;
  };
  for (const norm of graph.nodes) {
    const [x = "", ...rest] = norm.inputs;
    const layer = norm.opType === "BatchNormalization" && norm.domain === "" ? makers.get(x) : undefined;
    const [scale, bias, mean, variance] = rest.map(float);
    const axis = layer && !replaced.has(layer) ? outputAxis(layer) : null;
    if (layer === undefined || axis === null || readers.get(x) !== 1 || !scale || !bias || !mean || !variance) continue;
    const [input = "", weightName = "", biasName = ""] = layer.inputs;
    const weight = float(weightName);
    const old = float(biasName);
    const outputs = scale.data.length;
    if (weight === null || readers.get(weightName) !== 1 || weight.shape[axis] !== outputs) continue;
    if (biasName !== "" && old?.data.length !== outputs) continue;
    const a = norm.attributes["epsilon"];
    const epsilon = a?.type === "float" ? a.value : 1e-5;
    const s = Float64Array.from(scale.data, (v, i) => v / Math.sqrt((variance.data[i] ?? 0) + epsilon));
    const shift = Float32Array.from(s, (v, i) => ((old?.data[i] ?? 0) - (mean.data[i] ?? 0)) * v + (bias.data[i] ?? 0));
    // The layer's own bias under its own name, where nobody else reads it; else the norm's.
    const name = biasName !== "" && readers.get(biasName) === 1 ? biasName : (rest[1] ?? "");
    const shared = name !== biasName && (readers.get(name) ?? 0) > 1;
    const kept = shared ? `${weightName}.bias` : name;
    initializers.set(weightName, scaled(weight, axis, s));
    initializers.set(kept, { dtype: "float32", shape: [outputs], data: shift });
    replaced.set(layer, { ...layer, inputs: [input, weightName, kept], outputs: norm.outputs.slice(0, 1) });
    replaced.set(norm, null);
  }
  const nodes = graph.nodes.flatMap((n) => {
    const r = replaced.get(n);
    return r === undefined ? [n] : r === null ? [] : [r];
  });
  const read = new Set(nodes.flatMap((n) => n.inputs));
  for (const name of initializers.keys()) if (readers.has(name) && !read.has(name)) initializers.delete(name);
  return { ...model, graph: { ...graph, nodes, initializers } };
}
