/** @file The method that the options of `metalr train` ask for, and the options that would be ignored. */
import { UsageError } from "../../common/errors.js";
import {
  adam,
  finetune,
  lastLayer,
  type Method,
  metaLrVariants,
  metalr,
  type Optimizer,
  sgd,
} from "../../methods/index.js";
import { longName } from "../options.js";
import { type TrainFlags, trainFlags } from "./flags.js";

/** The released program's, where the command line does not say otherwise. */
const defaults = { lr: 0.01, backboneRatio: 0.1, weightDecay: 1e-4, hyperLr: 0.1, headWarmupEpochs: 5 } as const;

type MethodFlags = Pick<
  TrainFlags,
  | "method"
  | "variant"
  | "lr"
  | "backboneLrRatio"
  | "hyperLr"
  | "lrUpdate"
  | "lrBounds"
  | "headWarmupEpochs"
  | "metaData"
  | "optimizer"
  | "weightDecay"
  | "momentum"
  | "adamEps"
>;

const onlyMetaLr = ["hyperLr", "lrUpdate", "lrBounds", "headWarmupEpochs", "metaData"] as const;

/** @throws {UsageError} an option that the method does not know, or that the optimizer does not know */
export function methodOf(given: MethodFlags): Method {
  const { method = "metalr", lr = defaults.lr, backboneLrRatio: backboneRatio = defaults.backboneRatio } = given;
  if (method !== "metalr") refuse(given, onlyMetaLr, `--method ${method}`);
  if (method === "lastLayer") refuse(given, ["backboneLrRatio"], "--method lastLayer");
  const optimizer = optimizerOf(given);
  if (method === "finetune") return finetune({ lr, backboneRatio, optimizer });
  if (method === "lastLayer") return lastLayer({ lr, optimizer });
  return metalr({
    ...metaLrVariants[given.variant ?? "paper"],
    lr,
    backboneRatio,
    optimizer,
    hyperLr: given.hyperLr ?? defaults.hyperLr,
    headWarmup: { epochs: given.headWarmupEpochs ?? defaults.headWarmupEpochs },
    ...(given.lrUpdate && { update: given.lrUpdate }),
    ...(given.lrBounds !== undefined && { bounds: given.lrBounds }),
  });
}

function optimizerOf(given: MethodFlags): Optimizer {
  const { optimizer = "adam", weightDecay = defaults.weightDecay } = given;
  if (optimizer === "sgd") {
    refuse(given, ["adamEps"], "--optimizer sgd");
    return sgd({ weightDecay, momentum: given.momentum ?? 0 });
  }
  refuse(given, ["momentum"], "--optimizer adam");
  return adam({ weightDecay, ...(given.adamEps !== undefined && { eps: given.adamEps }) });
}

/** An option that would be ignored in silence is a misunderstanding. */
function refuse(given: MethodFlags, names: readonly (keyof MethodFlags)[], because: string): void {
  const name = names.find((n) => given[n] !== undefined);
  if (name === undefined) return;
  throw new UsageError(longName(trainFlags[name].flags), {
    problem: `has no meaning with ${because}`,
    hint: "leave one of them out",
  });
}
