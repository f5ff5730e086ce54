/** @file How fast a training goes and how long it still takes, from its events. */
import type { StepEvent, TrainingEvent } from "../../training/types.js";

export interface Work {
  /** Runs before this one whose work is done already, and all of them. */
  readonly done: number;
  readonly runs: number;
}

/** Follows the events of one run after another. */
export class Pace {
  private stepsPerRun = 0;
  private firstStep = 0;
  private step = 0;
  private elapsedMs = 0;
  private readonly recent: StepEvent[] = [];

  constructor(private work: Work) {}

  /** Another run begins; its events follow. */
  begin(work: Work): void {
    this.work = work;
    this.firstStep = 0;
    this.step = 0;
    this.elapsedMs = 0;
  }

  add(event: TrainingEvent): void {
    if (event.type === "start") {
      this.stepsPerRun = event.stepsPerEpoch * event.epochs;
      this.firstStep = event.resumedAt;
      this.step = event.resumedAt;
    }
    if ("elapsedMs" in event) this.elapsedMs = event.elapsedMs;
    if (event.type !== "step") return;
    this.step = event.step;
    this.recent.push(event);
    if (this.recent.length > 10) this.recent.shift();
  }

  /** Training images a second over the last steps, waiting included; NaN before the first step. */
  get imagesPerSecond(): number {
    const sum = (f: (e: StepEvent) => number) => this.recent.reduce((s, e) => s + f(e), 0);
    return (1000 * sum((e) => e.images)) / sum((e) => e.stepMs + e.waitMs);
  }

  /** Until this run ends, evaluations included as so far; NaN before the first step. */
  get runLeftMs(): number {
    return this.msPerStep * (this.stepsPerRun - this.step);
  }

  /** Until all runs end. */
  get allLeftMs(): number {
    return this.runLeftMs + this.msPerStep * this.stepsPerRun * (this.work.runs - this.work.done - 1);
  }

  private get msPerStep(): number {
    return this.step > this.firstStep ? this.elapsedMs / (this.step - this.firstStep) : Number.NaN;
  }
}
