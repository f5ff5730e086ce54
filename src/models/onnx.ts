/** @file A Model from an ONNX file: parameters, running statistics, layer groups, a head for the data's classes. */

import { gradients } from "../autodiff/backward.js";
import { GraphError, MetalrError, ShapeError, UsageError, WeightsError } from "../common/errors.js";
import { type FloatTensor, formatShape, type Shape } from "../common/tensor.js";
import { input } from "../graph/build.js";
import type { Value } from "../graph/value.js";
import { decodeOnnx } from "../onnx/decode.js";
import { encodeOnnx } from "../onnx/encode.js";
import { type ImportedOnnx, type InitializerRole, importOnnx } from "../onnx/import.js";
import type { OnnxModel, OnnxValueInfo } from "../onnx/model.js";
import { reshape, sumAll } from "../ops/index.js";
import { fromBase64, toBase64 } from "./_base64.js";
import { type Grouping, groupParameters } from "./onnx-groups.js";
import { headWeights, replaceHead } from "./onnx-head.js";
import type { Model, ModelConfig } from "./types.js";

export interface OnnxModelOptions {
  /** Name of the file, for messages and as the model's name. */
  readonly name: string;
  /** Classes of the data, where they are known; the model must have as many, or gets a new head. */
  readonly classes?: number;
  /** Makes the last layer again for `classes`; default false. */
  readonly replaceHead?: boolean;
  /** Space of the images, [H, W] or [D, H, W], where the file leaves it open and the network takes one size only. */
  readonly size?: readonly number[];
  /** Of a new head's weights; default 0. */
  readonly seed?: number;
}

/** Enough, with the weights, to build the model again. */
interface OnnxConfig extends ModelConfig {
  readonly architecture: "onnx";
  readonly file: string;
  /** The graph without its weights, an .onnx file in base64. */
  readonly graph: string;
  readonly logits: string;
  readonly roles: Readonly<Record<string, InitializerRole>>;
  readonly size: readonly number[] | null;
}

/** Sizes that are tried for a network that takes any, to see what comes out. */
const trialSizes = { 2: [64, 128, 224, 299], 3: [32, 64, 96] } as const;

/** Where probabilities come out, the logits are one node before: the loss has its own softmax. */
function logitsOf(model: OnnxModel): string {
  let name = model.graph.outputs[0]?.name ?? "";
  for (;;) {
    const node = model.graph.nodes.find((n) => n.outputs.includes(name));
    const before = node?.inputs[0];
    if (!before || !["Softmax", "LogSoftmax", "Identity"].includes(node?.opType ?? "")) return name;
    if (!model.graph.nodes.some((n) => n.outputs.includes(before))) return name;
    name = before;
  }
}

/** One pass and its gradients, built but not run: whatever is wrong is found when the model is opened. */
function tryOut(imported: ImportedOnnx, space: readonly number[], channels: number, file: string): Shape {
  const x = input("image", "float32", [imported.input.batch ?? 2, channels, ...space]);
  const values = new Map<string, Value>(
    [...imported.parameters, ...imported.buffers].map((p) => [p.name, input(p.name, "float32", p.tensor.shape)]),
  );
  // forward asks for names of its own parameters and buffers only.
  const value = (name: string) => values.get(name)!;
  const { logits } = imported.forward(value, x, { batchNorm: "batch" });
  try {
    gradients(
      sumAll(logits),
      imported.parameters.map((p) => value(p.name)),
    );
  } catch (e) {
    if (!(e instanceof GraphError)) throw e;
    // Derivatives know the node's name, and not the file's.
    throw new GraphError(`${file}: ${e.where}`, { problem: e.problem, ...(e.hint !== undefined && { hint: e.hint }) });
  }
  return logits.shape;
}

interface Opened {
  readonly imported: ImportedOnnx;
  /** Shape of the logits for some batch, [N, classes, …]. */
  readonly logits: Shape;
  readonly size: readonly number[] | null;
  readonly channels: number;
  readonly dimensions: 2 | 3;
}

/** Of one image: more numbers are no image but an attack on memory. */
const maxNumbers = 2 ** 28;

/** @throws {ShapeError} images that nobody can hold */
function checkSize(shape: Shape, where: string): void {
  if (shape.reduce((a, d) => a * d, 1) <= maxNumbers) return;
  throw new ShapeError(where, {
    problem: "images of this size are not supported",
    expected: `at most ${maxNumbers} numbers an image`,
    got: formatShape(shape),
  });
}

function open(imported: ImportedOnnx, file: string, size: readonly number[] | undefined): Opened {
  const [declared, ...space] = imported.input.shape;
  const where = `${file}: input "${imported.input.name}"`;
  if (space.length !== 2 && space.length !== 3) {
    throw new ShapeError(where, {
      problem: "not a network for images or volumes",
      expected: "[N, C, H, W] or [N, C, D, H, W]",
      got: `${space.length} space axes`,
    });
  }
  const dimensions = space.length;
  checkSize([declared ?? 1, ...(size ?? space.map((d) => d ?? 1))], where);
  const channels = declared ?? firstKernel(imported) ?? 3;
  if (size !== undefined && (size.length !== dimensions || space.some((d, i) => d !== null && d !== size[i]))) {
    throw new ShapeError(where, {
      problem: "the network takes another image size",
      expected: `[${space.map((d) => d ?? "?").join(",")}]`,
      got: formatShape(size),
    });
  }
  const fixed = size ?? (space.every((d) => d !== null) ? (space as number[]) : null); // no null is left: every
  if (fixed !== null)
    return { imported, logits: tryOut(imported, fixed, channels, file), size: fixed, channels, dimensions };
  let first: unknown;
  for (const s of trialSizes[dimensions]) {
    try {
      const logits = tryOut(
        imported,
        space.map((d) => d ?? s),
        channels,
        file,
      );
      return { imported, logits, size: null, channels, dimensions };
    } catch (e) {
      if (!(e instanceof MetalrError) || e.code === "internal") throw e;
      first ??= e;
    }
  }
  throw first;
}

/** Channels of the image where the file leaves them open: those of the first convolution. */
function firstKernel(imported: ImportedOnnx): number | null {
  const node = imported.nodes.find((n) => n.opType === "Conv" && n.inputs[0] === imported.input.name);
  return imported.parameters.find((p) => p.name === node?.inputs[1])?.tensor.shape[1] ?? null;
}

const groupsOf = (imported: ImportedOnnx): Grouping => groupParameters(imported, headWeights(imported));

/** [N, classes, 1, 1] of a network that ends in a convolution over one place is a classification. */
const isSegmentation = (logits: Shape): boolean => logits.length > 2 && logits.slice(2).some((d) => d !== 1);

function build(
  { imported, logits, size, channels, dimensions }: Opened,
  config: OnnxConfig,
  grouping: Grouping,
): Model {
  const classes = logits[1] ?? 0;
  const segmentation = isSegmentation(logits);
  const all = [...imported.parameters, ...imported.buffers];
  return {
    name: config.file,
    config,
    task: segmentation ? "segmentation" : "classification",
    classes,
    input: { channels, size, dimensions },
    // Every parameter has a group: groupParameters.
    parameters: imported.parameters.map((p) => ({
      name: p.name,
      shape: p.tensor.shape,
      group: grouping.groupOf.get(p.name)!,
    })),
    buffers: imported.buffers.map((b) => ({ name: b.name, shape: b.tensor.shape })),
    groups: grouping.groups,
    headGroup: grouping.groups.length - 1,
    weights: new Map<string, FloatTensor>(all.map((p) => [p.name, p.tensor])),
    forward(value, x, { batchNorm }) {
      const result = imported.forward(value, x, { batchNorm });
      const { shape } = result.logits;
      return segmentation || shape.length === 2
        ? result
        : { ...result, logits: reshape(result.logits, shape.slice(0, 2)) };
    },
  };
}

/** The file without its weights: parameters and buffers become inputs, so that it still names them with their shapes. */
function configOf({ imported, size }: Opened, file: string): OnnxConfig {
  const { model } = imported;
  const trained = [...imported.parameters, ...imported.buffers];
  const initializers = new Map(
    imported.constants.flatMap((name) => {
      const t = model.graph.initializers.get(name);
      return t ? [[name, t] as const] : [];
    }),
  );
  const ports: OnnxValueInfo[] = trained.map((p) => ({ name: p.name, dtype: "float32", shape: p.tensor.shape }));
  const logits: OnnxValueInfo = { name: imported.output, dtype: "float32", shape: null };
  const graph = {
    name: model.graph.name,
    nodes: imported.nodes,
    inputs: [...model.graph.inputs.filter((v) => v.name === imported.input.name), ...ports],
    outputs: [logits],
    initializers,
  };
  return {
    architecture: "onnx",
    file,
    graph: toBase64(encodeOnnx({ ...model, graph, metadata: new Map() })),
    logits: imported.output,
    roles: Object.fromEntries([
      ...imported.parameters.map((p) => [p.name, "parameter"] as const),
      ...imported.buffers.map((b) => [b.name, "buffer"] as const),
      ...imported.constants.map((name) => [name, "constant"] as const),
    ]),
    size,
  };
}

/**
 * A model from an ONNX file of PyTorch (or another exporter): classification or segmentation by the shape of its first output.
 *
 * @throws {GraphError} an operator that is not supported or has no gradient on the way from a parameter to the loss, named
 *   with its node
 * @throws {ShapeError} not a network for images or volumes, an image size that does not fit
 * @throws {WeightsError} other classes than the data, or no last layer to replace
 */
export function modelFromOnnx(model: OnnxModel, options: OnnxModelOptions): Model {
  const { name: file, classes, seed = 0 } = options;
  if (options.replaceHead && classes === undefined) {
    throw new UsageError("replaceHead", { problem: "needs the number of classes" });
  }
  const output = logitsOf(model);
  let opened = open(importOnnx(model, { file, output }), file, options.size);
  if (opened.imported.parameters.length === 0) {
    throw new WeightsError(file, {
      problem: "no parameters were found",
      expected: "float initializers that layers read as their weights",
    });
  }
  if (options.replaceHead && classes !== undefined) {
    const renewed = replaceHead(opened.imported, classes, seed, file);
    const had = opened.logits[1];
    try {
      opened = open(importOnnx(renewed, { file, output }), file, options.size);
    } catch (cause) {
      // What makes the logits is read elsewhere, too: the features of a residual network that was exported without its head.
      if (!(cause instanceof ShapeError)) throw cause;
      throw new WeightsError(file, {
        problem: "the last layer cannot be made again for other classes",
        expected: `one that is read for "${output}" alone`,
        got: "layers that the rest of the network needs as they are",
        hint: `export the network with a last layer of its own, such as torch.nn.Linear(${had}, ${classes})`,
        cause,
      });
    }
  }
  if (classes !== undefined && opened.logits[1] !== classes) {
    throw new WeightsError(file, {
      problem: "the model has another number of classes",
      expected: `${classes} (the data)`,
      got: String(opened.logits[1]),
      hint: "--replace-head makes the last layer again for the classes of the data",
    });
  }
  return build(opened, configOf(opened, file), groupsOf(opened.imported));
}

/**
 * The model again from its configuration and its weights, as a checkpoint holds them.
 * @throws {WeightsError} a parameter or buffer without a tensor
 */
export async function modelFromOnnxConfig(
  config: ModelConfig,
  weights: ReadonlyMap<string, FloatTensor>,
): Promise<Model> {
  const c = checkedConfig(config);
  const stripped = await decodeOnnx(fromBase64(c.graph), c.file);
  const trained = Object.entries(c.roles).filter(([, role]) => role !== "constant");
  const initializers = new Map(stripped.graph.initializers);
  for (const [name] of trained) {
    const port = stripped.graph.inputs.find((v) => v.name === name);
    const t = weights.get(name);
    if (t === undefined || port?.shape?.join() !== t.shape.join()) {
      throw new WeightsError(`${c.file}: "${name}"`, {
        problem: t === undefined ? "has no weights" : "weights have another shape",
        expected: `[${port?.shape?.join(",") ?? ""}]`,
        got: t === undefined ? "none" : formatShape(t.shape),
      });
    }
    initializers.set(name, t);
  }
  const inputs = stripped.graph.inputs.filter((v) => !initializers.has(v.name));
  const model: OnnxModel = { ...stripped, graph: { ...stripped.graph, inputs, initializers } };
  const imported = importOnnx(model, { file: c.file, output: c.logits, roles: new Map(Object.entries(c.roles)) });
  return build(open(imported, c.file, c.size ?? undefined), c, groupsOf(imported));
}

function checkedConfig(config: ModelConfig): OnnxConfig {
  const { architecture, file, graph, logits, roles } = config;
  const whole =
    typeof file === "string" && typeof graph === "string" && typeof logits === "string" && typeof roles === "object";
  if (architecture !== "onnx" || !whole) {
    throw new UsageError("model configuration", {
      problem: "is not that of an ONNX model",
      expected: "file, graph, logits and roles",
    });
  }
  return config as OnnxConfig; // the fields that are used were checked above
}
