/** @file What the table says of a run, kept up to date from its growing log without parsing every step of it. */
import { join } from "node:path";
import { runFiles } from "../../records/files.js";
import { parseEvent, type RunInfo } from "../../records/schema.js";
import type { EndEvent, EpochEvent, StartEvent, StepEvent } from "../../training/types.js";
import type { RunState, RunSummary } from "../protocol.js";
import { figureIn, figureNameOf } from "./figure.js";
import { GrowingFile } from "./lines.js";

/** Most of a log that is read for the table. */
const MOST = 64 << 20;
/** Most steps that are looked at of those that came together. */
const LOOKED_AT = 20;
/** Most points of a small picture. */
const SPARK_POINTS = 60;

interface Seen {
  start: StartEvent | null;
  step: StepEvent | null;
  epoch: EpochEvent | null;
  bestValidation: number | null;
  end: EndEvent | null;
  /** Of earlier processes, and of this one. */
  earlierMs: number;
  processMs: number;
  /** Milliseconds a step and images a second, of late. */
  pace: { stepMs: number; speed: number } | null;
  /** Rates of steps here and there. */
  rates: { step: number; lr: readonly number[] }[];
}

const nothing = (): Seen => ({
  start: null,
  step: null,
  epoch: null,
  bestValidation: null,
  end: null,
  earlierMs: 0,
  processMs: 0,
  pace: null,
  rates: [],
});

const known = (x: number | null | undefined): number | null =>
  x === undefined || x === null || !Number.isFinite(x) ? null : x;

export class Glance {
  private readonly log: GrowingFile;
  private seen = nothing();

  constructor(
    readonly id: string,
    readonly folder: string,
    readonly name: string,
    readonly info: RunInfo,
    private readonly folds: RunSummary["folds"] = null,
  ) {
    this.log = new GrowingFile(join(folder, runFiles.events), MOST);
  }

  get changedAt(): number {
    return this.log.changedAt;
  }

  get stepMs(): number {
    return this.seen.pace?.stepMs ?? 0;
  }

  get ended(): boolean {
    return this.seen.end !== null;
  }

  /** Reads what is new. @returns whether there was anything */
  async update(): Promise<boolean> {
    return this.log.read(
      () => {
        this.seen = nothing();
      },
      (lines) => this.take(lines),
    );
  }

  /** Of the steps that came together only a few are looked at: a long log is read in a moment. */
  private take(lines: readonly string[]): void {
    const isStep = (line: string) => line.startsWith('{"type":"step"');
    const last = lines.findLastIndex(isStep);
    const every = Math.ceil(lines.length / LOOKED_AT);
    for (const [i, line] of lines.entries()) {
      if (isStep(line) && i !== last && i % every !== 0) continue;
      const parsed = parseEvent(line);
      if (!("event" in parsed)) continue;
      const { event } = parsed;
      const { seen } = this;
      if ("elapsedMs" in event) seen.processMs = Math.max(seen.processMs, event.elapsedMs);
      if (event.type === "start") {
        seen.start = event;
        seen.earlierMs += seen.processMs;
        seen.processMs = 0;
        seen.end = null;
      } else if (event.type === "step") this.takeStep(event);
      else if (event.type === "epoch") {
        seen.epoch = event;
        const figure = figureIn(event.validation);
        if (figure !== null) seen.bestValidation = Math.max(seen.bestValidation ?? 0, figure);
      } else if (event.type === "end") seen.end = event;
    }
  }

  private takeStep(event: StepEvent): void {
    const { seen } = this;
    seen.step = event;
    const ms = event.stepMs + event.waitMs;
    const speed = (1000 * event.images) / ms;
    if (ms > 0) {
      const [old, share] = [seen.pace ?? { stepMs: ms, speed }, 0.3]; // a moving mean
      seen.pace = { stepMs: old.stepMs + share * (ms - old.stepMs), speed: old.speed + share * (speed - old.speed) };
    }
    seen.rates.push({ step: event.step, lr: event.lr });
    if (seen.rates.length > 2 * SPARK_POINTS)
      seen.rates = seen.rates.filter((_, i, all) => i % 2 === 0 || i === all.length - 1);
  }

  state(alive: boolean): RunState {
    const { end } = this.seen;
    if (end !== null) return end.reason;
    return alive ? "running" : "interrupted";
  }

  summary(alive: boolean, ours: boolean): RunSummary {
    const { info, seen } = this;
    const { start, step, epoch, end, pace } = seen;
    const state = this.state(alive);
    const running = state === "running";
    const epochs = start?.epochs ?? Number(info.options["epochs"] ?? 0);
    const steps = epochs * (start?.stepsPerEpoch ?? 0);
    const at = end?.step ?? step?.step ?? 0;
    const network = info.model["architecture"] ?? info.model["name"] ?? info.model["kind"];
    return {
      id: this.id,
      name: this.name,
      method: info.method,
      data: info.data.name,
      network: typeof network === "string" ? network : "",
      state,
      created: info.created,
      step: at,
      steps,
      epoch: end?.epoch ?? epoch?.epoch ?? 0,
      epochs,
      elapsedMs: seen.earlierMs + seen.processMs,
      leftMs: running && pace !== null && steps > 0 ? pace.stepMs * Math.max(steps - at, 0) : null,
      imagesPerSecond: known(pace?.speed),
      trainLoss: known(epoch?.trainLoss ?? step?.trainLoss),
      select: info.select,
      figure: figureNameOf(info),
      validationAccuracy: seen.bestValidation,
      testAccuracy: figureIn(end?.test),
      testAuc: end?.test?.dice ? null : known(end?.test?.macroAuc),
      sparks: this.sparks(),
      ours,
      folds: this.folds,
    };
  }

  /** Five groups at most, from the first to the last. */
  private sparks(): (number | null)[][] {
    const { rates } = this.seen;
    const d = this.info.groups.length;
    const every = Math.ceil(rates.length / SPARK_POINTS);
    const points = rates.filter((_, i) => i % Math.max(every, 1) === 0 || i === rates.length - 1);
    const count = Math.min(d, 5);
    return Array.from({ length: count }, (_, k) => {
      const j = count === 1 ? 0 : Math.round((k * (d - 1)) / (count - 1));
      return points.map(({ lr }) => {
        const x = lr[j];
        return x !== undefined && x > 0 ? Math.round(1000 * Math.log10(x)) / 1000 : null;
      });
    });
  }
}
