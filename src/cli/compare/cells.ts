/** @file A data set opened for the cells of one seed: parts as for train, every method from the same weights. */
import { UsageError } from "../../common/errors.js";
import { fingerprintOf } from "../../data/fingerprint.js";
import type { Split } from "../../data/types.js";
import { type Method, parseMethod } from "../../methods/index.js";
import type { Cell } from "../../records/compare-plan.js";
import type { RunRecord } from "../../records/run-record.js";
import type { TrainRunOptions } from "../../records/train-options.js";
import { trainRun } from "../../records/trainRun.js";
import type { Executor } from "../../runtime/types.js";
import { checkIdentity, resolveTraining } from "../../training/settings.js";
import type { TrainingEvent } from "../../training/types.js";
import type { Context } from "../command.js";
import { type TrainFlags, trainFlags } from "../train/flags.js";
import { methodFor } from "../train/method.js";
import { type Plan, planTraining } from "../train/plan.js";
import type { CompareFlags } from "./flags.js";

/** What all cells of a comparison share. */
export interface SharedByCells {
  readonly context: Pick<Context, "platform" | "rasterize" | "versions" | "commandLine">;
  readonly given: CompareFlags;
  /** Of the division into parts, the same for all seeds: what is compared was tested on the same images. */
  readonly splitSeed: number;
}

/** How one cell is trained. */
export interface CellRun {
  readonly executor: Executor;
  readonly signal: AbortSignal;
  readonly report: (event: TrainingEvent) => void;
}

export interface OpenedCells {
  readonly plan: Plan;
  /** Of what the cells are made from: images, those that judge the learning rates, weights. */
  readonly fingerprints: Readonly<Record<string, string>>;
  /** Trains a cell into its folder, or goes on with it. @returns false when it was stopped */
  train(cell: Cell, run: CellRun): Promise<boolean>;
  /** @throws {TrainingError} a finished training that is of other images or options */
  check(cell: Cell, record: RunRecord): Promise<void>;
  close(): Promise<void>;
}

/** @param data path of the data set @param leakCheck once is enough: not for every seed @throws as `planTraining` */
export async function openCells(o: SharedByCells, data: string, seed: number, leakCheck = false): Promise<OpenedCells> {
  const { platform, rasterize, versions, commandLine } = o.context;
  const given = trainFlagsOf(o.given, data, seed);
  const plan = await planTraining(given, platform, { splitSeed: o.splitSeed, leakCheck });
  if (plan.dataset.segmentation) {
    await plan.dataset.close();
    throw new UsageError(data, {
      problem: "has a class for every voxel or pixel, and compare is for images of one class yet",
      hint: "train the methods one by one (metalr train --method …), and compare their reports",
    });
  }
  const trainingOf = async (cell: Cell): Promise<Omit<TrainRunOptions, "platform" | "executor">> => {
    const planned = plan.splits.find((s) => s.name === cell.split) ?? plan.splits[0]!; // the cells are made of these very splits
    const method = methodFor(parseMethod(cell.method), given, cell.factor);
    const split = forMethod(method, planned);
    const { transforms } = await plan.forSplit(split, plan.opened.model);
    return {
      ...plan.settings,
      transforms,
      seed: cell.seed,
      method,
      data: { dataset: plan.dataset, split, ...(plan.meta && { meta: plan.meta }) },
      model: plan.opened.model,
    };
  };
  return {
    plan,
    fingerprints: {
      data: plan.dataset.fingerprint,
      ...(plan.meta && { metaData: plan.meta.dataset.fingerprint }),
      ...(plan.weights !== null && { weights: await weightsOf(plan) }),
    },
    async train(cell, { executor, signal, report }) {
      const run = await trainRun(cell.folder, {
        ...(await trainingOf(cell)),
        platform,
        executor,
        signal,
        resume: true,
        rasterize,
        versions,
        command: commandLine,
        facts: {
          weights: plan.weights ?? "random",
          dataPath: data,
          comparison: { method: cell.method, lrFactor: cell.factor },
        },
        report,
      });
      return run.reason === "finished";
    },
    async check(cell, { info }) {
      const hint = "use the data and options that the comparison was started with, or another folder with --out";
      if (info.identity === undefined) {
        // Of a version that did not write it: the images at least are the same.
        checkIdentity(
          JSON.stringify({ data: info.data.fingerprint, seed: info.options["seed"] }),
          JSON.stringify({ data: plan.dataset.fingerprint, seed: cell.seed }),
          cell.folder,
          hint,
        );
        return;
      }
      const { identity } = await resolveTraining(await trainingOf(cell));
      checkIdentity(JSON.stringify(info.identity), identity, cell.folder, hint);
    },
    async close() {
      await plan.dataset.close();
      await plan.meta?.dataset.close();
    },
  };
}

/** Of the weights that the first seed starts from, so that another file under the same name is noticed. */
const weightsOf = ({ opened }: Plan): Promise<string> =>
  fingerprintOf(
    [...opened.model.weights].flatMap(([name, { data }]) => [
      name,
      new Uint8Array(data.buffer, data.byteOffset, data.byteLength),
    ]),
  );

/** Trains cells one after another; what the last one was made from stays open for the next. */
export class CellTrainer {
  private opened: { readonly key: string; readonly cells: OpenedCells } | null = null;

  constructor(private readonly shared: SharedByCells) {}

  /** @param data path of the cell's data set @returns false when it was stopped */
  async train(cell: Cell, data: string, run: CellRun): Promise<boolean> {
    const key = JSON.stringify([data, cell.seed]);
    if (this.opened?.key !== key) {
      await this.close();
      this.opened = { key, cells: await openCells(this.shared, data, cell.seed) };
    }
    return this.opened.cells.train(cell, run);
  }

  async close(): Promise<void> {
    const { opened } = this;
    this.opened = null;
    await opened?.cells.close();
  }
}

/** Images held out for MetaLR's rates are training images for a method that learns none. */
export function forMethod(method: Method, split: Split): Split {
  if (method.needsValidation || split.meta === split.train || split.meta.length === 0) return split;
  const train = Uint32Array.from([...new Set([...split.train, ...split.meta])].sort((a, b) => a - b));
  return { ...split, train, meta: train };
}

/** What compare does not offer is as train has it by default. */
const unset = Object.fromEntries(Object.keys(trainFlags).map((key) => [key, undefined])) as Record<
  keyof TrainFlags, // the keys are of that very object
  undefined
>;

/** The shared options as train knows them; those of one method are written at the method itself. */
const trainFlagsOf = (given: CompareFlags, data: string, seed: number): TrainFlags => ({
  ...unset,
  ...given,
  data,
  seed,
});
