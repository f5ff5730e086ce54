/** @file A data set opened for the cells of one seed: parts as for train, every method from the same weights. */
import type { Split } from "../../data/types.js";
import { type Method, parseMethod } from "../../methods/index.js";
import type { Cell, OpenedCells } from "../../records/compare.js";
import { trainRun } from "../../records/trainRun.js";
import type { Executor } from "../../runtime/types.js";
import type { Context } from "../command.js";
import type { TrainFlags } from "../train/flags.js";
import { methodFor } from "../train/method.js";
import { planTraining } from "../train/plan.js";
import type { Progress } from "../train/progress.js";
import type { CompareFlags } from "./flags.js";

export interface CellOptions {
  readonly context: Context;
  readonly executor: Executor;
  readonly given: CompareFlags;
  /** Path of the data set. */
  readonly data: string;
  readonly seed: number;
  /** Of the division into parts, the same for all seeds: what is compared was tested on the same images. */
  readonly splitSeed: number;
  readonly progress: Progress;
  readonly signal: AbortSignal;
}

/** @throws as `planTraining` */
export async function openCells(o: CellOptions): Promise<OpenedCells & { readonly notes: readonly string[] }> {
  const { context } = o;
  const given = trainFlagsOf(o.given, o.data, o.seed);
  const plan = await planTraining(given, context.platform, { splitSeed: o.splitSeed });
  return {
    notes: plan.notes,
    splits: plan.splits.map((s) => s.name),
    async train(cell: Cell) {
      const planned = plan.splits.find((s) => s.name === cell.split);
      if (!planned) return false; // the cells are made of these very splits
      const method = methodFor(parseMethod(cell.method), given, cell.factor);
      const split = forMethod(method, planned);
      const run = await trainRun(cell.folder, {
        ...plan.settings,
        ...(await plan.forSplit(split, plan.opened.model)),
        platform: context.platform,
        executor: o.executor,
        method,
        data: { dataset: plan.dataset, split, ...(plan.meta && { meta: plan.meta }) },
        model: plan.opened.model,
        signal: o.signal,
        resume: true,
        rasterize: context.rasterize,
        versions: context.versions,
        command: context.commandLine,
        facts: {
          weights: plan.weights ?? "random",
          dataPath: o.data,
          comparison: { method: cell.method, lrFactor: cell.factor },
        },
        report: (event) => o.progress.add(event),
      });
      return run.reason === "finished";
    },
    async close() {
      await plan.dataset.close();
      await plan.meta?.dataset.close();
    },
  };
}

/** Images held out for MetaLR's rates are training images for a method that learns none. */
export function forMethod(method: Method, split: Split): Split {
  if (method.needsValidation || split.meta === split.train || split.meta.length === 0) return split;
  const train = Uint32Array.from([...new Set([...split.train, ...split.meta])].sort((a, b) => a - b));
  return { ...split, train, meta: train };
}

/** The shared options as train knows them; those of one method are written at the method itself. */
const trainFlagsOf = (given: CompareFlags, data: string, seed: number): TrainFlags => ({
  ...given,
  data,
  seed,
  method: undefined,
  variant: undefined,
  hyperLr: undefined,
  lrUpdate: undefined,
  lrBounds: undefined,
  headWarmupEpochs: undefined,
  logInterval: undefined,
  resume: undefined,
  replaceHead: undefined,
});
