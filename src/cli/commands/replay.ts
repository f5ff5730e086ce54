/** @file `metalr replay`: recorded batches from given weights, step by step, as JSON; how an implementation is compared with a reference. */
import { WeightsError } from "../../common/errors.js";
import type { Tensor } from "../../common/tensor.js";
import { readNpz, writeNpz } from "../../formats/npz.js";
import { adam, type Method, metalr, type Optimizer, sgd } from "../../methods/index.js";
import { inferResNet } from "../../models/infer.js";
import { openModel } from "../../models/open.js";
import type { Model } from "../../models/types.js";
import type { Platform } from "../../platform/types.js";
import { join } from "../../records/files.js";
import { type ReplayResult, replay as replaySteps } from "../../training/replay.js";
import { openWeights } from "../../weights/index.js";
import { type Context, defineCommand, one } from "../command.js";
import { choice, type OptionValues, path, pick, real, section, whole } from "../options.js";
import { executorOf, precisionFlag, speedFlags } from "../speed.js";
import { trainFlags } from "../train/flags.js";

const options = {
  ...section("Method", {
    variant: choice({
      flags: "--variant <name>",
      help: "paper: look ahead along θ − αg, the validation batch of the step; released: θ + αg, always validation batch 0",
      default: "paper",
      of: ["paper", "released"],
    }),
    ...pick(trainFlags, ["lr", "backboneLrRatio", "hyperLr", "lrUpdate", "lrBounds"]),
    headWarmupSteps: whole({
      flags: "--head-warmup-steps <n>",
      help: "in the first n steps the head's rate is set to --lr after the update",
      default: "0",
      min: 0,
    }),
  }),
  ...section("Optimizer", {
    ...pick(trainFlags, ["optimizer", "adamEps", "momentum"]),
    weightDecay: real({
      flags: "--weight-decay <λ>",
      help: "L2 weight decay, as torch.optim does it",
      default: "1e-4 with adam, 0 with sgd",
      min: 0,
    }),
  }),
  ...section("Output", {
    final: path({
      flags: "--final <file.npz>",
      help: "also write the parameters and buffers after the last step, by PyTorch's names",
    }),
    ...speedFlags,
    precision: precisionFlag,
  }),
};

export const replay = defineCommand({
  name: "replay",
  summary: "Replay recorded batches and print every step as JSON",
  description:
    "Takes MetaLR steps on recorded batches, one after another, from given weights. DIR holds init.pth (a state dict) and\n" +
    "batches.npz (train_x, train_y, val_x, val_y: [step, ...]). Prints JSON alone on standard output:\n" +
    "{steps: [{trainLoss, valLoss, hypergradient[d], lr[d]}], groups[d], …}, the rates after the update of the step.",
  args: { dir: one("folder with init.pth and batches.npz") },
  options,
  examples: [
    ["metalr replay golden/resnet-w8 --adam-eps 1e-2", "four steps with Adam, as JSON"],
    [
      "metalr replay golden/resnet-w8 --variant released --head-warmup-steps 2 --final end.npz",
      "the released program's step, and the parameters after the last one",
    ],
  ],
  async run(context, { args, options: given }) {
    const { result, model, method, executor } = await replayFolder(context, args.dir, given);
    context.say(`${executor}, ${result.lowering} lowering`);
    if (given.final !== undefined) {
      await context.platform.files.writeAtomic(given.final, writeNpz(new Map<string, Tensor>(result.final)));
    }
    const { architecture, width, channels } = model.config;
    context.print(
      JSON.stringify(
        {
          steps: result.steps,
          groups: model.groups,
          model: { architecture, width, channels, classes: model.classes },
          method: { name: method.name, variant: given.variant ?? "paper", ...method.options },
          lowering: result.lowering,
        },
        null,
        1,
      ),
    );
    return undefined;
  },
});

/** Everything but the printing. @throws {FileError} {WeightsError} {DataError} files that are missing, damaged or do not fit */
async function replayFolder(
  context: Pick<Context, "platform" | "executor">,
  folder: string,
  given: OptionValues<typeof options>,
): Promise<{
  readonly result: ReplayResult;
  readonly model: Model;
  readonly method: Method;
  readonly executor: string;
}> {
  const released = given.variant === "released";
  const method = metalr({
    lr: given.lr ?? 0.01,
    backboneRatio: given.backboneLrRatio ?? 0.1,
    hyperLr: given.hyperLr ?? 0.1,
    update: given.lrUpdate ?? "proportional",
    bounds: given.lrBounds === undefined ? [1e-6, 1e-2] : given.lrBounds,
    lookAhead: released ? 1 : -1,
    headWarmup: { steps: given.headWarmupSteps ?? 0 },
    optimizer: optimizerOf(given),
  });
  const model = await initialModel(join(folder, "init.pth"), context.platform);
  const batches = await readNpz(join(folder, "batches.npz"), context.platform, [
    "train_x",
    "train_y",
    "val_x",
    "val_y",
  ]);
  const executor = await executorOf(context, given);
  const result = await replaySteps({ model, method, batches, executor, fixedValidation: released });
  return { result, model, method, executor: executor.description };
}

function optimizerOf(given: OptionValues<typeof options>): Optimizer {
  if (given.optimizer === "sgd") return sgd({ momentum: given.momentum ?? 0, weightDecay: given.weightDecay ?? 0 });
  return adam({ eps: given.adamEps ?? 1e-8, weightDecay: given.weightDecay ?? 1e-4 });
}

/** The network that the state dict belongs to, with all of its tensors. */
async function initialModel(path: string, platform: Platform): Promise<Model> {
  const { tensors } = await openWeights(path, platform);
  const network = inferResNet(tensors);
  if (network === null || network.classes === null) {
    throw new WeightsError(path, {
      problem: "does not show which network it belongs to",
      expected: "the state dict of a ResNet by torchvision's names, from conv1 to fc",
      got: [...tensors.keys()].slice(0, 4).join(", ") || "no tensors",
    });
  }
  const { model, weights } = await openModel(network.architecture, {
    weights: path,
    platform,
    classes: network.classes,
  });
  const [missing] = weights?.match.unmatched ?? [];
  if (missing === undefined) return model;
  throw new WeightsError(path, {
    problem: "is not a whole state dict",
    expected: `a value for every parameter and buffer of ${model.name}`,
    got: `none for "${missing}"`,
  });
}
