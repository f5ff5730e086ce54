/** @file The parts of a MetaLR step as graphs of their own, to see where its time goes. */
import { directional, gradients } from "../src/autodiff/backward.js";
import { scalar } from "../src/graph/build.js";
import {
  adam,
  defineStep,
  initialRates,
  type PerParameter,
  type StepProgram,
  type StepShapes,
} from "../src/methods/index.js";
import type { Model } from "../src/models/types.js";
import { add, mul, neg, sub } from "../src/ops/index.js";

export type PartKind = "trainingPass" | "validationPass" | "update";

export const partKinds: readonly PartKind[] = ["trainingPass", "validationPass", "update"];

/** Named by parameter, since a report holds single values. */
const byName = (model: Model, values: PerParameter) =>
  Object.fromEntries(values.map((value, i) => [`g/${model.parameters[i]?.name}`, value]));

/**
 * One part; where it needs gradients that another part computes, they are an input ("state/g/NAME").
 * The whole step is less than the sum of the three, since it shares buffers and reads gradients while they are in the cache.
 */
export function partOfStep(kind: PartKind, model: Model, shapes: StepShapes): StepProgram {
  const initialLr = initialRates(model.groups.length, model.headGroup, 0.01, 0.1);
  return defineStep(model, shapes, { initialLr }, (s) => {
    const same = { theta: s.theta, buffers: new Map() };
    if (kind === "trainingPass") {
      const train = s.loss(s.theta, "train", { batchNorm: "update" });
      const g = gradients(train.loss, s.theta);
      return { theta: [], buffers: train.buffers, report: { trainLoss: train.loss, ...byName(model, g) } };
    }
    const g = s.slot("g");
    if (kind === "update") return { ...same, ...adam({ weightDecay: 1e-4 }).update(s, g, s.lr), report: {} };
    // A gradient, a parameter and its spec share an index.
    const ahead = s.theta.map((p, i) => sub(p, mul(g[i]!, s.rateOf(s.lr, s.parameters[i]!))));
    const valid = s.loss(ahead, "validation", { batchNorm: "batch" });
    const along = directional(valid.loss, ahead, g);
    const hypergradient = s.perLayer((members) => neg(members.map((i) => along[i]!).reduce(add, scalar(0))));
    return { theta: [], buffers: new Map(), report: { validationLoss: valid.loss, hypergradient } };
  });
}
