/** @file How MetaLR's learning rates learn: the paper's and the released update, and optimizers on log α. */
import { scalar } from "../graph/build.js";
import type { Value } from "../graph/value.js";
import { add, div, exp, mul, neg, sqrt, sub } from "../ops/index.js";
import type { Step } from "./step.js";

export type LrUpdate = "additive" | "proportional" | "log";
export type HyperOptimizer = "sgd" | "adam";

/** Adam's, but for ε: α·h is a product of small numbers, which 1e-8 would drown. */
const [BETA1, BETA2, EPS] = [0.9, 0.999, 1e-12];

/** One step of gradient descent on the learning rates; see `LrUpdate`. */
export function stepRates(update: LrUpdate, lr: Value, h: Value, eta: Value): Value {
  switch (update) {
    case "additive":
      return sub(lr, mul(h, eta));
    case "proportional":
      return mul(lr, sub(scalar(1), mul(h, eta)));
    case "log":
      return mul(lr, exp(neg(mul(h, eta))));
  }
}

/**
 * One step of an optimizer on log α: α ← α·exp(−η·c) with SGD, Adam's direction instead of c with Adam (β 0.9 and 0.999, ε 1e-12).
 *
 * @param c ∂L_val/∂log α = α·h, or its cosine, [d]
 * @returns rates, and the method's own state after the step
 */
export function stepLogRates(s: Step, optimizer: HyperOptimizer, c: Value, eta: Value) {
  const moved = (by: Value) => mul(s.lr, exp(neg(mul(by, eta))));
  if (optimizer === "sgd") return { lr: moved(c), state: {} };
  const moment = (name: string) => s.own(`hyper/${name}`, c.shape, () => new Float32Array(c.shape[0] ?? 0));
  const blend = (old: Value, beta: number, now: Value) => add(mul(old, scalar(beta)), mul(now, scalar(1 - beta)));
  const m = blend(moment("m"), BETA1, c);
  const v = blend(moment("v"), BETA2, mul(c, c));
  const root = sqrt(div(v, s.scalar("hyperBias2")));
  const direction = div(div(m, s.scalar("hyperBias1")), add(root, scalar(EPS)));
  return { lr: moved(direction), state: { "hyper/m": m, "hyper/v": v } };
}

/** Scalars of the t-th step of Adam on the rates. */
export const hyperScalars = (t: number) => ({ hyperBias1: 1 - BETA1 ** t, hyperBias2: 1 - BETA2 ** t });
