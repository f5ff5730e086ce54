/** @file The bench's own arithmetic and manners, without measuring anything: names, medians, turns, fits, the form of its JSON. */
import { describe, expect, test } from "vitest";
import { fitLine, interleave, median } from "./measure.js";
import { type Measured, toJson } from "./report.js";
import { sets, workload, workloads } from "./workloads.js";

describe("workloads", () => {
  test("a name says all of it", () => {
    expect(workload("resnet20-32-b128")).toEqual({
      name: "resnet20-32-b128",
      model: "resnet20",
      size: 32,
      batch: 128,
      classes: 3,
    });
  });

  test("sets and names mix, each workload once", () => {
    expect(workloads(["main", "resnet18-64-b128"]).map((w) => w.name)).toEqual(sets.get("main"));
    expect(workloads(["all"])).toHaveLength(14);
  });

  test("another name is refused with the names there are", () => {
    expect(() => workload("resnet18-64")).toThrow(
      [
        "--workload: no such workload",
        "  expected all, main, growth, or model-size-bBATCH such as resnet18-64-b128 (models resnet18, resnet20, unet3d)",
        "  got      resnet18-64",
      ].join("\n"),
    );
  });
});

test("the median of an even count is the mean of the middle two", () => {
  expect(median([5, 1, 3])).toBe(3);
  expect(median([4, 1, 3, 9])).toBe(3.5);
});

test("contenders take turns and the first of a round changes; warm-up is not counted", async () => {
  const calls: string[] = [];
  const turn = (name: string) => ({
    kind: "metalr" as const,
    contender: { step: async () => calls.push(name) },
  });
  const [a, b] = await interleave([turn("a"), turn("b")], 2, 1);
  expect(calls.join("")).toBe("ab" + "ab" + "ba");
  expect(a?.samplesMs).toEqual([3, 6]); // the step says how many were called so far
  expect(b?.samplesMs).toEqual([4, 5]);
});

test("a line through exact points has no residual", () => {
  const fit = fitLine([
    [1, 5],
    [2, 7],
    [4, 11],
  ]);
  expect(fit.slope).toBeCloseTo(2, 10);
  expect(fit.intercept).toBeCloseTo(3, 10);
  expect(fit.worstResidual).toBeCloseTo(0, 10);
  expect(fit.r2).toBeCloseTo(1, 10);
});

test("the JSON holds workloads with median and peak, and null for who did not run", () => {
  const timing = { medianMs: 512.34567, minMs: 500, maxMs: 530, samplesMs: [512.34567, 500, 530] };
  const measured: Measured = {
    workload: workload("resnet18-64-b128"),
    contenders: { ours: { ...timing, peakMb: 801.25, facts: {} }, released: null, twoPass: null },
    parts: [],
  };
  expect(toJson([measured])).toEqual({
    workloads: [
      { name: "resnet18-64-b128", ours: { medianMs: 512.346, peakMb: 801.3 }, released: null, twoPass: null },
    ],
  });
});
