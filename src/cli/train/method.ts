/** @file The method that the options of `metalr train` ask for, and the options that would be ignored. */
import { UsageError } from "../../common/errors.js";
import {
  adam,
  type Method,
  type MethodSpec,
  methodByName,
  type Optimizer,
  parseMethod,
  sgd,
} from "../../methods/index.js";
import { longName } from "../options.js";
import { type TrainFlags, trainFlags } from "./flags.js";

/** The released program's, where the command line does not say otherwise. */
const defaults = { weightDecay: 1e-4 } as const;

type MethodFlags = Pick<
  TrainFlags,
  | "method"
  | "schedule"
  | "ema"
  | "variant"
  | "lr"
  | "backboneLrRatio"
  | "hyperLr"
  | "lrUpdate"
  | "lrBounds"
  | "headWarmupEpochs"
  | "metaData"
  | "metaBatches"
  | "metaDisjoint"
  | "optimizer"
  | "weightDecay"
  | "momentum"
  | "adamEps"
>;

const onlyMetaLr = [
  "hyperLr",
  "lrUpdate",
  "lrBounds",
  "headWarmupEpochs",
  "metaData",
  "metaBatches",
  "metaDisjoint",
] as const;
/** Options of every method that some do not have. */
const without: Readonly<Record<string, readonly (keyof MethodFlags)[]>> = {
  lastLayer: ["backboneLrRatio"],
  layerDecay: ["backboneLrRatio"],
  discriminative: ["backboneLrRatio"],
  autoRgn: ["backboneLrRatio"],
  ldog: ["lr", "backboneLrRatio", "optimizer", "weightDecay", "momentum", "adamEps", "ema"],
};

/** @throws {UsageError} an option that the method does not know, or that the optimizer does not know */
export function methodOf(given: MethodFlags): Method {
  const spec = parseMethod(given.method ?? "metalr");
  if (spec.name !== "metalr") refuse(given, onlyMetaLr, `--method ${spec.name}`);
  refuse(given, without[spec.name] ?? [], `--method ${spec.name}`);
  return methodFor(spec, given);
}

/** A method under options that are meant for several: those that it does not know are not for it. */
export function methodFor(spec: MethodSpec, all: MethodFlags, lrFactor = 1): Method {
  const foreign: readonly string[] = without[spec.name] ?? [];
  const given: MethodFlags = { ...all, ...Object.fromEntries(foreign.map((name) => [name, undefined])) };
  const { lr, backboneLrRatio: backboneRatio } = given;
  const { schedule = given.schedule, ema = given.ema } = spec; // what stands at the method counts first
  const named = (["optimizer", "weightDecay", "momentum", "adamEps"] as const).some((n) => given[n] !== undefined);
  return methodByName(spec.name, {
    ...(lr !== undefined && { lr }),
    ...(backboneRatio !== undefined && { backboneRatio }),
    ...(schedule !== undefined && { schedule }),
    ...(ema !== undefined && { ema }),
    ...(named && { optimizer: optimizerOf(given) }),
    lrFactor,
    own:
      spec.name === "metalr"
        ? {
            ...(given.variant && { variant: given.variant }),
            ...(given.hyperLr !== undefined && { hyperLr: given.hyperLr }),
            ...(given.headWarmupEpochs !== undefined && { headWarmupEpochs: given.headWarmupEpochs }),
            ...(given.lrUpdate && { update: given.lrUpdate }),
            ...(given.lrBounds !== undefined && { bounds: given.lrBounds }),
            ...spec.own,
          }
        : spec.own,
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
