/** @file Turns an ONNX model into a forward pass over our ops, with its parameters, running statistics and constants apart. */
import { FileError, GraphError, ShapeError } from "../common/errors.js";
import { type FloatTensor, formatShape, type Shape, type Tensor } from "../common/tensor.js";
import { constant, input as imageOf } from "../graph/build.js";
import type { Value } from "../graph/value.js";
import type { Pass, StatisticsMode } from "./import/_context.js";
import { runNode } from "./import/_run.js";
import { anonymous, type InitializerRole, isLayerWeight, roleOf, usesOf } from "./import/roles.js";
import { moduleOfNode } from "./import/scope.js";
import { separate } from "./import/separate.js";
import type { OnnxGraph, OnnxModel, OnnxNode } from "./model.js";

export type { InitializerRole } from "./import/roles.js";

export interface ImportOptions {
  /** Name of the file, for messages. */
  readonly file: string;
  /** Name of the value that holds the logits, an output or one before it; default the first output. */
  readonly output?: string;
  /** Roles that were decided before and must not change with the weights; the others follow the rules. */
  readonly roles?: ReadonlyMap<string, InitializerRole>;
}

export interface ImportedTensor {
  readonly name: string;
  readonly tensor: FloatTensor;
  /**
   * Path of the module it belongs to, as PyTorch: "layer1.0.conv1". From its own name, or where it has none (a folded
   * "onnx::Conv_123") from the scope of the node that reads it; "" where neither says.
   */
  readonly module: string;
  /** The matrix or kernel of a layer; false for biases, scales, tokens and embeddings. */
  readonly layerWeight: boolean;
}

/** Importing is static: the forward pass may be built any number of times, for any values of the parameters. */
export interface ImportedOnnx {
  /** The model as it was given, but with shared copies of equal weights made apart again. */
  readonly model: OnnxModel;
  /** Nodes that the logits need, in order. */
  readonly nodes: readonly OnnxNode[];
  readonly input: {
    readonly name: string;
    /** Size of the batch where the file fixes it. */
    readonly batch: number | null;
    /** Channels, then space; null where any size is possible. */
    readonly shape: readonly (number | null)[];
  };
  readonly output: string;
  /** In the order in which the forward pass first reads them. */
  readonly parameters: readonly ImportedTensor[];
  readonly buffers: readonly ImportedTensor[];
  /** Names of the initializers that are neither. */
  readonly constants: readonly string[];
  /** Why each initializer has its role, in a few words. */
  readonly reasons: ReadonlyMap<string, string>;
  /**
   * The forward pass.
   * @param value of a parameter or buffer by name
   * @param x image [N, C, …space]
   * @throws {ShapeError | GraphError} naming the ONNX node
   */
  forward(
    value: (name: string) => Value,
    x: Value,
    options: { readonly batchNorm: StatisticsMode },
  ): { readonly logits: Value; readonly buffers: ReadonlyMap<string, Value> };
}

/** The nodes that `output` needs, in the order of the file. */
function needed(graph: OnnxGraph, output: string): OnnxNode[] {
  const wanted = new Set([output]);
  const take = (n: OnnxNode): void => {
    for (const name of n.inputs) wanted.add(name);
    for (const a of Object.values(n.attributes)) {
      if (a.type !== "graph") continue;
      for (const v of a.value.outputs) wanted.add(v.name);
      a.value.nodes.forEach(take);
    }
  };
  return graph.nodes
    .toReversed()
    .filter((n) => {
      const needs = n.outputs.some((o) => wanted.has(o));
      if (needs) take(n);
      return needs;
    })
    .reverse();
}

function inputOf(graph: OnnxGraph, isRead: (name: string) => boolean, file: string): ImportedOnnx["input"] {
  const inputs = graph.inputs.filter((v) => isRead(v.name));
  const [image, ...others] = inputs;
  if (image === undefined || others.length > 0) {
    throw new GraphError(file, {
      problem: "the model does not have one input",
      expected: "one image",
      got: inputs.length === 0 ? "none that the output needs" : inputs.map((v) => v.name).join(", "),
    });
  }
  const { shape } = image;
  if (image.dtype !== "float32" || shape === null || shape.length < 2) {
    throw new GraphError(`${file}: input "${image.name}"`, {
      problem: "not an image",
      expected: "float32 [N, C, …space]",
      got: `${image.dtype} ${shape === null ? "of any shape" : `[${shape.join(",")}]`}`,
    });
  }
  const fixed = (d: number | string | undefined) => (typeof d === "number" && d > 0 ? d : null);
  return { name: image.name, batch: fixed(shape[0]), shape: shape.slice(1).map(fixed) };
}

/** The module of an initializer, from its name or from the first node that reads it. */
function moduleOf(name: string, reader: OnnxNode | undefined): string {
  if (anonymous.test(name)) return moduleOfNode(reader);
  const dot = name.lastIndexOf(".");
  return dot < 0 ? "" : name.slice(0, dot);
}

/**
 * Reads the structure of a model: its image, its logits, and the role of every initializer that the logits need.
 *
 * @throws {GraphError} no single image, no such output
 */
export function importOnnx(given: OnnxModel, options: ImportOptions): ImportedOnnx {
  const { file } = options;
  const model: OnnxModel = { ...given, graph: separate(given.graph) };
  const { graph } = model;
  const output = options.output ?? graph.outputs[0]?.name ?? "";
  if (!graph.nodes.some((n) => n.outputs.includes(output))) {
    throw new GraphError(file, {
      problem: `no output "${output}"`,
      expected: graph.outputs.map((v) => v.name).join(" or "),
    });
  }
  const nodes = needed(graph, output);
  const uses = usesOf({ ...graph, nodes });
  const input = inputOf(graph, (name) => uses.has(name), file);
  const seesImage = new Set([input.name]);
  for (const n of nodes) {
    const reads = usesOf({ ...graph, nodes: [n] }).keys();
    if ([...reads].some((x) => seesImage.has(x))) for (const o of n.outputs) seesImage.add(o);
  }
  const roles = new Map<string, InitializerRole>();
  const reasons = new Map<string, string>();
  // The map of uses is in the order of reading, so parameters come in the order of the network.
  for (const name of uses.keys()) {
    const t = graph.initializers.get(name);
    if (t === undefined) continue;
    const { role, reason } = roleOf(name, t, { uses, input: input.name });
    roles.set(name, options.roles?.get(name) ?? role);
    reasons.set(name, reason);
  }
  const withRole = (role: InitializerRole) => [...roles].flatMap(([name, r]) => (r === role ? [name] : []));
  const tensorsOf = (role: InitializerRole): ImportedTensor[] =>
    withRole(role).map((name) => {
      const tensor = graph.initializers.get(name);
      if (tensor?.dtype !== "float32") {
        throw new FileError(`${file}: initializer "${name}"`, {
          problem: "is not float32",
          got: tensor?.dtype ?? "nothing",
        });
      }
      return {
        name,
        tensor,
        module: moduleOf(name, uses.get(name)?.[0]?.node),
        layerWeight: isLayerWeight(name, tensor, uses, seesImage),
      };
    });
  const [parameters, buffers] = [tensorsOf("parameter"), tensorsOf("buffer")];
  const trained = new Set([...parameters, ...buffers].map((p) => p.name));
  const constants = new Map<string, Value>();
  const constantOf = (name: string): Value | null => {
    const known = constants.get(name);
    const t: Tensor | undefined = known ? undefined : graph.initializers.get(name);
    if (known || t === undefined) return known ?? null;
    const v = constant(t, name);
    constants.set(name, v);
    return v;
  };

  const inFile = new Map<string, ReadonlyMap<string, Value | null>>();
  /** All values with the batch of the file, for images of the same space as x; null where x has that batch. */
  const valuesInFile = (x: Value, value: (name: string) => Value): ReadonlyMap<string, Value | null> | null => {
    if (input.batch === null || input.batch === x.shape[0]) return null;
    const shape = [input.batch, ...x.shape.slice(1)];
    const key = shape.join();
    const known = inFile.get(key);
    if (known) return known;
    const env = new Map<string, Value | null>([[input.name, imageOf(input.name, "float32", shape)]]);
    pass(env, value, "batch", null, new Map());
    inFile.set(key, env);
    return env;
  };

  /** Runs all nodes; values by name end up in `env`, new running statistics in `updated`. */
  const pass = (
    env: Map<string, Value | null>,
    value: (name: string) => Value,
    batchNorm: StatisticsMode,
    before: ReadonlyMap<string, Value | null> | null,
    updated: Map<string, Value>,
  ): Value => {
    const lookUp = (name: string): Value | null => {
      const made = env.get(name);
      if (made !== undefined) {
        if (made === null)
          throw new GraphError(`${file}: value "${name}"`, { problem: "this output is not supported" });
        return made;
      }
      const v = trained.has(name) ? value(name) : constantOf(name);
      if (v !== null) env.set(name, v);
      return v;
    };
    const run = (list: readonly OnnxNode[]): void => {
      for (const node of list) {
        const values = runNode(node, context);
        node.outputs.forEach((name, i) => {
          if (name !== "") env.set(name, values[i] ?? null);
        });
      }
    };
    const context: Pass = {
      file,
      opset: model.opsets.get("") ?? 0,
      batchNorm,
      batchInFile: input.batch,
      inFile: (name) => before?.get(name) ?? null,
      value: lookUp,
      sequences: new Map(),
      update: (name, v) => {
        if (!trained.has(name)) return;
        env.set(name, v);
        updated.set(name, v);
      },
      inline: (sub) => {
        for (const [name, t] of sub.initializers) env.set(name, constant(t, name));
        run(sub.nodes);
        return sub.outputs.map((o) => lookUp(o.name) ?? missing(file, o.name));
      },
    };
    run(nodes);
    return lookUp(output) ?? missing(file, output);
  };

  const forward: ImportedOnnx["forward"] = (value, x, { batchNorm }) => {
    checkImage(x.shape, input, file);
    const updated = new Map<string, Value>();
    const logits = pass(new Map([[input.name, x]]), value, batchNorm, valuesInFile(x, value), updated);
    if (batchNorm === "update") for (const b of buffers) if (!updated.has(b.name)) updated.set(b.name, value(b.name));
    return { logits, buffers: updated };
  };
  return { model, nodes, input, output, parameters, buffers, constants: withRole("constant"), reasons, forward };
}

const missing = (file: string, name: string): never => {
  throw new GraphError(`${file}: value "${name}"`, { problem: "nobody makes it" });
};

function checkImage(shape: Shape, input: ImportedOnnx["input"], file: string): void {
  const fits = shape.length === input.shape.length + 1 && input.shape.every((d, i) => d === null || d === shape[i + 1]);
  if (fits) return;
  const wanted = ["N", ...input.shape.map((d) => d ?? "?")];
  throw new ShapeError(`${file}: input "${input.name}"`, {
    problem: "the image does not fit the model",
    expected: `[${wanted.join(",")}]`,
    got: formatShape(shape),
  });
}
