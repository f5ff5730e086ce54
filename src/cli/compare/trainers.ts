/** @file Who trains a comparison's cells: this process, or several others where there is room for them. */
import { UsageError } from "../../common/errors.js";
import type { Cell } from "../../records/compare-plan.js";
import type { Executor } from "../../runtime/types.js";
import type { Context } from "../command.js";
import { executorOf } from "../speed.js";
import { type CellRun, CellTrainer, type SharedByCells } from "./cells.js";
import { divideWork } from "./jobs.js";
import { Pool } from "./pool.js";

export class Trainers {
  private pool: Pool | null = null;
  private readonly own: CellTrainer;
  private executor: Promise<Executor> | null = null;

  /** @param say a line for the reader */
  constructor(
    private readonly context: Context,
    private readonly shared: SharedByCells,
    private readonly say: (line: string) => void,
  ) {
    this.own = new CellTrainer(shared);
  }

  /**
   * @param trainings that are left to do
   * @returns the most that go on at once
   * @throws {UsageError} several processes where none can be started
   */
  begin(trainings: number): number {
    const { context, shared } = this;
    const { jobs: asked, threads, device } = shared.given;
    // One accelerator is not faster for being shared.
    const wanted = asked ?? (device === undefined || device === "auto" || device === "cpu" ? "auto" : 1);
    const { machine, start } = context;
    if (wanted === 1 || trainings <= 1) return 1;
    if (machine === undefined || start === undefined) {
      if (wanted === "auto") return 1;
      throw new UsageError("--jobs", {
        problem: "needs other processes, and this program cannot start any",
        got: String(wanted),
      });
    }
    const room = machine();
    const more = { trainings, ...(threads !== undefined && { threads }) };
    if (divideWork(wanted, room, { ...more, peakBytes: null }).jobs === 1) return 1;
    const { given, splitSeed } = shared;
    this.pool = new Pool({
      start: () => start(["compare-cells"]),
      begin: { given, splitSeed, commandLine: context.commandLine },
      wanted,
      room,
      say: this.say,
      ...more,
    });
    return this.pool.jobs;
  }

  /** How many go on at once. */
  get jobs(): number {
    return this.pool?.jobs ?? 1;
  }

  mayTake = (job: number): Promise<boolean> => this.pool?.mayTake(job) ?? Promise.resolve(true);

  /** @returns false when it was stopped */
  async train(job: number, cell: Cell, data: string, o: Omit<CellRun, "executor">): Promise<boolean> {
    if (this.pool) return this.pool.train(job, cell, data, o);
    this.executor ??= executorOf(this.context, this.shared.given);
    return this.own.train(cell, data, { ...o, executor: await this.executor });
  }

  async close(): Promise<void> {
    this.pool?.close();
    await this.own.close();
  }
}
