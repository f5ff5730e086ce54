import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { nodePlatform } from "../platform/node/index.js";
import { pooledEvaluation } from "../training/metrics.js";
import { foldFolders, kindOfFolder, readSummary } from "./read.js";
import { createRun } from "./recorder.js";
import { meanAndDeviation, writeSummary } from "./summary.js";
import { syntheticConfig, syntheticEvents, syntheticPredictions } from "./synthetic.testing.js";

const { files } = nodePlatform;
let root = "";
beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), "metalr-folds-"));
});
afterEach(() => rm(root, { recursive: true, force: true }));

async function fold(k: number, predictions: boolean, finished = true) {
  const options = { seed: k, epochs: 2, stepsPerEpoch: 3 };
  const config = { ...syntheticConfig(options), name: `fold-${k}` };
  const run = await createRun(join(root, `fold-${k}`), { platform: nodePlatform, config, pictures: "end" });
  const selected = syntheticPredictions(k, 2);
  for (const event of syntheticEvents(options)) {
    if (event.type !== "end") await run.record(event);
    else if (finished) await run.record({ ...event, test: selected.evaluate(), testLast: selected.evaluate() });
  }
  if (predictions) {
    await run.writePredictions("selected", selected);
    await run.writePredictions("last", selected);
  }
  return selected;
}

describe("writeSummary", () => {
  test("pools the samples of all folds, in the order of their numbers", async () => {
    const all = [];
    for (const k of [1, 2, 10]) all.push(await fold(k, true));
    expect(await foldFolders(files, root)).toEqual(["fold-1", "fold-2", "fold-10"]);
    expect(await kindOfFolder(files, root)).toBe("folds");
    const summary = await writeSummary(files, root, "pocus", () => new Date("2022-06-03T12:00:00Z"));
    expect(summary.pooled.selected).toEqual(pooledEvaluation(all));
    expect(summary.pooled.selected?.count).toBe(3 * 344);
    const accuracies = all.map((p) => p.evaluate().accuracy);
    expect(summary.spread.selected.accuracy).toEqual(meanAndDeviation(accuracies));
    expect(await readSummary(files, root)).toEqual(summary);
    const report = await readFile(join(root, "report.html"), "utf8");
    expect(report).toContain("pocus: metalr, 3 folds");
    expect(report).toContain('href="fold-10/report.html"');
  });

  test("without the samples everything is pooled but the AUC", async () => {
    const all = [await fold(1, false), await fold(2, false)];
    const { pooled } = await writeSummary(files, root, "pocus");
    const { loss, macroAuc, ...rest } = pooledEvaluation(all);
    expect(pooled.selected).toMatchObject(rest);
    expect(pooled.selected?.macroAuc).toBeNull();
    expect(pooled.selected?.loss).toBeCloseTo(loss, 12);
    expect(macroAuc).toBeGreaterThan(0.5);
  });

  test("a fold that has not ended leaves the pooled figures out", async () => {
    await fold(1, true);
    await fold(2, false, false);
    const summary = await writeSummary(files, root, "pocus");
    expect(summary.pooled).toEqual({ selected: null, last: null });
    expect(summary.folds[1]).toMatchObject({ selected: null, lastEpoch: 2, selectedEpoch: 0 });
    expect(await readFile(join(root, "report.html"), "utf8")).toContain("Not all folds have ended");
  });
});

test("mean and sample standard deviation by hand; one value has no deviation", () => {
  expect(meanAndDeviation([1, 2, 3, Number.NaN])).toEqual({ mean: 2, deviation: 1 });
  expect(meanAndDeviation([5])).toEqual({ mean: 5, deviation: null });
  expect(meanAndDeviation([])).toEqual({ mean: null, deviation: null });
});
