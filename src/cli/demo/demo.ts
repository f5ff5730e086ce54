/** @file The demo itself: two scanners that do not exist, a network trained on one, fine-tuned on the other in three ways. */

import { InternalError } from "../../common/errors.js";
import type { Tensor } from "../../common/tensor.js";
import { planSplits } from "../../data/splits.js";
import { type SyntheticPart, scanners, syntheticDataset } from "../../data/synthetic.js";
import type { Dataset, Split } from "../../data/types.js";
import { writeNpz } from "../../formats/npz.js";
import { encodeSafetensors } from "../../formats/safetensors.js";
import { adam, finetune, lastLayer, type Method, metalr } from "../../methods/index.js";
import { createModel, withWeights } from "../../models/index.js";
import type { Model } from "../../models/types.js";
import { join } from "../../records/files.js";
import { readRun } from "../../records/read.js";
import type { RunRecord } from "../../records/run-record.js";
import { trainRun } from "../../records/trainRun.js";
import { evaluateRun } from "../../records/use-run.js";
import type { Executor } from "../../runtime/types.js";
import { defaultTransforms } from "../../training/default-transforms.js";
import type { Context } from "../command.js";

export interface DemoScale {
  /** Height and width of the images. */
  readonly size: number;
  /** Channels of the network's stem. */
  readonly width: number;
  readonly pretraining: {
    readonly epochs: number;
    readonly train: SyntheticPart;
    readonly validation: SyntheticPart;
    readonly test: SyntheticPart;
  };
  readonly fineTuning: {
    readonly epochs: number;
    readonly train: SyntheticPart;
    readonly validation: SyntheticPart;
    readonly test: SyntheticPart;
  };
  readonly repetitions: number;
  /** No repetition is begun that would end after this, so that a busy machine does fewer. */
  readonly budgetMs: number;
}

/** About a minute on two cores. */
export const demoScale: DemoScale = {
  size: 40,
  width: 8,
  pretraining: {
    epochs: 7,
    train: { patients: 32, frames: 3 },
    validation: { patients: 12, frames: 2 },
    test: { patients: 20, frames: 2 },
  },
  fineTuning: {
    epochs: 20,
    train: { patients: 4, frames: 3 },
    validation: { patients: 4, frames: 3 },
    test: { patients: 40, frames: 2 },
  },
  repetitions: 3,
  budgetMs: 100_000,
};

/** The contenders: same optimizer, rates, images and epochs. */
export const demoMethods: readonly {
  readonly name: string;
  readonly folder: string;
  readonly about: string;
  make(): Method;
}[] = [
  {
    name: "plain fine-tuning",
    folder: "fine-tuning",
    about: "Every layer is trained, at rates that stay: 0.01 for the last layer, 0.001 for the others.",
    make: () => finetune(),
  },
  {
    name: "last layer",
    folder: "last-layer",
    about: "Only the last layer is trained, on features that stay as they are.",
    make: () => lastLayer(),
  },
  {
    name: "MetaLR",
    folder: "metalr",
    about:
      "Every layer is trained, and MetaLR learns a rate for each while it trains, from the rates of plain fine-tuning on.",
    make: () => metalr(),
  },
];

export interface DemoRun {
  readonly method: string;
  readonly folder: string;
  readonly accuracy: number;
  readonly record: RunRecord;
}

export interface DemoResult {
  /** Accuracy of the pre-trained network on unseen images of scanner A. */
  readonly onA: number;
  /** And on the images of scanner B, before any fine-tuning, by repetition. */
  readonly onB: readonly number[];
  /** By repetition, in the order of `demoMethods`. */
  readonly runs: readonly (readonly DemoRun[])[];
  /** Files that one can go on with. */
  readonly data: string;
  readonly weights: string;
}

interface DemoContext extends Pick<Context, "platform" | "rasterize" | "versions"> {
  readonly executor: Executor;
}

/** Watches the demo. */
export interface DemoView {
  /** Before a training. */
  begin(what: string, index: number, count: number): void;
  event: NonNullable<Parameters<typeof trainRun>[1]["report"]>;
  /** After the pre-training. */
  pretrained(onA: number): void;
  /** After each repetition. */
  repetition(index: number, onB: number, runs: readonly DemoRun[]): void;
}

/** Runs everything into a folder. Same seed, same result. */
export async function runDemo(
  context: DemoContext,
  folder: string,
  o: { readonly seed: number; readonly scale: DemoScale; readonly view: DemoView },
): Promise<DemoResult> {
  const { seed, scale, view } = o;
  const { files } = context.platform;
  const { size } = scale;
  const began = performance.now();
  const trainings = 1 + scale.repetitions * demoMethods.length;
  const common = { ...context, workers: 0, seed, select: "validation" as const, report: view.event };

  const a = await syntheticDataset({ scanner: scanners.a, seed, size, ...scale.pretraining });
  const untrained = createModel("resnet20", { classes: a.classes.length, channels: 1, width: scale.width, seed });
  view.begin("pre-training", 0, trainings);
  const pretraining = await trainRun(join(folder, "scanner-a"), {
    ...common,
    model: untrained,
    data: { dataset: a, split: onlySplit(a, seed) },
    method: finetune({ lr: 0.003, backboneRatio: 1, optimizer: adam({ weightDecay: 1e-4 }) }),
    epochs: scale.pretraining.epochs,
    batchSize: 32,
  });
  view.pretrained(pretraining.accuracy);
  const trained: Model = { ...pretraining.model, normalization: pretraining.transforms.evaluation.normalization };
  const weights = join(folder, "scanner-a.safetensors");
  await files.writeAtomic(weights, encodeSafetensors(trained.weights, { format: "pt" }));

  const data = join(folder, "scanner-b.npz");
  const onB: number[] = [];
  const runs: DemoRun[][] = [];
  let slowestMs = 0;
  for (let r = 0; r < scale.repetitions; r++) {
    const repetitionBegan = performance.now();
    if (r > 0 && repetitionBegan - began + slowestMs > scale.budgetMs) break;
    const b = await syntheticDataset({ scanner: scanners.b, seed: seed + 1 + r, size, ...scale.fineTuning });
    if (r === 0) await files.writeAtomic(data, await asNpz(b));
    const split = onlySplit(b, seed);
    const model = withNewHead(trained, seed + 1 + r);
    const transforms = await defaultTransforms({ model, dataset: b, train: split.train, size: [size, size] });
    const before = await evaluateRun(pretraining.folder, b, { ...context, part: "all", workers: 0 });
    onB.push(before.evaluation.accuracy);
    const repetition: DemoRun[] = [];
    for (const [m, method] of demoMethods.entries()) {
      view.begin(`${method.name}, repetition ${r + 1}`, 1 + r * demoMethods.length + m, trainings);
      const path = join(folder, `${method.folder}-${r + 1}`);
      const run = await trainRun(path, {
        ...common,
        seed: seed + r,
        model,
        transforms,
        data: { dataset: b, split },
        method: method.make(),
        epochs: scale.fineTuning.epochs,
        batchSize: 12,
      });
      const { record } = await readRun(files, path);
      repetition.push({ method: method.name, folder: path, accuracy: run.accuracy, record });
    }
    runs.push(repetition);
    slowestMs = Math.max(slowestMs, performance.now() - repetitionBegan);
    view.repetition(r, onB.at(-1) ?? Number.NaN, repetition);
  }
  return { onA: pretraining.accuracy, onB, runs, data, weights };
}

/** The last layer as it is initialised: what came before fine-tuning is no classifier for the new task. */
function withNewHead(model: Model, seed: number): Model {
  const { architecture, width } = model.config;
  const fresh = createModel(architecture, {
    classes: model.classes,
    channels: model.input.channels,
    seed,
    ...(typeof width === "number" && { width }),
  });
  const head = new Set(model.parameters.filter((p) => p.group === model.headGroup).map((p) => p.name));
  return withWeights(model, new Map([...fresh.weights].filter(([name]) => head.has(name))));
}

function onlySplit(dataset: Dataset, seed: number): Split {
  const [split] = planSplits(dataset, { select: "validation", metaData: "train", seed });
  if (split === undefined) throw new InternalError("data with official parts are one run");
  return split;
}

/** The data as a file with MedMNIST's keys, so that one can go on with them. */
async function asNpz(dataset: Dataset): Promise<Uint8Array> {
  const { division } = dataset;
  if (division.kind !== "official") throw new InternalError("the demo's data have official parts");
  const arrays = new Map<string, Tensor>();
  for (const [name, indices] of [
    ["train", division.train],
    ["val", division.validation],
    ["test", division.test],
  ] as const) {
    if (indices === null) continue;
    const images = await Promise.all(Array.from(indices, (i) => dataset.image(i)));
    const { height = 0, width = 0 } = images[0] ?? {};
    const pixels = new Uint8Array(images.length * height * width);
    images.forEach(({ data }, n) => {
      pixels.set(data, n * height * width);
    });
    const labels = Uint8Array.from(indices, (i) => dataset.labels[i] ?? 0);
    arrays.set(`${name}_images`, { dtype: "uint8", shape: [images.length, height, width], data: pixels });
    arrays.set(`${name}_labels`, { dtype: "uint8", shape: [images.length], data: labels });
  }
  return writeNpz(arrays, { compress: true });
}
