/** @file Fine-tuning at rates that are set beforehand: of all layers, of the last ones, decaying with depth, discriminative. */
import { gradients } from "../autodiff/backward.js";
import { UsageError } from "../common/errors.js";
import type { Model } from "../models/types.js";
import { initialRates, positive } from "./metalr.js";
import { adam, type Optimizer } from "./optimizers.js";
import { defineStep } from "./step.js";
import type { Method } from "./types.js";

/** What every method has. */
export interface CommonOptions {
  /** Rate of the head; > 0, default 0.01. */
  readonly lr?: number;
  /** Of the true step, with its schedule (`scheduled`); default Adam with weight decay 1e-4. */
  readonly optimizer?: Optimizer;
}

export interface FineTuneMethodOptions extends CommonOptions {
  /** Other layers train at this share of it; default 0.1, the rates that MetaLR starts from. */
  readonly backboneRatio?: number;
}

/** Every layer trained at a constant rate (times the optimizer's schedule). */
export function finetune(options: FineTuneMethodOptions = {}): Method {
  const { lr = 0.01, backboneRatio = 0.1, optimizer = defaultOptimizer() } = options;
  positive("lr", lr);
  positive("backboneRatio", backboneRatio);
  return constantRates("finetune", { lr, backboneRatio }, optimizer, {
    rates: (model) => initialRates(model.groups.length, model.headGroup, lr, backboneRatio),
  });
}

/**
 * Only the head is trained, on features that do not move: the layers below it keep their weights and normalise by their
 * running statistics (a linear probe). Their rates are reported as 0.
 */
export function lastLayer(options: CommonOptions = {}): Method {
  const { lr = 0.01, optimizer = defaultOptimizer() } = options;
  positive("lr", lr);
  return constantRates("lastLayer", { lr }, optimizer, {
    rates: (model) => Float32Array.from(model.groups, (_, j) => (j === model.headGroup ? lr : 0)),
    trained: (model) => (group) => group === model.headGroup,
    batchNorm: "running",
  });
}

export interface LastGroupsOptions extends FineTuneMethodOptions {
  /** How many layer groups are trained, counted from the end; ≥ 1, default 2. More than there are trains all. */
  readonly groups?: number;
}

/**
 * The last k layer groups are trained, the others keep their weights (Yosinski et al., NeurIPS 2014; the baseline of Lee et al. 2023).
 * As in PyTorch with requires_grad off, batch norm of all layers goes on with batch statistics.
 */
export function lastGroups(options: LastGroupsOptions = {}): Method {
  const { lr = 0.01, backboneRatio = 0.1, optimizer = defaultOptimizer(), groups = 2 } = options;
  positive("lr", lr);
  positive("backboneRatio", backboneRatio);
  if (!(Number.isSafeInteger(groups) && groups >= 1)) {
    throw new UsageError("groups", { problem: "is not a whole number ≥ 1", got: String(groups) });
  }
  const trained = (model: Model) => (group: number) =>
    group === model.headGroup || group >= model.groups.length - groups;
  return constantRates("lastGroups", { lr, backboneRatio, groups }, optimizer, {
    rates: (model) =>
      initialRates(model.groups.length, model.headGroup, lr, backboneRatio).map((rate, j) =>
        trained(model)(j) ? rate : 0,
      ),
    trained,
  });
}

export interface DecayOptions extends CommonOptions {
  /** Rate of a layer group as a share of that of the group after it; 0 < decay ≤ 1. */
  readonly decay?: number;
}

/**
 * Layer-wise decay of rates: group j of d trains at lr·decay^(d − 1 − j). Default decay 0.75, as for fine-tuning in MAE
 * (He et al., CVPR 2022); ELECTRA (Clark et al., ICLR 2020) has 0.8–0.9, over twelve or more layers.
 */
export const layerDecay = (options: DecayOptions = {}): Method => decaying("layerDecay", 0.75, options);

/**
 * Discriminative rates of ULMFiT (Howard and Ruder, ACL 2018): each layer group trains at 1/2.6 of the rate of the one after it.
 */
export const discriminative = (options: DecayOptions = {}): Method => decaying("discriminative", 1 / 2.6, options);

function decaying(name: string, preset: number, options: DecayOptions): Method {
  const { lr = 0.01, decay = preset, optimizer = defaultOptimizer() } = options;
  positive("lr", lr);
  if (!(decay > 0 && decay <= 1)) {
    throw new UsageError("decay", { problem: "is out of range", expected: "0 < decay ≤ 1", got: String(decay) });
  }
  return constantRates(name, { lr, decay }, optimizer, {
    rates: ({ groups }) => Float32Array.from(groups, (_, j) => lr * decay ** (groups.length - 1 - j)),
  });
}

export const defaultOptimizer = (): Optimizer => adam({ weightDecay: 1e-4 });

/** An optimizer as a run record shows it. */
export const optimizerOptions = (o: Optimizer) => ({ optimizer: { name: o.name, ...o.options } });

function constantRates(
  name: string,
  options: Readonly<Record<string, unknown>>,
  optimizer: Optimizer,
  o: {
    rates: (model: Model) => Float32Array;
    trained?: (model: Model) => (group: number) => boolean;
    batchNorm?: "update" | "running";
  },
): Method {
  return {
    name,
    options: { ...options, ...optimizerOptions(optimizer) },
    needsValidation: false,
    step: (model, shapes) => {
      const settings = { initialLr: o.rates(model), ...(o.trained && { trained: o.trained(model) }) };
      return defineStep(model, shapes, settings, (s) => {
        const train = s.loss(s.theta, "train", { batchNorm: o.batchNorm ?? "update" });
        const g = s.mean("train", gradients(train.loss, s.theta));
        return {
          ...optimizer.update(s, g, s.lr),
          buffers: train.buffers,
          report: { trainLoss: train.loss, lr: s.lr, logits: train.logits },
        };
      });
    },
    scalars: (clock) => optimizer.scalars(clock.step, clock),
  };
}
