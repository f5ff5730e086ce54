/** @file What holds of every plan of splits, whatever the labels, groups and options. */
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { planSplits, straddlingGroups } from "./splits.js";
import { fake, indices, options, twenty } from "./splits.testing.js";
import type { Division } from "./types.js";

describe("properties of every plan", () => {
  const populations = fc
    .record({
      labels: fc.array(fc.integer({ min: 0, max: 2 }), { minLength: 30, maxLength: 120 }),
      groupsOf: fc.option(fc.integer({ min: 12, max: 30 })),
      kind: fc.constantFrom("none", "folds", "official" as const),
      seed: fc.integer({ min: 0, max: 5 }),
      select: fc.constantFrom("last", "validation", "test" as const),
      metaData: fc.constantFrom("train", "split" as const),
    })
    .map(({ labels: drawn, groupsOf, kind, seed, select, metaData }) => {
      const labels = [0, 1, ...drawn];
      const n = labels.length;
      const division: Division =
        kind === "none"
          ? { kind }
          : kind === "folds"
            ? {
                kind,
                folds: [0, 1, 2, 3].map((f) => indices([Math.floor((f * n) / 4), Math.floor(((f + 1) * n) / 4)])),
              }
            : {
                kind: "official",
                train: indices([0, n - 8]),
                validation: indices([n - 8, n - 4]),
                test: indices([n - 4, n]),
              };
      const groups = groupsOf === null ? null : labels.map((_, i) => `g${Math.floor((i * groupsOf) / n)}`);
      return { data: fake(labels, { division, groups }), o: options({ seed, select, metaData }) };
    });

  test("disjoint, complete, ascending, deterministic, groups whole", () => {
    fc.assert(
      fc.property(populations, ({ data, o }) => {
        const splits = planSplits(data, o);
        const tested: number[] = [];
        for (const split of splits) {
          const parts = [
            split.train,
            split.validation,
            split.test,
            ...(split.meta === split.train ? [] : [split.meta]),
          ];
          const all = parts.flatMap((p) => [...p]);
          expect(new Set(all).size).toBe(all.length); // disjoint
          const unused = data.division.kind === "official" && o.select !== "validation" ? 4 : 0;
          expect(all.length).toBe(data.count - unused); // complete
          for (const part of parts) expect([...part]).toEqual([...part].sort((a, b) => a - b));
          expect(split.validation.length > 0).toBe(o.select === "validation");
          expect(split.meta === split.train).toBe(o.metaData === "train");
          tested.push(...split.test);
          const { groups } = data;
          if (groups !== null && !(data.division.kind === "official")) {
            const trained = new Set(Array.from(split.train, (i) => groups[i]));
            for (const i of [...split.validation, ...(split.meta === split.train ? [] : split.meta)]) {
              expect(trained.has(groups[i])).toBe(false);
            }
          }
        }
        if (data.division.kind !== "official") {
          expect(tested.sort((a, b) => a - b)).toEqual([...indices([0, data.count])]); // every image tests once
        }
        expect(planSplits(data, o)).toEqual(splits);
      }),
      { seed: 1, numRuns: 100, endOnFailure: true },
    );
  });

  test("own folds without groups hold every class's share to within one image", () => {
    fc.assert(
      fc.property(
        fc.array(fc.integer({ min: 0, max: 3 }), { minLength: 20, maxLength: 200 }),
        fc.integer({ min: 2, max: 6 }),
        (drawn, k) => {
          const labels = [3, ...drawn];
          const data = fake(labels);
          for (const split of planSplits(data, options({ folds: k }))) {
            for (let c = 0; c < 4; c++) {
              const inClass = labels.filter((l) => l === c).length;
              const inFold = split.test.filter((i) => labels[i] === c).length;
              expect(Math.abs(inFold - inClass / k)).toBeLessThan(1);
            }
            expect(Math.abs(split.test.length - labels.length / k)).toBeLessThan(2);
          }
        },
      ),
      { seed: 2, numRuns: 60 },
    );
  });

  test("own folds by group stay whole and near their shares", () => {
    fc.assert(
      fc.property(
        fc.array(fc.integer({ min: 1, max: 9 }), { minLength: 30, maxLength: 60 }),
        fc.integer(),
        (sizes, seed) => {
          const groups = sizes.flatMap((n, g) => new Array<string>(n).fill(`g${g}`));
          const labels = groups.map((g) => Number(g.slice(1)) % 3);
          const data = fake(labels, { groups });
          for (const split of planSplits(data, options({ seed }))) {
            expect(straddlingGroups(split, data)).toEqual([]);
            for (let c = 0; c < 3; c++) {
              const inClass = labels.filter((l) => l === c).length;
              expect(Math.abs(split.test.filter((i) => labels[i] === c).length - inClass / 5)).toBeLessThan(9); // one group
            }
          }
        },
      ),
      { seed: 3, numRuns: 40 },
    );
  });

  test("another seed gives other folds", () => {
    const data = fake(twenty);
    expect(planSplits(data, options({ seed: 1 }))[0]?.test).not.toEqual(
      planSplits(data, options({ seed: 2 }))[0]?.test,
    );
  });
});
