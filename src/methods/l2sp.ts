/** @file L2-SP: fine-tuning that is pulled back to where it started. */
import { gradients } from "../autodiff/backward.js";
import { UsageError } from "../common/errors.js";
import { scalar } from "../graph/build.js";
import { add, mul, sub } from "../ops/index.js";
import { type FineTuneMethodOptions, optimizerOptions } from "./finetune.js";
import { initialRates, positive } from "./metalr.js";
import { adam } from "./optimizers.js";
import { defineStep } from "./step.js";
import type { Method } from "./types.js";

export interface L2SpOptions extends FineTuneMethodOptions {
  /** Strength α of the pull of all layers but the head towards the weights at the start; ≥ 0, default 0.1. */
  readonly alpha?: number;
  /** Weight decay β of the head, which is new; ≥ 0, default 0.01. */
  readonly beta?: number;
}

/**
 * The loss gains α/2·‖w − w⁰‖² over the pre-trained layers and β/2·‖w‖² over the head (Li, Grandvalet and Davoine, ICML 2018,
 * arXiv:1802.01483; β = 0.01 there, α chosen among powers of ten). The reported training loss is without them. Default optimizer: Adam without weight decay,
 * whose place the two terms take (the paper has SGD with momentum 0.9).
 */
export function l2sp(options: L2SpOptions = {}): Method {
  const { lr = 0.01, backboneRatio = 0.1, alpha = 0.1, beta = 0.01, optimizer = adam() } = options;
  positive("lr", lr);
  positive("backboneRatio", backboneRatio);
  for (const [name, value] of Object.entries({ alpha, beta })) {
    if (value >= 0 && Number.isFinite(value)) continue;
    throw new UsageError(name, { problem: "is not a number ≥ 0", got: String(value) });
  }
  return {
    name: "l2sp",
    options: { lr, backboneRatio, alpha, beta, ...optimizerOptions(optimizer) },
    needsValidation: false,
    step: (model, shapes) => {
      const initialLr = initialRates(model.groups.length, model.headGroup, lr, backboneRatio);
      return defineStep(model, shapes, { initialLr }, (s) => {
        const train = s.loss(s.theta, "train", { batchNorm: "update" });
        const start = s.slot("start", "weights");
        const g = s.mean("train", gradients(train.loss, s.theta)).map((gi, i) => {
          const p = s.theta[i]!; // one θ, one w⁰ and one parameter a gradient
          const head = s.parameters[i]!.group === model.headGroup;
          return add(gi, head ? mul(p, scalar(beta)) : mul(sub(p, start[i]!), scalar(alpha)));
        });
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
