/** @file Which initializers of a model are trained, which are running statistics, and which are constants: the rules. */
import type { FloatTensor, Tensor } from "../../common/tensor.js";
import type { OnnxGraph, OnnxNode } from "../model.js";

export type InitializerRole = "parameter" | "buffer" | "constant";

/** One place where a value is read. */
export interface Use {
  readonly node: OnnxNode;
  readonly input: number;
}

/** Every use of every name, subgraphs included. */
export function usesOf(graph: OnnxGraph, uses = new Map<string, Use[]>()): Map<string, Use[]> {
  for (const node of graph.nodes) {
    node.inputs.forEach((name, input) => {
      if (name === "") return;
      const list = uses.get(name);
      if (list) list.push({ node, input });
      else uses.set(name, [{ node, input }]);
    });
    for (const a of Object.values(node.attributes)) if (a.type === "graph") usesOf(a.value, uses);
  }
  return uses;
}

/** Inputs that are weights by the operator's definition. */
const weightInputs: Readonly<Record<string, readonly number[]>> = {
  Conv: [1, 2],
  ConvTranspose: [1, 2],
  Gemm: [0, 1, 2],
  MatMul: [0, 1],
  BatchNormalization: [1, 2],
  InstanceNormalization: [1, 2],
  LayerNormalization: [1, 2],
  GroupNormalization: [1, 2],
  PRelu: [1],
};

/** Inputs that say how an operator works; what stands there is never trained. */
const settingInputs: Readonly<Record<string, readonly number[]>> = {
  Resize: [1, 2, 3],
  Clip: [1, 2],
  Pad: [1, 2, 3],
  Dropout: [1, 2],
  Pow: [1],
  Range: [0, 1, 2],
  OneHot: [0, 1, 2],
  Trilu: [1],
  CumSum: [1],
};

/** Whether an operator has a weight at this input, by its definition. */
export const isWeightInput = (node: OnnxNode, input: number): boolean =>
  weightInputs[node.opType]?.includes(input) ?? false;

/** Operators that pass a weight on in another shape. */
const views = new Set([
  "Transpose",
  "Reshape",
  "Unsqueeze",
  "Squeeze",
  "Identity",
  "Cast",
  "Flatten",
  "Slice",
  "Split",
  "Expand",
  "Concat",
]);
const elementwise = new Set(["Add", "Sub", "Mul", "Div"]);

const namedParameter =
  /(^|[._/])(weight|bias|gamma|beta|alpha|scale|slope|logit_scale|layer_scale|[a-z_]*(token|embedding|embed|table))s?\d*$/i;
const namedConstant =
  /(^|[._/])(mean|std|\w*mask|anchors?|\w*freqs?|\w*_index|\w*coords(_table)?|position_ids|num_batches_tracked|grid)$/i;
/** PyTorch names the results of Constant nodes so; they come back as initializers when constants were folded. */
const fromConstantNode = /(^|\/)Constant(_\d+)?(_output_\d+)?$/;
/** PyTorch's name, or that of our own export, for a value without a name of its own; a folded or transposed weight bears it. */
export const anonymous = /^(onnx::\w+_\d+|\d+|val_\d+|c\d+)(\.\d+)?$/;

const fills = (t: Tensor, x: number) => t.data.length > 0 && t.data.every((v: number | bigint) => Number(v) === x);
/** Ones and zeros that stand for a norm without scale and bias: they have no name of their own. */
export const isInert = (name: string, t: Tensor, reader: OnnxNode): boolean =>
  ["BatchNormalization", "InstanceNormalization"].includes(reader.opType) &&
  anonymous.test(name) &&
  (fills(t, 0) || fills(t, 1));
/** Additive masks hold 0 and large negative numbers, and nothing else. */
const isMask = (t: FloatTensor) => t.data.every((v) => v === 0 || v <= -99) && t.data.some((v) => v !== 0);

export interface RoleContext {
  readonly uses: ReadonlyMap<string, readonly Use[]>;
  /** Name of the image. */
  readonly input: string;
}

interface Reach {
  /** Read where an operator has its weight, */
  weight: boolean;
  /** that operator being a layer, not a normalisation, */
  layer: boolean;
  /** or read in any other way, settings aside. */
  other: boolean;
}
const layers = new Set(["Conv", "ConvTranspose", "Gemm", "MatMul"]);

/** What reads a name, directly or through views of it. */
function reach(name: string, uses: RoleContext["uses"], seen = new Set<string>()): Reach {
  const found: Reach = { weight: false, layer: false, other: false };
  if (seen.has(name)) return found;
  seen.add(name);
  for (const { node, input } of uses.get(name) ?? []) {
    if (settingInputs[node.opType]?.includes(input)) continue;
    if (weightInputs[node.opType]?.includes(input)) {
      found.weight = true;
      found.layer ||= layers.has(node.opType);
    } else if (views.has(node.opType) && (input === 0 || node.opType === "Concat")) {
      for (const out of node.outputs) {
        const beyond = reach(out, uses, seen);
        found.weight ||= beyond.weight && node.opType !== "Concat";
        found.layer ||= beyond.layer && node.opType !== "Concat";
        found.other ||= beyond.other || node.opType === "Concat" || node.opType === "Expand";
      }
    } else if (!views.has(node.opType)) found.other = true;
  }
  return found;
}

/**
 * Whether a parameter is the matrix or kernel of a layer, not its bias, a scale or an embedding: it stands where an operator
 * has its weight, or gets there through arithmetic of its own (standardised weights) and is no mere vector.
 *
 * @param seesImage names that depend on the image
 */
export function isLayerWeight(
  name: string,
  t: Tensor,
  uses: RoleContext["uses"],
  seesImage: ReadonlySet<string>,
): boolean {
  if (t.shape.length < 2) return false;
  if (reach(name, uses).layer) return true;
  if (t.shape.filter((d) => d > 1).length < 2) return false;
  const seen = new Set<string>();
  const arrives = (value: string): boolean => {
    if (seen.has(value)) return false;
    seen.add(value);
    return (uses.get(value) ?? []).some(
      ({ node, input }) =>
        (layers.has(node.opType) && weightInputs[node.opType]?.includes(input)) ||
        node.outputs.some((o) => !seesImage.has(o) && arrives(o)),
    );
  };
  return arrives(name);
}

/** A role, and why, in words that follow "because it is": for `metalr inspect`. */
export interface RoleDecision {
  readonly role: InitializerRole;
  readonly reason: string;
}

const decide = (role: InitializerRole, reason: string): RoleDecision => ({ role, reason });

/**
 * The role of one initializer. In order:
 * 1. running mean and variance of a batch norm are buffers;
 * 2. whole numbers, double precision, results of Constant nodes, masks, and settings of an operator are constants;
 * 3. a float that stands, as it is or in another shape, where an operator has its weight is a parameter
 *    (but not the ones and zeros that stand for a norm without scale and bias, nor a table that a small network turns into weights);
 * 4. what is added to or multiplied with the image itself is its normalisation, a constant;
 * 5. any other float is a parameter when it is named like one, or has several numbers and is not named like a constant.
 */
export function roleOf(name: string, t: Tensor, { uses, input }: RoleContext): RoleDecision {
  const own = uses.get(name) ?? [];
  const all = (f: (u: Use) => boolean) => own.length > 0 && own.every(f);
  if (own.some((u) => u.node.opType === "BatchNormalization" && (u.input === 3 || u.input === 4))) {
    return decide("buffer", "running mean or variance of a BatchNormalization");
  }
  if (t.dtype !== "float32") return decide("constant", t.dtype);
  if (fromConstantNode.test(name)) return decide("constant", "the result of a Constant node");
  const { weight, other } = reach(name, uses);
  if (weight) {
    if (all((u) => isInert(name, t, u.node)))
      return decide("constant", "ones or zeros of a norm without scale and bias");
    // A table of coordinates or frequencies that a small network of its own turns into weights.
    if (namedConstant.test(name) && all((u) => ["MatMul", "Gemm"].includes(u.node.opType) && u.input === 0)) {
      return decide("constant", "a table that a product reads, named like a constant");
    }
    const reader = own.find((u) => isWeightInput(u.node, u.input))?.node.opType;
    return decide("parameter", reader ? `weight or bias of ${reader}` : "a weight in another shape");
  }
  if (!other) return decide("constant", "a setting of an operator");
  if (isMask(t)) return decide("constant", "an additive mask");
  if (all((u) => elementwise.has(u.node.opType) && u.node.inputs.includes(input))) {
    return decide("constant", "normalisation of the image");
  }
  if (namedParameter.test(name)) return decide("parameter", "named like one");
  if (all((u) => u.node.opType === "ScatterND")) return decide("constant", "what a mask is put together from");
  if (t.data.length < 2) return decide("constant", "one number without a name");
  return namedConstant.test(name)
    ? decide("constant", "named like one")
    : decide("parameter", "several numbers that take part in the result");
}
