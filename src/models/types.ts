/** @file A Model: the forward graph as a function of parameter values, the parameters, and their layer groups. */
import type { FloatTensor, Shape } from "../common/tensor.js";
import type { Value } from "../graph/value.js";
import type { LossName } from "../ops/index.js";

export interface ParameterSpec {
  /** As in PyTorch's state dict: "layer1.0.conv1.weight". */
  readonly name: string;
  readonly shape: Shape;
  /** Index into `Model.groups`. */
  readonly group: number;
}

/** Not trained, but part of the state: running means and variances of batch norm. */
export interface BufferSpec {
  readonly name: string;
  readonly shape: Shape;
}

/**
 * How batch norm normalises:
 * - "update": by the batch's statistics, and the new running statistics are returned;
 * - "batch": by the batch's statistics, running statistics untouched (validation pass of the hypergradient);
 * - "running": by the running statistics (evaluation).
 */
export type BatchNormMode = "update" | "batch" | "running";

export interface ForwardResult {
  /** [N, classes], or [N, classes, ...space] for segmentation. */
  readonly logits: Value;
  /** New running statistics by buffer name; every buffer in mode "update", empty otherwise. */
  readonly buffers: ReadonlyMap<string, Value>;
}

/** What, with the weights, is enough to build the same model again; JSON. */
export type ModelConfig = Readonly<Record<string, unknown>> & { readonly architecture: string };

/** Shape of one image without the batch: channels, then space. */
export interface ModelInput {
  readonly channels: number;
  /** Fixed [H, W] or [D, H, W] where the network takes only one size; null where it takes any. */
  readonly size: readonly number[] | null;
  /** 2 for images, 3 for volumes. */
  readonly dimensions: 2 | 3;
}

export interface Model {
  readonly name: string;
  readonly config: ModelConfig;
  readonly task: "classification" | "segmentation";
  /** What it is trained by; default cross-entropy for classification, "dice+cross-entropy" for segmentation. */
  readonly loss?: LossName;
  readonly classes: number;
  readonly input: ModelInput;
  readonly parameters: readonly ParameterSpec[];
  readonly buffers: readonly BufferSpec[];
  /** Names of the layer groups in the order of the network: stem first, head last. */
  readonly groups: readonly string[];
  /** Group whose rate starts at the full learning rate: the last one. */
  readonly headGroup: number;
  /** Values of all parameters and buffers to start from, by name. */
  readonly weights: ReadonlyMap<string, FloatTensor>;
  /** Normalisation that the weights were trained with, where it is known. */
  readonly normalization?: { readonly mean: readonly number[]; readonly std: readonly number[] };
  /** The forward pass for any values of the parameters; called several times for one step. */
  forward(value: (name: string) => Value, x: Value, options: { batchNorm: BatchNormMode }): ForwardResult;
}

/** The loss that a model is trained by. */
export const lossNameOf = ({ loss, task }: Pick<Model, "loss" | "task">): LossName =>
  loss ?? (task === "segmentation" ? "dice+cross-entropy" : "cross-entropy");
