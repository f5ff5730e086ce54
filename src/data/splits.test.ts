/** @file Tests of splits: folds of the file, groups, official parts, refusals. */
import { existsSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { nodePlatform } from "../platform/node/index.js";
import { openDataset } from "./open.js";
import { planSplits, type SplitOptions, straddlingGroups } from "./splits.js";
import { fake, fiveFolds, indices, options, twenty } from "./splits.testing.js";
import type { Dataset, Division, Split } from "./types.js";

const lists = (s: Split | undefined) =>
  s && { name: s.name, train: [...s.train], meta: [...s.meta], validation: [...s.validation], test: [...s.test] };

describe("the file's own folds, groups unknown", () => {
  const data = fake(twenty, { division: fiveFolds });

  test("select last: four folds train, one tests, meta is the training part itself", () => {
    const splits = planSplits(data, options());
    expect(splits.map((s) => s.name)).toEqual(["fold-1", "fold-2", "fold-3", "fold-4", "fold-5"]);
    expect(lists(splits[1])).toEqual({
      name: "fold-2",
      train: [...indices([0, 4], [8, 20])],
      meta: [...indices([0, 4], [8, 20])],
      validation: [],
      test: [4, 5, 6, 7],
    });
  });

  test("select validation: the next fold, cyclically", () => {
    const splits = planSplits(data, options({ select: "validation" }));
    expect(lists(splits[4])).toMatchObject({ validation: [0, 1, 2, 3], test: [16, 17, 18, 19] });
    expect([...splits[4]!.train]).toEqual([...indices([4, 16])]); // five splits
  });

  test("meta data split: the fold after that, disjoint from validation", () => {
    const [first] = planSplits(data, options({ select: "validation", metaData: "split" }));
    expect(lists(first)).toEqual({
      name: "fold-1",
      train: [...indices([12, 20])],
      meta: [8, 9, 10, 11],
      validation: [4, 5, 6, 7],
      test: [0, 1, 2, 3],
    });
    expect(first?.notes).toEqual([]);
  });

  test("with two folds there is no whole one to hold out: a stratified share, and a note", () => {
    const two = fake(twenty, { division: { kind: "folds", folds: [indices([0, 10]), indices([10, 20])] } });
    const [first] = planSplits(two, options({ select: "validation" }));
    expect(first?.validation.length).toBe(2);
    expect(first?.train.length).toBe(8);
    expect(first?.notes).toEqual([
      "too few folds to hold out whole ones: frames of one video may be both in training and in the held-out part",
    ]);
  });
});

describe("groups known", () => {
  /** Ten groups of two images, one class each; group 9 has images in folds 1 and 5. */
  const groups = twenty.map((_, i) => `p${i === 1 ? 9 : Math.floor(i / 2)}`);
  const labels = groups.map((g) => Number(g.slice(1)) % 2);
  const data = fake(labels, { division: fiveFolds, groups });

  test("validation is a share of the training images by whole groups", () => {
    for (const split of planSplits(data, options({ select: "validation", metaData: "split" }))) {
      const groupsOf = (part: Uint32Array) => new Set(Array.from(part, (i) => groups[i]));
      for (const g of groupsOf(split.validation)) expect(groupsOf(split.train).has(g)).toBe(false);
      for (const g of groupsOf(split.meta)) expect(groupsOf(split.train).has(g)).toBe(false);
      expect(split.validation.length).toBeGreaterThan(0);
      expect(split.meta.length).toBeGreaterThan(0);
    }
  });

  test("a group on both sides is found and said", () => {
    const [first, second] = planSplits(data, options());
    expect(straddlingGroups(first!, data)).toEqual(["p9"]);
    expect(first?.notes).toEqual([
      "1 of 10 groups have images both in the test part and in the others: the test result will look better than on new groups",
    ]);
    expect(straddlingGroups(second!, data)).toEqual([]);
  });

  test("divided anew by group, nothing straddles", () => {
    const splits = planSplits(data, options({ byGroup: true }));
    expect(splits).toHaveLength(5);
    for (const split of splits) expect(straddlingGroups(split, data)).toEqual([]);
  });
});

describe("official parts", () => {
  const division: Division = {
    kind: "official",
    train: indices([0, 12]),
    validation: indices([12, 16]),
    test: indices([16, 20]),
  };
  const data = fake(twenty, { division });

  test("one run; the official validation part serves select validation", () => {
    expect(planSplits(data, options({ select: "validation" })).map(lists)).toEqual([
      {
        name: "run",
        train: [...indices([0, 12])],
        meta: [...indices([0, 12])],
        validation: [12, 13, 14, 15],
        test: [16, 17, 18, 19],
      },
    ]);
  });

  test("otherwise it stays unused, which is said", () => {
    const [run] = planSplits(data, options());
    expect([...run!.train]).toEqual([...indices([0, 12])]);
    expect(run?.notes).toEqual(["the data's own validation images are not used (they serve select: validation)"]);
  });

  test("without one, a fifth of the training images is held out, stratified", () => {
    const none = fake(twenty, { division: { ...division, train: indices([0, 16]), validation: null } });
    const [run] = planSplits(none, options({ select: "validation" }));
    expect(run?.validation.length).toBe(3);
    expect(run?.train.length).toBe(13);
  });

  test("meta data split takes a share of the training part", () => {
    const [run] = planSplits(data, options({ select: "validation", metaData: "split", heldOutShare: 0.25 }));
    expect([run?.train.length, run?.meta.length, run?.validation.length]).toEqual([9, 3, 4]);
  });

  test("no test images: said, and refused for select test", () => {
    const none = fake(twenty, { division: { ...division, test: null } });
    expect(planSplits(none, options({ select: "validation" }))[0]?.notes).toEqual(["the data have no test images"]);
    expect(() => planSplits(none, options({ select: "test" }))).toThrow(
      "fake: has no test images to select by\n  hint     choose select: validation or last",
    );
  });
});

test("a test share instead of folds is one run", () => {
  const splits = planSplits(fake(twenty), options({ testShare: 0.25, select: "validation" }));
  expect(splits.map((s) => [s.name, s.train.length, s.validation.length, s.test.length])).toEqual([["run", 12, 3, 5]]);
});

describe("refusals", () => {
  const folds = fake(twenty, { division: fiveFolds });
  test.each<[Dataset, Partial<SplitOptions>, string]>([
    [
      fake(twenty),
      { folds: 1 },
      "fake: number of folds is out of range\n  expected a whole number from 2\n  got      1",
    ],
    [fake(twenty), { folds: 3, testShare: 0.2 }, "fake: folds and a test share exclude each other"],
    [fake(twenty), { testShare: 1 }, "fake: test share is out of range\n  expected above 0 and below 1\n  got      1"],
    [
      fake(twenty),
      { heldOutShare: 0.5 },
      "fake: held-out share is out of range\n  expected above 0 and below 0.5\n  got      0.5",
    ],
    [
      fake(twenty),
      { byGroup: true },
      "fake: cannot be divided by group, because its groups are not known\n  hint     give a groups file with fold,index,group",
    ],
    [
      folds,
      { folds: 3 },
      "fake: has its own 5 folds\n  got      3 folds\n  hint     leave the option out, or divide by group",
    ],
    [
      folds,
      { testShare: 0.2 },
      "fake: has its own 5 folds\n  got      a test share of 0.2\n  hint     leave the option out, or divide by group",
    ],
    [fake([0, 1, 0]), { folds: 5 }, "fake: fold 4 of 5 has no images\n  got      3 images\n  hint     use fewer folds"],
    [
      fake([0, 1, 0, 1, 0], {
        groups: ["a", "a", "a", "a", "b"],
        division: { kind: "folds", folds: [indices([0, 4]), indices([4, 5])] },
      }),
      { select: "validation" },
      "fake, fold-1: the validation part would have no images\n  got      2 groups\n  hint     hold out a larger share, or choose select: last and meta data: train",
    ],
  ])("%#", (data, over, message) => {
    expect(() => planSplits(data, options(over))).toThrow(message);
  });
});

const pocus = "../shared/data/pocus/pocus_data_all.zip.001";
test.skipIf(!existsSync(pocus))(
  "POCUS: 13 of 62 groups straddle the released folds (skipped without ../shared/data)",
  async () => {
    const data = await openDataset(pocus, {
      platform: nodePlatform,
      groupsFile: "../shared/data/pocus/attribution.csv.gz",
    });
    const straddling = new Set(planSplits(data, options()).flatMap((s) => straddlingGroups(s, data)));
    expect(straddling.size).toBe(13);
    for (const split of planSplits(data, options({ byGroup: true, select: "validation" }))) {
      expect(straddlingGroups(split, data)).toEqual([]);
      for (const part of [split.train, split.validation, split.test]) {
        expect(new Set(Array.from(part, (i) => data.labels[i])).size).toBe(3);
      }
    }
  },
);
