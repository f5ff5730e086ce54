/** @file Shows a comparison while it goes on: a bar over all and one for each job on a terminal, plain lines elsewhere. */
import type { MultiBar, SingleBar } from "cli-progress";
import type { Cell } from "../../records/compare-plan.js";
import { formatDuration, formatPercent } from "../../records/format.js";
import type { TrainingEvent } from "../../training/types.js";
import { barsOn } from "../bars.js";
import type { Context } from "../command.js";
import { type Kind, TimeLeft } from "./time-left.js";

/** "breastmnist  metalr  seed 1  fold-2". */
export const inWords = ({ data, method, factor, seed, split }: Omit<Cell, "folder">): string =>
  [
    data,
    method,
    ...(factor === 1 ? [] : [`rate ×${factor}`]),
    `seed ${seed}`,
    ...(split === "run" ? [] : [split]),
  ].join("  ");

/** A training under way. */
interface Under {
  readonly cell: Cell;
  /** Steps of the whole training, and those that an earlier process did. */
  total: number;
  resumedAt: number;
  /** Of its steps, 0 … 1. */
  share: number;
  readonly bar: SingleBar | null;
}

export class CompareProgress {
  private readonly multi: MultiBar | null;
  private all: SingleBar | null = null;
  private left = new TimeLeft([]);
  private of = 0;
  private done = 0;
  private readonly under = new Map<number, Under>();
  private readonly told = new Set<string>();

  constructor(
    private readonly context: Pick<Context, "print" | "terminal" | "style">,
    private readonly jobs: () => number,
  ) {
    this.multi = context.terminal === null ? null : barsOn(context.terminal);
  }

  /** @param waiting trainings that are not finished @param taken how long earlier ones took */
  start(of: number, waiting: readonly Kind[], taken: readonly (Kind & { readonly ms: number })[]): void {
    this.of = of;
    this.left = new TimeLeft(waiting);
    for (const t of taken) this.left.learn(t, t.ms);
    if (this.multi && of > 0) this.all = this.multi.create(of, 0, { what: "all trainings", facts: "" });
  }

  /** A training begins, or is finished already. @param index from 0 */
  cell(cell: Cell, index: number, finished: boolean, job: number): void {
    const number = `${String(index + 1).padStart(String(this.of).length)}/${this.of}`;
    if (finished) {
      this.done++;
      this.say(`${number}  ${inWords(cell)}  is finished already`);
      this.all?.update(this.done);
      return;
    }
    this.say(`${number}  ${inWords(cell)}`);
    this.left.start(job, cell);
    const bar = this.multi?.create(1, 0, { what: inWords(cell), facts: "the first step is being compiled …" }) ?? null;
    this.under.set(job, { cell, total: 1, resumedAt: 0, share: 0, bar });
  }

  event(job: number, event: TrainingEvent): void {
    const run = this.under.get(job);
    if (!run) return;
    switch (event.type) {
      case "start":
        run.total = Math.max(1, event.stepsPerEpoch * event.epochs);
        run.resumedAt = event.resumedAt;
        run.bar?.setTotal(run.total);
        run.bar?.update(event.resumedAt);
        if (event.resumedAt > 0)
          this.say(`${inWords(run.cell)}  continues after step ${event.resumedAt} of ${run.total}`);
        break;
      case "step": {
        run.share = event.step / run.total;
        // What an earlier process did is no work any more.
        this.left.progress(job, (event.step - run.resumedAt) / (run.total - run.resumedAt), event.elapsedMs);
        run.bar?.update(event.step, { facts: `accuracy ${formatPercent(event.trainAccuracy)}` });
        this.all?.update(this.done + [...this.under.values()].reduce((sum, r) => sum + r.share, 0), {
          facts: this.leftInWords(),
        });
        break;
      }
      case "warning":
        this.note(event.message);
        break;
      case "end":
        if (event.reason === "finished") this.end(job, run, event);
        break;
    }
  }

  private end(job: number, run: Under, event: TrainingEvent & { type: "end" }): void {
    if (run.resumedAt === 0) this.left.learn(run.cell, event.elapsedMs);
    this.left.end(job);
    this.under.delete(job);
    this.done++;
    if (run.bar) this.multi?.remove(run.bar);
    this.all?.update(this.done, { facts: this.leftInWords() });
    if (this.done === this.of) return;
    this.say(
      this.context.style.dim(
        `${" ".repeat(2 * String(this.of).length + 1)}  ${inWords(run.cell)}  took ${formatDuration(event.elapsedMs)}; ${this.leftInWords()}`,
      ),
    );
  }

  private leftInWords(): string {
    const ms = this.left.leftMs(this.jobs());
    return Number.isNaN(ms) ? "" : `about ${formatDuration(ms)} left for all`;
  }

  /** A note, once however many trainings have it. */
  note(text: string): void {
    if (this.told.has(text)) return;
    this.told.add(text);
    this.say(this.context.style.warn(`note: ${text}`));
  }

  /** A line among the others; above the bars where there are some. */
  say(line: string): void {
    if (this.multi === null || this.all === null) this.context.print(line);
    else {
      this.multi.log(`${line}\n`);
      this.multi.update();
    }
  }

  /** Takes the bars away. */
  close(): void {
    this.multi?.stop();
  }
}
