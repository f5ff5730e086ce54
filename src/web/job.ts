/** @file What the training worker does: opens files, looks at them, trains into a run folder, and keeps the runs. */
import { flagsOf, type TrainValues } from "../cli/train/fields.js";
import { type Plan, planTraining } from "../cli/train/plan.js";
import { DataError, MetalrError, UsageError } from "../common/errors.js";
import { openDataset } from "../data/open.js";
import type { Split } from "../data/types.js";
import { packError } from "../platform/thread-errors.js";
import type { Platform } from "../platform/types.js";
import { webPlatform } from "../platform/web/index.js";
import { webExecutor } from "../platform/web/onnxRuntime.js";
import { opfs } from "../platform/web/opfs.js";
import { writeTensors } from "../records/files.js";
import { readRun } from "../records/read.js";
import { headlineOf } from "../records/run-record.js";
import { trainRun } from "../records/trainRun.js";
import type { Executor } from "../runtime/types.js";
import type { TrainingEvent } from "../training/types.js";
import { rootOf } from "./files.js";
import { dataFacts, planFacts } from "./look.js";
import type { Look, StoredRun, Trained, TrainerFiles, TrainerSetup, TrainRequest } from "./protocol.js";

const HOME = "/runs";
/** The weights of the selected epoch, by the network's own names. */
export const weightsFile = "model.safetensors";

export const runFolder = (name: string): string => {
  if (/^[\w][\w.-]{0,120}$/.test(name)) return `${HOME}/${name}`;
  throw new UsageError("run", {
    problem: "has a name that cannot be used",
    expected: "letters, digits, dots, hyphens and underscores",
  });
};

interface Opened {
  readonly platform: Platform;
  readonly data: string;
  readonly weights: string | null;
  readonly groups: string | null;
}

/** State of one worker. */
export class Job {
  private opened: Opened | null = null;
  private executor: Promise<Executor> | null = null;
  private stopper: AbortController | null = null;
  private planned: { readonly key: string; readonly plan: Promise<Plan> } | null = null;

  constructor(
    private readonly setup: TrainerSetup,
    private readonly tell: (event: TrainingEvent) => void,
  ) {}

  async open({ data, weights, groups }: TrainerFiles): Promise<void> {
    const root = rootOf(data);
    const taken = new Set(root.files.map((f) => f.path));
    // Weights of the same name as the data lie beside them.
    const own = (path: string): string => (taken.has(path) ? `weights/${path}` : path);
    const beside = [weights, groups ?? null].map((f) => (f === null ? null : { path: own(f.path), file: f.file }));
    this.planned = null;
    this.opened = {
      platform: webPlatform({
        picked: [...root.files, ...beside.filter((f) => f !== null)],
        written: await opfs(),
        packageFiles: this.setup.packageFiles,
      }),
      data: root.path,
      weights: beside[0]?.path ?? null,
      groups: beside[1]?.path ?? null,
    };
  }

  private get files(): Opened {
    if (this.opened !== null) return this.opened;
    throw new UsageError("data", { problem: "are not chosen yet", hint: "pick or drop a file or a folder" });
  }

  private plan(values: TrainValues): Promise<Plan> {
    const key = JSON.stringify(Object.entries(values).sort());
    if (this.planned?.key === key) return this.planned.plan;
    const { platform, data, weights, groups } = this.files;
    const flags = flagsOf(values);
    const plan = planTraining(
      { ...flags, data, pretrainedPath: weights ?? "none", groupsFile: groups ?? undefined, workers: 0 },
      platform,
    );
    this.planned = { key, plan };
    plan.catch(() => {
      this.planned = null;
    });
    return plan;
  }

  /** The first of the chosen runs: a page trains one fold at a time. */
  private static splitOf(plan: Plan): Split {
    const [split] = plan.splits;
    if (split === undefined) throw new DataError(plan.dataset.name, { problem: "gives no run" });
    return split;
  }

  async look(values: TrainValues): Promise<Look> {
    const { platform, data, groups } = this.files;
    try {
      const plan = await this.plan(values);
      return { data: await dataFacts(plan.dataset), plan: planFacts(plan, Job.splitOf(plan)), problem: null };
    } catch (error) {
      if (!(error instanceof MetalrError)) throw error;
      // Data that can be read are shown even where options or weights do not fit.
      const dataset = await openDataset(data, { platform, ...(groups !== null && { groupsFile: groups }) });
      return { data: await dataFacts(dataset), plan: null, problem: packError(error) };
    }
  }

  async train({ values, folder, resume }: TrainRequest): Promise<Trained> {
    if (this.stopper !== null) throw new UsageError("training", { problem: "is going on already" });
    const stopper = new AbortController();
    this.stopper = stopper;
    try {
      const { platform, weights } = this.files;
      const plan = await this.plan(values);
      const split = Job.splitOf(plan);
      this.executor ??= webExecutor(this.setup.runtime);
      this.executor.catch(() => {
        this.executor = null;
      });
      const executor = await this.executor;
      const path = runFolder(folder);
      await platform.files.makeFolder(HOME);
      const run = await trainRun(path, {
        ...plan.settings,
        ...(await plan.forSplit(split, plan.opened.model)),
        platform,
        executor,
        method: plan.method,
        data: { dataset: plan.dataset, split },
        model: plan.opened.model,
        workers: 0,
        resume,
        signal: stopper.signal,
        report: this.tell,
        facts: { weights: weights ?? "random", values },
        versions: { browser: navigator.userAgent },
      });
      if (run.reason === "finished")
        await writeTensors(platform.files, `${path}/${weightsFile}`, run.model.weights, { format: "pt" });
      const { reason, step, epoch, selectedEpoch, accuracy, evaluation } = run;
      return { folder, reason, step, epoch, selectedEpoch, accuracy, evaluation, executor: executor.description };
    } finally {
      this.stopper = null;
    }
  }

  stop(): void {
    this.stopper?.abort();
  }

  async runs(): Promise<StoredRun[]> {
    const files = await opfs();
    if ((await files.kind(HOME)) !== "folder") return [];
    const found: StoredRun[] = [];
    for (const { name, kind } of await files.list(HOME)) {
      if (kind !== "folder") continue;
      try {
        const { record } = await readRun(files, `${HOME}/${name}`);
        const headline = headlineOf(record);
        const finished = record.end?.reason === "finished";
        found.push({
          folder: name,
          info: record.info,
          state: finished ? "finished" : "stopped",
          step: record.step,
          epoch: record.epochs.length,
          accuracy: (headline?.selected ?? headline?.validation)?.accuracy ?? null,
        });
      } catch (error) {
        if (!(error instanceof MetalrError)) throw error; // a folder that is no run of ours
      }
    }
    return found.sort((a, b) => (a.info.created < b.info.created ? 1 : -1));
  }

  async events(folder: string) {
    const { record, events } = await readRun(await opfs(), runFolder(folder), { events: true });
    return { info: record.info, events };
  }

  async file(path: string): Promise<File> {
    const [folder = "", name = ""] = path.split("/");
    const at = `${runFolder(folder)}/${name}`;
    if (!/^[\w][\w.-]*$/.test(name)) throw new UsageError("file", { problem: "has a name that cannot be used" });
    const source = await (await opfs()).open(at);
    return new File([new Uint8Array(await source.read(0, source.size))], name);
  }

  async remove(folder: string): Promise<void> {
    await (await opfs()).remove(runFolder(folder));
  }
}
