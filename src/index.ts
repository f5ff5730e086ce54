/**
 * @file metalr for Node: open a network and data, fine-tune with one learning rate per layer, use the result. The layers under it are
 * entries of their own: metalr/graph, metalr/ops, metalr/autodiff, metalr/compile, metalr/runtime.
 */
import { openNiftiImage } from "./data/nifti/pairs.js";
import { type OpenOptions, openDataset as openStored } from "./data/open.js";
import type { Dataset } from "./data/types.js";
import {
  isOnnx,
  type ModelFromFile,
  modelFromFile,
  type OpenModelOptions as NamedModelOptions,
  openModel as openNamed,
} from "./models/open.js";
import { processorExecutor } from "./platform/node/executor.js";
import { nodePlatform } from "./platform/node/index.js";
import { svgToPng } from "./platform/node/raster.js";
import type { CrossValidationSummary } from "./records/schema.js";
import { type SegmentedVolume, segmentImages } from "./records/segment-run.js";
import type {
  CrossValidationOptions,
  EvaluatedRun,
  EvaluateRunOptions,
  ImageSource,
  OpenedRun,
  OpenRunOptions,
  Predictions,
  TrainRunOptions,
  UseRunOptions,
} from "./records/train-options.js";
import { crossValidate as crossValidateInto, type TrainedRun, trainRun } from "./records/trainRun.js";
import {
  evaluateRun as evaluateStored,
  imagesFromFiles,
  openRun as openStoredRun,
  predictRun,
} from "./records/use-run.js";
import type { Executor } from "./runtime/types.js";
import { fineTune as fineTuneWith } from "./training/fine-tune.js";
import { type OpenedDataset, withFolds } from "./training/folds.js";
import type { FineTuneOptions, FineTuneResult } from "./training/options.js";

/** What Node brings by itself and may be given instead. */
type Surroundings = "executor" | "platform" | "rasterize";
/** The options without what Node brings, or with one's own. */
export type OnNode<O> = Omit<O, Surroundings> & Partial<Pick<O, Surroundings & keyof O>>;

let shared: Executor | null = null;
const surroundings = () => {
  shared ??= processorExecutor();
  return { platform: nodePlatform, executor: shared };
};

export type OpenModelOptions = Omit<NamedModelOptions, "platform" | "size">;

/**
 * Opens a network for training.
 *
 * @param name "resnet18", "resnet20", "unet3d", … (`architectures`), or the path of an .onnx file with its weights
 * @throws {UsageError} no such network; @throws {FileError} not a checkpoint; @throws {WeightsError} weights that do not fit
 */
export async function openModel(name: string, options: OpenModelOptions): Promise<ModelFromFile> {
  const opened = await openNamed(name, { ...options, platform: nodePlatform });
  return modelFromFile(opened, isOnnx(name) ? name : options.weights);
}

export type OpenDatasetOptions = Omit<OpenOptions, "platform">;

/**
 * Opens images with labels: the released pickle (also zipped and split), .npz, a folder with one folder a class, a CSV of paths.
 * @throws {FileError} missing, damaged, of another kind; @throws {DataError} content that does not make sense
 */
export async function openDataset(path: string, options: OpenDatasetOptions = {}): Promise<OpenedDataset> {
  const dataset = await openStored(path, { ...options, platform: nodePlatform });
  return withFolds(dataset);
}

/**
 * Fine-tunes in memory.
 * @example
 * const run = await fineTune({ model, data: data.fold(0), method: metalr({ lr: 0.01 }), epochs: 30, batchSize: 128, seed: 0 });
 * console.log(run.learningRates.at(-1), run.accuracy);
 * @throws {UsageError | TrainingError | DataError} see the training's own `fineTune`
 */
export const fineTune = (options: OnNode<FineTuneOptions>): Promise<FineTuneResult> =>
  fineTuneWith({ ...surroundings(), ...options });

/** Fine-tunes into a run folder: checkpoints, events, curves, report, model.onnx; `resume: true` continues it. @throws {FileError} */
export const train = (folder: string, options: OnNode<TrainRunOptions>): Promise<TrainedRun> =>
  trainRun(folder, { ...surroundings(), rasterize: svgToPng, ...options });

/** One run folder for every split, and summary.json; null when it was stopped before the last one. @throws {FileError} */
export const crossValidate = (
  folder: string,
  options: OnNode<CrossValidationOptions>,
): Promise<CrossValidationSummary | null> =>
  crossValidateInto(folder, { ...surroundings(), rasterize: svgToPng, ...options });

/** The network of a run folder. @throws {FileError} */
export const openRun = (folder: string, options: OnNode<OpenRunOptions> = {}): Promise<OpenedRun> =>
  openStoredRun(folder, { ...surroundings(), ...options });

/** Evaluates the network of a run folder on labelled images. @throws {FileError | DataError} */
export const evaluateRun = (
  folder: string,
  dataset: Dataset,
  options: OnNode<EvaluateRunOptions> = {},
): Promise<EvaluatedRun> => evaluateStored(folder, dataset, { ...surroundings(), ...options });

/** Class probabilities of images by the network of a run folder. @param images a data set, or paths of image files */
export const predict = async (
  folder: string,
  images: ImageSource | readonly string[],
  options: OnNode<UseRunOptions> = {},
): Promise<Predictions> => {
  const o = { ...surroundings(), ...options };
  const source = "image" in images ? images : await imagesFromFiles(images, o.platform);
  return predictRun(folder, source, o);
};

/**
 * Label volumes of NIfTI images by the network of a segmentation's run folder, one after another.
 * @throws {FileError | DataError} volumes that cannot be read, a run of a classification
 */
export async function* segment(
  folder: string,
  paths: readonly string[],
  options: OnNode<UseRunOptions> = {},
): AsyncGenerator<SegmentedVolume, void, undefined> {
  const o = { ...surroundings(), ...options };
  const run = await openStoredRun(folder, o);
  for (const path of paths) yield* segmentImages(run, [await openNiftiImage(path, o.platform)], o);
}

export {
  DataError,
  FileError,
  GraphError,
  InternalError,
  MetalrError,
  RuntimeError,
  ShapeError,
  TrainingError,
  UsageError,
  WeightsError,
} from "./common/errors.js";
export type { FloatTensor, Tensor } from "./common/tensor.js";
export type { SplitOptions } from "./data/splits.js";
export { scanners, syntheticDataset } from "./data/synthetic.js";
export type { Dataset, Normalization, RawImage, Split, TransformSpec } from "./data/types.js";
export {
  adam,
  finetune,
  initialRates,
  lastLayer,
  type MetaLrOptions,
  type Method,
  metaLrVariants,
  metalr,
  type Optimizer,
  sgd,
} from "./methods/index.js";
export { architectures, createModel, type Model } from "./models/index.js";
export type { ModelFromFile as OpenedModel } from "./models/open.js";
export { type ExecutorChoice, openExecutor, processorExecutor } from "./platform/node/executor.js";
export { nodePlatform } from "./platform/node/index.js";
export { nodeExecutor } from "./platform/node/onnxRuntime.js";
export { exportModel } from "./records/export-model.js";
export { readRun } from "./records/read.js";
export type { RunRecord } from "./records/run-record.js";
export { defaultTransforms } from "./training/default-transforms.js";
export { type FoldOptions, type OpenedDataset, withFolds } from "./training/folds.js";
export type {
  FineTuneOptions,
  FineTuneResult,
  Select,
  Snapshot,
  TrainingData,
  Transforms,
} from "./training/options.js";
export { replay } from "./training/replay.js";
export type { Evaluation, SegmentationFigures, TrainingEvent } from "./training/types.js";
export { type VolumeTransformsOptions, volumeTransforms } from "./training/volume-transforms.js";
export type {
  CrossValidationOptions,
  CrossValidationSummary,
  EvaluatedRun,
  ImageSource,
  OpenedRun,
  Predictions,
  SegmentedVolume,
  TrainedRun,
  TrainRunOptions,
};
