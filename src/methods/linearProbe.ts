/** @file Linear probe, then fine-tuning of all layers (LP-FT). */
import { gradients } from "../autodiff/backward.js";
import { UsageError } from "../common/errors.js";
import { constant } from "../graph/build.js";
import { defaultOptimizer, type FineTuneMethodOptions, optimizerOptions } from "./finetune.js";
import { initialRates, positive } from "./metalr.js";
import { defineStep, type Step } from "./step.js";
import type { Clock, Method } from "./types.js";

export interface LinearProbeOptions extends FineTuneMethodOptions {
  /** Share of the epochs that train the head alone; at least one epoch, and one is left; 0 < share < 1, default 0.5. */
  readonly probeShare?: number;
}

const phases = [
  { name: "probe", validation: false },
  { name: "finetune", validation: false },
] as const;

/**
 * First the head alone on features that do not move (`lastLayer`), then all layers from there with a fresh optimizer: features are
 * not distorted by a head that starts at random. Kumar et al., ICLR 2022, arXiv:2202.10054, run both parts to their end; half of the
 * epochs each is our division.
 */
export function linearProbe(options: LinearProbeOptions = {}): Method {
  const { lr = 0.01, backboneRatio = 0.1, optimizer = defaultOptimizer(), probeShare = 0.5 } = options;
  positive("lr", lr);
  positive("backboneRatio", backboneRatio);
  if (!(probeShare > 0 && probeShare < 1)) {
    throw new UsageError("probeShare", { problem: "is out of range", expected: "0 < share < 1", got: `${probeShare}` });
  }
  /** Epochs of the probe; 0 where there is only one epoch in all. */
  const probeEpochs = ({ epochs }: Clock) => Math.min(epochs - 1, Math.max(1, Math.round(probeShare * epochs)));
  const probing = (clock: Clock) => clock.epoch <= probeEpochs(clock);
  return {
    name: "linearProbe",
    options: { lr, backboneRatio, probeShare, ...optimizerOptions(optimizer) },
    needsValidation: false,
    phases: { all: phases, at: (clock) => phases[probing(clock) ? 0 : 1] },
    step: (model, shapes) => {
      const probe = shapes.phase === "probe";
      const rates = initialRates(model.groups.length, model.headGroup, lr, backboneRatio);
      const isTrained = (group: number) => !probe || group === model.headGroup;
      const inPhase = rates.map((rate, j) => (isTrained(j) ? rate : 0));
      // The rates of the phase enter as a constant and leave as state, so that the record shows them.
      return defineStep(model, shapes, { initialLr: rates, trained: isTrained }, (s) => {
        const lrNow = constant({ dtype: "float32", shape: [rates.length], data: inPhase });
        const train = s.loss(s.theta, "train", { batchNorm: probe ? "running" : "update" });
        const g = s.mean("train", gradients(train.loss, s.theta));
        const update = optimizer.update(probe ? withPrefix(s, "probe/") : s, g, lrNow);
        const slots = Object.entries(update.slots).map(([kind, v]) => [probe ? `probe/${kind}` : kind, v]);
        return {
          ...update,
          slots: Object.fromEntries(slots),
          lr: lrNow,
          buffers: train.buffers,
          report: { trainLoss: train.loss, lr: lrNow, logits: train.logits },
        };
      });
    },
    scalars(clock) {
      const before = probing(clock) ? 0 : probeEpochs(clock) * clock.stepsPerEpoch;
      return optimizer.scalars(clock.step - before, clock);
    },
  };
}

/** The step with slots of another name: each part has an optimizer of its own. */
const withPrefix = (s: Step, prefix: string): Step => ({
  ...s,
  slot: (kind, initial) => s.slot(`${prefix}${kind}`, initial),
});
