/** @file `openModel`: a built-in network with the weights of a checkpoint, and what became of every tensor. */
import { UsageError } from "../common/errors.js";
import type { FloatTensor } from "../common/tensor.js";
import type { Platform } from "../platform/types.js";
import { type Checkpoint, matchWeights, openWeights, type WeightMatch } from "../weights/index.js";
import { withWeights } from "./build.js";
import { createModel, inferWidth } from "./index.js";
import { inferResNet, inferUNet } from "./infer.js";
import { openOnnxModel } from "./open-onnx.js";
import type { Model } from "./types.js";

/** The network where neither the caller nor the weights say which. */
const defaultArchitecture = "resnet18";

export interface OpenModelOptions {
  /** Path of a checkpoint (PyTorch, safetensors, npz); without it the weights are random. */
  readonly weights?: string;
  readonly platform: Pick<Platform, "files" | "inflate">;
  /** Classes of the data. */
  readonly classes: number;
  /** Channels of the images where there is no checkpoint to say it; default 3. */
  readonly channels?: number;
  /** Channels of the first layer, where there is no checkpoint to say it; default the network's own. */
  readonly width?: number;
  /** Of weights that no checkpoint gives; default 0. */
  readonly seed?: number;
  /** "keep" (default) takes the checkpoint's classifier where it has as many classes; "new" never. */
  readonly head?: "keep" | "new";
  /** Size of the images, [H, W], for an ONNX file that takes one size only and leaves it open. */
  readonly size?: readonly number[];
}

export interface OpenedModel {
  readonly model: Model;
  /** Null where there are no weights, and for an ONNX file, which is network and weights in one. */
  readonly weights: (Pick<Checkpoint, "format" | "notes"> & { readonly match: WeightMatch }) | null;
}

/** A model, and what became of every tensor of its checkpoint. */
export interface ModelFromFile extends Model {
  readonly from: {
    readonly file: string;
    readonly notes: readonly string[];
    readonly match: WeightMatch | null;
  } | null;
}

/** @param file checkpoint or ONNX file that the model was opened from, if any */
export const modelFromFile = ({ model, weights }: OpenedModel, file: string | undefined): ModelFromFile => ({
  ...model,
  from: file === undefined ? null : { file, notes: weights?.notes ?? [], match: weights?.match ?? null },
});

/**
 * A network ready for training. Its width and the channels of its images are the checkpoint's.
 *
 * @param architecture one of `architectures`, or the path of an .onnx file; null: the checkpoint's own, by its names and shapes, else ResNet-18
 * @throws {UsageError} no such network; @throws {FileError} not a checkpoint; @throws {WeightsError} weights that do not fit
 */
export async function openModel(architecture: string | null, options: OpenModelOptions): Promise<OpenedModel> {
  const { classes, channels = 3, seed = 0, width } = options;
  const onnx = [architecture, options.weights].find((path) => path !== undefined && path !== null && isOnnx(path));
  if (onnx) return { model: await openOnnx(onnx, architecture, options), weights: null };
  if (options.weights === undefined) {
    const sized = { classes, channels, seed, ...(width !== undefined && { width }) };
    return { model: createModel(architecture ?? defaultArchitecture, sized), weights: null };
  }
  const { tensors, format, notes } = await openWeights(options.weights, options.platform);
  const inferred = inferUNet(tensors) ?? inferResNet(tensors);
  const size = inferred ?? inferWidth(tensors);
  const model = createModel(architecture ?? inferred?.architecture ?? defaultArchitecture, {
    classes,
    seed,
    channels: size?.channels ?? channels,
    ...(size && { width: size.width }),
  });
  const match = matchWeights(tensors, model, {
    source: options.weights,
    head: options.head === "new" ? "drop" : "keep",
  });
  const values = new Map<string, FloatTensor>([...match.matched].map(([name, { tensor }]) => [name, tensor]));
  return { model: withWeights(model, values), weights: { format, notes, match } };
}

/** Whether a path names an ONNX file. */
export const isOnnx = (path: string): boolean => /\.onnx$/i.test(path);

/** An ONNX file holds the network and its weights; another of either beside it would be left out in silence. */
function openOnnx(file: string, architecture: string | null, o: OpenModelOptions): Promise<Model> {
  const beside = architecture === file ? o.weights : architecture;
  if (beside !== undefined && beside !== null && beside !== file) {
    throw new UsageError(file, {
      problem: "is a network with its weights, and another is named beside it",
      got: beside,
      hint: "leave one of them out",
    });
  }
  return openOnnxModel(file, {
    platform: o.platform,
    classes: o.classes,
    replaceHead: o.head === "new",
    ...(o.seed !== undefined && { seed: o.seed }),
    ...(o.size && { size: o.size }),
  });
}
