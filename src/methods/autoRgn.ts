/** @file Auto-RGN: rates in proportion to each layer's relative gradient norm. */
import { gradients } from "../autodiff/backward.js";
import { scalar } from "../graph/build.js";
import type { Value } from "../graph/value.js";
import { add, div, dot, greater, mul, reduceMax, sqrt, where } from "../ops/index.js";
import { type CommonOptions, defaultOptimizer, optimizerOptions } from "./finetune.js";
import { positive } from "./metalr.js";
import { defineStep, type PerParameter, type Step } from "./step.js";
import type { Method } from "./types.js";

export interface AutoRgnOptions extends CommonOptions {
  /** Whether the optimizer keeps its state when the rates are set anew; default false, as published. */
  readonly keepState?: boolean;
}

/**
 * At the start of every epoch layer j gets the rate lr·r_j / max r with r_j = ‖g_j‖/‖θ_j‖ (Lee et al., "Surgical fine-tuning", ICLR 2023,
 * arXiv:2210.11466). As in the published program the optimizer then starts afresh, unless `keepState`. Two differences:
 * a layer is one of our groups instead of one tensor (norms over tensors of two or more axes: batch norm and biases are left out, but
 * trained), and the norms are those of the epoch's first batch instead of five batches, so that a step stays one pass.
 */
export function autoRgn(options: AutoRgnOptions = {}): Method {
  const { lr = 0.01, optimizer = defaultOptimizer(), keepState = false } = options;
  positive("lr", lr);
  return {
    name: "autoRgn",
    options: { lr, keepState, ...optimizerOptions(optimizer) },
    needsValidation: false,
    step: (model, shapes) =>
      defineStep(model, shapes, { initialLr: new Float32Array(model.groups.length).fill(lr) }, (s) => {
        const train = s.loss(s.theta, "train", { batchNorm: "update" });
        const g = s.mean("train", gradients(train.loss, s.theta));
        const begins = greater(s.scalar("epochBegins"), scalar(0.5));
        const rates = where(begins, mul(relativeNorms(s, g), scalar(lr)), s.lr);
        return {
          ...optimizer.update(keepState ? s : fresh(s), g, rates),
          lr: rates,
          buffers: train.buffers,
          report: { trainLoss: train.loss, lr: rates, logits: train.logits },
        };
      }),
    scalars(clock) {
      const inEpoch = ((clock.step - 1) % clock.stepsPerEpoch) + 1;
      const begins = inEpoch === 1 ? 1 : 0;
      return {
        epochBegins: begins,
        ...(!keepState && { keepSlots: 1 - begins }),
        ...optimizer.scalars(keepState ? clock.step : inEpoch, clock),
      };
    },
  };
}

/** ‖g_j‖/‖θ_j‖ by layer group over the largest of them, [d]. */
function relativeNorms(s: Step, g: PerParameter): Value {
  const squares = (values: PerParameter) =>
    s.perLayer((members) => {
      const matrices = members.filter((i) => s.parameters[i]!.shape.length > 1); // i is a parameter's number
      return (matrices.length > 0 ? matrices : members)
        .map((i) => dot(values[i]!, values[i]!)) // one value a parameter
        .reduce(add, scalar(0));
    });
  const tiny = scalar(1e-30); // a layer of zeros: no division by zero
  const norms = sqrt(div(squares(g), add(squares(s.theta), tiny)));
  return div(norms, add(reduceMax(norms, [0]), tiny));
}

/** The step with slots that are zeros again where scalar "keepSlots" is 0. */
const fresh = (s: Step): Step => ({
  ...s,
  slot: (kind, initial) => s.slot(kind, initial).map((v) => mul(v, s.scalar("keepSlots"))),
});
