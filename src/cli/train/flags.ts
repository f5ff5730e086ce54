/** @file The options of `metalr train`: the released program's, with its meaning and defaults, and ours. */
import { UsageError } from "../../common/errors.js";
import type { WindowOption } from "../../data/dicom/read.js";
import { parseWindow } from "../../data/dicom/window-text.js";
import { printable } from "../../formats/bytes.js";
import { methodNames, parseMethod, scheduleNames } from "../../methods/index.js";
import { architectures } from "../../models/index.js";
import {
  bounds,
  choice,
  flag,
  type OptionSpec,
  type OptionValues,
  path,
  real,
  reals,
  section,
  text,
  whole,
  wholes,
} from "../options.js";
import { precisionFlag, speedFlags } from "../speed.js";
import { segmentationFlags } from "./segmentation.js";

/** H×W in pixels: 64, or 96x128. */
const imageSize: OptionSpec<readonly [number, number]> = {
  flags: "--image-size <pixels>",
  help: "size that every image is resized to: 64, or 96x128 (height x width)",
  default: "64",
  parse: (given) => {
    const [, height, width] = /^\s*(\d{1,4})(?:\s*[x×]\s*(\d{1,4}))?\s*$/i.exec(given) ?? [];
    const size = [Number(height ?? 0), Number(width ?? height ?? 0)] as const;
    if (size.every((n) => n >= 8 && n <= 4096)) return size;
    throw new UsageError("--image-size", {
      problem: `must be pixels from 8 to 4096, such as 64 or 96x128, got ${/^[\w×]+$/.test(given) ? given : `"${printable(given)}"`}`,
    });
  },
};

/** "train", "split", or a path. */
const metaData: OptionSpec<string> = {
  ...path({
    flags: "--meta-data <from>",
    help: "MetaLR's validation batches: from the training images (train), a held-out part of them (split), or other labelled images, such as a few of the site where the model will be used (a path)",
    default: "train",
  }),
  parse: (given) => {
    const word = given.toLowerCase();
    if (word === "train" || word === "split") return word;
    if (given.trim() === "") throw new UsageError("--meta-data", { problem: "must be train, split, or a path" });
    return given;
  },
};

/** How grey values of DICOM files become images. */
const window: OptionSpec<WindowOption> = {
  flags: "--window <window>",
  help: "for DICOM files: file (what each brings along), full, none, preset:N (the file's Nth), CENTER,WIDTH such as 40,400, or percentile:1,99",
  default: "file",
  parse: parseWindow,
};

/** A method by name; its own options may follow it. */
const method: OptionSpec<string> & { readonly of: readonly string[] } = {
  flags: "--method <name>",
  help: `${methodNames.join(", ")}; a method's own options may follow: l2sp:alpha=0.01, metalr:direction=optimizer:metaEvery=2`,
  default: "metalr",
  of: methodNames,
  parse: (given) => parseMethod(given).text,
};

export const trainFlags = {
  ...section("Data", {
    data: path({
      flags: "-d, --data <path>",
      help: "images: pickle of five folds (also zipped or in parts .zip.001 …), .npz, a folder of images, or a CSV",
      default: "data/pocus_data_all.pkl",
      aliases: ["data-path"],
    }),
    folds: wholes({ flags: "--folds <list>", help: "which folds to run: 1,3 or 2-4", default: "all", min: 1 }),
    splitFolds: whole({
      flags: "--split-folds <n>",
      help: "number of folds for data that are not divided themselves",
      default: "5",
      min: 2,
      max: 1000,
    }),
    testShare: real({
      flags: "--test-share <x>",
      help: "for data that are not divided: one run with this share as its test images, instead of folds",
      above: 0,
      below: 1,
    }),
    groupsFile: path({
      flags: "--groups-file <csv>",
      help: "patient, video or examination of every image (fold,index,group or path,group): held-out parts are taken by group",
    }),
    labelsFile: path({
      flags: "--labels-file <csv>",
      help: "labels of a folder of images or DICOM files: path,label or SOPInstanceUID,label; perhaps also split or fold, and group",
      default: "the folders are the classes",
    }),
    window,
    saltFile: path({
      flags: "--salt-file <file>",
      help: "for DICOM files: a secret text that patients' pseudonyms are made with; the same text, the same pseudonyms",
      default: "made from the content of the files",
    }),
    byGroup: flag({ flags: "--by-group", help: "divide into folds anew, so that no group is on both sides" }),
    leakCheck: choice({
      flags: "--leak-check <when>",
      help: "look for near-identical images on both sides of the division: yes, no, or auto (where it takes seconds)",
      default: "auto",
      of: ["auto", "yes", "no"],
    }),
    metaData,
    metaBatches: choice({
      flags: "--meta-batches <how>",
      help: "MetaLR's validation batches: the next images of a shuffled stream, or all classes equally often (balanced)",
      default: "stream",
      of: ["stream", "balanced"],
    }),
    metaDisjoint: flag({
      flags: "--meta-disjoint",
      help: "MetaLR's validation batches have no group (patient, video) of the training batch",
    }),
    imageSize,
    mean: reals({
      flags: "--mean <m>",
      help: "pixels are normalised by this mean, one number or one a channel, of pixels in 0 … 1",
      default: "0.18 for the released data, else that of the training images",
    }),
    std: reals({
      flags: "--std <s>",
      help: "and by this standard deviation",
      default: "0.24, or measured likewise",
      above: 0,
    }),
    workers: whole({
      flags: "-w, --workers <n>",
      help: "threads that prepare images; 0 prepares them in the main thread while a step runs. Results are the same",
      default: "0",
      min: 0,
      max: 256,
    }),
  }),
  ...section("Network", {
    pretrainedPath: path({
      flags: "-p, --pretrained-path <file>",
      help: "weights: PyTorch (.pth, .pt, .th) or safetensors, or a network with its weights (.onnx); none for random ones",
      default: "pretrained/best_model.pth",
      aliases: ["weights"],
    }),
    model: choice({
      flags: "--model <name>",
      help: `network: ${architectures.join(", ")}`,
      default: "that of the weights, else resnet18",
      of: architectures,
    }),
    width: whole({
      flags: "--width <n>",
      help: "channels of the first layer of a network that starts from random weights; every stage doubles it",
      default: "the network's own (resnet18: 64, resnet20: 16, unet: 32)",
      min: 1,
      max: 4096,
    }),
    head: choice({
      flags: "--head <what>",
      help: "last layer: keep takes the weights' own where it has as many classes, new never",
      default: "keep",
      of: ["keep", "new"],
    }),
    replaceHead: flag({
      flags: "--replace-head",
      help: "the same as --head new: the last layer is made again for the data's classes",
    }),
  }),
  ...section("Segmentation", segmentationFlags),
  ...section("Method", {
    method,
    variant: choice({
      flags: "--variant <name>",
      help: "paper: look-ahead along θ − αg. released: the published program bug for bug (θ + αg, always the first validation batch, rates rounded after every epoch, no validation fold, --select test, --head new)",
      default: "paper",
      of: ["paper", "released"],
    }),
    schedule: choice({
      flags: "--schedule <name>",
      help: "factor on all rates of the true step over the run: constant, cosine, warmup-cosine",
      default: "constant",
      of: scheduleNames,
    }),
    ema: real({
      flags: "--ema <x>",
      help: "evaluate and export the exponential moving average of the weights with this decay: 0.99",
      min: 0,
      below: 1,
    }),
    lr: real({ flags: "-l, --lr <rate>", help: "learning rate of the last layer", default: "0.01", above: 0 }),
    backboneLrRatio: real({
      flags: "--backbone-lr-ratio <x>",
      help: "the other layers start at this share of it",
      default: "0.1",
      above: 0,
    }),
    hyperLr: real({
      flags: "--hyper-lr <η>",
      help: "step size of the learning rates themselves",
      default: "0.1",
      min: 0,
    }),
    lrUpdate: choice({
      flags: "--lr-update <rule>",
      help: "proportional: α(1 − ηh); additive: α − ηh, the paper's equation; log: α·exp(−ηh)",
      default: "proportional",
      of: ["additive", "proportional", "log"],
    }),
    lrBounds: bounds({
      flags: "--lr-bounds <min,max>",
      help: "every rate is clamped to these, or none",
      default: "1e-6,1e-2",
    }),
    headWarmupEpochs: whole({
      flags: "--head-warmup-epochs <n>",
      help: "in the first n epochs the rate of the last layer stays at --lr",
      default: "5",
      min: 0,
    }),
  }),
  ...section("Optimizer", {
    optimizer: choice({ flags: "--optimizer <name>", help: "adam or sgd", default: "adam", of: ["adam", "sgd"] }),
    weightDecay: real({ flags: "--weight-decay <λ>", help: "L2 weight decay", default: "1e-4", min: 0 }),
    momentum: real({ flags: "--momentum <μ>", help: "of sgd", default: "0", min: 0, below: 1 }),
    adamEps: real({ flags: "--adam-eps <ε>", help: "of adam", default: "1e-8", above: 0 }),
  }),
  ...section("Training", {
    maxEpoch: whole({
      flags: "-e, --max-epoch <n>",
      help: "passes over the training images",
      default: "30",
      min: 1,
      aliases: ["epochs"],
    }),
    batchSize: whole({
      flags: "-b, --batch-size <n>",
      help: "images (segmentation: patches) of a step",
      default: "128; for segmentation 2",
      min: 1,
    }),
    microBatch: whole({
      flags: "--micro-batch <n>",
      help: "images of a step that are computed at once, for networks and images that need too much memory: the same step to rounding, but batch norm normalises by each micro-batch's statistics",
      default: "all of them",
      min: 1,
    }),
    seed: whole({ flags: "-s, --seed <n>", help: "of every random number", default: "1", min: 0, max: 2 ** 32 - 1 }),
    select: choice({
      flags: "--select <by>",
      help: "which epoch counts: the best on validation images, the last, or the best on the test images (leaky)",
      default: "validation; test with --variant released",
      of: ["validation", "last", "test"],
    }),
    valInterval: whole({ flags: "--val-interval <n>", help: "epochs between evaluations", default: "1", min: 1 }),
    logInterval: whole({ flags: "--log-interval <n>", help: "steps between lines of output", default: "2", min: 1 }),
  }),
  ...section("Run", {
    out: path({ flags: "-o, --out <folder>", help: "run folder", default: "runs/<time>-<data>" }),
    resume: path({
      flags: "--resume <folder>",
      help: "continue a run that was stopped or killed, with the options it was started with",
    }),
    checkpointEvery: whole({
      flags: "--checkpoint-every <n>",
      help: "steps between checkpoints inside an epoch, 0 for none; every epoch ends with one",
      default: "50",
      min: 0,
    }),
    ...speedFlags,
    precision: precisionFlag,
    name: text({
      flags: "--name <text>",
      help: "name of the run, for the folder and the report",
      default: "that of the data",
    }),
  }),
};

export type TrainFlags = OptionValues<typeof trainFlags>;
