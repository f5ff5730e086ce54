/** @file The network of a run as one .onnx file: weights inside, any batch size, "x" in and "logits" out. */
import { int64, type Tensor } from "../common/tensor.js";
import { compilePortable } from "../compile/compile.js";
import type { TransformSpec } from "../data/types.js";
import { input, makeGraph } from "../graph/build.js";
import type { Model } from "../models/types.js";
import { decodeOnnx } from "../onnx/decode.js";
import { encodeOnnx } from "../onnx/encode.js";
import { foldBatchNorm } from "../onnx/fold-batch-norm.js";
import type { OnnxModel, OnnxNode } from "../onnx/model.js";

export interface ExportOptions {
  readonly classes: readonly string[];
  /** Of evaluation: its size and normalisation go into the file's metadata. */
  readonly transform: TransformSpec;
  /** Batch norm is taken into the convolution before it where there is one: smaller and faster, not for further training. Default false. */
  readonly foldBatchNorm?: boolean;
}

/** Two sizes that no network has for another reason: what differs between their graphs is the batch. */
const SIZES = [1009, 1013] as const;
const BATCH = "N";

/**
 * The evaluation pass as ONNX (running statistics, weights as initializers). Input "x" float32 [N, C, H, W], output "logits" [N, classes];
 * N is symbolic where the network allows it, else 1; parameters keep their names. Metadata: classes and normalisation as JSON, size "H×W", the architecture.
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
  return encodeOnnx({ ...(o.foldBatchNorm ? foldBatchNorm(found) : found), metadata });
}

/** A parameter's name where it is not one that the export gives itself: its ports, and values by number. */
const free = (name: string): string => (/^(x|logits|[cv]\d+)$/.test(name) ? `${name}_` : name);

async function inference(model: Model, batch: number, { transform }: ExportOptions): Promise<OnnxModel> {
  const x = input("x", "float32", [batch, transform.channels, ...transform.size]);
  // As inputs, so that nothing is computed of them ahead: each stays what it is, under its own name.
  const values = new Map([...model.weights].map(([name, t]) => [name, input(free(name), "float32", t.shape)]));
  const { logits } = model.forward((name) => values.get(name)!, x, { batchNorm: "running" }); // a model has weights for all it reads
  const graph = makeGraph(
    model.name,
    new Map([["x", x], ...[...values].map(([name, v]) => [free(name), v] as const)]),
    new Map([["logits", logits]]),
  );
  const onnx = await decodeOnnx(compilePortable(graph).bytes, model.name);
  const read = new Set(onnx.graph.nodes.flatMap((n) => n.inputs));
  const weights = [...model.weights].flatMap(([name, t]) => (read.has(free(name)) ? [[free(name), t] as const] : []));
  const inputs = onnx.graph.inputs.filter((v) => v.name === "x");
  const initializers = new Map([...onnx.graph.initializers, ...weights]);
  return { ...onnx, graph: { ...onnx.graph, inputs, initializers } };
}

/**
 * One model for any batch from the models of two batch sizes; null where they differ in more than sizes that the batch explains.
 * A Reshape to [.., k·N, ..] with one such entry becomes [.., −1, ..]; other shapes are put together from the batch of x.
 */
export function symbolicBatch(a: OnnxModel, b: OnnxModel): OnnxModel | null {
  const [n, m] = [a.graph.inputs[0]?.shape?.[0], b.graph.inputs[0]?.shape?.[0]];
  if (typeof n !== "number" || typeof m !== "number" || !sameNodes(a.graph.nodes, b.graph.nodes)) return null;
  const initializers = new Map<string, Tensor>();
  const made: OnnxNode[] = [];
  for (const [name, t] of a.graph.initializers) {
    const twin = b.graph.initializers.get(name);
    const merged = twin && mergeSizes(t, twin, n, m);
    if (!merged) return null;
    if (merged === t) {
      initializers.set(name, t);
      continue;
    }
    const uses = a.graph.nodes.flatMap((node) =>
      node.inputs.flatMap((i, at) => (i === name ? [{ op: node.opType, at }] : [])),
    );
    if (uses.every(({ op, at }) => op === "Reshape" && at === 1)) initializers.set(name, merged);
    else if (uses.every(({ op, at }) => ["Reshape", "Expand"].includes(op) && at === 1)) {
      made.push(...shapeOfBatch(name, merged, n, t, initializers));
    } else return null;
  }
  const anyBatch = <T extends { readonly shape: readonly (number | string)[] | null }>(ports: readonly T[]): T[] =>
    ports.map((p) => ({
      ...p,
      shape: p.shape === null ? null : p.shape.map((d, i) => (i === 0 && d === n ? BATCH : d)),
    }));
  const { inputs, outputs } = a.graph;
  const nodes = [...made, ...a.graph.nodes];
  return { ...a, graph: { ...a.graph, nodes, initializers, inputs: anyBatch(inputs), outputs: anyBatch(outputs) } };
}

/** Nodes that make the shape `name`: its −1 is replaced by the batch of the image, times what it stood for. */
function shapeOfBatch(
  name: string,
  merged: Tensor,
  n: number,
  t: Tensor,
  initializers: Map<string, Tensor>,
): OnnxNode[] {
  const node = (opType: string, inputs: string[], output: string, attributes: OnnxNode["attributes"] = {}) => ({
    name: output,
    opType,
    domain: "",
    inputs,
    outputs: [output],
    attributes,
  });
  const int = (value: number) => ({ type: "int" as const, value: BigInt(value) });
  const sizes = Array.from(merged.data as ArrayLike<number | bigint>, Number); // every DataOf is such a list
  const at = sizes.indexOf(-1);
  const part = (suffix: string, values: readonly number[]): string[] => {
    if (values.length === 0) return [];
    initializers.set(`${name}_${suffix}`, int64([values.length], values));
    return [`${name}_${suffix}`];
  };
  const factor = part("factor", [Number(t.data[at]) / n]);
  const batch = `${name}_batch`;
  const scaled = `${name}_scaled`;
  return [
    node("Shape", ["x"], batch, { start: int(0), end: int(1) }),
    node("Mul", [batch, ...factor], scaled),
    node("Concat", [...part("before", sizes.slice(0, at)), scaled, ...part("after", sizes.slice(at + 1))], name, {
      axis: int(0),
    }),
  ];
}

function sameNodes(a: readonly OnnxNode[], b: readonly OnnxNode[]): boolean {
  const text = (nodes: readonly OnnxNode[]) =>
    JSON.stringify(nodes, (_, v: unknown) => (typeof v === "bigint" ? String(v) : v));
  return text(a) === text(b);
}

/** The tensor itself where both are equal, with −1 for the one entry that is k·N, or null. */
function mergeSizes(a: Tensor, b: Tensor, n: number, m: number): Tensor | null {
  if (a.data === b.data) return a;
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
