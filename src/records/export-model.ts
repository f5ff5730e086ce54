/** @file The network of a run as one .onnx file: weights inside, any batch size, "x" in and "logits" out. */
import type { Tensor } from "../common/tensor.js";
import { compilePortable } from "../compile/compile.js";
import type { TransformSpec } from "../data/types.js";
import { constant, input, makeGraph } from "../graph/build.js";
import type { Model } from "../models/types.js";
import { decodeOnnx } from "../onnx/decode.js";
import { encodeOnnx } from "../onnx/encode.js";
import type { OnnxModel, OnnxNode } from "../onnx/model.js";

export interface ExportOptions {
  readonly classes: readonly string[];
  /** Of evaluation: its size and normalisation go into the file's metadata. */
  readonly transform: TransformSpec;
}

/** Two sizes that no network has for another reason: what differs between their graphs is the batch. */
const SIZES = [1009, 1013] as const;
export const BATCH = "N";

/**
 * The evaluation pass as ONNX (running statistics, weights as initializers). Input "x" float32 [N, C, H, W], output "logits" [N, classes];
 * N is symbolic where the network allows it, else 1. Metadata: classes and normalisation as JSON, size "H×W", the architecture.
 */
export async function exportModel(model: Model, o: ExportOptions): Promise<Uint8Array> {
  const [first, second] = await Promise.all(SIZES.map((n) => inference(model, n, o)));
  const found = (first && second && symbolicBatch(first, second)) ?? (await inference(model, 1, o));
  const { normalization, size, channels } = o.transform;
  const metadata = new Map([
    ["architecture", model.config.architecture],
    ["classes", JSON.stringify(o.classes)],
    ["normalization", JSON.stringify(normalization)],
    ["size", size.join("×")],
    ["channels", String(channels)],
    ["task", model.task],
  ]);
  return encodeOnnx({ ...found, metadata });
}

async function inference(model: Model, batch: number, { transform }: ExportOptions): Promise<OnnxModel> {
  const x = input("x", "float32", [batch, transform.channels, ...transform.size]);
  // One constant a weight: a tensor that is read twice is stored once.
  const values = new Map([...model.weights].map(([name, t]) => [name, constant(t, name)]));
  const { logits } = model.forward((name) => values.get(name)!, x, { batchNorm: "running" }); // a model has weights for all it reads
  return decodeOnnx(compilePortable(makeGraph(model.name, { x }, { logits })).bytes, model.name);
}

/**
 * One model for any batch from the models of two batch sizes; null where they differ in more than sizes that the batch explains.
 * A Reshape to [.., k·N, ..] with one such entry becomes [.., −1, ..].
 */
export function symbolicBatch(a: OnnxModel, b: OnnxModel): OnnxModel | null {
  const [n, m] = [a.graph.inputs[0]?.shape?.[0], b.graph.inputs[0]?.shape?.[0]];
  if (typeof n !== "number" || typeof m !== "number" || !sameNodes(a.graph.nodes, b.graph.nodes)) return null;
  const initializers = new Map<string, Tensor>();
  for (const [name, t] of a.graph.initializers) {
    const twin = b.graph.initializers.get(name);
    if (!twin) return null;
    const merged = mergeSizes(t, twin, n, m);
    if (!merged) return null;
    const reshapesOnly = a.graph.nodes.every(({ opType, inputs }) =>
      inputs.every((i, at) => i !== name || (opType === "Reshape" && at === 1)),
    );
    if (merged !== t && !reshapesOnly) return null;
    initializers.set(name, merged);
  }
  const free = <T extends { readonly shape: readonly (number | string)[] | null }>(ports: readonly T[]): T[] =>
    ports.map((p) => ({
      ...p,
      shape: p.shape === null ? null : p.shape.map((d, i) => (i === 0 && d === n ? BATCH : d)),
    }));
  const { inputs, outputs } = a.graph;
  return { ...a, graph: { ...a.graph, initializers, inputs: free(inputs), outputs: free(outputs) } };
}

function sameNodes(a: readonly OnnxNode[], b: readonly OnnxNode[]): boolean {
  const text = (nodes: readonly OnnxNode[]) =>
    JSON.stringify(nodes, (_, v: unknown) => (typeof v === "bigint" ? String(v) : v));
  return text(a) === text(b);
}

/** The tensor itself where both are equal, with −1 for the one entry that is k·N, or null. */
function mergeSizes(a: Tensor, b: Tensor, n: number, m: number): Tensor | null {
  if (a.dtype !== b.dtype || a.shape.join() !== b.shape.join()) return null;
  const [left, right]: readonly ArrayLike<number | bigint>[] = [a.data, b.data];
  const differing: number[] = [];
  for (let i = 0; i < a.data.length; i++) if (!Object.is(left?.[i], right?.[i])) differing.push(i);
  if (differing.length === 0) return a;
  const [at] = differing;
  if (a.dtype !== "int64" || b.dtype !== "int64" || differing.length > 1 || at === undefined) return null;
  const [x, y] = [Number(a.data[at]), Number(b.data[at])];
  if (x % n !== 0 || x / n !== y / m || a.data.includes(-1n)) return null;
  const data = a.data.slice();
  data[at] = -1n;
  return { ...a, data };
}
