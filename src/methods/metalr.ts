/** @file MetaLR (Chen et al., MICCAI 2023, arXiv:2206.01408): one learning rate per layer, learned while training. */
import { directional, gradients } from "../autodiff/backward.js";
import { UsageError } from "../common/errors.js";
import { constant, scalar } from "../graph/build.js";
import type { Value } from "../graph/value.js";
import { add, clip, div, dot, greater, mul, neg, sqrt, sub, where } from "../ops/index.js";
import { type HyperOptimizer, hyperScalars, type LrUpdate, stepLogRates, stepRates } from "./hyper.js";
import { adam, type Optimizer } from "./optimizers.js";
import { defineStep, type PerParameter } from "./step.js";
import type { Clock, Method } from "./types.js";

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
  // What follows goes beyond the paper; all of it is off by default.
  /**
   * Along what the virtual step and the hypergradient look: "gradient", the paper's θ̂ = θ − αg, or "optimizer", the direction u of the
   * true step: θ̂ = θ − αu and h_j = −⟨∇L_val(θ̂), u_j⟩. Default "gradient".
   */
  readonly direction?: "gradient" | "optimizer";
  /** An optimizer on log α, with step size `hyperLr`, instead of `update`; default null. */
  readonly hyperOptimizer?: HyperOptimizer | null;
  /** "cosine": h_j is divided by both norms, so that −h_j is the cosine of the two directions; one more weight gradient. Default "none". */
  readonly normalize?: "none" | "cosine";
  /** The rates learn in every k-th step only, from the first on; the others have no validation pass. Default 1. */
  readonly metaEvery?: number;
}

/** The two presets of `--variant`. `released` is the published program, bug for bug. */
export const metaLrVariants = {
  paper: {},
  released: { lookAhead: 1, roundDecimals: 6 },
} as const satisfies Readonly<Record<string, MetaLrOptions>>;
export type MetaLrVariant = keyof typeof metaLrVariants;

const meta = { name: "meta", validation: true } as const;
const plain = { name: "plain", validation: false } as const;

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
    direction: "gradient" as "gradient" | "optimizer",
    hyperOptimizer: null as HyperOptimizer | null,
    normalize: "none" as "none" | "cosine",
    metaEvery: 1,
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
  if (!(Number.isSafeInteger(o.metaEvery) && o.metaEvery >= 1)) {
    throw new UsageError("metaEvery", { problem: "is not a whole number ≥ 1", got: String(o.metaEvery) });
  }
  if (o.hyperOptimizer !== null && options.update !== undefined && options.update !== "log") {
    throw new UsageError("hyperOptimizer", {
      problem: "works on log α, so the update cannot be another",
      got: `update ${options.update}`,
      hint: "leave one of them out",
    });
  }
  const pinned = (c: Clock) =>
    "steps" in o.headWarmup ? c.step <= o.headWarmup.steps : c.epoch <= o.headWarmup.epochs;
  const decimals = o.roundDecimals;

  return {
    name: "metalr",
    options: { ...o, optimizer: { name: o.optimizer.name, ...o.optimizer.options } },
    needsValidation: true,
    ...(o.metaEvery > 1 && {
      phases: { all: [meta, plain], at: (clock: Clock) => ((clock.step - 1) % o.metaEvery === 0 ? meta : plain) },
    }),
    step: (model, shapes) => {
      const initialLr = initialRates(model.groups.length, model.headGroup, o.lr, o.backboneRatio);
      return defineStep(model, shapes, { initialLr }, (s) => {
        const train = s.loss(s.theta, "train", { batchNorm: "update" });
        const g = s.mean("train", gradients(train.loss, s.theta)); // once: for the look-ahead, the hypergradient and the true step
        const isHead = constant({
          dtype: "float32",
          shape: [model.groups.length],
          data: Float32Array.from(model.groups, (_, j) => (j === model.headGroup ? 1 : 0)),
        });
        const pinHead = (rates: Value) =>
          where(greater(mul(isHead, s.scalar("pinHead")), scalar(0.5)), scalar(o.lr), rates);
        if (shapes.phase === plain.name) {
          const lr = pinHead(s.lr);
          const report = { trainLoss: train.loss, lr, logits: train.logits };
          return { ...o.optimizer.update(s, g, lr), lr, buffers: train.buffers, report };
        }

        const step = o.optimizer.direction(s, g);
        const along = o.direction === "optimizer" ? step : { u: g, scale: null };
        const reach = along.scale ? mul(s.lr, along.scale) : s.lr;
        const ahead = s.theta.map((p, i) => {
          const move = mul(along.u[i]!, s.rateOf(reach, s.parameters[i]!)); // one direction a parameter
          return o.lookAhead === -1 ? sub(p, move) : add(p, move);
        });
        const valid = s.loss(ahead, "validation", { batchNorm: "batch" });
        const byLayer = (values: PerParameter) =>
          s.perLayer((members) => members.map((i) => values[i]!).reduce(add, scalar(0))); // one value a parameter
        const signed = (v: Value) => (o.lookAhead === -1 ? neg(v) : v);
        let h: Value;
        if (o.normalize === "cosine") {
          const v = s.mean("validation", gradients(valid.loss, ahead));
          const dots = (a: PerParameter, b: PerParameter) => byLayer(a.map((x, i) => dot(x, b[i]!))); // of one length
          const norms = mul(sqrt(dots(v, v)), sqrt(dots(along.u, along.u)));
          h = signed(div(dots(v, along.u), add(norms, scalar(1e-30)))); // a layer without a gradient: 0
        } else {
          // ⟨∂L_val/∂θ̂, u⟩ for every parameter, summed by layer.
          const sums = s.mean("validation", signed(byLayer(directional(valid.loss, ahead, along.u))));
          h = along.scale ? mul(sums, along.scale) : sums;
        }
        const eta = s.scalar("hyperLr");
        const stepped = o.hyperOptimizer
          ? stepLogRates(s, o.hyperOptimizer, o.normalize === "cosine" ? h : mul(s.lr, h), eta)
          : { lr: stepRates(o.update, s.lr, h, eta), state: {} };
        const lr = pinHead(o.bounds ? clip(stepped.lr, ...o.bounds) : stepped.lr);
        return {
          ...o.optimizer.apply(s, step, lr),
          lr,
          state: stepped.state,
          buffers: train.buffers,
          report: { trainLoss: train.loss, validationLoss: valid.loss, hypergradient: h, lr, logits: train.logits },
        };
      });
    },
    scalars: (clock) => ({
      hyperLr: o.hyperLr,
      pinHead: pinned(clock) ? 1 : 0,
      ...(o.hyperOptimizer === "adam" && hyperScalars(Math.floor((clock.step - 1) / o.metaEvery) + 1)),
      ...o.optimizer.scalars(clock.step, clock),
    }),
    ...(decimals !== null && { betweenEpochs: (lr: Float32Array) => lr.map((a) => Number(a.toFixed(decimals))) }),
  };
}

export function positive(name: string, value: number): void {
  if (!(value > 0 && Number.isFinite(value))) {
    throw new UsageError(name, { problem: "is not a number > 0", got: String(value) });
  }
}
