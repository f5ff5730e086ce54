/** @file Facts of what the studio serves of segmentations: Dice wherever others have accuracy, and no figure of voxels in its place. */
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { unet } from "../../models/index.js";
import { nodePlatform } from "../../platform/node/index.js";
import { nodeExecutor } from "../../platform/node/onnxRuntime.js";
import { trainRun } from "../../records/trainRun.js";
import { tinySegmentation } from "../../training/tiny-volumes.testing.js";
import { volumeTransforms } from "../../training/volume-transforms.js";
import type { FoldsFacts, RunMessage, RunSummary } from "../protocol.js";
import { messagesOf, type TestStudio, testStudio, until, writeRun, writeSegmentation } from "./studio.testing.js";

let studio: TestStudio;
let runs: readonly RunSummary[];
const named = (name: string): RunSummary => {
  const run = runs.find((r) => r.name === name);
  if (run === undefined) throw new Error(`there is no run ${name}`);
  return run;
};
const json = async <T>(path: string): Promise<T> => (await (await studio.ask(path)).json()) as T; // as the protocol says

/** The curves and facts of a run as the page gets them first. */
async function whole(name: string): Promise<Extract<RunMessage, { type: "whole" }>> {
  const messages = messagesOf<RunMessage>(await studio.ask(`/api/follow?ids=${named(name).id}`));
  const message = await until(messages, (m) => m.type === "whole");
  await messages.return(undefined);
  if (message.type !== "whole") throw new Error("unreachable: until() has checked it");
  return message;
}

let trained: Awaited<ReturnType<typeof trainRun>>;
beforeAll(async () => {
  studio = await testStudio((folder) => {
    for (const k of [1, 2]) writeSegmentation(`${folder}/cv/fold-${k}`, { seed: k });
    writeSegmentation(`${folder}/many`, { volumes: 30 });
    writeRun(`${folder}/images`);
  });
  const tiny = tinySegmentation();
  const model = unet("unet3d", { classes: 3, width: 2 });
  const { dataset, split } = tiny.data;
  const transforms = volumeTransforms({ model, dataset, train: split.train, patch: [8, 8, 8], window: [16, 16, 16] });
  const how = { executor: nodeExecutor({ threads: 1 }), platform: nodePlatform, workers: 0, epochs: 2 };
  trained = await trainRun(join(studio.runs, "real"), { ...tiny, ...how, model, transforms });
  const messages = messagesOf<{ type: string; run?: RunSummary }>(await studio.ask("/api/events"));
  if (!(await json<RunSummary[]>("/api/runs")).some((r) => r.name === "real" && r.state === "finished"))
    await until(messages, (m) => m.run?.name === "real" && m.run.state === "finished");
  await messages.return(undefined);
  runs = await json("/api/runs");
});
afterAll(() => studio.end());

describe("a run that was trained", () => {
  test("its row has the mean Dice of validation and test volumes, and no AUC", () => {
    const best = Math.max(...trained.history.map((e) => e.validation?.dice?.mean ?? Number.NaN));
    expect(named("real")).toMatchObject({
      figure: "dice",
      validationAccuracy: best,
      testAccuracy: trained.evaluation?.dice?.mean,
      testAuc: null,
    });
    expect(named("real").testAccuracy).not.toBe(trained.evaluation?.accuracy);
    expect(named("images").figure).toBe("accuracy");
  });

  test("its curves and epochs are those of Dice", async () => {
    const { facts } = await whole("real");
    const six = (x: number | null | undefined) => (typeof x === "number" ? Number(x.toPrecision(6)) : null);
    expect(facts.epochs.map((e) => e.trainAccuracy)).toEqual(trained.history.map((e) => six(e.trainDice)));
    expect(facts.epochs.map((e) => e.validationAccuracy)).toEqual(
      trained.history.map((e) => six(e.validation?.dice?.mean)),
    );
    expect(facts.shown?.evaluation.dice?.perClass).toEqual(trained.evaluation?.dice?.perClass);
    expect(facts.shown?.volumes).toBe("2 volumes");
    expect(facts.configuration.flatMap((c) => c.lines.map(([name]) => name))).toContain("volumes");
  });

  test("there are no worst images: what is wrong is said of volumes", async () => {
    expect(await json(`/api/runs/${named("real").id}/worst`)).toBeNull();
  });
});

test("steps carry the Dice of their patches", async () => {
  const { steps } = await whole("many");
  expect(new Set(steps.map((row) => row[2]))).toEqual(new Set([0.4]));
});

test("of many volumes the worst are sent", async () => {
  const { facts } = await whole("many");
  expect(facts.shown?.volumes).toBe("the 20 of 30 volumes with the lowest mean");
  expect(facts.shown?.evaluation.dice?.volumes).toHaveLength(20);
  expect(facts.shown?.evaluation.dice?.volumes[0]?.name).toBe("scan_1");
  expect(facts.shown?.evaluation.dice?.mean).toBeCloseTo(0.5, 12); // of all 30
});

test("folds have the Dice of each, pooled and spread", async () => {
  const facts = await json<FoldsFacts>(`/api/folds/${named("cv/fold-1").folds?.id}`);
  expect(facts).toMatchObject({ figure: "dice", ended: 2, volumes: "6 volumes" });
  expect(facts.folds.map((f) => f.selected?.dice?.mean)).toEqual([0.5, 0.5]);
  expect(facts.pooled.selected?.dice?.perClass[1]).toBeCloseTo(0.5, 12);
  expect(facts.spread.selected.dice).toEqual({ mean: 0.5, deviation: 0 });
});

test("the report of runs side by side has their Dice", async () => {
  const html = await (await studio.ask(`/api/compare?ids=${named("many").id},${named("cv/fold-1").id}`)).text();
  expect(html).toContain("Mean Dice");
  expect(html).toContain("Mean Dice (%)");
  expect(html).not.toMatch(/Balanced accuracy|>Accuracy \(%\)/);
});
