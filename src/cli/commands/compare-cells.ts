/** @file A process of `metalr compare` that trains the cells it is told to; no command for people, so the help does not show it. */
import { InternalError } from "../../common/errors.js";
import { packError } from "../../platform/thread-errors.js";
import type { Executor } from "../../runtime/types.js";
import type { TrainingEvent } from "../../training/types.js";
import { type Command, type Context, defineCommand } from "../command.js";
import { CellTrainer } from "../compare/cells.js";
import type { FromWorker, ToWorker } from "../compare/messages.js";
import { executorOf } from "../speed.js";

export const compareCells: Command = defineCommand({
  name: "compare-cells",
  summary: "",
  args: {},
  options: {},
  examples: [],
  run: async (context) => {
    const { parent } = context;
    if (parent === undefined) throw new InternalError("compare-cells was not started by metalr compare");
    const worker = new Worker(context, (message) => parent.send(message));
    await new Promise<void>((closed) => {
      let queue = Promise.resolve();
      parent.listen({
        message(message) {
          const told = message as ToWorker; // only metalr compare starts this command
          if (told.type === "stop") worker.stop();
          else queue = queue.then(() => worker.hear(told));
        },
        // Without the one that asked nobody needs the result; what is on disk is whole at any moment.
        closed: () => closed(),
      });
    });
    return undefined;
  },
});

class Worker {
  private readonly stopping = new AbortController();
  private begun: { readonly trainer: CellTrainer; readonly executor: Executor } | null = null;

  constructor(
    private readonly context: Context,
    private readonly tell: (message: FromWorker) => void,
  ) {
    // A Ctrl-C in the terminal reaches every process: all stop after the step under way.
    context.whenInterrupted(() => {}).addEventListener("abort", () => this.stop());
  }

  stop(): void {
    this.stopping.abort();
  }

  async hear(message: Exclude<ToWorker, { type: "stop" }>): Promise<void> {
    try {
      if (message.type === "begin") await this.begin(message);
      else await this.train(message);
    } catch (error) {
      this.tell({ type: "failed", error: packError(error) });
    }
  }

  private async begin({ given, splitSeed, threads, commandLine }: ToWorker & { type: "begin" }): Promise<void> {
    const trainer = new CellTrainer({ context: { ...this.context, commandLine }, given, splitSeed });
    this.begun = { trainer, executor: await executorOf(this.context, { ...given, threads }) };
  }

  private async train({ cell, data }: ToWorker & { type: "train" }): Promise<void> {
    if (this.begun === null) throw new InternalError("a training before the beginning");
    const { trainer, executor } = this.begun;
    const { signal } = this.stopping;
    const report = (event: TrainingEvent) =>
      this.tell({ type: "event", event: slim(event), peakBytes: this.context.machine?.().peakBytes ?? 0 });
    const finished = signal.aborted ? false : await trainer.train(cell, data, { executor, signal, report });
    this.tell({ type: "trained", finished });
  }
}

/** The other side shows progress only. */
const slim = (event: TrainingEvent): TrainingEvent => {
  if (event.type !== "step") return event;
  const { hypergradient: _, ...rest } = event;
  return { ...rest, lr: [] };
};
