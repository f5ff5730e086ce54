/** @file Shows a training while it goes on: bars on a terminal, plain lines elsewhere. */
import type { MultiBar, SingleBar } from "cli-progress";
import { formatDuration, formatNumber, formatPercent, formatShare, NONE } from "../../records/format.js";
import type { EpochEvent, Evaluation, StepEvent, TrainingEvent } from "../../training/types.js";
import { barsOn } from "../bars.js";
import type { Context } from "../command.js";
import { Pace } from "./pace.js";

export interface ProgressOptions {
  readonly context: Pick<Context, "print" | "terminal" | "style">;
  /** Epochs of a run. */
  readonly epochs: number;
  /** Steps between plain lines. */
  readonly logInterval: number;
  /** Only bars and notes, no line for every step and epoch. */
  readonly quiet?: boolean;
}

/** One for all runs of a command. */
export class Progress {
  private readonly pace = new Pace({ done: 0, runs: 1 });
  private readonly bars: Bars | null;
  private run = "";
  private runs = 1;
  private stepsPerEpoch = 0;
  private epochs: number;
  /** Since the last line. */
  private losses: number[] = [];
  /** Of the epoch so far. */
  private right = 0;
  private segments = false;
  private seen = 0;

  constructor(private readonly o: ProgressOptions) {
    this.epochs = o.epochs;
    this.bars = o.context.terminal === null ? null : new Bars(o.context.terminal);
  }

  /** @param name "fold-1"; "" for a single run @param index of `count`, from 0 */
  begin(name: string, index: number, count: number): void {
    this.run = name;
    this.runs = count;
    this.pace.begin({ done: index, runs: count });
    this.bars?.begin(index, count);
  }

  add(event: TrainingEvent): void {
    this.pace.add(event);
    switch (event.type) {
      case "start":
        this.stepsPerEpoch = event.stepsPerEpoch;
        this.epochs = event.epochs;
        if (event.resumedAt > 0)
          this.say(`${this.prefix}continues after step ${event.resumedAt} of ${event.stepsPerEpoch * event.epochs}`);
        this.bars?.start(event.stepsPerEpoch * event.epochs, event.resumedAt);
        this.fresh();
        break;
      case "step":
        this.step(event);
        break;
      case "epoch":
        this.epoch(event);
        break;
      case "warning":
        this.say(`${this.prefix}${this.o.context.style.warn(`note: ${event.message}`)}`);
        break;
    }
  }

  /** A line among the others; above the bars where there are some. */
  say(line: string): void {
    if (this.bars === null) this.o.context.print(line);
    else this.bars.above(line);
  }

  /** Takes the bars away. */
  close(): void {
    this.bars?.close();
  }

  private get prefix(): string {
    return this.run === "" ? "" : `${this.run}  `;
  }

  private fresh(): void {
    this.losses = [];
    this.right = 0;
    this.seen = 0;
  }

  private step(event: StepEvent): void {
    this.losses.push(event.trainLoss);
    this.segments = event.trainDice !== undefined;
    this.right += (event.trainDice ?? event.trainAccuracy) * event.images;
    this.seen += event.images;
    const inEpoch = event.step - (event.epoch - 1) * this.stepsPerEpoch;
    const facts = {
      epoch: `epoch ${event.epoch}/${this.epochs}`,
      loss: `loss ${formatNumber(mean(this.losses))}`,
      accuracy: this.segments
        ? `Dice ${formatShare(this.right / this.seen)}`
        : `accuracy ${formatPercent(this.right / this.seen)}`,
      speed: `${formatNumber(this.pace.imagesPerSecond)} images/s`,
    };
    if (this.bars !== null) {
      this.bars.step(
        event.step,
        `${this.prefix}${facts.epoch}`,
        `${facts.loss}  ${facts.accuracy}  ${facts.speed}  ${left(this.pace.runLeftMs)}`,
        this.allLeft(),
      );
      if (this.losses.length >= 10) this.losses.shift();
      return;
    }
    if (this.o.quiet || inEpoch % this.o.logInterval !== 0) return;
    const width = String(this.stepsPerEpoch).length;
    this.say(
      `${this.prefix}${facts.epoch}  step ${String(inEpoch).padStart(width)}/${this.stepsPerEpoch}  ${facts.loss}  ${facts.accuracy}  ${facts.speed}  ${this.allLeft()}`,
    );
    this.losses = [];
  }

  private allLeft(): string {
    if (this.o.quiet) return ""; // the runs differ too much
    return this.runs > 1 ? `${left(this.pace.allLeftMs)} for all ${this.runs} runs` : left(this.pace.runLeftMs);
  }

  private epoch(event: EpochEvent): void {
    this.fresh();
    if (this.o.quiet) return;
    const { dim, bold } = this.o.context.style;
    const parts = [
      `train loss ${formatNumber(event.trainLoss)}, ${event.trainDice === undefined ? `accuracy ${formatPercent(event.trainAccuracy)}` : `Dice ${formatShare(event.trainDice)}`}`,
      ...(event.validation ? [`validation ${inWords(event.validation)}`] : []),
      ...(event.test ? [`test ${inWords(event.test)}`] : []),
    ];
    const width = String(this.epochs).length;
    this.say(
      `${this.prefix}${bold(`epoch ${String(event.epoch).padStart(width)}/${this.epochs}`)}  ${parts.join("  |  ")}  ${dim(formatDuration(event.elapsedMs))}`,
    );
  }
}

const mean = (values: readonly number[]): number => values.reduce((s, v) => s + v, 0) / values.length;
const left = (ms: number): string => `${Number.isNaN(ms) ? NONE : formatDuration(ms)} left`;
const inWords = (e: Evaluation): string =>
  e.dice
    ? `loss ${formatNumber(e.loss)}, Dice ${formatShare(e.dice.mean)} (${e.dice.perClass
        .slice(1)
        .map((d) => formatShare(d))
        .join(", ")})`
    : `loss ${formatNumber(e.loss)}, accuracy ${formatPercent(e.accuracy)}, balanced ${formatPercent(e.balancedAccuracy)}`;

/** The bars of cli-progress: one for the run, and one for the runs where there are several. */
class Bars {
  private readonly multi: MultiBar;
  private total: SingleBar | null = null;
  private run: SingleBar | null = null;
  private index = 0;
  private steps = 1;

  constructor(terminal: NodeJS.WriteStream) {
    this.multi = barsOn(terminal);
  }

  begin(index: number, count: number): void {
    this.index = index;
    if (count > 1 && this.total === null) this.total = this.multi.create(count, index, { what: "", facts: "" });
    this.total?.update(index, { what: `run ${index + 1} of ${count}`, facts: "" });
  }

  start(steps: number, at: number): void {
    this.steps = steps;
    if (this.run !== null) this.multi.remove(this.run);
    this.run = this.multi.create(steps, at, { what: "", facts: "the first step is being compiled …" });
  }

  step(step: number, what: string, facts: string, all: string): void {
    this.run?.update(step, { what, facts });
    this.total?.update(this.index + step / this.steps, { facts: all });
  }

  above(line: string): void {
    this.multi.log(`${line}\n`);
    this.multi.update();
  }

  close(): void {
    this.multi.stop();
  }
}
