/** @file Facts of the page's own small pieces: addresses, sorting, filtering, curves in bounded memory. */
import { describe, expect, test } from "vitest";
import { bucketsFor, type RunSummary, type StepRow } from "../protocol.js";
import { GrowingCurves } from "./follow.js";
import { afterMessage, emptyList } from "./list.js";
import { atEpochs, runningMean } from "./parts/series.js";
import { parseRoute } from "./route.js";
import { fits, rowsOf, sorted } from "./table.js";

const run = (name: string, more: Partial<RunSummary> = {}): RunSummary => ({
  id: name,
  name,
  method: "metalr",
  data: "lung.npz",
  network: "resnet18",
  state: "finished",
  created: "2026-03-01T09:30:00Z",
  step: 10,
  steps: 10,
  epoch: 1,
  epochs: 1,
  elapsedMs: 1000,
  leftMs: null,
  imagesPerSecond: 100,
  trainLoss: 0.5,
  select: "validation",
  figure: "accuracy",
  validationAccuracy: null,
  testAccuracy: null,
  testAuc: null,
  sparks: [],
  ours: false,
  folds: null,
  ...more,
});

test.each([
  ["", { page: "runs" }],
  ["#/run/aB3", { page: "run", id: "aB3" }],
  ["#/run/../x", { page: "runs" }],
  ["#/folds/aB3", { page: "folds", id: "aB3" }],
  ["#/comparison/<x>", { page: "runs" }],
  ["#/compare/a,b,<c>", { page: "compare", ids: ["a", "b"] }],
  ["#/new", { page: "new" }],
])("the address %j", (hash, route) => expect(parseRoute(hash)).toEqual(route));

describe("the table", () => {
  const runs = [run("b", { testAccuracy: 0.9 }), run("a10"), run("a2", { testAccuracy: 0.8 })];

  test("numbers in names count as numbers, missing figures come last both ways", () => {
    expect(sorted(runs, "name", false).map((r) => r.name)).toEqual(["a2", "a10", "b"]);
    expect(sorted(runs, "testAccuracy", true).map((r) => r.name)).toEqual(["b", "a2", "a10"]);
    expect(sorted(runs, "testAccuracy", false).map((r) => r.name)).toEqual(["a2", "b", "a10"]);
  });

  test("every word of the filter has to occur", () => {
    expect(fits(run("x"), "LUNG  metalr")).toBe(true);
    expect(fits(run("x"), "lung finetune")).toBe(false);
  });

  test("folds of one cross-validation are one row, with sums and means of those that have the figure", () => {
    const folds = { id: "F", name: "lung" };
    const all = [
      run("lung/fold-1", { folds, step: 10, testAccuracy: 0.8, elapsedMs: 5 }),
      run("lung/fold-2", { folds, step: 4, state: "interrupted", elapsedMs: 7, created: "2026-02-01T00:00:00Z" }),
      run("alone"),
    ];
    const [alone, row] = rowsOf(all, true);
    expect(alone).toMatchObject({ id: "alone", ids: ["alone"], parts: "" });
    expect(row).toMatchObject({
      id: "F",
      name: "lung",
      state: "interrupted",
      step: 14,
      steps: 20,
      testAccuracy: 0.8,
      elapsedMs: 12,
      created: "2026-02-01T00:00:00Z",
      ids: ["lung/fold-1", "lung/fold-2"],
      parts: "2 folds, 1 finished",
    });
    expect(rowsOf(all, false)).toHaveLength(3);
  });

  test("runs come, change and go", () => {
    let list = afterMessage(emptyList, { type: "all", runs: [run("a")], jobs: [], comparisons: [], where: "runs" });
    list = afterMessage(list, { type: "run", run: run("b") });
    list = afterMessage(list, { type: "gone", id: "a" });
    expect([...list.runs.keys()]).toEqual(["b"]);
  });
});

describe("curves", () => {
  const row = (step: number): StepRow => [step, 1 / step, 0.5, null, 1e-3, -1];

  test("steps that are there already are passed over; a missing value is a gap", () => {
    const curves = new GrowingCurves(1);
    curves.add([row(1), row(2)]);
    curves.add([row(2), row(3)]);
    const { steps, values } = curves.points();
    expect([...steps]).toEqual([1, 2, 3]);
    expect(Array.from(values[0] ?? [])).toEqual([1, 1 / 2, 1 / 3]);
    expect(Array.from(values[2] ?? [])).toEqual([Number.NaN, Number.NaN, Number.NaN]);
  });

  test("100,000 steps are at most 4096 points, and no spike is lost", () => {
    const curves = new GrowingCurves(1);
    for (let s = 1; s <= 100_000; s++) curves.add([s === 77_777 ? [s, 99, 0.5, null, 1e-3, -1] : row(s)]);
    const { steps, values } = curves.points();
    expect(steps.length).toBeLessThanOrEqual(4096);
    const spike = values[0]?.indexOf(99) ?? -1;
    expect(Math.abs((steps[spike] ?? 0) - 77_777)).toBeLessThan(100);
  });

  test("a run of many groups has fewer points, and never fewer than a small plot has pixels", () => {
    expect(bucketsFor(1)).toBe(2048);
    expect(bucketsFor(62)).toBe(512);
    expect(bucketsFor(10_000)).toBe(256);
  });

  test("figures of epochs stand where the epochs ended", () => {
    const curves = { steps: Float64Array.of(1, 2, 3, 4), values: [] };
    const epoch = {
      trainLoss: 1,
      trainAccuracy: 1,
      validationLoss: 1,
      validationAccuracy: 1,
      testLoss: 1,
      testAccuracy: 1,
    };
    const epochs = [2, 4].map((step, i) => ({ ...epoch, step, epoch: i + 1 }));
    expect(atEpochs(curves, epochs, (e) => e.epoch)).toEqual([null, 1, null, 2]);
  });

  test("the running mean of a constant is the constant, from its first value on", () => {
    expect(runningMean([null, 2, 2, null, 2]).map((v) => v && Math.round(1e9 * v) / 1e9)).toEqual([
      null,
      2,
      2,
      null,
      2,
    ]);
  });
});
