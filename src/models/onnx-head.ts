/** @file The last layer of an imported network, found from its logits backwards, and made again for other classes. */
import { WeightsError } from "../common/errors.js";
import { Random } from "../common/random.js";
import { type FloatTensor, formatShape, type Shape, sizeOf } from "../common/tensor.js";
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

/**
 * The last linear or convolution layer before the logits.
 * @throws {WeightsError} when the logits are not made by one
 */
export function findHead(imported: ImportedOnnx, file: string): Head {
  const makers = new Map(imported.nodes.flatMap((n) => n.outputs.map((o) => [o, n] as const)));
  let name = imported.output;
  let bias: string | null = null;
  for (let node = makers.get(name); node !== undefined; node = makers.get(name)) {
    if (["Gemm", "MatMul", "Conv", "ConvTranspose"].includes(node.opType)) {
      const weight = stored(node.inputs[1] ?? "", imported);
      if (weight === null) break;
      const shape = imported.parameters.find((p) => p.name === weight.name)?.tensor.shape ?? [];
      const axis = outputAxis(node, weight.swapped);
      const own = node.inputs[2] ? (stored(node.inputs[2], imported)?.name ?? null) : bias;
      return { node, weight: weight.name, axis, bias: own, classes: shape[axis] ?? 0 };
    }
    if (!transparent.has(node.opType)) break;
    if (node.opType === "Add") {
      // A MatMul's bias is an Add of its own; the other operand leads on.
      const [a, b] = node.inputs.map((input) => stored(input, imported));
      if (a && b) break;
      bias = (a ?? b)?.name ?? bias;
      name = node.inputs[a ? 1 : 0] ?? "";
    } else name = node.inputs[0] ?? "";
  }
  throw new WeightsError(file, {
    problem: "the last layer was not found",
    expected: `a linear or convolution layer before "${imported.output}"`,
    got: makers.get(name)?.opType ?? "none",
    hint: "train without --replace-head, or export the model with the classes of the data",
  });
}

/**
 * The model with a head for other classes: weight and bias fresh, uniform within ±1/√inputs as torch.nn.Linear and Conv.
 * @param seed of the fresh weights
 */
export function replaceHead(imported: ImportedOnnx, classes: number, seed: number, file: string): OnnxModel {
  const head = findHead(imported, file);
  const initializers = new Map(imported.model.graph.initializers);
  const old = initializers.get(head.weight);
  if (old === undefined) throw new WeightsError(file, { problem: `no weights for "${head.weight}"` });
  const shapeFor = (shape: Shape, axis: number) => shape.map((d, i) => (i === axis ? classes : d));
  const inputs = sizeOf(old.shape) / head.classes;
  const fresh = (name: string, shape: Shape): FloatTensor => {
    const random = new Random(seed, "init", name);
    const bound = 1 / Math.sqrt(inputs);
    return {
      dtype: "float32",
      shape,
      data: Float32Array.from({ length: sizeOf(shape) }, () => random.between(-bound, bound)),
    };
  };
  initializers.set(head.weight, fresh(head.weight, shapeFor(old.shape, head.axis)));
  const bias = head.bias === null ? undefined : initializers.get(head.bias);
  if (head.bias !== null && bias !== undefined) {
    const axis = bias.shape.indexOf(head.classes);
    if (axis < 0) {
      throw new WeightsError(file, {
        problem: `bias "${head.bias}" does not fit the last layer`,
        expected: `[${head.classes}]`,
        got: formatShape(bias.shape),
      });
    }
    initializers.set(head.bias, fresh(head.bias, shapeFor(bias.shape, axis)));
  }
  const outputs = imported.model.graph.outputs.map((o) => ({
    ...o,
    shape: o.shape?.map((d, i) => (i === 1 && d === head.classes ? classes : d)) ?? null,
  }));
  return { ...imported.model, graph: { ...imported.model.graph, initializers, outputs } };
}
