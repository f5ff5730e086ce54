import { existsSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { openDataset } from "../data/open.js";
import { nodePlatform } from "../platform/node/index.js";
import { Schedule } from "./schedule.js";
import { range } from "./tiny.testing.js";

const schedule = (train: number, meta: number, over: Partial<ConstructorParameters<typeof Schedule>[1]> = {}) =>
  new Schedule(
    { train: range(100, 100 + train), meta: range(500, 500 + meta) },
    { batchSize: 4, seed: 7, metaBatches: "stream", ...over },
  );
const sorted = (...parts: Uint32Array[]) => parts.flatMap((p) => [...p]).sort((a, b) => a - b);

describe("training batches", () => {
  test("every image once an epoch, the last batch smaller", () => {
    const s = schedule(11, 5);
    expect(s).toMatchObject({ stepsPerEpoch: 3, batch: 4, lastBatch: 3, leftOut: 0 });
    expect(sorted(s.train(1), s.train(2), s.train(3))).toEqual([...range(100, 111)]);
    expect(s.train(3).length).toBe(3);
    expect(sorted(s.train(4), s.train(5), s.train(6))).toEqual([...range(100, 111)]);
  });

  test("each epoch has an order of its own, which depends on the seed", () => {
    const order = (s: Schedule, epoch: number) => [1, 2, 3].flatMap((i) => [...s.train(3 * (epoch - 1) + i)]);
    expect(order(schedule(11, 5), 1)).not.toEqual(order(schedule(11, 5), 2));
    expect(order(schedule(11, 5), 1)).not.toEqual(order(schedule(11, 5, { seed: 8 }), 1));
    expect(order(schedule(11, 5), 2)).toEqual(order(schedule(11, 5), 2));
  });

  test("a step's batch does not depend on the steps before it", () => {
    const forward = schedule(11, 5);
    const all = Array.from({ length: 12 }, (_, i) => [[...forward.train(i + 1)], [...forward.meta(i + 1)]]);
    const backward = schedule(11, 5);
    for (let i = 12; i >= 1; i--) expect([[...backward.train(i)], [...backward.meta(i)]]).toEqual(all[i - 1]);
  });

  test("a last batch of one image is left out", () => {
    expect(schedule(9, 5)).toMatchObject({ stepsPerEpoch: 2, lastBatch: 4, leftOut: 1 });
  });

  test("batches of one image are one image each, and none is left out", () => {
    const s = schedule(3, 3, { batchSize: 1 });
    expect(s).toMatchObject({ stepsPerEpoch: 3, batch: 1, lastBatch: 1, leftOut: 0 });
  });

  test("fewer images than a batch: one batch of them all", () => {
    expect(schedule(3, 5)).toMatchObject({ stepsPerEpoch: 1, batch: 3, lastBatch: 3 });
  });

  test("steps and their epochs", () => {
    const s = schedule(11, 5);
    expect([1, 3, 4, 6, 7].map((step) => s.placeOf(step))).toEqual([
      { epoch: 1, stepInEpoch: 1 },
      { epoch: 1, stepInEpoch: 3 },
      { epoch: 2, stepInEpoch: 1 },
      { epoch: 2, stepInEpoch: 3 },
      { epoch: 3, stepInEpoch: 1 },
    ]);
  });

  test("no training images are refused", () => {
    expect(() => schedule(0, 5)).toThrow("training: there are no training images");
  });
});

describe("validation batches", () => {
  test("the stream goes through all images before it repeats one", () => {
    const s = schedule(11, 6);
    expect(s.metaBatch).toBe(4);
    const stream = [1, 2, 3].flatMap((step) => [...s.meta(step)]);
    expect(stream.slice(0, 6).sort()).toEqual([...range(500, 506)]);
    expect(stream.slice(6).sort()).toEqual([...range(500, 506)]);
    expect(stream.slice(0, 6)).not.toEqual(stream.slice(6));
  });

  test("no larger than the images that there are", () => {
    const s = schedule(11, 3);
    expect(s.metaBatch).toBe(3);
    for (const step of [1, 2, 3]) expect(sorted(s.meta(step))).toEqual([500, 501, 502]);
  });

  test('"first" is always the first batch in stored order, as the released program', () => {
    const s = schedule(11, 6, { metaBatches: "first" });
    for (const step of [1, 2, 9]) expect([...s.meta(step)]).toEqual([500, 501, 502, 503]);
  });
});

describe("validation batches beyond the paper", () => {
  const labels = new Uint32Array(600).map((_, i) => (i < 512 ? 0 : i < 515 ? 1 : 2)); // of 500 … 519: 12, 3 and 5 images
  const groups = Array.from({ length: 600 }, (_, i) => `g${i % 10}`);

  test("balanced: every class equally often, small classes repeated within a batch only when they are used up", () => {
    const s = schedule(11, 20, { batchSize: 9, metaBatches: "balanced", labels });
    for (let step = 1; step <= 20; step++) {
      const batch = [...s.meta(step)];
      expect([0, 1, 2].map((c) => batch.filter((i) => labels[i] === c).length)).toEqual([3, 3, 3]);
      expect(new Set(batch).size).toBe(9);
    }
    expect([...s.meta(1)]).not.toEqual([...s.meta(2)]);
  });

  test("disjoint: no group of the training batch, whatever the order that steps are asked in", () => {
    const s = schedule(11, 20, { metaDisjoint: true, groups });
    const batches = [1, 2, 3, 4].map((step) => [...s.meta(step)]);
    for (const [i, batch] of batches.entries()) {
      const seen = new Set([...s.train(i + 1)].map((k) => groups[k]));
      expect(batch.filter((k) => seen.has(groups[k]))).toEqual([]);
    }
    expect([...schedule(11, 20, { metaDisjoint: true, groups }).meta(3)]).toEqual(batches[2]);
  });

  test("disjoint where nothing is left is an error", () => {
    const s = schedule(11, 20, { metaDisjoint: true, groups: groups.map(() => "all") });
    expect(() => s.meta(1)).toThrow(
      "step 1: every validation image is of a group that is in the training batch, too\n" +
        "  hint     hold out a part for the learning rates (--meta-data split), or use smaller batches",
    );
  });
});

const pocus = "../shared/data/pocus/pocus_data_all.zip.001";
test.skipIf(!existsSync(pocus))(
  "POCUS: the fixed first batch of the unshuffled training folds lacks a class (skipped without ../shared/data)",
  async () => {
    const { labels } = await openDataset(pocus, { platform: nodePlatform });
    const training = range(348, 1721); // four of the five folds
    const s = new Schedule({ train: training, meta: training }, { batchSize: 128, seed: 1, metaBatches: "first" });
    expect(new Set(Array.from(s.meta(17), (i) => labels[i])).size).toBeLessThan(3);
  },
);
