/** @file The last layer of an imported network, found from its logits backwards, and made again for other classes. */
import { WeightsError } from "../common/errors.js";
import { Random } from "../common/random.js";
import { type FloatTensor, formatShape, sizeOf } from "../common/tensor.js";
import type { ImportedOnnx } from "../onnx/import.js";
import type { OnnxModel, OnnxNode } from "../onnx/model.js";

/** Tensors that count the classes along some of their axes. */
interface Head {
  readonly classes: number;
  /** Weights of the layers that make the logits. */
  readonly layers: readonly string[];
  /** Axes that count classes, by the name of a parameter or buffer; biases and norms of the logits included. */
  readonly axes: ReadonlyMap<string, readonly number[]>;
}

const layerOps = new Set(["Gemm", "MatMul", "Conv", "ConvTranspose"]);
/** Ops with one image input that keep the classes' axis apart; norms and PRelu have vectors over it as well. */
const channelwise = new Set([
  "Reshape", "Flatten", "Squeeze", "Unsqueeze", "Transpose", "Identity", "Dropout", "Cast", "Slice", "Resize",
  "GlobalAveragePool", "AveragePool", "MaxPool", "ReduceMean", "Softmax", "LogSoftmax", "Relu", "LeakyRelu", "Elu",
  "Sigmoid", "Clip", "HardSwish", "PRelu", "BatchNormalization", "InstanceNormalization",
]); // biome-ignore format: a list
const joins = new Set(["Add", "Sub", "Mul", "Div", "Sum"]);
const views = new Set(["Transpose", "Identity", "Reshape", "Cast", "Unsqueeze", "Squeeze"]);

/** Walks from the logits back to the layers that make them, and notes every tensor on the way that counts classes. */
class HeadFinder {
  private readonly makers: ReadonlyMap<string, OnnxNode>;
  private readonly region = new Set<string>();
  private readonly layers = new Map<string, OnnxNode>();
  private readonly axes = new Map<string, Set<number>>();
  private classes = 0;

  constructor(
    private readonly imported: ImportedOnnx,
    private readonly tensors: ReadonlyMap<string, FloatTensor>,
  ) {
    this.makers = new Map(imported.nodes.flatMap((n) => n.outputs.map((o) => [o, n] as const)));
  }

  /** Null where the logits are not made by layers with as many outputs as there are classes. */
  find(): Head | null {
    if (!this.follow(this.imported.output) || this.layers.size === 0) return null;
    // A layer inside, from classes to classes, counts them on both sides.
    for (const [weight, node] of this.layers) {
      if (this.region.has(node.inputs[0] ?? ""))
        this.note(weight, 1 - outputAxis(node, this.stored(node.inputs[1] ?? "")?.swapped));
    }
    const axes = new Map([...this.axes].map(([name, set]) => [name, [...set]] as const));
    const fits = [...axes].every(([name, list]) =>
      list.every((a) => this.tensors.get(name)?.shape[a] === this.classes),
    );
    return fits ? { classes: this.classes, layers: [...this.layers.keys()], axes } : null;
  }

  /** The parameter or buffer behind a name, through views of it, and whether its two axes were exchanged on the way. */
  private stored(name: string): { name: string; swapped: boolean } | null {
    if (this.tensors.has(name)) return { name, swapped: false };
    const node = this.makers.get(name);
    if (node === undefined || !views.has(node.opType)) return null;
    const inner = this.stored(node.inputs[0] ?? "");
    return inner && { name: inner.name, swapped: inner.swapped !== (node.opType === "Transpose") };
  }

  private note(name: string, axis: number): void {
    const set = this.axes.get(name);
    if (set) set.add(axis);
    else this.axes.set(name, new Set([axis]));
  }

  /** A vector over the classes: the axis that is as long as they are many. */
  private noteVector(input: string): void {
    const found = this.stored(input);
    const shape = found ? this.tensors.get(found.name)?.shape : undefined;
    const axis = shape?.indexOf(this.classes) ?? -1;
    if (found && axis >= 0 && sizeOf(shape ?? []) === this.classes && this.classes > 1) this.note(found.name, axis);
  }

  /** Whether everything behind a value could be followed. */
  private follow(value: string): boolean {
    if (this.region.has(value)) return true;
    this.region.add(value);
    const node = this.makers.get(value);
    if (node === undefined) return false;
    const [first = "", ...rest] = node.inputs;
    if (layerOps.has(node.opType)) {
      const weight = this.stored(rest[0] ?? "");
      const axis = weight && outputAxis(node, weight.swapped);
      if (weight === null || axis === null) return false;
      this.classes ||= this.tensors.get(weight.name)?.shape[axis] ?? 0;
      this.layers.set(weight.name, node);
      this.note(weight.name, axis);
      if (rest[1]) this.noteVector(rest[1]);
      return true;
    }
    if (joins.has(node.opType)) {
      const images = node.inputs.filter((x) => this.stored(x) === null && this.makers.has(x));
      const followed = images.length > 0 && images.every((x) => this.follow(x));
      for (const x of node.inputs) if (!images.includes(x)) this.noteVector(x);
      return followed;
    }
    if (!channelwise.has(node.opType) || !this.follow(first)) return false;
    for (const x of rest) this.noteVector(x);
    return true;
  }
}

/** Which axis of a layer's weight counts its outputs. */
function outputAxis(node: OnnxNode, swapped = false): 0 | 1 {
  const transB = node.attributes["transB"];
  if (node.opType === "Conv") return 0;
  if (node.opType === "ConvTranspose") return 1;
  const plain = node.opType === "Gemm" && transB?.type === "int" && transB.value !== 0n ? 0 : 1;
  return swapped === (plain === 1) ? 0 : 1;
}

/** Every float tensor of the file, those of Constant nodes included. */
function tensorsOf(imported: ImportedOnnx): Map<string, FloatTensor> {
  const tensors = new Map<string, FloatTensor>();
  for (const [name, t] of imported.model.graph.initializers) if (t.dtype === "float32") tensors.set(name, t);
  for (const n of imported.nodes) {
    const value = n.attributes["value"];
    if (n.opType === "Constant" && value?.type === "tensor" && value.value.dtype === "float32") {
      tensors.set(n.outputs[0] ?? "", value.value);
    }
  }
  return tensors;
}

/** Names of the weights that make the logits; none where they were not found. */
export const headWeights = (imported: ImportedOnnx): readonly string[] =>
  new HeadFinder(imported, tensorsOf(imported)).find()?.layers ?? [];

/**
 * The model with a head for other classes. The layers that make the logits (one, or several where the logits are a sum)
 * are fresh, uniform within ±1/√inputs as torch.nn.Linear and Conv; norms among them start where they are on average.
 *
 * @param seed of the fresh weights
 * @throws {WeightsError} when the logits are not made by a linear or convolution layer
 */
export function replaceHead(imported: ImportedOnnx, classes: number, seed: number, file: string): OnnxModel {
  const tensors = tensorsOf(imported);
  const head = new HeadFinder(imported, tensors).find();
  if (head === null) {
    throw new WeightsError(file, {
      problem: "the last layer was not found",
      expected: `a linear or convolution layer before "${imported.output}"`,
      got: imported.nodes.find((n) => n.outputs.includes(imported.output))?.opType ?? "none",
      hint: "train without --replace-head, or export the model with the classes of the data",
    });
  }
  const initializers = new Map(imported.model.graph.initializers);
  const first = tensors.get(head.layers[0] ?? "");
  const inputs = sizeOf(first?.shape ?? []) / head.classes;
  for (const [name, axes] of head.axes) {
    const old = tensors.get(name);
    if (old === undefined)
      throw new WeightsError(`${file}: "${name}"`, { problem: "has no weights", got: formatShape([]) });
    const shape = old.shape.map((d, i) => (axes.includes(i) ? classes : d));
    const random = new Random(seed, "init", name);
    const bound = 1 / Math.sqrt(inputs);
    const mean = old.data.reduce((s, v) => s + v, 0) / old.data.length;
    const fresh = isOfLayer(name, imported);
    const data = Float32Array.from({ length: sizeOf(shape) }, () => (fresh ? random.between(-bound, bound) : mean));
    initializers.set(name, { dtype: "float32", shape, data });
  }
  const outputs = imported.model.graph.outputs.map((o) => ({
    ...o,
    shape: o.shape?.map((d, i) => (i === 1 && d === head.classes ? classes : d)) ?? null,
  }));
  // A Constant that was made again stands among the initializers now.
  const nodes = imported.model.graph.nodes.filter((n) => n.opType !== "Constant" || !head.axes.has(n.outputs[0] ?? ""));
  return { ...imported.model, graph: { ...imported.model.graph, nodes, initializers, outputs } };
}

/** A layer's weight or bias, not the scale of a normalisation or the slope of a PRelu. */
const isOfLayer = (name: string, imported: ImportedOnnx): boolean =>
  imported.nodes.some(
    (n) => n.inputs.includes(name) && (layerOps.has(n.opType) || n.opType === "Add" || n.opType === "Transpose"),
  );
