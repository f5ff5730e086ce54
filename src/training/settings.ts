/** @file The settings of a training with their defaults filled in, checked; and the facts that a resumed run must share. */
import { TrainingError, UsageError } from "../common/errors.js";
import { fingerprintOf } from "../data/fingerprint.js";
import { checkImages } from "../data/preparer.js";
import { inferenceGraph } from "../methods/step.js";
import type { Method } from "../methods/types.js";
import { lossNameOf, type Model } from "../models/types.js";
import { defaultTransforms } from "./default-transforms.js";
import type { FineTuneOptions, TrainingData, TrainingSettings, Transforms } from "./options.js";
import { volumeTransforms } from "./volume-transforms.js";

/** Every setting with the value that it has. */
export type Settings = Required<TrainingSettings>;

/** The defaults of `TrainingSettings` (the released program's where it has the option). */
export const defaultSettings: Settings = {
  epochs: 30,
  batchSize: 128,
  microBatch: 0,
  seed: 0,
  workers: 1,
  select: "validation",
  valInterval: 1,
  checkpointEvery: 50,
  metaBatches: "stream",
  metaDisjoint: false,
};

/** Patches of a step of a segmentation, where nobody says otherwise: volumes need much memory. */
export const usualPatches = 2;

/** @throws {UsageError} a number that makes no sense */
export function settingsOf(o: TrainingSettings): Settings {
  const given = Object.fromEntries(
    Object.keys(defaultSettings).flatMap((key) => {
      const value = o[key as keyof Settings]; // the keys of Settings are those of its defaults
      return value === undefined ? [] : [[key, value]];
    }),
  );
  const settings: Settings = { ...defaultSettings, ...given };
  const whole = (
    name: "epochs" | "batchSize" | "microBatch" | "workers" | "valInterval" | "checkpointEvery",
    min: number,
  ) => {
    const value = settings[name];
    if (Number.isSafeInteger(value) && value >= min) return;
    throw new UsageError(name, { problem: `is not a whole number ≥ ${min}`, got: String(value) });
  };
  whole("epochs", 1);
  whole("batchSize", 1);
  whole("microBatch", 0);
  whole("workers", 0);
  whole("valInterval", 1);
  whole("checkpointEvery", 0);
  if (!Number.isSafeInteger(settings.seed)) {
    throw new UsageError("seed", { problem: "is not a whole number", got: String(settings.seed) });
  }
  for (const [name, known] of [
    ["select", ["last", "validation", "test"]],
    ["metaBatches", ["stream", "first", "balanced"]],
    ["metaDisjoint", [true, false]],
  ] as const) {
    if (!known.some((k) => k === settings[name])) {
      throw new UsageError(name, { problem: "is not known", expected: known.join(", "), got: String(settings[name]) });
    }
  }
  return settings;
}

/** @throws {UsageError} a model, method, data set and transforms that do not go together */
function checkTogether(
  o: Pick<FineTuneOptions, "model" | "data" | "method">,
  { train, evaluation }: Transforms,
  settings: Settings,
): void {
  const { select } = settings;
  const { model, method } = o;
  const { dataset, split, meta } = o.data;
  const refuse = (where: string, problem: string, facts: { expected?: string; got?: string; hint?: string }): never => {
    throw new UsageError(where, { problem, ...facts });
  };
  const pixels = dataset.segmentation !== undefined;
  if (model.task === "classification" && pixels) {
    refuse(model.name, "is a network for classification, and the data have a class for every pixel or voxel", {
      hint: "choose a network for segmentation: unet2d, unet3d, or an .onnx file of one",
    });
  }
  if (model.task === "segmentation" && !pixels) {
    refuse(model.name, "is a network for segmentation, and the data have one class an image", {
      hint: "give a folder with images/ and labels/",
    });
  }
  if (settings.microBatch === 1 && model.buffers.length > 0) {
    refuse("microBatch", "one image alone has no batch statistics, which the network's batch norm needs", {
      expected: "2 or more images",
    });
  }
  if (settings.microBatch > 0 && lossNameOf(model) !== "cross-entropy") {
    refuse("microBatch", `has no meaning with the loss ${lossNameOf(model)}, which is of a whole batch at once`, {
      hint: "leave micro-batches out and use smaller batches, or train by cross-entropy",
    });
  }
  if (model.classes !== dataset.classes.length) {
    refuse(model.name, "has another number of classes than the data", {
      expected: `${dataset.classes.length} (${dataset.classes.join(", ")})`,
      got: String(model.classes),
      hint: `open the model with classes: ${dataset.classes.length}`,
    });
  }
  for (const spec of [train, evaluation]) {
    if (spec.channels !== model.input.channels) {
      refuse("transforms", "give another number of channels than the network takes", {
        expected: String(model.input.channels),
        got: String(spec.channels),
      });
    }
    const { size } = model.input;
    if (size && size.join() !== spec.size.join()) {
      refuse("transforms", "give images of another size than the network takes", {
        expected: size.join("×"),
        got: spec.size.join("×"),
      });
    }
    if (!pixels && spec.size.some((n, axis) => n !== evaluation.size[axis])) {
      refuse("transforms", "give training images another size than those of evaluation", {
        expected: evaluation.size.join("×"),
        got: spec.size.join("×"),
      });
    }
  }
  if (select === "validation" && split.validation.length === 0) {
    refuse("select", "there are no validation images to choose the epoch by", {
      hint: 'hold out a part of the training images, or choose select: "last"',
    });
  }
  if (select === "test" && split.test.length === 0) {
    refuse("select", "there are no test images to choose the epoch by", { hint: 'choose select: "last"' });
  }
  if (settings.metaDisjoint && meta) {
    refuse("metaDisjoint", "has no meaning with validation images of another data set", {
      hint: "leave one of them out",
    });
  }
  if (settings.metaDisjoint && dataset.groups === null) {
    refuse("metaDisjoint", "needs the group (patient, video) of every image, and the data have none", {
      hint: "give them with a groups file",
    });
  }
  if (pixels) {
    // Networks that halve volumes do not take every size: found here, before anything is written.
    for (const { channels, size } of [train, evaluation]) inferenceGraph(model, [1, channels, ...size]);
  }
  if (pixels && meta) {
    refuse("meta data", "from another data set are not there for segmentation yet", {
      hint: "draw them from the training images (train), or hold out a part (split)",
    });
  }
  if (pixels && settings.metaDisjoint) {
    refuse("metaDisjoint", "is not there for segmentation yet", { hint: "leave it out" });
  }
  if (pixels && settings.metaBatches === "balanced") {
    refuse("metaBatches", "balanced by class is for images that have one class", { hint: "leave it out" });
  }
  if (method.needsValidation && meta) checkImages(meta.dataset, evaluation);
  if (method.needsValidation && (meta?.indices ?? split.meta).length === 0) {
    refuse(method.name, "needs validation images for its learning rates, and the split has none (meta)", {
      hint: "draw them from the training images (meta data: train), or hold out a part (split)",
    });
  }
}

/** What a training will do, before it begins. */
export interface Resolved {
  readonly settings: Settings;
  readonly transforms: Transforms;
  /** What decides the bits of the run: a snapshot fits a run of the same identity. */
  readonly identity: string;
}

/**
 * Fills in every default and checks that all goes together.
 * @throws {UsageError}
 */
export async function resolveTraining(
  o: TrainingSettings & Pick<FineTuneOptions, "model" | "data" | "method" | "transforms" | "imageSize">,
): Promise<Resolved> {
  const { dataset, split } = o.data;
  const settings = settingsOf(
    dataset.segmentation && o.batchSize === undefined ? { ...o, batchSize: usualPatches } : o,
  );
  const size = o.imageSize && { size: o.imageSize };
  const { model } = o;
  const usual = () =>
    dataset.segmentation
      ? volumeTransforms({ model, dataset, train: split.train })
      : defaultTransforms({ model, dataset, train: split.train, ...size });
  const transforms = o.transforms ?? (await usual());
  checkTogether(o, transforms, settings);
  return { settings, transforms, identity: await identityOf(o, transforms, settings) };
}

/** What decides the bits of a run, as JSON with one key a fact. */
async function identityOf(
  o: { model: Model; data: TrainingData; method: Method },
  transforms: Transforms,
  settings: Settings,
): Promise<string> {
  const { split, dataset, meta } = o.data;
  const { epochs, batchSize, microBatch, seed, select, valInterval, metaBatches, metaDisjoint } = settings;
  return JSON.stringify({
    model: o.model.config,
    ...(o.model.task === "segmentation" && { loss: lossNameOf(o.model) }),
    groups: o.model.groups,
    method: o.method.name,
    methodOptions: o.method.options,
    data: dataset.fingerprint,
    split: await fingerprintOf([split.train, split.meta, split.validation, split.test]),
    // Absent without such images, so that older checkpoints stay good.
    ...(meta && { meta: [meta.dataset.fingerprint, await fingerprintOf([meta.indices, meta.dataset.labels])] }),
    transforms: { train: transforms.train, evaluation: transforms.evaluation },
    epochs,
    batchSize,
    ...(microBatch > 0 && { microBatch }),
    seed,
    select,
    valInterval,
    metaBatches,
    metaDisjoint,
  });
}

/**
 * @param where what is of another run, for the message
 * @throws {TrainingError} naming the first fact in which a snapshot differs from the run that wants to continue it
 */
export function checkIdentity(
  saved: string,
  now: string,
  where = "checkpoint",
  hint = "resume with the options that the run was started with, or start a new run",
): void {
  if (saved === now) return;
  const facts = (json: string): Record<string, unknown> => {
    try {
      const value: unknown = JSON.parse(json);
      if (typeof value === "object" && value !== null) return value as Record<string, unknown>; // an object of JSON
    } catch {} // the next line tells it
    return {};
  };
  const [before, after] = [facts(saved), facts(now)];
  const whole = (value: unknown) => JSON.stringify(value) ?? "nothing";
  const text = (value: unknown) => (whole(value).length > 200 ? `${whole(value).slice(0, 200)}…` : whole(value));
  const name = Object.keys({ ...before, ...after }).find((k) => whole(before[k]) !== whole(after[k])) ?? "options";
  throw new TrainingError(where, {
    problem: `is of a run with another ${names[name] ?? name}`,
    expected: text(before[name]),
    got: text(after[name]),
    hint,
  });
}

const names: Readonly<Record<string, string>> = {
  model: "network",
  loss: "loss",
  groups: "division into layer groups",
  methodOptions: "method's options",
  data: "data set",
  split: "division of the images",
  meta: "data set for the learning rates",
  transforms: "image transforms",
  epochs: "number of epochs",
  batchSize: "batch size",
  microBatch: "size of micro-batches",
  select: "choice of the epoch",
  valInterval: "interval of evaluations",
  metaBatches: "choice of validation batches",
  metaDisjoint: "choice of validation batches",
};
