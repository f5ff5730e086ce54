/** @file The optimizers of the true step: SGD with momentum, and Adam as torch.optim.Adam. */
import { scalar } from "../graph/build.js";
import type { Value } from "../graph/value.js";
import { add, div, mul, sqrt, sub } from "../ops/index.js";
import type { PerParameter, Step } from "./step.js";
import type { Clock } from "./types.js";

/** θ and slots after a step. */
export interface Update {
  readonly theta: PerParameter;
  readonly slots: Readonly<Record<string, PerParameter>>;
  /** Rates that were used, [d], where they are not those that were given. */
  readonly effectiveLr?: Value;
}

/** Where a step of rate 1 leads: θ − scale·u. */
export interface Direction {
  /** u, one value a parameter. */
  readonly u: PerParameter;
  /** A factor for all, []; null for 1. */
  readonly scale: Value | null;
  /** Slots after the step. */
  readonly slots: Readonly<Record<string, PerParameter>>;
}

export interface Optimizer {
  readonly name: string;
  readonly options: Readonly<Record<string, number | string>>;
  direction(s: Step, g: PerParameter): Direction;
  /** θ ← θ − lr·scale·u. @param lr rate per layer group, [d] */
  apply(s: Step, d: Direction, lr: Value): Update;
  /** Both at once. */
  update(s: Step, g: PerParameter, lr: Value): Update;
  /** Scalars of step t = 1, 2, … since the optimizer's state was fresh; `clock` is the place in the whole run. */
  scalars(t: number, clock: Clock): Readonly<Record<string, number>>;
}

/** g + weightDecay·θ: L2 decay as PyTorch's SGD and Adam (not AdamW). */
const decayed = (s: Step, g: PerParameter, weightDecay: number): PerParameter =>
  weightDecay === 0 ? g : g.map((gi, i) => add(gi, mul(s.theta[i]!, scalar(weightDecay)))); // one θ a gradient

/** An optimizer from its direction. */
function optimizer(o: Omit<Optimizer, "apply" | "update">): Optimizer {
  const apply: Optimizer["apply"] = (s, { u, scale, slots }, lr) => {
    const scaled = scale ? mul(lr, scale) : lr;
    const theta = s.theta.map((p, i) => sub(p, mul(u[i]!, s.rateOf(scaled, s.parameters[i]!)))); // one u a parameter
    return { theta, slots };
  };
  return { ...o, apply, update: (s, g, lr) => apply(s, o.direction(s, g), lr) };
}

/** torch.optim.SGD: b ← μb + g (b ← g in the first step), θ ← θ − αb. Defaults: momentum 0, weight decay 0. */
export function sgd(o: { momentum?: number; weightDecay?: number } = {}): Optimizer {
  const { momentum = 0, weightDecay = 0 } = o;
  return optimizer({
    name: "sgd",
    options: { momentum, weightDecay },
    direction(s, gradient) {
      const g = decayed(s, gradient, weightDecay);
      if (momentum === 0) return { u: g, scale: null, slots: {} };
      // Velocities start at 0, so μ·0 + g is PyTorch's first step as well.
      const velocity = s.slot("sgd/velocity").map((v, i) => add(mul(v, scalar(momentum)), g[i]!)); // one a gradient
      return { u: velocity, scale: null, slots: { "sgd/velocity": velocity } };
    },
    scalars: () => ({}),
  });
}

/**
 * torch.optim.Adam with L2 weight decay: m ← β₁m + (1 − β₁)g, v ← β₂v + (1 − β₂)g², θ ← θ − α·(m/(1 − β₁ᵗ)) / (√(v/(1 − β₂ᵗ)) + ε).
 * The slots hold M = m/(1 − β₁) and V = v/(1 − β₂), which saves three passes over the parameters: M ← β₁M + g, V ← β₂V + g², and
 * θ ← θ − α·k·M / (√V + ε′) with k = (1 − β₁)/(1 − β₁ᵗ)·√((1 − β₂ᵗ)/(1 − β₂)), ε′ = ε·√((1 − β₂ᵗ)/(1 − β₂)).
 * Defaults: β 0.9 and 0.999, ε 1e-8, weight decay 0.
 */
export function adam(o: { beta1?: number; beta2?: number; eps?: number; weightDecay?: number } = {}): Optimizer {
  const { beta1 = 0.9, beta2 = 0.999, eps = 1e-8, weightDecay = 0 } = o;
  return optimizer({
    name: "adam",
    options: { beta1, beta2, eps, weightDecay },
    direction(s, gradient) {
      const g = decayed(s, gradient, weightDecay);
      const first = s.slot("adam/m").map((m, i) => add(mul(m, scalar(beta1)), g[i]!)); // one a gradient
      const second = s.slot("adam/v").map((v, i) => add(mul(v, scalar(beta2)), mul(g[i]!, g[i]!)));
      const floor = s.scalar("adamEps");
      const u = first.map((m, i) => div(m, add(sqrt(second[i]!), floor))); // one v a m
      return { u, scale: s.scalar("adamScale"), slots: { "adam/m": first, "adam/v": second } };
    },
    scalars(t) {
      const spread = Math.sqrt((1 - beta2 ** t) / (1 - beta2));
      return { adamScale: ((1 - beta1) / (1 - beta1 ** t)) * spread, adamEps: eps * spread };
    },
  });
}
