/** @file Small ONNX graphs in plain data, for the tests of the importer. */
import { type FloatTensor, float32, type Tensor } from "../common/tensor.js";
import { constant, input } from "../graph/build.js";
import { evaluateGraph } from "../ops/index.js";
import type { ImportedOnnx } from "./import.js";
import type { OnnxModel, OnnxNode } from "./model.js";

/** A node whose name holds the scope "block.OUTPUT". */
export const node = (
  opType: string,
  inputs: string[],
  output: string,
  attributes: OnnxNode["attributes"] = {},
): OnnxNode => ({
  name: `/block/${output}/${opType}`,
  opType,
  domain: "",
  inputs,
  outputs: [output],
  attributes,
});

/** One image x, one output. */
export const modelOf = (
  nodes: readonly OnnxNode[],
  initializers: Readonly<Record<string, Tensor>>,
  shape: readonly (number | string)[] = ["N", 2],
  output = "y",
): OnnxModel => ({
  irVersion: 8,
  producer: "",
  opsets: new Map([["", 17]]),
  metadata: new Map(),
  graph: {
    name: "g",
    inputs: [{ name: "x", dtype: "float32", shape }],
    outputs: [{ name: output, dtype: "float32", shape: null }],
    initializers: new Map(Object.entries(initializers)),
    nodes,
  },
});

export const ones = (...shape: number[]): FloatTensor =>
  float32(shape, new Float32Array(shape.reduce((a, b) => a * b, 1)).fill(1));
export const names = (list: readonly { name: string }[]) => list.map((p) => p.name);

/** Logits for x, with the file's own weights. */
export function run(
  imported: ImportedOnnx,
  shape: readonly number[],
  data: readonly number[],
): { shape: readonly number[]; data: number[] } {
  const x = input("x", "float32", shape);
  const weights = new Map([...imported.parameters, ...imported.buffers].map((p) => [p.name, constant(p.tensor)]));
  // The forward pass asks for its own parameters and buffers only.
  const { logits } = imported.forward((name) => weights.get(name)!, x, { batchNorm: "running" });
  const y = evaluateGraph([logits], new Map([[x, { shape, data: Float64Array.from(data) }]]))[0]!; // one was asked for
  return { shape: y.shape, data: [...y.data] };
}

/** What a function throws, in words. */
export const message = (f: () => unknown): string => {
  try {
    f();
  } catch (e) {
    return e instanceof Error ? e.message : String(e);
  }
  return "no error";
};
