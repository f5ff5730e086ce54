/** @file LDoG: rates from distance over gradients, layer by layer, with averaged iterates. */
import { gradients } from "../autodiff/backward.js";
import { scalar } from "../graph/build.js";
import type { Value } from "../graph/value.js";
import type { Model } from "../models/types.js";
import { add, div, dot, max, mul, sqrt, sub } from "../ops/index.js";
import { averaged } from "./average.js";
import { optimizerOptions } from "./finetune.js";
import { positive } from "./metalr.js";
import { type Optimizer, sgd } from "./optimizers.js";
import { defineStep, type PerParameter } from "./step.js";
import type { Method } from "./types.js";

export interface LDogOptions {
  /** Factor on all rates; > 0, default 1 (the method is meant to need no other). */
  readonly lr?: number;
  /** First distance of a layer, as a share of 1 + ‖θ⁰‖; > 0, default 1e-6. */
  readonly relativeStart?: number;
  /** γ of the average of iterates that is evaluated; default 8, null evaluates the last iterate. */
  readonly gamma?: number | null;
  /** Default SGD without momentum and weight decay: the method sets SGD's rates. A schedule may be on it. */
  readonly optimizer?: Optimizer;
}

/**
 * SGD with rate η_j = r_j / √(G_j + 1e-8) for layer group j, where r_j is the largest distance ‖θ_j − θ_j⁰‖ so far and G_j the sum of ‖g_j‖² so far, the newest
 * included; evaluated at the polynomially averaged iterate (Ivgi, Hinder and Carmon, "DoG is SGD's best friend", ICML 2023,
 * arXiv:2302.12022: LDoG with γ = 8). Published granularity: one tensor; ours: one layer group.
 */
export function ldog(options: LDogOptions = {}): Method {
  const { lr = 1, relativeStart = 1e-6, gamma = 8, optimizer = sgd() } = options;
  positive("lr", lr);
  positive("relativeStart", relativeStart);
  const method: Method = {
    name: "ldog",
    options: { lr, relativeStart, ...optimizerOptions(optimizer) },
    needsValidation: false,
    step: (model, shapes) => {
      const d = model.groups.length;
      return defineStep(model, shapes, { initialLr: new Float32Array(d) }, (s) => {
        const train = s.loss(s.theta, "train", { batchNorm: "update" });
        const g = s.mean("train", gradients(train.loss, s.theta));
        const squares = (values: PerParameter): Value =>
          s.perLayer((members) => members.map((i) => dot(values[i]!, values[i]!)).reduce(add, scalar(0))); // one value a parameter
        const start = s.slot("start", "weights");
        const moved = sqrt(squares(s.theta.map((p, i) => sub(p, start[i]!)))); // one a parameter
        const first = () => firstDistances(model, relativeStart);
        const distance = max(s.own("ldog/distance", [d], first), moved);
        const gathered = add(
          s.own("ldog/gradients", [d], () => new Float32Array(d)),
          squares(g),
        );
        const rates = mul(div(distance, sqrt(add(gathered, scalar(1e-8)))), scalar(lr));
        return {
          ...optimizer.update(s, g, rates),
          state: { "ldog/distance": distance, "ldog/gradients": gathered },
          lr: rates,
          buffers: train.buffers,
          report: { trainLoss: train.loss, lr: rates, logits: train.logits },
        };
      });
    },
    scalars: (clock) => optimizer.scalars(clock.step, clock),
  };
  return gamma === null ? method : averaged(method, { gamma });
}

/** relativeStart·(1 + ‖θ_j⁰‖) of every layer group. */
function firstDistances(model: Model, relativeStart: number): Float32Array {
  const squares = new Float64Array(model.groups.length);
  for (const { name, group } of model.parameters) {
    for (const w of model.weights.get(name)?.data ?? []) squares[group]! += w * w; // a parameter's group exists
  }
  return Float32Array.from(squares, (square) => relativeStart * (1 + Math.sqrt(square)));
}
