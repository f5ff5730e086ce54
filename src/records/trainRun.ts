/** @file Training into a run folder, and one such folder for each fold of a cross-validation; both go on where they were stopped. */
import { FileError, UsageError } from "../common/errors.js";
import { withWeights } from "../models/build.js";
import { lossNameOf } from "../models/types.js";
import type { FileSystem } from "../platform/types.js";
import { chooseCompiler } from "../runtime/lowering.js";
import { fineTune } from "../training/fine-tune.js";
import { figureOf } from "../training/metrics.js";
import type { FineTuneResult, Snapshot, TestResult } from "../training/options.js";
import { type Resolved, resolveTraining } from "../training/settings.js";
import type { EndEvent, TrainingEvent } from "../training/types.js";
import { encodeSnapshot, lastCheckpoint, modelWeights, readRunCheckpoint } from "./checkpoint.js";
import { exportModel } from "./export-model.js";
import { join, runFiles } from "./files.js";
import { readRun } from "./read.js";
import { continueRun, createRun, type RunRecorder } from "./recorder.js";
import type { CrossValidationSummary, RunConfig } from "./schema.js";
import { readPredictions, writeSummary } from "./summary.js";
import type { CrossValidationOptions, TrainRunOptions } from "./train-options.js";

/** The selected network in a run folder. */
export const modelFile = "model.onnx";

/** What a run gave, and where it is. */
export interface TrainedRun extends FineTuneResult {
  readonly folder: string;
}

/**
 * Fine-tunes into a run folder: run.json at the start; events and checkpoints on the way; test predictions, pictures, report and
 * model.onnx at the end. With `resume` it goes on from the folder's checkpoint, bit for bit as if it had never been stopped; a folder
 * that is still empty is started, a finished run is only read.
 *
 * @throws {FileError} the folder holds a run already (without `resume`), no space; what was written before stays whole
 * @throws {UsageError | TrainingError} as `fineTune`
 */
export async function trainRun(folder: string, o: TrainRunOptions): Promise<TrainedRun> {
  const { files } = o.platform;
  const resolved = await resolveTraining(o);
  const exists = (await files.kind(join(folder, runFiles.info))) !== "missing";
  const checkpoint = exists && o.resume === true ? ((await readRunCheckpoint(files, folder))?.snapshot ?? null) : null;
  if (checkpoint) {
    const finished = await finishedRun(folder, o, resolved, checkpoint);
    if (finished) return finished;
  }
  const recording = { platform: o.platform, ...(o.rasterize && { rasterize: o.rasterize }) };
  if (checkpoint) {
    await removeTemporaries(files, join(folder, runFiles.checkpoints));
    return { folder, ...(await record(await continueRun(folder, recording), o, resolved, checkpoint)) };
  }
  if (exists && o.resume === true) {
    // It died before its first checkpoint, so nothing of it is continued, its options neither.
    for (const name of [runFiles.info, runFiles.tensorBoard]) await files.remove(join(folder, name));
    await removeTemporaries(files, join(folder, runFiles.checkpoints)); // it may have died as it wrote that one
  }
  const lowering = o.compile ? "given" : (await chooseCompiler(o.executor)).lowering;
  const recorder = await createRun(folder, { ...recording, config: configOf(o, resolved, lowering) });
  return { folder, ...(await record(recorder, o, resolved, null)) };
}

/** What a killed writer left half-written beside the checkpoints (`FileSystem.writeAtomic`). */
async function removeTemporaries(files: FileSystem, folder: string): Promise<void> {
  if ((await files.kind(folder)) !== "folder") return;
  for (const { name, kind } of await files.list(folder)) {
    if (kind === "file" && name.startsWith(".") && name.endsWith(".tmp")) await files.remove(join(folder, name));
  }
}

/** Trains under a recorder; the end is recorded last of all, so that a run that has an end has everything. */
async function record(
  recorder: RunRecorder,
  o: TrainRunOptions,
  { transforms }: Resolved,
  checkpoint: Snapshot | null,
): Promise<FineTuneResult> {
  const { resume: _, ...training } = o;
  const recorded = checkpoint ? await recordedEpoch(recorder, o, checkpoint) : 0;
  let end: EndEvent | null = null;
  const tell = async (event: TrainingEvent) => {
    if (event.type !== "epoch" || event.epoch !== recorded) await recorder.record(event);
    await o.report?.(event);
  };
  try {
    const result = await fineTune({
      ...training,
      transforms,
      ...(checkpoint && { resume: checkpoint }),
      async save(snapshot) {
        const { split, meta } = o.data;
        // The parts are of the run's own data set.
        const { tensors, metadata } = encodeSnapshot(snapshot, meta ? { ...split, meta: new Uint32Array(0) } : split);
        return recorder.writeCheckpoint(lastCheckpoint, tensors, metadata);
      },
      async predicted(part, epoch, predictions) {
        await recorder.writePredictions("epoch", predictions, { part, epoch, indices: o.data.split[part] });
      },
      async report(event) {
        if (event.type === "end") end = event;
        else await tell(event);
        if (event.type === "start") await warnOfOtherExecutor(tell, recorder, o);
      },
    });
    if (result.reason === "finished") await writeProducts(recorder, o, result);
    if (end) await tell(end);
    await recorder.flush();
    return result;
  } catch (error) {
    await recorder.flush().catch(() => {}); // what was reported is kept; the first error is the one to tell
    throw error;
  }
}

/**
 * The epoch that the checkpoint has not ended and the log has: a run that was stopped in the midst of an evaluation, continued, and
 * killed before the next checkpoint. It is not recorded again. 0 for none.
 */
async function recordedEpoch({ folder }: RunRecorder, o: TrainRunOptions, { progress }: Snapshot): Promise<number> {
  const { epochs } = (await readRun(o.platform.files, folder)).record;
  return epochs.find((e) => e.epoch === progress.epoch + 1 && e.step === progress.step)?.epoch ?? 0;
}

/** Another version or another kind of hardware computes the same to rounding, not to the bit. */
async function warnOfOtherExecutor(
  tell: (event: TrainingEvent) => Promise<void>,
  { info }: RunRecorder,
  { executor }: TrainRunOptions,
): Promise<void> {
  const before = info.versions["executor"];
  if (before === undefined || before === executor.description) return;
  const message = `the run was started on ${before} and goes on on ${executor.description}: its bits may differ`;
  await tell({ type: "warning", message });
}

/** Test predictions and the selected network. */
async function writeProducts(recorder: RunRecorder, o: TrainRunOptions, result: FineTuneResult): Promise<void> {
  const { test, testLast, classes, transforms, model, epoch, selectedEpoch } = result;
  const about = { part: "test", indices: o.data.split.test } as const;
  if (test) await recorder.writePredictions("selected", test.predictions, { ...about, epoch: selectedEpoch });
  if (testLast) await recorder.writePredictions("last", testLast.predictions, { ...about, epoch });
  const onnx = await exportModel(model, { classes, transform: transforms.evaluation });
  await o.platform.files.writeAtomic(join(recorder.folder, modelFile), onnx);
}

function configOf(o: TrainRunOptions, { settings, transforms, identity }: Resolved, lowering: string): RunConfig {
  const { dataset, split, meta } = o.data;
  const { select, ...others } = settings;
  const { bounds, ...methodOptions } = o.method.options;
  return {
    name: split.name,
    method: o.method.name,
    model: o.model.config,
    data: {
      name: dataset.name,
      fingerprint: dataset.fingerprint,
      parts: {
        train: split.train.length,
        meta: (meta?.indices ?? split.meta).length,
        validation: split.validation.length,
        test: split.test.length,
      },
      ...(meta && { meta: { name: meta.dataset.name, fingerprint: meta.dataset.fingerprint } }),
    },
    select,
    options: {
      ...others,
      ...(o.model.task === "segmentation" && { loss: lossNameOf(o.model) }),
      ...methodOptions,
      ...(bounds !== undefined && { lrBounds: bounds }),
      transforms,
      ...o.facts,
    },
    groups: o.model.groups,
    classes: dataset.classes,
    versions: { ...o.versions, executor: o.executor.description, lowering },
    ...(o.command !== undefined && { command: o.command }),
    identity: JSON.parse(identity) as Record<string, unknown>, // `identityOf` makes an object
  };
}

/** The result of a run that has its end already, from its folder; null for others. */
async function finishedRun(
  folder: string,
  o: TrainRunOptions,
  { transforms, identity }: Resolved,
  { progress, state, best, history, identity: saved }: Snapshot,
): Promise<TrainedRun | null> {
  const { files } = o.platform;
  const { record } = await readRun(files, folder);
  const { end } = record;
  if (end?.reason !== "finished" || saved !== identity) return null; // fineTune tells in what it differs
  const test = async (name: "selected" | "last"): Promise<TestResult | null> => {
    const predictions = await readPredictions(files, folder, name);
    return predictions && { evaluation: predictions.evaluate(), predictions };
  };
  const [selected, last] = [await test("selected"), await test("last")];
  const lastModel = withWeights(o.model, modelWeights(state));
  const evaluation = selected?.evaluation ?? history.findLast((e) => e.epoch === end.selectedEpoch)?.validation ?? null;
  return {
    folder,
    reason: "finished",
    step: progress.step,
    epoch: progress.epoch,
    groups: o.model.groups,
    classes: o.data.dataset.classes,
    learningRates: history.map((e) => e.lr),
    history,
    select: end.select,
    selectedEpoch: end.selectedEpoch,
    test: selected,
    testLast: last,
    accuracy: evaluation
      ? figureOf(evaluation)
      : (history.at(-1)?.trainDice ?? history.at(-1)?.trainAccuracy ?? Number.NaN),
    evaluation,
    model: best ? withWeights(o.model, best.weights) : lastModel,
    lastModel,
    transforms,
  };
}

/**
 * One run for every split, in FOLDER/<name of the split>, and summary.json with report.html over them. With `resume`, finished runs
 * are left as they are and the others go on.
 *
 * @returns the summary; null when it was stopped before the last run had finished
 * @throws as `trainRun`
 */
export async function crossValidate(folder: string, o: CrossValidationOptions): Promise<CrossValidationSummary | null> {
  const { dataset, splits, meta, model: modelOf, forSplit, onRun, report, name, ...rest } = o;
  const { files } = o.platform;
  for (const { name: split } of splits) {
    if (/^fold-\d+$/.test(split)) continue;
    throw new UsageError(split, { problem: "is no fold", expected: "splits named fold-1, fold-2, …" });
  }
  if (o.resume !== true) {
    for (const split of splits) {
      if ((await files.kind(join(folder, `${split.name}/${runFiles.info}`))) === "missing") continue;
      throw new FileError(folder, {
        problem: "already holds a run",
        hint: "continue it with --resume, or choose another folder with --out",
      });
    }
  }
  for (const [index, split] of splits.entries()) {
    if (o.signal?.aborted) return null;
    const path = join(folder, split.name);
    onRun?.({ split, index, count: splits.length, folder: path, finished: await isFinished(o, path) });
    const model = await modelOf(split);
    const run = await trainRun(path, {
      ...rest,
      ...(await forSplit?.(split, model)),
      data: { dataset, split, ...(meta && { meta }) },
      model,
      ...(report && { report: (event: TrainingEvent) => report(event, split) }),
    });
    if (run.reason === "stopped") return null;
  }
  return writeSummary(files, folder, name ?? dataset.name);
}

async function isFinished({ platform }: Pick<CrossValidationOptions, "platform">, folder: string): Promise<boolean> {
  if ((await platform.files.kind(join(folder, runFiles.info))) === "missing") return false;
  return (await readRun(platform.files, folder)).record.end?.reason === "finished";
}
