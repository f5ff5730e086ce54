/** @file The processes that train a comparison's cells: started as cores and memory allow, stopped together. */
import { InternalError, RuntimeError } from "../../common/errors.js";
import { unpackError } from "../../platform/thread-errors.js";
import type { Cell } from "../../records/compare-plan.js";
import type { ChildProgram } from "../command.js";
import type { CellRun } from "./cells.js";
import { type Division, divideWork, type JobsWanted, type Room } from "./jobs.js";
import type { FromWorker, ToWorker } from "./messages.js";

export interface PoolOptions {
  readonly start: () => ChildProgram;
  readonly begin: Omit<ToWorker & { type: "begin" }, "type" | "threads">;
  readonly wanted: JobsWanted;
  readonly room: Room;
  /** Trainings that are left to do. */
  readonly trainings: number;
  /** --threads, where it was given. */
  readonly threads?: number;
  /** A line for the reader. */
  readonly say: (line: string) => void;
}

/** After so many steps of the first job its memory is known. */
const stepsToMeasure = 3;
/** A cell whose process ends by itself is tried so many times. */
const attempts = 2;

/** One process. */
interface Seat {
  readonly child: ChildProgram;
  readonly threads: number;
  /** What the training under way waits for. */
  on: ((message: FromWorker | { readonly type: "gone"; readonly how: string }) => void) | null;
}

export class Pool {
  /** Before the memory of a job is measured: what the cores allow. */
  private division: Division;
  private readonly seats = new Map<number, Seat>();
  private measured: boolean;
  private tellMeasured = () => {};
  private readonly whenMeasured: Promise<void>;
  private closing = false;

  constructor(private readonly o: PoolOptions) {
    this.division = this.divide(null);
    this.measured = o.wanted !== "auto" || this.division.jobs === 1;
    this.whenMeasured = new Promise((resolve) => {
      this.tellMeasured = resolve;
    });
  }

  /** The most that may train at once. */
  get jobs(): number {
    return this.division.jobs;
  }

  private divide(peakBytes: number | null): Division {
    const { wanted, room, trainings, threads } = this.o;
    return divideWork(wanted, room, { trainings, peakBytes, ...(threads !== undefined && { threads }) });
  }

  /** The first job begins at once, the others when its memory is known; false where there is none for this one. */
  async mayTake(job: number): Promise<boolean> {
    if (job > 0 && !this.measured) await this.whenMeasured;
    return job < this.division.jobs && !this.closing;
  }

  /** Memory is known, or nothing will be measured any more. */
  private settle(peakBytes: number | null): void {
    if (this.measured) return;
    this.measured = true;
    if (peakBytes !== null && peakBytes > 0) {
      const before = this.division.jobs;
      this.division = this.divide(peakBytes);
      const { jobs, threads } = this.division;
      const each = `${Math.ceil(peakBytes / 2 ** 20)} MiB each`;
      if (jobs < before) this.o.say(`${jobs} of ${before} possible processes at once: memory allows no more (${each})`);
      else this.o.say(`${jobs} processes at once, ${threads === 1 ? "one thread" : `${threads} threads`} and ${each}`);
    }
    this.tellMeasured();
  }

  /**
   * Trains a cell in the job's process.
   * @returns false when it was stopped
   * @throws what the training threw; @throws {RuntimeError} processes that ended by themselves, twice
   */
  async train(job: number, cell: Cell, data: string, o: Omit<CellRun, "executor">): Promise<boolean> {
    try {
      for (let attempt = 1; ; attempt++) {
        const how = await this.once(job, cell, data, o);
        if (typeof how === "boolean") return how;
        if (o.signal.aborted) return false;
        if (attempt === attempts) {
          throw new RuntimeError(cell.folder, {
            problem: `its process ended by itself ${attempts} times`,
            got: how,
            hint: "where memory ran out, use fewer processes (--jobs 1) or smaller batches; the same command goes on from here",
          });
        }
        this.o.say(`a process ended by itself (${how}); its training goes on in another from its last checkpoint`);
      }
    } finally {
      if (job === 0) this.settle(null);
    }
  }

  /** @returns whether it finished, or in words how its process ended */
  private async once(
    job: number,
    cell: Cell,
    data: string,
    { signal, report }: Parameters<Pool["train"]>[3],
  ): Promise<boolean | string> {
    const seat = this.seatOf(job);
    const stop = () => seat.child.send({ type: "stop" } satisfies ToWorker);
    if (signal.aborted) return false;
    signal.addEventListener("abort", stop);
    let steps = 0;
    try {
      return await new Promise<boolean | string>((resolve, reject) => {
        seat.on = (message) => {
          if (message.type === "gone") resolve(message.how);
          else if (message.type === "trained") resolve(message.finished);
          else if (message.type === "failed") reject(unpackError(message.error));
          else {
            report(message.event);
            if (message.event.type === "step" && job === 0 && ++steps === stepsToMeasure) {
              this.settle(message.peakBytes);
            }
          }
        };
        seat.child.send({ type: "train", cell, data } satisfies ToWorker);
      });
    } finally {
      seat.on = null;
      signal.removeEventListener("abort", stop);
    }
  }

  /** The job's process; another one where it has died, or where each may use more threads by now. */
  private seatOf(job: number): Seat {
    const { threads } = this.division;
    const known = this.seats.get(job);
    if (known?.threads === threads) return known;
    known?.child.kill();
    const child = this.o.start();
    const seat: Seat = { child, threads, on: null };
    this.seats.set(job, seat);
    child.listen({
      message: (message) => {
        if (seat.on === null) {
          const { type } = message as FromWorker; // a process of ours
          if (type !== "event") throw new InternalError(`a process said "${type}" without a training`);
        } else seat.on(message as FromWorker); // as above
      },
      closed: (how) => {
        if (this.seats.get(job) === seat) this.seats.delete(job);
        seat.on?.({ type: "gone", how });
      },
    });
    child.send({ type: "begin", ...this.o.begin, threads } satisfies ToWorker);
    return seat;
  }

  /** Ends all processes; what they have written is whole. */
  close(): void {
    this.closing = true;
    this.settle(null);
    for (const { child } of this.seats.values()) child.kill();
    this.seats.clear();
  }
}
