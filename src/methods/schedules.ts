/** @file Schedules: one factor for all rates of the true step, by the place in the run. */
import { UsageError } from "../common/errors.js";
import { mul } from "../ops/index.js";
import type { Optimizer } from "./optimizers.js";
import type { Clock } from "./types.js";

/**
 * - "constant": 1;
 * - "cosine": from 1 down to 0 along half a cosine, one value a step (Loshchilov and Hutter, SGDR, arXiv:1608.03983, without restarts);
 * - "warmup-cosine": up in equal steps over the first share of the run (Goyal et al., arXiv:1706.02677), then the cosine over the rest.
 */
export type ScheduleName = "constant" | "cosine" | "warmup-cosine";
export const scheduleNames: readonly ScheduleName[] = ["constant", "cosine", "warmup-cosine"];

/** Share of the steps that warm up; at least one step. */
const WARM_UP = 0.1;

/** The factor of one step. @param warmUp share of all steps, default 0.1 */
export function scheduleFactor(schedule: ScheduleName, clock: Clock, warmUp = WARM_UP): number {
  if (schedule === "constant") return 1;
  const total = clock.epochs * clock.stepsPerEpoch;
  const rising = schedule === "cosine" ? 0 : Math.max(1, Math.round(warmUp * total));
  if (clock.step <= rising) return clock.step / rising;
  return 0.5 * (1 + Math.cos((Math.PI * (clock.step - 1 - rising)) / Math.max(1, total - rising)));
}

/**
 * The optimizer with a schedule on every rate that it is given: works for every method, and with MetaLR leaves the learned rates
 * themselves alone. The rates that reached the layer groups are reported as `effectiveLr`.
 * @throws {UsageError} a schedule that is not known
 */
export function scheduled(optimizer: Optimizer, schedule: ScheduleName): Optimizer {
  if (!scheduleNames.includes(schedule)) {
    throw new UsageError("schedule", {
      problem: "is not known",
      expected: scheduleNames.join(", "),
      got: String(schedule),
    });
  }
  if (schedule === "constant") return optimizer;
  const apply: Optimizer["apply"] = (s, d, lr) => {
    const effectiveLr = mul(lr, s.scalar("schedule"));
    return { ...optimizer.apply(s, d, effectiveLr), effectiveLr };
  };
  return {
    ...optimizer,
    options: { ...optimizer.options, schedule },
    apply,
    update: (s, g, lr) => apply(s, optimizer.direction(s, g), lr),
    scalars: (t, clock) => ({ ...optimizer.scalars(t, clock), schedule: scheduleFactor(schedule, clock) }),
  };
}
