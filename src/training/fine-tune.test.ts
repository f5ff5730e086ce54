import { describe, expect, test } from "vitest";
import { averaged, finetune, lastLayer, linearProbe, metalr, scheduled, sgd } from "../methods/index.js";
import { nodePlatform } from "../platform/node/index.js";
import { nodeExecutor } from "../platform/node/onnxRuntime.js";
import { shortest } from "./_json.js";
import { fineTune, isBetter } from "./fine-tune.js";
import type { FineTuneOptions } from "./options.js";
import { range, recorder, split, tinyTraining } from "./tiny.testing.js";
import type { Evaluation, StepEvent, TrainingEvent } from "./types.js";

const executor = nodeExecutor({ threads: 1 });
const platform = nodePlatform;

async function run(over: Partial<FineTuneOptions> = {}) {
  const kept = recorder();
  const result = await fineTune({
    ...(await tinyTraining()),
    executor,
    platform,
    workers: 0,
    report: kept.report,
    save: kept.save,
    ...over,
  });
  return { result, events: kept.events, snapshots: kept.snapshots };
}

const steps = (events: readonly TrainingEvent[]): StepEvent[] => events.filter((e) => e.type === "step");
/** Everything but times. */
const numbers = (events: readonly TrainingEvent[]) =>
  events
    .filter((e) => e.type === "step" || e.type === "epoch" || e.type === "end")
    .map((e) => ({ ...e, elapsedMs: 0, stepMs: 0, waitMs: 0 }));
const weights = (model: { weights: ReadonlyMap<string, { data: Float32Array }> }) =>
  [...model.weights].map(([name, { data }]) => [name, [...data]]);

test("events in order: start, warnings, steps with their checkpoints, epochs, end", async () => {
  const { result, events } = await run({ epochs: 2 });
  expect(events.map((e) => e.type).join(" ")).toBe(
    "start warning step step checkpoint step step checkpoint step epoch checkpoint" +
      " step checkpoint step step checkpoint step step epoch checkpoint end",
  );
  expect(events[0]).toMatchObject({
    resumedAt: 0,
    groups: ["one", "two", "head"],
    classes: ["a", "b"],
    stepsPerEpoch: 5,
    epochs: 2,
  });
  expect(events[1]).toMatchObject({
    message: "the last batch of every epoch would be one image, too few for batch statistics: it is left out",
  });
  expect(steps(events).map((e) => [e.step, e.epoch, e.images])).toEqual(
    Array.from({ length: 10 }, (_, i) => [i + 1, i < 5 ? 1 : 2, 4]),
  );
  expect(result).toMatchObject({ reason: "finished", step: 10, epoch: 2, groups: ["one", "two", "head"] });
  expect(result.learningRates.at(-1)).toEqual(
    steps(events)
      .at(-1)
      ?.lr.map((a) => Number(a.toFixed(6))),
  );
});

test("MetaLR learns rates and the network learns stripes", async () => {
  const { result, events } = await run({ epochs: 30, method: metalr() });
  expect(result.accuracy).toBeGreaterThan(0.8);
  expect(result.test?.evaluation.count).toBe(9);
  expect(result.evaluation).toBe(result.test?.evaluation);
  const last = steps(events).at(-1);
  expect(last?.hypergradient).toHaveLength(3);
  expect(new Set(last?.lr).size).toBe(3);
});

test("the mean of an epoch's batches is that of its images", async () => {
  const { result, events } = await run({ epochs: 1 });
  const all = steps(events);
  expect(result.history[0]?.trainLoss).toBeCloseTo(all.reduce((s, e) => s + e.trainLoss, 0) / 5, 6);
  expect(result.history[0]?.trainAccuracy).toBeCloseTo(all.reduce((s, e) => s + e.trainAccuracy, 0) / 5, 12);
});

test("a smaller last batch is a step of its own size", async () => {
  const { dataset } = (await tinyTraining()).data;
  const { events } = await run({ epochs: 1, data: { dataset, split: { ...split, train: range(0, 18) } } });
  expect(steps(events).map((e) => e.images)).toEqual([4, 4, 4, 4, 2]);
});

test("methods without a validation pass report none", async () => {
  for (const method of [finetune(), lastLayer()]) {
    const { events } = await run({ epochs: 1, method });
    expect(steps(events)[0]).not.toHaveProperty("hypergradient");
    expect(steps(events)[0]).not.toHaveProperty("validationLoss");
  }
});

test("rates are rounded between epochs where the method says so, and reported as they go on", async () => {
  const { result, events } = await run({ epochs: 2, method: metalr({ roundDecimals: 4 }) });
  for (const lr of result.learningRates) expect(lr).toEqual(lr.map((a) => shortest(Math.fround(Number(a.toFixed(4))))));
  const before = steps(events)[4]?.lr ?? [];
  expect(before).not.toEqual(result.learningRates[0]);
});

describe("the epoch that counts", () => {
  test("validation: the best one, whose weights are the result's", async () => {
    const { result, snapshots } = await run({ epochs: 6 });
    const best = result.history.reduce((a, b) =>
      b.validation && a.validation && isBetter(b.validation, a.validation) ? b : a,
    );
    expect(result.selectedEpoch).toBe(best.epoch);
    const after = snapshots.find((s) => s.progress.epoch === best.epoch && s.progress.stepInEpoch === 0);
    for (const [name, { data }] of result.model.weights) {
      expect([...data], name).toEqual([...(after?.state.get(`model/${name}`)?.data ?? [])].map(Number));
    }
    expect(result.history.every((e) => e.test === undefined)).toBe(true);
  });

  test("last: the last one; validation images are evaluated all the same", async () => {
    const { result, snapshots } = await run({ epochs: 3, select: "last" });
    expect(result.selectedEpoch).toBe(3);
    expect(weights(result.model)).toEqual(weights(result.lastModel));
    expect(result.test).toBe(result.testLast);
    expect(result.history.every((e) => e.validation !== undefined)).toBe(true);
    expect(snapshots.at(-1)?.best).toBeNull();
  });

  test("test: chosen on the test images, which are evaluated every epoch", async () => {
    const { result } = await run({ epochs: 3, select: "test" });
    expect(result.history.every((e) => e.test !== undefined)).toBe(true);
    expect(result.test?.evaluation.accuracy).toBe(Math.max(...result.history.map((e) => e.test?.accuracy ?? 0)));
  });

  test("evaluated every k epochs and in the last", async () => {
    const { result } = await run({ epochs: 5, valInterval: 2 });
    expect(result.history.map((e) => e.validation !== undefined)).toEqual([false, true, false, true, true]);
  });

  test("without test images the figure is that of the validation images", async () => {
    const { dataset } = (await tinyTraining()).data;
    const { result } = await run({ epochs: 2, data: { dataset, split: { ...split, test: new Uint32Array(0) } } });
    expect(result.test).toBeNull();
    expect(result.accuracy).toBe(result.history[result.selectedEpoch - 1]?.validation?.accuracy);
  });

  test("of equal accuracies the lower loss counts, and NaN never", () => {
    const evaluation = (accuracy: number, loss: number) => ({ accuracy, loss }) as Evaluation; // the two that are compared
    expect(isBetter(evaluation(0.8, 2), evaluation(0.7, 1))).toBe(true);
    expect(isBetter(evaluation(0.8, 0.5), evaluation(0.8, 1))).toBe(true);
    expect(isBetter(evaluation(0.8, 1), evaluation(0.8, 1))).toBe(false);
    expect(isBetter(evaluation(0.8, Number.NaN), evaluation(0.8, 1))).toBe(false);
    expect(isBetter(evaluation(0.8, 1), evaluation(0.8, Number.NaN))).toBe(true);
  });
});

describe("same bits", () => {
  test("twice, and for any number of threads", async () => {
    const [first, ...others] = await Promise.all([0, 0, 1, 3].map((workers) => run({ workers, epochs: 2 })));
    for (const other of others) {
      expect(numbers(other.events)).toEqual(numbers(first?.events ?? []));
      expect(weights(other.result.lastModel)).toEqual(weights(first?.result.lastModel ?? other.result.lastModel));
    }
  });

  test("from every snapshot on", async () => {
    const whole = await run({ epochs: 3 });
    for (const resume of whole.snapshots) {
      const rest = await run({ epochs: 3, resume });
      expect(rest.events[0]).toMatchObject({ type: "start", resumedAt: resume.progress.step });
      expect(numbers(rest.events)).toEqual(
        numbers(whole.events).filter(
          (e) =>
            e.type === "end" ||
            e.step > resume.progress.step ||
            (e.type === "epoch" && e.epoch > resume.progress.epoch),
        ),
      );
      expect(weights(rest.result.model)).toEqual(weights(whole.result.model));
    }
  });

  test("stopped after any step and continued", async () => {
    const whole = await run({ epochs: 2 });
    for (const after of [1, 4, 5, 6, 10]) {
      const stop = new AbortController();
      const events: TrainingEvent[] = [];
      const part = await run({
        epochs: 2,
        checkpointEvery: 0,
        signal: stop.signal,
        report: (e) => {
          events.push(e);
          if (e.type === "step" && e.step === after) stop.abort();
        },
      });
      expect(part.result).toMatchObject({ reason: "stopped", step: after, test: null });
      expect(events.at(-1)).toMatchObject({ type: "end", reason: "stopped", step: after });
      const resume = part.snapshots.at(-1);
      expect(resume?.progress.step).toBe(after);
      const rest = await run({ epochs: 2, ...(resume && { resume }) });
      expect(weights(rest.result.lastModel)).toEqual(weights(whole.result.lastModel));
      expect(rest.result.test?.evaluation).toEqual(whole.result.test?.evaluation);
    }
  });
});

test("a loss that is not a number ends the training with the step and what to do", async () => {
  await expect(run({ method: finetune({ lr: 1e30 }), select: "last" })).rejects.toThrow(
    /^step \d+ \(epoch 1\): the training loss is not a finite number\n {2}got {6}(NaN|Infinity)\n {2}hint {5}use a smaller --lr; the last checkpoint is whole and can be resumed$/,
  );
});

test("what report or save throws ends the training", async () => {
  await expect(run({ save: () => Promise.reject(new Error("no space")) })).rejects.toThrow("no space");
});

test("shortest decimals of float32 numbers", () => {
  for (const x of [0.001, 1e-6, 0.1, 1 / 3, 123456.79, 3.4e38, -7e-12]) {
    expect(Math.fround(shortest(Math.fround(x)))).toBe(Math.fround(x));
  }
  expect(shortest(Math.fround(0.001))).toBe(0.001);
  expect(shortest(Number.NaN)).toBeNaN();
});

describe("methods with state and phases of their own", () => {
  const methods = {
    "averaged weights": () => averaged(finetune(), { decay: 0.5 }),
    "a schedule": () => finetune({ optimizer: scheduled(sgd({ momentum: 0.9 }), "warmup-cosine") }),
    "two phases": () => linearProbe(),
    "rates that learn in every second step": () => metalr({ metaEvery: 2, hyperOptimizer: "adam" }),
  };
  test.each(Object.entries(methods))("%s: the same bits from every snapshot on", async (_, method) => {
    const whole = await run({ method: method(), epochs: 2 });
    for (const snapshot of whole.snapshots) {
      const rest = await run({ method: method(), epochs: 2, resume: snapshot });
      expect(weights(rest.result.model)).toEqual(weights(whole.result.model));
      expect(weights(rest.result.lastModel)).toEqual(weights(whole.result.lastModel));
      const after = whole.events
        .filter((e) => e.type === "step" && e.step > snapshot.progress.step)
        .map((e) => ({ ...e }));
      expect(numbers(rest.events).filter((e) => e.type === "step")).toEqual(numbers(after));
    }
  });

  test("averaged weights are evaluated and given; training goes on from the others", async () => {
    const [plain, average] = [
      await run({ epochs: 1, method: finetune() }),
      await run({ epochs: 1, method: averaged(finetune(), { decay: 0.9 }) }),
    ];
    expect(numbers(average.events).filter((e) => e.type === "step")).toEqual(
      numbers(plain.events).filter((e) => e.type === "step"),
    );
    expect(weights(average.result.lastModel)).not.toEqual(weights(plain.result.lastModel));
    const state = average.snapshots.at(-1)?.state;
    expect(average.result.lastModel.weights.get("fc.weight")?.data).toEqual(state?.get("average/fc.weight")?.data);
  });

  test("steps and epochs report the rates that reached the layers", async () => {
    const { events } = await run({ epochs: 1, method: finetune({ optimizer: scheduled(sgd(), "cosine") }) });
    expect(steps(events).map((e) => e.lr[2])).toEqual(
      [1, 0.904508, 0.654508, 0.345492, 0.0954915].map((f) => expect.closeTo(0.01 * f, 7)),
    );
    expect(events.find((e) => e.type === "epoch")?.lr).toEqual(steps(events).at(-1)?.lr);
  });
});
