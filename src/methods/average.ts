/** @file Averaged weights beside the trained ones: any method, with state "average/NAME" that is evaluated and exported. */
import { InternalError, UsageError } from "../common/errors.js";
import { input, makeGraph } from "../graph/build.js";
import { add, mul, sub } from "../ops/index.js";
import type { Clock, Method, StateSpec } from "./types.js";

export type Averaging =
  /** Exponential moving average: weight of the newest iterate (1 − decay)/(1 − decayᵗ), so that the starting weights leave no trace. */
  | { readonly decay: number }
  /** Polynomial decay (Shamir and Zhang, ICML 2013): weight (1 + γ)/(t + γ); γ = 0 is the mean of all iterates. */
  | { readonly gamma: number };

/** Share of the newest iterate in the average after step t = 1, 2, …; 1 in the first step. */
export const newestShare = (averaging: Averaging, t: number): number =>
  "decay" in averaging
    ? (1 - averaging.decay) / (1 - averaging.decay ** t)
    : (1 + averaging.gamma) / (t + averaging.gamma);

/**
 * The method with averages of all parameters and running statistics that its steps change: x̄ ← x̄ + w·(x − x̄). Training itself does not
 * see them.
 * @throws {UsageError} decay outside 0 ≤ decay < 1, gamma < 0
 */
export function averaged(method: Method, averaging: Averaging): Method {
  const [name, value, valid] =
    "decay" in averaging
      ? (["ema", averaging.decay, averaging.decay >= 0 && averaging.decay < 1] as const)
      : (["gamma", averaging.gamma, averaging.gamma >= 0 && Number.isFinite(averaging.gamma)] as const);
  if (!valid) {
    const expected = name === "ema" ? "0 ≤ decay < 1, such as 0.99" : "≥ 0";
    throw new UsageError(name, { problem: "is out of range", expected, got: String(value) });
  }
  return {
    ...method,
    options: { ...method.options, [name]: value },
    step(model, shapes) {
      const program = method.step(model, shapes);
      const inputs = new Map(program.graph.inputs);
      const outputs = new Map(program.graph.outputs);
      const share = input("scalar/averageShare", "float32", []);
      inputs.set("scalar/averageShare", share);
      const averages: StateSpec[] = [];
      for (const spec of program.state) {
        if (!spec.changes || !spec.name.startsWith("model/")) continue;
        const next = outputs.get(`next/${spec.name}`);
        if (!next) throw new InternalError(`a step changes "${spec.name}" and does not give it`);
        const own = `average/${spec.name.slice("model/".length)}`;
        const before = input(`state/${own}`, "float32", spec.shape);
        inputs.set(`state/${own}`, before);
        outputs.set(`next/${own}`, add(before, mul(sub(next, before), share)));
        averages.push({ ...spec, name: own });
      }
      return {
        ...program,
        graph: makeGraph(program.graph.name, inputs, outputs),
        state: [...program.state, ...averages],
        scalars: [...program.scalars, "averageShare"],
      };
    },
    scalars: (clock: Clock) => ({ ...method.scalars(clock), averageShare: newestShare(averaging, clock.step) }),
  };
}
