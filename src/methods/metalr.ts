/** @file MetaLR (Chen et al., MICCAI 2023, arXiv:2206.01408): one learning rate per layer, learned while training. */
import { directional, gradients } from "../autodiff/backward.js";
import { UsageError } from "../common/errors.js";
import { constant, scalar } from "../graph/build.js";
import type { Value } from "../graph/value.js";
import { add, clip, exp, greater, mul, neg, sub, where } from "../ops/index.js";
import { adam, type Optimizer } from "./optimizers.js";
import { defineStep } from "./step.js";
import type { Clock, Method } from "./types.js";

export type LrUpdate = "additive" | "proportional" | "log";

export interface MetaLrOptions {
  /** Full learning rate, that of the head; > 0, default 0.01 (as the released train.py). */
  readonly lr?: number;
  /** Other layers start at this share of it; default 0.1. */
  readonly backboneRatio?: number;
  /** Step size η of the learning rates themselves; default 0.1. */
  readonly hyperLr?: number;
  /** α − ηh, α(1 − ηh) or α·exp(−ηh); default proportional. */
  readonly update?: LrUpdate;
  /** Every rate is clamped to [min, max]; default [1e-6, 1e-2]; null for none. */
  readonly bounds?: readonly [min: number, max: number] | null;
  /** −1: look ahead along θ − αg (the paper); +1: θ + αg (the released code's sign). Default −1. */
  readonly lookAhead?: -1 | 1;
  /** While this holds, the head's rate is set to lr after the update; default epochs 1–5. */
  readonly headWarmup?: { readonly steps: number } | { readonly epochs: number };
  /** Decimals that rates are rounded to between epochs; default null, not at all. */
  readonly roundDecimals?: number | null;
  /** Of the true step; default Adam with weight decay 1e-4. */
  readonly optimizer?: Optimizer;
}

/** The two presets of `--variant`. `released` is the published program, bug for bug. */
export const metaLrVariants = {
  paper: {},
  released: { lookAhead: 1, roundDecimals: 6 },
} as const satisfies Readonly<Record<string, MetaLrOptions>>;
export type MetaLrVariant = keyof typeof metaLrVariants;

/** Rates before the first step: lr for the head, lr·ratio below it. */
export const initialRates = (groups: number, head: number, lr: number, ratio: number): Float32Array =>
  Float32Array.from({ length: groups }, (_, j) => (j === head ? lr : lr * ratio));

/** Method MetaLR. @throws {UsageError} for a rate that is not positive or bounds that are not in order */
export function metalr(options: MetaLrOptions = {}): Method {
  const o = {
    lr: 0.01,
    backboneRatio: 0.1,
    hyperLr: 0.1,
    update: "proportional" as LrUpdate,
    bounds: [1e-6, 1e-2] as readonly [number, number] | null,
    lookAhead: -1 as -1 | 1,
    headWarmup: { epochs: 5 } as { steps: number } | { epochs: number },
    roundDecimals: null as number | null,
    optimizer: adam({ weightDecay: 1e-4 }),
    ...options,
  };
  positive("lr", o.lr);
  positive("backboneRatio", o.backboneRatio);
  if (!(o.hyperLr >= 0 && Number.isFinite(o.hyperLr))) {
    throw new UsageError("hyperLr", { problem: "is not a number ≥ 0", got: String(o.hyperLr) });
  }
  if (o.bounds && !(o.bounds[0] >= 0 && o.bounds[0] < o.bounds[1])) {
    throw new UsageError("bounds", {
      problem: "are not in order",
      expected: "0 ≤ min < max",
      got: o.bounds.join(", "),
    });
  }
  const pinned = (c: Clock) =>
    "steps" in o.headWarmup ? c.step <= o.headWarmup.steps : c.epoch <= o.headWarmup.epochs;
  const decimals = o.roundDecimals;

  return {
    name: "metalr",
    options: { ...o, optimizer: { name: o.optimizer.name, ...o.optimizer.options } },
    needsValidation: true,
    step: (model, shapes) => {
      const initialLr = initialRates(model.groups.length, model.headGroup, o.lr, o.backboneRatio);
      return defineStep(model, shapes, { initialLr }, (s) => {
        const train = s.loss(s.theta, "train", { batchNorm: "update" });
        const g = gradients(train.loss, s.theta); // once: for the look-ahead, the hypergradient and the true step
        const ahead = s.theta.map((p, i) => {
          const move = mul(g[i]!, s.rateOf(s.lr, s.parameters[i]!)); // one gradient a parameter
          return o.lookAhead === -1 ? sub(p, move) : add(p, move);
        });
        const valid = s.loss(ahead, "validation", { batchNorm: "batch" });
        const along = directional(valid.loss, ahead, g); // ⟨∂L_val/∂θ̂, g⟩ for every parameter
        const h = s.perLayer((members) => {
          const sum = members.map((i) => along[i]!).reduce(add, scalar(0));
          return o.lookAhead === -1 ? neg(sum) : sum;
        });
        const stepped = stepRates(o.update, s.lr, h, s.scalar("hyperLr"));
        const bounded = o.bounds ? clip(stepped, ...o.bounds) : stepped;
        const isHead = constant({
          dtype: "float32",
          shape: [model.groups.length],
          data: Float32Array.from(model.groups, (_, j) => (j === model.headGroup ? 1 : 0)),
        });
        const lr = where(greater(mul(isHead, s.scalar("pinHead")), scalar(0.5)), scalar(o.lr), bounded);
        return {
          ...o.optimizer.update(s, g, lr),
          lr,
          buffers: train.buffers,
          report: { trainLoss: train.loss, validationLoss: valid.loss, hypergradient: h, lr, logits: train.logits },
        };
      });
    },
    scalars: (clock) => ({
      hyperLr: o.hyperLr,
      pinHead: pinned(clock) ? 1 : 0,
      ...o.optimizer.scalars(clock.step),
    }),
    ...(decimals !== null && { betweenEpochs: (lr: Float32Array) => lr.map((a) => Number(a.toFixed(decimals))) }),
  };
}

/** One step of gradient descent on the learning rates; see `LrUpdate`. */
function stepRates(update: LrUpdate, lr: Value, h: Value, eta: Value): Value {
  switch (update) {
    case "additive":
      return sub(lr, mul(h, eta));
    case "proportional":
      return mul(lr, sub(scalar(1), mul(h, eta)));
    case "log":
      return mul(lr, exp(neg(mul(h, eta))));
  }
}

export function positive(name: string, value: number): void {
  if (!(value > 0 && Number.isFinite(value))) {
    throw new UsageError(name, { problem: "is not a number > 0", got: String(value) });
  }
}
