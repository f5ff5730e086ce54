/** @file Plain fine-tuning with constant rates, of all layers or of the last one: what MetaLR has to beat. */
import { gradients } from "../autodiff/backward.js";
import type { Model } from "../models/types.js";
import { initialRates, positive } from "./metalr.js";
import { adam, type Optimizer } from "./optimizers.js";
import { defineStep } from "./step.js";
import type { Method } from "./types.js";

export interface FineTuneMethodOptions {
  /** Rate of the head; > 0, default 0.01. */
  readonly lr?: number;
  /** Other layers train at this share of it; default 0.1, the rates that MetaLR starts from. */
  readonly backboneRatio?: number;
  /** Default Adam with weight decay 1e-4. */
  readonly optimizer?: Optimizer;
}

/** Every layer trained at a constant rate. */
export function finetune(options: FineTuneMethodOptions = {}): Method {
  const { lr = 0.01, backboneRatio = 0.1, optimizer = adam({ weightDecay: 1e-4 }) } = options;
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
export function lastLayer(options: Omit<FineTuneMethodOptions, "backboneRatio"> = {}): Method {
  const { lr = 0.01, optimizer = adam({ weightDecay: 1e-4 }) } = options;
  positive("lr", lr);
  return constantRates("lastLayer", { lr }, optimizer, {
    rates: (model) => Float32Array.from(model.groups, (_, j) => (j === model.headGroup ? lr : 0)),
    headOnly: true,
  });
}

function constantRates(
  name: string,
  options: Readonly<Record<string, unknown>>,
  optimizer: Optimizer,
  o: { rates: (model: Model) => Float32Array; headOnly?: boolean },
): Method {
  return {
    name,
    options: { ...options, optimizer: { name: optimizer.name, ...optimizer.options } },
    needsValidation: false,
    step: (model, shapes) => {
      const settings = {
        initialLr: o.rates(model),
        ...(o.headOnly && { trained: (group: number) => group === model.headGroup }),
      };
      return defineStep(model, shapes, settings, (s) => {
        const train = s.loss(s.theta, "train", { batchNorm: o.headOnly ? "running" : "update" });
        const g = gradients(train.loss, s.theta);
        return {
          ...optimizer.update(s, g, s.lr),
          buffers: train.buffers,
          report: { trainLoss: train.loss, lr: s.lr, logits: train.logits },
        };
      });
    },
    scalars: (clock) => optimizer.scalars(clock.step),
  };
}
