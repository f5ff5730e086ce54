/** @file `fineTune`: the loop over epochs and steps; batches in, events out, snapshots on the way. */
import { InternalError } from "../common/errors.js";
import type { FloatTensor } from "../common/tensor.js";
import type { Batch } from "../data/types.js";
import { type Clock, phaseAt } from "../methods/types.js";
import { withWeights } from "../models/build.js";
import type { Model } from "../models/types.js";
import { type LabelledBatch, Stepper, type StepReport } from "../runtime/stepper.js";
import { shortest } from "./_json.js";
import { figureOf, type Predicted } from "./metrics.js";
import type { Best, EpochSums, FineTuneOptions, FineTuneResult, Snapshot, TestResult, Transforms } from "./options.js";
import { prefetch } from "./prefetch.js";
import { Schedule } from "./schedule.js";
import { checkIdentity, resolveTraining, type Settings } from "./settings.js";
import { AHEAD, addSums, openTask, rightOf, type Task } from "./task.js";
import type { EpochEvent, Evaluation, StepEvent, TrainingEvent } from "./types.js";

const noSums: EpochSums = { loss: 0, correct: 0, images: 0 };

/**
 * Fine-tunes a model: every epoch goes through the training images in a new order, then evaluates; at the end the test images
 * are evaluated with the weights of the selected epoch and of the last one.
 *
 * Same options, machine and versions give the same bits, whatever `workers`; so does a run that was stopped or killed and
 * continued from any of its snapshots.
 *
 * @throws {UsageError} options that make no sense or do not go together
 * @throws {TrainingError} a loss that is not a finite number (snapshots saved before stay good), a snapshot of another run
 */
export async function fineTune(options: FineTuneOptions): Promise<FineTuneResult> {
  const { settings, transforms, identity } = await resolveTraining(options);
  if (options.resume) checkIdentity(options.resume.identity, identity);
  const training = new Training(options, settings, transforms, identity);
  try {
    return await training.run();
  } finally {
    await training.close();
  }
}

/** Batches of one step. */
interface StepBatches {
  readonly train: Batch;
  readonly meta: Batch | null;
}

class Training {
  private readonly schedule: Schedule;
  private readonly stepper: Stepper;
  private readonly task: Task;
  private readonly started = performance.now();
  private step = 0;
  private epoch = 0;
  private stepInEpoch = 0;
  private sums: EpochSums = noSums;
  private best: Best | null = null;
  private readonly history: EpochEvent[] = [];
  /** Step and epoch of the last snapshot. */
  private savedAt = "";

  constructor(
    private readonly o: FineTuneOptions,
    private readonly settings: Settings,
    private readonly transforms: Transforms,
    private readonly identity: string,
  ) {
    const { executor, model, method, compile } = o;
    const { dataset, split } = o.data;
    const lowering = compile ? { compile } : {};
    const meta = o.method.needsValidation ? o.data.meta : undefined;
    this.task = openTask({ o, settings, transforms });
    const { train } = this.task;
    this.schedule = new Schedule(
      { train, meta: meta?.indices ?? split.meta },
      {
        ...settings,
        labels: (meta?.dataset ?? dataset).labels, // of the images in `meta`: classes are balanced there only
        groups: dataset.groups,
      },
    );
    const microBatch = settings.microBatch || undefined;
    this.stepper = new Stepper(executor, model, method, { ...lowering, microBatch });
  }

  private shape(n: number): number[] {
    const { channels, size } = this.transforms.train;
    return [n, channels, ...size];
  }

  async run(): Promise<FineTuneResult> {
    const { o, schedule, settings } = this;
    const validation = o.method.needsValidation ? { validation: this.shape(schedule.metaBatch) } : {};
    for (const n of new Set([schedule.batch, schedule.lastBatch])) {
      await this.stepper.ready({ train: this.shape(n), ...validation });
    }
    if (o.resume) this.restore(o.resume);
    await this.report({
      type: "start",
      time: new Date().toISOString(),
      resumedAt: this.step,
      groups: o.model.groups,
      classes: o.data.dataset.classes,
      stepsPerEpoch: schedule.stepsPerEpoch,
      epochs: settings.epochs,
    });
    for (const message of this.warnings()) await this.report({ type: "warning", message });

    const total = settings.epochs * schedule.stepsPerEpoch;
    const batches = prefetch(this.step + 1, total, AHEAD, (step) => this.batchesOf(step));
    try {
      while (this.epoch < settings.epochs) {
        while (this.stepInEpoch < schedule.stepsPerEpoch) {
          if (this.stopped) return await this.stop();
          await this.takeStep(batches);
          const { checkpointEvery } = settings;
          const due = checkpointEvery > 0 && this.step % checkpointEvery === 0;
          if (due && this.stepInEpoch < schedule.stepsPerEpoch) await this.save(false);
        }
        if (!(await this.endEpoch())) return await this.stop();
      }
    } finally {
      await batches.return();
    }
    return (await this.finish()) ?? (await this.stop());
  }

  private warnings(): string[] {
    const { leftOut } = this.schedule;
    return [
      ...(this.o.data.split.notes ?? []),
      ...(leftOut > 0
        ? ["the last batch of every epoch would be one image, too few for batch statistics: it is left out"]
        : []),
    ];
  }

  private get stopped(): boolean {
    return this.o.signal?.aborted ?? false;
  }

  private async report(event: TrainingEvent): Promise<void> {
    await this.o.report?.(event);
  }

  private get elapsedMs(): number {
    return performance.now() - this.started;
  }

  private clockOf(step: number): Clock {
    const { stepsPerEpoch } = this.schedule;
    return { step, epoch: this.schedule.placeOf(step).epoch, epochs: this.settings.epochs, stepsPerEpoch };
  }

  private async batchesOf(step: number): Promise<StepBatches> {
    const clock = this.clockOf(step);
    const [train, meta] = await Promise.all([
      this.task.trainBatch(this.schedule.train(step), clock.epoch),
      phaseAt(this.o.method, clock).validation ? this.task.metaBatch(this.schedule.meta(step), step) : null,
    ]);
    return { train, meta };
  }

  private async takeStep(batches: AsyncGenerator<StepBatches, void, undefined>): Promise<void> {
    const asked = performance.now();
    const next = await batches.next();
    if (next.done === true) throw new InternalError("there are fewer batches than steps");
    const { train, meta } = next.value;
    const began = performance.now();
    const epoch = this.epoch + 1;
    const report = await this.stepper.step(labelled(train), meta && labelled(meta), this.clockOf(this.step + 1));
    const stepMs = performance.now() - began;
    const images = train.indices.length;
    const trainLoss = numbers(report, "trainLoss")[0] ?? Number.NaN;
    const now = { loss: trainLoss * images, ...this.task.judge(numbers(report, "logits"), train) };
    this.step++;
    this.stepInEpoch++;
    this.sums = addSums(this.sums, now);
    const event: StepEvent = {
      type: "step",
      step: this.step,
      epoch,
      trainLoss: shortest(trainLoss),
      ...rightOf(now),
      ...(report["validationLoss"] && { validationLoss: shortest(numbers(report, "validationLoss")[0] ?? Number.NaN) }),
      ...(report["hypergradient"] && { hypergradient: Array.from(numbers(report, "hypergradient"), shortest) }),
      lr: this.rates(),
      elapsedMs: this.elapsedMs,
      stepMs,
      waitMs: began - asked,
      images,
    };
    await this.report(event);
  }

  private rates(): number[] {
    return Array.from(this.stepper.effectiveLr, shortest);
  }

  /** Evaluates, chooses, rounds the rates where the method does, saves. @returns false when it was stopped before that */
  private async endEpoch(): Promise<boolean> {
    const { settings, sums } = this;
    const { split } = this.o.data;
    const epoch = this.epoch + 1;
    const due = epoch % settings.valInterval === 0 || epoch === settings.epochs;
    await this.stepper.sync();
    const on = async (part: "validation" | "test") => {
      const predictions = await this.predict(split[part], this.weights());
      await this.o.predicted?.(part, epoch, predictions);
      return predictions.evaluate();
    };
    let validation: Evaluation | null = null;
    let test: Evaluation | null = null;
    try {
      if (due && split.validation.length > 0) validation = await on("validation");
      if (due && settings.select === "test") test = await on("test");
    } catch (error) {
      if (this.stopped) return false;
      throw error;
    }
    const judged = settings.select === "test" ? test : settings.select === "validation" ? validation : null;
    const better = judged !== null && (this.best === null || isBetter(judged, this.best.evaluation));
    if (better) this.best = { epoch, evaluation: judged, weights: this.copyWeights() };
    const { betweenEpochs } = this.o.method;
    if (betweenEpochs) this.stepper.lr.set(betweenEpochs(this.stepper.lr));
    const event: EpochEvent = {
      type: "epoch",
      epoch,
      step: this.step,
      trainLoss: sums.loss / sums.images,
      ...rightOf(sums),
      ...(validation && { validation }),
      ...(test && { test }),
      lr: this.rates(),
      elapsedMs: this.elapsedMs,
    };
    this.history.push(event);
    this.epoch = epoch;
    this.stepInEpoch = 0;
    this.sums = noSums;
    await this.report(event);
    await this.save(better || settings.select === "last");
    return true;
  }

  /** Parameters and buffers as they stand, averaged ones where the method keeps averages; good until the next step. */
  private weights(): Map<string, FloatTensor> {
    const { state } = this.stepper; // once: it may be converted from the layout of the compiled step
    const { parameters, buffers } = this.o.model;
    return new Map(
      [...parameters, ...buffers].map(({ name }) => {
        const t = state.get(`average/${name}`) ?? state.get(`model/${name}`);
        if (t?.dtype !== "float32") throw new InternalError(`the state has no "${name}"`);
        return [name, t];
      }),
    );
  }

  private copyWeights(): Map<string, FloatTensor> {
    return new Map([...this.weights()].map(([name, t]) => [name, { ...t, data: t.data.slice() }]));
  }

  private predict(part: Uint32Array, weights: ReadonlyMap<string, FloatTensor>): Promise<Predicted> {
    return this.task.predict(part, weights, this.o.signal);
  }

  private async save(best: boolean): Promise<void> {
    const { step, epoch, stepInEpoch, sums, history, identity } = this;
    await this.stepper.sync();
    this.savedAt = `${step} ${epoch}`;
    const snapshot: Snapshot = {
      progress: { step, epoch, stepInEpoch, sums },
      state: this.stepper.state,
      best: this.best,
      history: [...history],
      identity,
    };
    const file = await this.o.save?.(snapshot);
    if (file === undefined) return;
    await this.report({ type: "checkpoint", epoch: this.schedule.placeOf(Math.max(step, 1)).epoch, step, file, best });
  }

  private restore({ progress, state, best, history }: Snapshot): void {
    this.stepper.restore(state);
    ({ step: this.step, epoch: this.epoch, stepInEpoch: this.stepInEpoch, sums: this.sums } = progress);
    if (this.step !== this.epoch * this.schedule.stepsPerEpoch + this.stepInEpoch) {
      throw new InternalError(`step ${this.step} is not in epoch ${this.epoch + 1}`);
    }
    this.best = best;
    this.history.push(...history);
    this.savedAt = `${this.step} ${this.epoch}`;
  }

  private async stop(): Promise<FineTuneResult> {
    if (this.savedAt !== `${this.step} ${this.epoch}`) await this.save(false);
    return this.end("stopped", null, null);
  }

  /** The last evaluation; null when it was stopped in the middle of it. */
  private async finish(): Promise<FineTuneResult | null> {
    const { split } = this.o.data;
    if (this.stopped) return null;
    if (split.test.length === 0) return this.end("finished", null, null);
    const on = async (weights: ReadonlyMap<string, FloatTensor>): Promise<TestResult> => {
      const predictions = await this.predict(split.test, weights);
      return { evaluation: predictions.evaluate(), predictions };
    };
    const { best } = this;
    try {
      const last = await on(this.weights());
      const selected = best === null || best.epoch === this.epoch ? last : await on(best.weights);
      return await this.end("finished", selected, last);
    } catch (error) {
      if (this.stopped) return null;
      throw error;
    }
  }

  private async end(
    reason: "finished" | "stopped",
    test: TestResult | null,
    testLast: TestResult | null,
  ): Promise<FineTuneResult> {
    const { step, epoch, history, best } = this;
    const { select } = this.settings;
    const { model, data } = this.o;
    const selectedEpoch = best?.epoch ?? (select === "last" ? epoch : 0);
    await this.report({
      type: "end",
      reason,
      epoch,
      step,
      select,
      selectedEpoch,
      ...(test && { test: test.evaluation }),
      ...(testLast && { testLast: testLast.evaluation }),
      elapsedMs: this.elapsedMs,
    });
    const evaluation = test?.evaluation ?? history.findLast((e) => e.epoch === selectedEpoch)?.validation ?? null;
    await this.stepper.sync();
    const lastModel = withWeights(model, this.copyWeights());
    const selected: Model = best ? withWeights(model, best.weights) : lastModel;
    const rates = history.map((e) => e.lr);
    if (history.length === 0 || history.at(-1)?.step !== step) rates.push(this.rates());
    return {
      reason,
      step,
      epoch,
      groups: model.groups,
      classes: data.dataset.classes,
      learningRates: rates,
      history,
      select,
      selectedEpoch,
      test,
      testLast,
      accuracy: evaluation
        ? figureOf(evaluation)
        : (history.at(-1)?.trainDice ?? history.at(-1)?.trainAccuracy ?? Number.NaN),
      evaluation,
      model: selected,
      lastModel,
      transforms: this.transforms,
    };
  }

  async close(): Promise<void> {
    await this.task.close();
    await this.stepper.close();
  }
}

/** Higher accuracy (of segmentations: mean Dice), of equal ones the lower loss; a loss that is not a number is the highest. */
export function isBetter(a: Evaluation, than: Evaluation): boolean {
  const [ours, theirs] = [figureOf(a), figureOf(than)];
  if (ours !== theirs) return ours > theirs || Number.isNaN(theirs);
  return a.loss < than.loss || (Number.isNaN(than.loss) && !Number.isNaN(a.loss));
}

const labelled = ({ x, y, shape }: Batch): LabelledBatch => ({
  x: { dtype: "float32", shape, data: x },
  // One class an image, or one a position.
  y: {
    dtype: "int64",
    shape: y.length === shape[0] ? [y.length] : [shape[0] ?? 0, ...shape.slice(2)],
    data: BigInt64Array.from(y, BigInt),
  },
});

/** A float32 output of the step's report. */
function numbers(report: StepReport, name: string): Float32Array {
  const t = report[name];
  if (t?.dtype !== "float32") throw new InternalError(`the step reports no "${name}"`);
  return t.data;
}
