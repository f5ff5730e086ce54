import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { nodePlatform } from "../platform/node/index.js";
import type { Evaluation } from "../training/types.js";
import { runComparison } from "./compare.js";
import { type Cell, type ComparisonPlan, cellFolder } from "./compare-plan.js";
import { budgetInWords, comparisonText, writeComparison } from "./compare-report.js";
import { summariseComparison } from "./compare-summary.js";
import { createRun } from "./recorder.js";
import { syntheticConfig, syntheticEvents } from "./synthetic.testing.js";

const { files } = nodePlatform;
let root = "";
let trained: string[] = [];
beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), "metalr-compare-"));
  trained = [];
});
afterEach(() => rm(root, { recursive: true, force: true }));

/** Every figure of an evaluation is the synthetic run's, but the accuracy. */
const right = (e: Evaluation | undefined, accuracy: number) => e && { ...e, accuracy };

/** Percent right of a cell: on the test images and on the validation images. */
type Right = (cell: Cell) => { readonly test: number; readonly validation?: number };

async function train(
  cell: Cell,
  { test: percent, validation = percent }: ReturnType<Right>,
  select: "validation" | "test",
) {
  const options = { seed: cell.seed, epochs: 2, stepsPerEpoch: 2, select, groups: ["stem", "fc"] };
  const config = { ...syntheticConfig(options), name: cell.split, method: cell.method };
  const run = await createRun(cell.folder, { platform: nodePlatform, config, pictures: "end" });
  for (const event of syntheticEvents(options)) {
    if (event.type === "epoch" && event.validation) {
      await run.record({ ...event, validation: { ...event.validation, accuracy: validation / 100 } });
    } else if (event.type === "end") {
      const last = right(event.testLast, (percent - 1) / 100);
      const test = right(event.test, percent / 100);
      await run.record({ ...event, ...(test && { test }), ...(last && { testLast: last }) });
    } else await run.record(event);
  }
  trained.push(`${cell.data} ${cell.method} ×${cell.factor} ${cell.seed} ${cell.split}`);
  return true;
}

const methods = ["finetune", "metalr", "lastLayer"].map((key) => ({ key, title: key.toUpperCase(), about: `${key}.` }));

function plan(
  figure: Right,
  over: Partial<ComparisonPlan> & { splits?: string[]; select?: "validation" | "test" } = {},
) {
  const { splits = ["run"], select = "validation", ...rest } = over;
  return {
    folder: root,
    files,
    data: ["breast"],
    methods,
    seeds: [1, 2, 3],
    grid: [1],
    prepare: async () => ({ splits }),
    train: (c: Cell) => train(c, figure(c), select),
    ...rest,
  } satisfies ComparisonPlan;
}

async function figures(o: ComparisonPlan) {
  const finished = await runComparison(o);
  if (finished === null) throw new Error("it was stopped");
  const all = summariseComparison(finished, { ...o, reference: "finetune", now: "2024-01-01T00:00:00.000Z" });
  return { finished, all, first: all.data[0] };
}

/** finetune 80, 82, 84; metalr 1, 2 and 3 points better; lastLayer 4 worse. */
const threeSeeds: Right = ({ method, seed }) => ({
  test: 78 + 2 * seed + (method === "metalr" ? seed : method === "lastLayer" ? -4 : 0),
});

describe("trainings", () => {
  test("every method with every seed, each in a folder of its own", async () => {
    const { finished } = await figures(plan(threeSeeds));
    expect(trained.slice(0, 4)).toEqual([
      "breast finetune ×1 1 run",
      "breast metalr ×1 1 run",
      "breast lastLayer ×1 1 run",
      "breast finetune ×1 2 run",
    ]);
    expect(finished.trainings).toBe(9);
    expect(finished.cells[1]?.folder).toBe(`${root}/breast/metalr/seed-1/run`);
    expect(cellFolder("x", { data: "a b", method: "metalr:ema=0.9", factor: 0.3, seed: 1, split: "fold-2" })).toBe(
      "x/a-b/metalr-ema-0.9/lr-x0.3/seed-1/fold-2",
    );
  });

  test("finished ones are not repeated, others are gone on with", async () => {
    await figures(plan(threeSeeds, { seeds: [1, 2] }));
    expect(trained.length).toBe(6);
    const { finished } = await figures(plan(threeSeeds));
    expect(trained.slice(6)).toEqual([
      "breast finetune ×1 3 run",
      "breast metalr ×1 3 run",
      "breast lastLayer ×1 3 run",
    ]);
    expect(finished.cells.length).toBe(9);
  });

  test("stopped between two trainings there is no result yet", async () => {
    const stop = new AbortController();
    const o = plan(threeSeeds, { signal: stop.signal, onCell: (_, { done }) => done === 2 && stop.abort() });
    expect(await runComparison(o)).toBeNull();
    expect(trained.length).toBe(3);
  });

  test("a grid: every method tries all factors with the first seed and keeps the best on validation images", async () => {
    const figure: Right = ({ method, factor }) => ({
      test: 99 - factor, // the test images would choose otherwise
      validation: method === "metalr" ? 50 + factor : 50 - factor,
    });
    const { finished, all, first } = await figures(plan(figure, { grid: [1, 3], seeds: [1, 2] }));
    expect(trained.length).toBe(3 * 2 + 3);
    expect(trained.slice(6)).toEqual([
      "breast finetune ×1 2 run",
      "breast metalr ×3 2 run",
      "breast lastLayer ×1 2 run",
    ]);
    expect(finished.tuning[1]).toEqual({
      data: "breast",
      method: "metalr",
      tried: [
        { factor: 1, validation: 0.51 },
        { factor: 3, validation: 0.53 },
      ],
      chosen: 3,
    });
    expect(first?.methods.map((m) => m.factor)).toEqual([1, 3, 1]);
    expect(budgetInWords(all)).toBe(
      "Every method had the same budget: 2 learning rates (factors 1, 3), chosen by the mean validation accuracy of the first seed; 9 trainings in all.",
    );
  });

  test("names that would share a folder are refused", async () => {
    const two = ["metalr:ema=0.9", "metalr-ema-0.9"].map((key) => ({ key, title: key, about: "" }));
    await expect(runComparison(plan(threeSeeds, { methods: two }))).rejects.toThrow(
      "methods: are not all different\n  got      metalr-ema-0.9",
    );
  });
});

describe("figures", () => {
  test("means with t intervals by choice of the epoch, differences paired by seed", async () => {
    const { first } = await figures(plan(threeSeeds));
    const [base, learned, head] = first?.methods ?? [];
    expect(first).toMatchObject({ unit: "seed", units: 3, reference: "finetune" });
    expect(base?.accuracy.validation).toMatchObject({ values: [0.8, 0.82, 0.84], mean: expect.closeTo(0.82, 12) });
    expect(base?.accuracy.last?.mean).toBeCloseTo(0.81, 12);
    expect(base?.accuracy.validation?.high).toBeCloseTo(0.82 + (4.302653 * 0.02) / Math.sqrt(3), 6);
    expect(base?.test).toBeNull();
    // Differences 1, 2, 3 points: t = 2√3 with two degrees of freedom, p = 0.0742; three of one sign: 2/8.
    expect(learned?.test).toMatchObject({
      difference: { mean: expect.closeTo(0.02, 12) },
      p: expect.closeTo(0.07418, 5),
      pHolm: expect.closeTo(0.07418, 5),
      pWilcoxon: 0.25,
    });
    expect(head?.test).toMatchObject({ p: null, pHolm: null }); // four points worse with every seed: no spread
  });

  test("seeds of one fold are averaged: folds are the units", async () => {
    const { first } = await figures(
      plan(({ seed, split }) => ({ test: 70 + 2 * seed + (split === "fold-2" ? 10 : 0) }), {
        splits: ["fold-1", "fold-2"],
        seeds: [1, 2],
      }),
    );
    expect(first).toMatchObject({ unit: "fold", units: 2, seeds: 2, folds: 2 });
    expect(first?.methods[0]?.accuracy.validation?.values).toEqual([
      expect.closeTo(0.73, 12),
      expect.closeTo(0.83, 12),
    ]);
  });

  test("in words: what was seen, and what it does not show", async () => {
    const { first } = await figures(plan(threeSeeds));
    expect(first?.words).toEqual([
      "Accuracy on the test images at the epoch chosen on validation images. FINETUNE: 82.0 ± 5.0 %.",
      "METALR: 84.0 ± 7.5 %, +2.0 points against finetune (95 % interval −0.5 to +4.5, 3 seeds, p = 0.074, 0.074 after Holm's correction): no difference is shown; what the interval holds is possible in either direction.",
      "LASTLAYER: 78.0 ± 5.0 %, −4.0 points against finetune, the same difference in every seed: there is no spread to test it against.",
      "3 pairs are few: the exact rank test cannot give a p below 0.250, and the t test believes that differences are normally distributed.",
      "All runs share one division into training and test images, so the intervals say how well training repeats itself, not how other patients would fare.",
    ]);
  });

  test("one seed: no word on chance", async () => {
    const { first } = await figures(plan(threeSeeds, { seeds: [1] }));
    expect(first?.words[1]).toBe(
      "METALR: 81.0 %, +1.0 points against finetune. With one seed nothing can be said about chance: add seeds.",
    );
  });

  test("an epoch chosen by the test images is called leaky wherever it is shown", async () => {
    const { all, first } = await figures(plan(threeSeeds, { select: "test" }));
    if (!first) throw new Error("there are no figures");
    expect(Object.keys(first.methods[0]?.accuracy ?? {})).toEqual(["leaky", "last"]);
    expect(comparisonText(all, first)).toContain("best on test (leaky)");
    expect(first.words[0]).toContain("leaky: too high, and not to be quoted");
  });
});

test("the folder has the figures as JSON and a report that needs nothing else", async () => {
  const o = plan(threeSeeds, { data: ["breast", "retina"] });
  const { finished, all } = await figures(o);
  await writeComparison(files, root, {
    title: "Three methods",
    introduction: ["On two data sets."],
    figures: all,
    methods,
    cells: finished.cells,
  });
  expect(JSON.parse(await readFile(join(root, "comparison.json"), "utf8"))).toEqual(JSON.parse(JSON.stringify(all)));
  const page = await readFile(join(root, "report.html"), "utf8");
  for (const text of [
    "No method was tuned: 18 trainings in all",
    "breast: images never seen in training",
    "retina: images never seen in training",
    "84.0 ± 7.5",
    "retina, METALR, seed 1",
    "points: 3 seeds; bars: 95 % interval of the mean; epoch: by validation",
    // All that a reader needs: figures by choice of the epoch, paired tests, time, confusion matrices, rates, words.
    "Accuracy %, by validation",
    "Accuracy %, last epoch",
    "Points against finetune",
    "p (paired t)",
    "p (Holm)",
    "Time a run",
    "Confusion matrices, all runs of a method together",
    "learning rate of every layer group",
    "All runs share one division into training and test images",
  ]) {
    expect(page).toContain(text);
  }
  expect(page).not.toMatch(/undefined|NaN|\[object|<script/);
  // A figure of points, three matrices, and three runs with rates and a matrix, for each of two data sets.
  expect(page.match(/<svg /g)?.length).toBe(2 * (1 + 3 + 3 * 2));
  expect(/leaky/i.test(page.slice(page.indexOf("</style>")))).toBe(false); // these epochs were chosen fairly
  const ids = [...page.matchAll(/ id="([^"]*)"/g)].map((m) => m[1]);
  expect(new Set(ids).size).toBe(ids.length);
});
