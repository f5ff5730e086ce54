/** @file What `metalr train` is going to do, from its options: data, runs, network, method, transforms. */
import { DataError, FileError, UsageError } from "../../common/errors.js";
import { findLeaks, leakCheckIsCheap, sharedImages } from "../../data/leaks.js";
import { type MetaImages, metaImages } from "../../data/meta.js";
import { holdsDicom, type OpenOptions, openDataset } from "../../data/open.js";
import { planSplits } from "../../data/splits.js";
import type { Dataset, Normalization, Split } from "../../data/types.js";
import type { Method } from "../../methods/types.js";
import { inferResNet } from "../../models/infer.js";
import { type OpenedModel, openModel } from "../../models/open.js";
import type { Model } from "../../models/types.js";
import type { Platform } from "../../platform/types.js";
import { defaultTransforms } from "../../training/default-transforms.js";
import type { Select, TrainingSettings, Transforms } from "../../training/options.js";
import { usualPatches } from "../../training/settings.js";
import { openWeights } from "../../weights/index.js";
import type { TrainFlags } from "./flags.js";
import { methodOf } from "./method.js";
import { findReleasedData, findReleasedWeights, noData, noWeights } from "./released.js";
import { patchesOf, refuseForeign, usualUNet, withLoss } from "./segmentation.js";

export interface Plan {
  readonly dataset: Dataset;
  /** One run each. */
  readonly splits: readonly Split[];
  /** Images of another data set for MetaLR's validation batches; null where they are the data's own. */
  readonly meta: MetaImages | null;
  /** How many folds there are, of which `splits` may be some; 1 for a single run. */
  readonly folds: number;
  /** Path of the checkpoint; null for random weights. */
  readonly weights: string | null;
  readonly opened: OpenedModel;
  readonly method: Method;
  readonly select: Select;
  readonly settings: TrainingSettings;
  /** What differs between runs. */
  forSplit(split: Split, model: Model): Promise<{ readonly seed: number; readonly transforms: Transforms }>;
  /** What the leak check found. */
  readonly leaks: readonly string[];
  /** Things worth a line to the reader, those included. */
  readonly notes: readonly string[];
}

/** @throws {DataError} images for a network of volumes, or with channels that it cannot take */
function checkImages(data: string, { imageShape }: Plan["dataset"], { name, input }: OpenedModel["model"]): void {
  if (input.dimensions === 3) {
    throw new DataError(data, {
      problem: "holds images, and the network takes volumes",
      expected: `volumes [D,H,W] (${name})`,
      got: `images of ${imageShape.channels} channel${imageShape.channels === 1 ? "" : "s"}`,
    });
  }
  const { channels } = imageShape;
  // Grey is repeated for every channel; colour becomes grey for a network of one channel.
  if (channels !== 1 && channels !== input.channels && !(channels === 3 && input.channels === 1)) {
    throw new DataError(data, {
      problem: "has channels that the network cannot take",
      expected: `1 or ${input.channels} channels (${name})`,
      got: `${channels} channels`,
    });
  }
}

/**
 * Opens everything and checks it before anything is written.
 * @param o.splitSeed seed of the division into parts, where it is not that of the run
 * @param o.leakCheck false: not here, whatever the options say
 * @throws {UsageError | FileError | DataError | WeightsError}
 */
export async function planTraining(
  given: TrainFlags,
  platform: Platform,
  o: { readonly splitSeed?: number; readonly leakCheck?: boolean } = {},
): Promise<Plan> {
  const released = given.variant === "released";
  const method = methodOf(given);
  const select = given.select ?? (released ? "test" : "validation");
  const normalization = normalizationOf(given);
  const seed = given.seed ?? 1;

  const data = given.data ?? (await findReleasedData(platform.files));
  if (data === null) throw noData();
  const weights = await chooseWeights(given, platform);
  const dataset = await openDataset(data, { platform, ...(await openingOf(given, platform)) });
  refuseForeign(given, dataset);
  const segments = dataset.segmentation !== undefined;
  if (dataset.imageShape.depth !== undefined && !segments) {
    throw new DataError(data, {
      problem: "holds volumes, and networks for classification take images",
      expected: "images [n,H,W] or [n,3,H,W]",
      got: `volumes of depth ${dataset.imageShape.depth ?? "that differs"}`,
      hint: "cut the volumes into slices and save these as images",
    });
  }
  const planned = planSplits(dataset, {
    select,
    seed: o.splitSeed ?? seed,
    metaData: given.metaData === "split" ? "split" : "train",
    ...(given.splitFolds !== undefined && { folds: given.splitFolds }),
    ...(given.testShare !== undefined && { testShare: given.testShare }),
    ...(given.byGroup !== undefined && { byGroup: given.byGroup }),
  });
  const when = o.leakCheck === false ? "no" : (given.leakCheck ?? "auto");
  const checked = when === "yes" || (when === "auto" && leakCheckIsCheap(dataset));
  const leaks = checked ? await findLeaks(dataset, planned, { byGroup: given.byGroup ?? false }) : null;
  const all = planned.map((split) => {
    const found = leaks?.bySplit.get(split.name);
    return found === undefined ? split : { ...split, notes: [...(split.notes ?? []), found] };
  });
  const meta = await openMeta(given, dataset, platform);
  const shared = checked && meta ? await judgedAndTested(dataset, planned, meta) : [];
  const architecture = given.model ?? (segments && weights.path === null ? usualUNet(dataset) : null);
  const network = await openModel(architecture, {
    platform,
    classes: dataset.classes.length,
    channels: dataset.imageShape.channels,
    seed,
    head: given.replaceHead ? "new" : (given.head ?? (released ? "new" : "keep")),
    ...(given.width !== undefined && { width: given.width }),
    ...(given.imageSize && { size: given.imageSize }),
    // One number is for all axes, however many the network has.
    ...(given.patchSize && given.patchSize.length > 1 && { size: given.patchSize }),
    ...(weights.path !== null && { weights: weights.path }),
  });
  const opened: OpenedModel = { ...network, model: withLoss(network.model, given.loss) };
  checkNormalization(normalization, opened.model);
  if (!segments) checkImages(data, dataset, opened.model);
  return {
    dataset,
    splits: chooseFolds(all, given.folds),
    meta,
    folds: all.length,
    weights: weights.path,
    opened,
    method,
    select,
    settings: {
      epochs: given.maxEpoch ?? 30,
      batchSize: given.batchSize ?? (segments ? usualPatches : 128),
      ...(given.microBatch !== undefined && { microBatch: given.microBatch }),
      workers: given.workers ?? 0,
      select,
      valInterval: given.valInterval ?? 1,
      metaBatches: given.metaBatches ?? (released ? "first" : "stream"),
      ...(given.metaDisjoint && { metaDisjoint: true }),
      ...(given.checkpointEvery !== undefined && { checkpointEvery: given.checkpointEvery }),
    },
    async forSplit(split, model) {
      if (segments) return { seed, transforms: patchesOf(given, model, dataset, split) };
      const size = given.imageSize ?? (model.input.size === null ? ([64, 64] as const) : undefined);
      const transforms = await defaultTransforms({
        model,
        dataset,
        train: split.train,
        ...(size && { size }),
        ...(normalization && { normalization }),
        // A network of one channel sees colour as PIL's grey.
        ...(model.input.channels === 1 && dataset.imageShape.channels === 3 && { colorToGrey: "luma" as const }),
      });
      return { seed: released ? seedOfFold(seed, all.indexOf(split)) : seed, transforms };
    },
    leaks: [...(leaks?.all ?? []), ...shared],
    notes: [...dataset.notes, ...(leaks?.all ?? []), ...shared, ...(meta?.notes ?? []), ...weights.notes],
  };
}

/** --meta-data PATH; null for the data's own images. @throws {FileError | DataError | UsageError} it does not fit the data */
async function openMeta(given: TrainFlags, data: Dataset, platform: Platform): Promise<MetaImages | null> {
  const { metaData } = given;
  if (metaData === undefined || metaData === "train" || metaData === "split") return null;
  if (given.metaDisjoint) {
    throw new UsageError("--meta-disjoint", {
      problem: "has no meaning with --meta-data of another data set: its groups are others",
      hint: "leave one of them out",
    });
  }
  if ((await platform.files.kind(metaData)) === "missing") {
    throw new FileError(metaData, {
      problem: "does not exist",
      hint: "--meta-data takes train, split, or the path of labelled images",
    });
  }
  const from = await openAlike(metaData, given, platform);
  try {
    return metaImages(data, from);
  } catch (error) {
    await from.close();
    throw error;
  }
}

/** Images that judge the learning rates and are tested on, too. */
async function judgedAndTested(data: Dataset, splits: readonly Split[], meta: MetaImages): Promise<string[]> {
  const tested = Uint32Array.from(new Set(splits.flatMap(({ test }) => [...test])));
  const found = await sharedImages(data, tested, meta.dataset, meta.indices);
  if (found === null) return [];
  const [other, own] = found.example;
  return [
    `${found.count} of the ${meta.indices.length} images of ${meta.dataset.name} that judge the learning rates have a near-identical image among the test images, such as ${other} and ${own}: leave them out, or the test result will look better than on new images`,
  ];
}

type Opening = Pick<TrainFlags, "groupsFile" | "labelsFile" | "window" | "saltFile">;

/** What opening the images needs beside their path. @throws {FileError} no such salt file; @throws {UsageError} an empty one */
export async function openingOf(given: Opening, platform: Platform): Promise<Omit<OpenOptions, "platform">> {
  const { groupsFile, labelsFile, window, saltFile } = given;
  const salt = saltFile === undefined ? undefined : (await platform.files.readText(saltFile)).trim();
  if (salt === "") throw new UsageError("--salt-file", { problem: "is empty", hint: "write a secret text into it" });
  return {
    ...(groupsFile !== undefined && { groupsFile }),
    ...(labelsFile !== undefined && { labelsFile }),
    ...(window !== undefined && { window }),
    ...(salt !== undefined && { salt }),
  };
}

/** Other images beside those of a run: what is told of the run's DICOM files holds for them, too, where they are DICOM. */
export async function openAlike(
  path: string,
  given: Pick<Opening, "window" | "saltFile">,
  platform: Platform,
): Promise<Dataset> {
  const { window, saltFile } = given;
  const needed = (window !== undefined || saltFile !== undefined) && (await holdsDicom(path, platform));
  return openDataset(path, {
    platform,
    ...(needed && (await openingOf({ ...noOpening, window, saltFile }, platform))),
  });
}
const noOpening = { groupsFile: undefined, labelsFile: undefined };

/** The released program seeds once, so that each fold draws other numbers than the one before it. */
const seedOfFold = (seed: number, fold: number): number => (seed + 0x9e3779b1 * fold) % 2 ** 32;

function normalizationOf({ mean, std }: TrainFlags): Normalization | null {
  if (mean === undefined && std === undefined) return null;
  if (mean !== undefined && std !== undefined && mean.length === std.length) return { mean, std };
  const missing = mean === undefined ? "--mean" : std === undefined ? "--std" : null;
  throw new UsageError(missing ?? "--mean and --std", {
    problem: missing === null ? "must have equally many numbers" : "is missing: mean and deviation belong together",
    ...(missing === null && { got: `${mean?.length} and ${std?.length}` }),
  });
}

function checkNormalization(normalization: Normalization | null, { input, name }: Model): void {
  const count = normalization?.mean.length ?? 1;
  if (count === 1 || count === input.channels) return;
  throw new UsageError("--mean and --std", {
    problem: "must have one number, or one for each channel of the network's input",
    expected: `1 or ${input.channels} (${name})`,
    got: String(count),
  });
}

function chooseFolds(all: readonly Split[], folds: readonly number[] | undefined): readonly Split[] {
  if (folds === undefined) return all;
  const last = folds.at(-1) ?? 0;
  if (all.length === 1 || last > all.length) {
    throw new UsageError("--folds", {
      problem: all.length === 1 ? "the data are one run without folds" : `there is no fold ${last}`,
      ...(all.length > 1 && { expected: `1 to ${all.length}` }),
      hint: "leave --folds out to run everything",
    });
  }
  return folds.map((fold) => all[fold - 1]!); // 1 … all.length
}

/**
 * The weights that are named; else those of the published program, when they are there and are of the network that is asked
 * for. Whoever names data or a network may go without.
 */
async function chooseWeights(
  given: TrainFlags,
  platform: Platform,
): Promise<{ readonly path: string | null; readonly notes: readonly string[] }> {
  if (given.pretrainedPath?.toLowerCase() === "none") return { path: null, notes: [] };
  if (given.pretrainedPath !== undefined) return { path: given.pretrainedPath, notes: [] };
  const path = await findReleasedWeights(platform.files);
  if (path === null) {
    if (given.data === undefined && given.model === undefined) throw noWeights();
    return { path: null, notes: ["no weights are given (-p): the network starts from random ones"] };
  }
  if (given.model !== undefined) {
    const found = inferResNet((await openWeights(path, platform)).tensors)?.architecture;
    if (found !== given.model) {
      return {
        path: null,
        notes: [`${path} is of ${found ?? "another network"} and not used: the network starts from random weights`],
      };
    }
  }
  return { path, notes: [] };
}
