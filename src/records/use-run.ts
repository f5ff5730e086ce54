/** @file A run folder put to use: its network rebuilt, other images evaluated and predicted with it. */
import { z } from "zod";
import { DataError, FileError, InternalError } from "../common/errors.js";
import { type FloatTensor, formatShape, sameShape } from "../common/tensor.js";
import { fileImages } from "../data/files.js";
import type { Dataset } from "../data/types.js";
import { withWeights } from "../models/build.js";
import { createModel } from "../models/index.js";
import { modelFromOnnxConfig } from "../models/onnx.js";
import type { Model } from "../models/types.js";
import { type LossName, lossNames } from "../ops/index.js";
import type { Platform } from "../platform/types.js";
import { chunks, Evaluator } from "../training/evaluator.js";
import { openFeed } from "../training/feed.js";
import type { EvaluationAccumulator } from "../training/metrics.js";
import type { Transforms } from "../training/options.js";
import { prefetch } from "../training/prefetch.js";
import { modelWeights, readRunCheckpoint } from "./checkpoint.js";
import { readRunInfo } from "./read.js";
import type { RunInfo } from "./schema.js";
import { evaluateSegmentation } from "./segment-run.js";
import type {
  EvaluatedRun,
  EvaluateRunOptions,
  ImageSource,
  OpenedRun,
  OpenRunOptions,
  Predictions,
  UseRunOptions,
} from "./train-options.js";

/**
 * The network of a run with the weights of the selected epoch (so far) or of the last step, and what its images went through.
 * @throws {FileError} not a run folder, no checkpoint yet, damaged
 */
export async function openRun(folder: string, { platform, weights = "selected" }: OpenRunOptions): Promise<OpenedRun> {
  const { files } = platform;
  const info = await readRunInfo(files, folder);
  const found = await readRunCheckpoint(files, folder);
  if (found === null) {
    throw new FileError(folder, {
      problem: "has no checkpoint yet",
      hint: "wait for its first epoch, or continue the run with --resume",
    });
  }
  const { snapshot, parts } = found;
  const best = weights === "selected" ? snapshot.best : null;
  const values = best?.weights ?? modelWeights(snapshot.state);
  const { loss } = info.options;
  const built = await modelOf(info, values, folder);
  const model: Model = isLoss(loss) ? { ...built, loss } : built;
  return {
    folder,
    info,
    model,
    transforms: transformsOf(info, folder),
    classes: info.classes,
    epoch: best?.epoch ?? snapshot.progress.epoch,
    parts,
  };
}

const isLoss = (name: unknown): name is LossName => lossNames.some((l) => l === name);
const whole = z.int().positive().max(1_000_000);
const modelSchema = z.object({
  architecture: z.string(),
  classes: whole,
  channels: whole.exactOptional(),
  width: whole.exactOptional(),
});

async function modelOf(info: RunInfo, weights: ReadonlyMap<string, FloatTensor>, folder: string): Promise<Model> {
  if (info.model["architecture"] === "onnx") {
    return modelFromOnnxConfig({ ...info.model, architecture: "onnx" }, weights);
  }
  const config = modelSchema.safeParse(info.model);
  if (!config.success) {
    throw new FileError(folder, {
      problem: "has a run.json whose model cannot be built",
      got: config.error.issues[0]?.message ?? "",
    });
  }
  const { architecture, ...options } = config.data;
  const model = createModel(architecture, options);
  for (const [name, { shape }] of model.weights) {
    const t = weights.get(name);
    if (t && sameShape(t.shape, shape)) continue;
    throw new FileError(folder, {
      problem: `has a checkpoint that does not fit its run.json: "${name}"`,
      expected: formatShape(shape),
      got: t ? formatShape(t.shape) : "nothing",
    });
  }
  return withWeights(model, weights);
}

const numbers = z.array(z.number()).min(1);
const range = z.tuple([z.number(), z.number()]);
const specSchema = z.object({
  size: z.union([z.tuple([whole, whole]), z.tuple([whole, whole, whole])]),
  channels: whole,
  colorToGrey: z.literal("luma").exactOptional(),
  normalization: z.object({ mean: numbers, std: numbers }),
  augment: z.object({ crop: z.object({ scale: range, ratio: range }).nullable(), flip: z.number() }).nullable(),
  volume: z
    .object({
      intensity: z.enum(["z-score", "none"]),
      foreground: z.number(),
      flip: z.number(),
      perEpoch: whole,
      overlap: z.number(),
    })
    .exactOptional(),
});
const transformsSchema: z.ZodType<Transforms> = z.object({
  train: specSchema,
  evaluation: specSchema,
  source: z.string(),
});

function transformsOf(info: RunInfo, folder: string): Transforms {
  const transforms = transformsSchema.safeParse(info.options["transforms"]);
  if (transforms.success) return transforms.data;
  throw new FileError(folder, {
    problem: "has a run.json without its image transforms",
    got: transforms.error.issues[0]?.message ?? "",
  });
}

/**
 * Evaluates a run's network on labelled images.
 * @throws {DataError} other classes than the run's, a part without images
 */
export async function evaluateRun(folder: string, dataset: Dataset, o: EvaluateRunOptions): Promise<EvaluatedRun> {
  const run = await openRun(folder, o);
  checkClasses(run, dataset);
  const own = dataset.fingerprint === run.info.data.fingerprint;
  const part = o.part ?? (own ? "test" : "all");
  if (part !== "all" && !own) {
    throw new DataError(dataset.name, {
      problem: `is not the data set of the run, so it has no ${part} part`,
      expected: run.info.data.name,
      hint: 'evaluate all of its images: part "all"',
    });
  }
  const indices = part === "all" ? allOf(dataset) : (run.parts[part] ?? new Uint32Array(0));
  if (indices.length === 0) throw new DataError(dataset.name, { problem: `the run has no ${part} images` });
  checkTask(run, dataset.segmentation !== undefined, dataset.name);
  if (dataset.segmentation) {
    const nothing = { names: [], probabilities: new Float32Array(0), predicted: new Uint32Array(0) };
    const evaluation = (await evaluateSegmentation(run, dataset, indices, o)).evaluate();
    return { part, evaluation, predictions: { classes: run.classes, ...nothing } };
  }
  const all = await logitsOf(run, dataset, dataset.labels, indices, o);
  return { part, evaluation: all.evaluate(), predictions: predictionsOf(run, dataset, indices, all) };
}

/** Class probabilities of images that need no labels. @throws {DataError} images that the network cannot take */
export async function predictRun(folder: string, images: ImageSource, o: UseRunOptions): Promise<Predictions> {
  const run = await openRun(folder, o);
  checkTask(run, false, images.name);
  const indices = allOf(images);
  return predictionsOf(run, images, indices, await logitsOf(run, images, new Uint32Array(images.count), indices, o));
}

/** Image files as they are given, for `predictRun`. @throws {FileError} one of the first cannot be read */
export async function imagesFromFiles(paths: readonly string[], platform: Platform): Promise<ImageSource> {
  const images = await fileImages(paths, platform, 64 * 1024 * 1024);
  return { name: `${paths.length} files`, count: paths.length, imageName: (i) => paths[i] ?? "", ...images };
}

const allOf = ({ count }: Pick<Dataset, "count">): Uint32Array => Uint32Array.from({ length: count }, (_, i) => i);

/** @throws {DataError} images for a segmentation, or volumes for a classification */
function checkTask({ model, folder }: OpenedRun, segments: boolean, data: string): void {
  if ((model.task === "segmentation") === segments) return;
  throw new DataError(data, {
    problem: segments
      ? `has a class for every voxel or pixel, and ${folder} is a run of a classification`
      : `has no classes of voxels or pixels, and ${folder} is a run of a segmentation`,
    ...(!segments && { hint: "give NIfTI volumes" }),
  });
}

/** Names that only count ("0", "1", …) say nothing and agree with any. */
function checkClasses({ classes }: OpenedRun, dataset: Dataset): void {
  const plain = (names: readonly string[]) => names.every((n, i) => n === String(i));
  const same = classes.length === dataset.classes.length;
  if (same && (plain(classes) || plain(dataset.classes) || classes.every((n, i) => n === dataset.classes[i]))) return;
  throw new DataError(dataset.name, {
    problem: "has other classes than the run",
    expected: classes.join(", "),
    got: dataset.classes.join(", "),
  });
}

/** What a data set has and images alone have not. */
const nothingElse: Pick<Dataset, "groups" | "division" | "fingerprint" | "notes" | "close"> = {
  groups: null,
  division: { kind: "none" },
  fingerprint: "",
  notes: [],
  close: async () => {},
};

async function logitsOf(
  { model, transforms, classes }: OpenedRun,
  images: ImageSource,
  labels: Uint32Array,
  indices: Uint32Array,
  o: UseRunOptions,
): Promise<EvaluationAccumulator> {
  const n = Math.min(o.batchSize ?? 64, Math.max(1, indices.length));
  const { executor, platform, workers = 1, signal } = o;
  const batch = [n, transforms.evaluation.channels, ...transforms.evaluation.size];
  const evaluator = new Evaluator({ executor, model, batch });
  const dataset: Dataset = { ...nothingElse, ...images, labels, classes };
  const feed = openFeed({ dataset, transforms, seed: 0, workers, platform });
  try {
    const pieces = chunks(indices, n);
    const batches = prefetch(0, pieces.length - 1, 2, (i) => feed.batch(pieces[i]!, null)); // i is a piece
    return await evaluator.run(model.weights, batches, signal);
  } finally {
    feed.close();
    await evaluator.close();
  }
}

function predictionsOf(
  { classes }: OpenedRun,
  images: ImageSource,
  indices: Uint32Array,
  all: EvaluationAccumulator,
): Predictions {
  const { logits } = all.samples();
  const k = classes.length;
  const probabilities = new Float32Array(logits.length);
  const predicted = new Uint32Array(indices.length);
  for (let i = 0; i < indices.length; i++) {
    const row = logits.subarray(i * k, (i + 1) * k);
    const top = row.reduce((a, b) => Math.max(a, b));
    const powers = Array.from(row, (z) => Math.exp(z - top));
    const sum = powers.reduce((a, b) => a + b);
    powers.forEach((p, c) => {
      probabilities[i * k + c] = p / sum;
    });
    predicted[i] = Math.max(0, row.indexOf(top));
  }
  if (probabilities.length !== indices.length * k) throw new InternalError("logits and classes do not go together");
  return { classes, names: Array.from(indices, (i) => images.imageName(i)), probabilities, predicted };
}
