/** @file The last layer of an imported network, found from its logits backwards, and made again for other classes. */
import { WeightsError } from "../common/errors.js";
import { Random } from "../common/random.js";
import { formatShape, type Shape, sizeOf } from "../common/tensor.js";
import type { ImportedOnnx } from "../onnx/import.js";
import type { OnnxModel, OnnxNode } from "../onnx/model.js";

export interface Head {
  /** Linear, or a convolution with kernel 1 or larger. */
  readonly node: OnnxNode;
  readonly weight: string;
  /** Axis of the weight that counts the classes. */
  readonly axis: number;
  readonly bias: string | null;
  readonly classes: number;
}

/** Ops through which logits are followed back to the layer that makes them: they keep the classes' axis apart. */
const transparent = new Set([
  "Add", "Reshape", "Flatten", "Squeeze", "Unsqueeze", "Transpose", "Identity", "Dropout", "Cast",
  "Resize", "GlobalAveragePool", "AveragePool", "ReduceMean", "Relu", "Softmax", "LogSoftmax", "Slice", "Crop",
]); // biome-ignore format: a list

/** The initializer behind an input, through views of it, and whether its two axes were exchanged on the way. */
function stored(name: string, imported: ImportedOnnx): { name: string; swapped: boolean } | null {
  if (imported.parameters.some((p) => p.name === name)) return { name, swapped: false };
  const node = imported.nodes.find((n) => n.outputs.includes(name));
  if (node === undefined || !["Transpose", "Identity", "Reshape", "Cast"].includes(node.opType)) return null;
  const inner = stored(node.inputs[0] ?? "", imported);
  return inner && { name: inner.name, swapped: inner.swapped !== (node.opType === "Transpose") };
}

/** Which axis of a layer's weight counts its outputs. */
function outputAxis(node: OnnxNode, swapped: boolean): number {
  const transB = node.attributes["transB"];
  if (node.opType === "Conv") return 0;
  if (node.opType === "ConvTranspose") return 1;
  const plain = node.opType === "Gemm" && transB?.type === "int" && transB.value !== 0n ? 0 : 1;
  return swapped ? 1 - plain : plain;
}

/** What makes the values: a head, several that are added, or nothing of the kind. */
function headsBehind(output: string, imported: ImportedOnnx, makers: ReadonlyMap<string, OnnxNode>): Head[] {
  let name = output;
  let bias: string | null = null;
  for (let node = makers.get(name); node !== undefined; node = makers.get(name)) {
    if (["Gemm", "MatMul", "Conv", "ConvTranspose"].includes(node.opType)) {
      const weight = stored(node.inputs[1] ?? "", imported);
      if (weight === null) return [];
      const shape = imported.parameters.find((p) => p.name === weight.name)?.tensor.shape ?? [];
      const axis = outputAxis(node, weight.swapped);
      const own = node.inputs[2] ? (stored(node.inputs[2], imported)?.name ?? null) : bias;
      return [{ node, weight: weight.name, axis, bias: own, classes: shape[axis] ?? 0 }];
    }
    if (!transparent.has(node.opType)) return [];
    if (node.opType !== "Add") {
      name = node.inputs[0] ?? "";
      continue;
    }
    const [a, b] = node.inputs.map((input) => stored(input, imported));
    // Two branches that are added are two heads; a MatMul's bias is an Add of its own, and the other operand leads on.
    if (!a && !b) return node.inputs.flatMap((input) => headsBehind(input, imported, makers));
    bias = (a ?? b)?.name ?? bias;
    name = node.inputs[a ? 1 : 0] ?? "";
  }
  return [];
}

/** Names of the weights that make the logits; none where they were not found. */
export function headWeights(imported: ImportedOnnx): readonly string[] {
  const makers = new Map(imported.nodes.flatMap((n) => n.outputs.map((o) => [o, n] as const)));
  return headsBehind(imported.output, imported, makers).map((h) => h.weight);
}

/**
 * The last linear or convolution layer before the logits; several where the logits are a sum of them.
 * @throws {WeightsError} when the logits are not made by one
 */
export function findHeads(imported: ImportedOnnx, file: string): readonly Head[] {
  const makers = new Map(imported.nodes.flatMap((n) => n.outputs.map((o) => [o, n] as const)));
  const heads = headsBehind(imported.output, imported, makers);
  if (heads.length > 0 && heads.every((h) => h.classes === heads[0]?.classes)) return heads;
  throw new WeightsError(file, {
    problem: "the last layer was not found",
    expected: `a linear or convolution layer before "${imported.output}"`,
    got: makers.get(imported.output)?.opType ?? "none",
    hint: "train without --replace-head, or export the model with the classes of the data",
  });
}

/**
 * The model with a head for other classes: weight and bias fresh, uniform within ±1/√inputs as torch.nn.Linear and Conv.
 * @param seed of the fresh weights
 */
export function replaceHead(imported: ImportedOnnx, classes: number, seed: number, file: string): OnnxModel {
  const heads = findHeads(imported, file);
  const old = heads[0]?.classes ?? 0;
  const initializers = new Map(imported.model.graph.initializers);
  /** Uniform within ±1/√inputs, the axis that counts the classes made anew. */
  const renew = (name: string, axis: (shape: Shape) => number, inputs: number): void => {
    const before = initializers.get(name)?.shape ?? [];
    const at = axis(before);
    if (before[at] !== old) {
      throw new WeightsError(`${file}: "${name}"`, {
        problem: "does not fit the last layer",
        expected: `${old} classes`,
        got: formatShape(before),
      });
    }
    const shape = before.map((d, i) => (i === at ? classes : d));
    const random = new Random(seed, "init", name);
    const bound = 1 / Math.sqrt(inputs);
    const data = Float32Array.from({ length: sizeOf(shape) }, () => random.between(-bound, bound));
    initializers.set(name, { dtype: "float32", shape, data });
  };
  for (const head of heads) {
    const inputs = sizeOf(initializers.get(head.weight)?.shape ?? []) / old;
    renew(head.weight, () => head.axis, inputs);
    if (head.bias !== null) renew(head.bias, (shape) => shape.indexOf(old), inputs);
  }
  const outputs = imported.model.graph.outputs.map((o) => ({
    ...o,
    shape: o.shape?.map((d, i) => (i === 1 && d === old ? classes : d)) ?? null,
  }));
  return { ...imported.model, graph: { ...imported.model.graph, initializers, outputs } };
}
