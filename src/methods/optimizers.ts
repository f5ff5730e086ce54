/** @file The optimizers of the true step: SGD with momentum, and Adam as torch.optim.Adam. */
import { scalar } from "../graph/build.js";
import type { Value } from "../graph/value.js";
import { add, div, mul, sqrt, sub } from "../ops/index.js";
import type { PerParameter, Step } from "./step.js";

/** θ and slots after a step. */
export interface Update {
  readonly theta: PerParameter;
  readonly slots: Readonly<Record<string, PerParameter>>;
}

export interface Optimizer {
  readonly name: string;
  readonly options: Readonly<Record<string, number>>;
  /** @param lr rate per layer group, [d] */
  update(s: Step, g: PerParameter, lr: Value): Update;
  /** Scalars of step t = 1, 2, … since the optimizer's state was fresh. */
  scalars(t: number): Readonly<Record<string, number>>;
}

/** g + weightDecay·θ: L2 decay as PyTorch's SGD and Adam (not AdamW). */
const decayed = (s: Step, g: PerParameter, weightDecay: number): PerParameter =>
  weightDecay === 0 ? g : g.map((gi, i) => add(gi, mul(s.theta[i]!, scalar(weightDecay)))); // one θ a gradient

/** torch.optim.SGD: b ← μb + g (b ← g in the first step), θ ← θ − αb. Defaults: momentum 0, weight decay 0. */
export function sgd(o: { momentum?: number; weightDecay?: number } = {}): Optimizer {
  const { momentum = 0, weightDecay = 0 } = o;
  return {
    name: "sgd",
    options: { momentum, weightDecay },
    update(s, gradient, lr) {
      const g = decayed(s, gradient, weightDecay);
      // Velocities start at 0, so μ·0 + g is PyTorch's first step as well.
      const velocity = momentum === 0 ? g : s.slot("sgd/velocity").map((v, i) => add(mul(v, scalar(momentum)), g[i]!)); // one a gradient
      const theta = s.theta.map((p, i) => sub(p, mul(velocity[i]!, s.rateOf(lr, s.parameters[i]!)))); // one a parameter
      return { theta, slots: momentum === 0 ? {} : { "sgd/velocity": velocity } };
    },
    scalars: () => ({}),
  };
}

/**
 * torch.optim.Adam with L2 weight decay: m ← β₁m + (1 − β₁)g, v ← β₂v + (1 − β₂)g², θ ← θ − α·(m/(1 − β₁ᵗ)) / (√(v/(1 − β₂ᵗ)) + ε).
 * The slots hold M = m/(1 − β₁) and V = v/(1 − β₂), which saves three passes over the parameters: M ← β₁M + g, V ← β₂V + g², and
 * θ ← θ − α·k·M / (√V + ε′) with k = (1 − β₁)/(1 − β₁ᵗ)·√((1 − β₂ᵗ)/(1 − β₂)), ε′ = ε·√((1 − β₂ᵗ)/(1 − β₂)).
 * Defaults: β 0.9 and 0.999, ε 1e-8, weight decay 0.
 */
export function adam(o: { beta1?: number; beta2?: number; eps?: number; weightDecay?: number } = {}): Optimizer {
  const { beta1 = 0.9, beta2 = 0.999, eps = 1e-8, weightDecay = 0 } = o;
  return {
    name: "adam",
    options: { beta1, beta2, eps, weightDecay },
    update(s, gradient, lr) {
      const g = decayed(s, gradient, weightDecay);
      const first = s.slot("adam/m").map((m, i) => add(mul(m, scalar(beta1)), g[i]!)); // one a gradient
      const second = s.slot("adam/v").map((v, i) => add(mul(v, scalar(beta2)), mul(g[i]!, g[i]!)));
      const scaled = mul(lr, s.scalar("adamScale"));
      const floor = s.scalar("adamEps");
      const theta = s.theta.map((p, i) => {
        const direction = div(first[i]!, add(sqrt(second[i]!), floor)); // one a parameter
        return sub(p, mul(direction, s.rateOf(scaled, s.parameters[i]!)));
      });
      return { theta, slots: { "adam/m": first, "adam/v": second } };
    },
    scalars(t) {
      const spread = Math.sqrt((1 - beta2 ** t) / (1 - beta2));
      return { adamScale: ((1 - beta1) / (1 - beta1 ** t)) * spread, adamEps: eps * spread };
    },
  };
}
