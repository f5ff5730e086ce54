/**
 * @file metalr/web: the library for browsers. Images, weights and results stay in the page: nothing here sends anything.
 * Training blocks the thread that calls it; `openTrainer` does it in a worker, with its runs in the browser's private file system.
 */
import { type OpenOptions, openDataset as openStored } from "../data/open.js";
import {
  isOnnx,
  type ModelFromFile,
  modelFromFile,
  type OpenModelOptions as NamedModelOptions,
  openModel as openNamed,
} from "../models/open.js";
import type { PickedFile } from "../platform/web/files.js";
import { webPlatform } from "../platform/web/index.js";
import { type WebExecutorOptions, webExecutor } from "../platform/web/onnxRuntime.js";
import type { Executor } from "../runtime/types.js";
import { fineTune as fineTuneWith } from "../training/fine-tune.js";
import { type OpenedDataset, withFolds } from "../training/folds.js";
import type { FineTuneOptions, FineTuneResult } from "../training/options.js";
import { filesOf, rootOf, type WebFiles } from "./files.js";

export interface OpenModelOptions extends Pick<NamedModelOptions, "classes" | "channels" | "seed" | "head"> {
  /** A checkpoint (PyTorch, safetensors, npz, .onnx with its network); without it the weights are random. */
  readonly weights?: File | PickedFile;
}

/**
 * Opens a network for training.
 *
 * @param name "resnet18", "resnet20", … (`architectures`); null: the weights' own
 * @throws {UsageError} no such network; @throws {FileError} not a checkpoint; @throws {WeightsError} weights that do not fit
 */
export async function openModel(name: string | null, options: OpenModelOptions): Promise<ModelFromFile> {
  const { weights: picked, ...rest } = options;
  const files = picked === undefined ? [] : await filesOf(picked);
  const path = files[0]?.path;
  const platform = webPlatform({ picked: files });
  const opened = await openNamed(name ?? (path !== undefined && isOnnx(path) ? path : null), {
    ...rest,
    platform,
    ...(path !== undefined && !isOnnx(path) && { weights: path }),
  });
  return modelFromFile(opened, path);
}

export interface OpenDatasetOptions extends Pick<OpenOptions, "classes" | "cacheBytes"> {
  /** CSV with the group (patient, video) of every image: fold,index,group. */
  readonly groupsFile?: File | PickedFile;
  /** Address of dcmjs-codecs/build/dcmjs-native-codecs.wasm by that path, for compressed DICOM. */
  readonly packageFiles?: Readonly<Record<string, string>>;
}

/**
 * Opens images with labels: a folder (picked, dropped or by its handle), a pickle (also zipped and split), .npz, DICOM, a CSV with its images.
 * Files are read when their images are needed.
 * @throws {FileError} damaged, of another kind; @throws {DataError} content that does not make sense
 */
export async function openDataset(picked: WebFiles, options: OpenDatasetOptions = {}): Promise<OpenedDataset> {
  const { groupsFile, packageFiles, ...rest } = options;
  const { path, files } = rootOf(await filesOf(picked));
  const groups = groupsFile === undefined ? [] : await filesOf(groupsFile);
  const platform = webPlatform({ picked: [...files, ...groups], ...(packageFiles && { packageFiles }) });
  const [table] = groups;
  const dataset = await openStored(path, { ...rest, platform, ...(table && { groupsFile: table.path }) });
  const { pixels, ...own } = dataset;
  // Only this platform knows these files: training asks the data set for their images.
  return withFolds(pixels === undefined || pixels.kind === "files" ? own : dataset);
}

let shared: Promise<Executor> | null = null;

/** The options without what the browser brings, or with one's own. */
export type InBrowser<O> = Omit<O, "executor" | "platform"> &
  Partial<Pick<O, ("executor" | "platform") & keyof O>> & {
    /** Where ONNX Runtime's files are, and what computes; the first call of a page or worker counts. */
    readonly runtime?: WebExecutorOptions;
  };

/**
 * Fine-tunes in the calling thread, in memory. In a page every step blocks it: call this in a worker of your own, or use `openTrainer`.
 * @example
 * const run = await fineTune({ model, data: data.fold(0), method: metalr({ lr: 0.01 }), epochs: 30, batchSize: 32, seed: 0 });
 * @throws {UsageError | TrainingError | DataError} see the training's own `fineTune`
 */
export async function fineTune({ runtime, ...options }: InBrowser<FineTuneOptions>): Promise<FineTuneResult> {
  shared ??= webExecutor(runtime);
  const executor = options.executor ?? (await shared);
  return fineTuneWith({ platform: webPlatform(), workers: 0, ...options, executor });
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
} from "../common/errors.js";
export type { FloatTensor, Tensor } from "../common/tensor.js";
export type { SplitOptions } from "../data/splits.js";
export { scanners, syntheticDataset } from "../data/synthetic.js";
export type { Dataset, Normalization, RawImage, Split, TransformSpec } from "../data/types.js";
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
} from "../methods/index.js";
export { architectures, createModel, type Model } from "../models/index.js";
export type { ModelFromFile as OpenedModel } from "../models/open.js";
export type { PickedFile } from "../platform/web/files.js";
export { type WebPlatformOptions, webPlatform } from "../platform/web/index.js";
export { type RuntimeFiles, type WebExecutorOptions, webExecutor } from "../platform/web/onnxRuntime.js";
export { opfs } from "../platform/web/opfs.js";
export { hasWebGpu, type WebGpu, webGpu } from "../platform/web/web-gpu.js";
export { exportModel } from "../records/export-model.js";
export { defaultTransforms } from "../training/default-transforms.js";
export { type FoldOptions, type OpenedDataset, withFolds } from "../training/folds.js";
export type {
  FineTuneOptions,
  FineTuneResult,
  Select,
  Snapshot,
  TrainingData,
  Transforms,
} from "../training/options.js";
export { replay } from "../training/replay.js";
export type { Evaluation, TrainingEvent } from "../training/types.js";
export { filesOf, filesOfDrop, type WebFiles } from "./files.js";
export type {
  DataFacts,
  Look,
  PlanFacts,
  StoredRun,
  Thumbnail,
  Trained,
  TrainerFiles,
  TrainerSetup,
} from "./protocol.js";
export { openTrainer, type Trainer, type TrainerOptions, type TrainOptions } from "./trainer.js";
