import { describe, expect, test } from "vitest";
import { adam, methodByName, methodNames, parseMethod } from "./index.js";
import { run } from "./tiny.testing.js";

describe.each(methodNames)("%s", (name) => {
  test("takes steps at finite rates by its name alone, under a schedule, too", () => {
    const { reports } = run(methodByName(name, { schedule: "cosine" }), 2, { epochs: 2 });
    for (const { trainLoss, effectiveLr } of reports) {
      expect(trainLoss?.every(Number.isFinite)).toBe(true);
      expect(effectiveLr?.every((r) => r >= 0 && r < 0.1)).toBe(true);
    }
  });
  test("says every option in its record", () => {
    expect(methodByName(name).options).toHaveProperty("lr");
    expect(JSON.parse(JSON.stringify(methodByName(name).options))).toHaveProperty("optimizer.name");
  });
});

test("names, own options, schedule and average in one word", () => {
  expect(parseMethod("finetune")).toEqual({ name: "finetune", text: "finetune", own: {} });
  expect(parseMethod("auto-rgn:keep-state=true:ema=0.9:schedule=cosine")).toEqual({
    name: "autoRgn",
    text: "autoRgn:keep-state=true:ema=0.9:schedule=cosine",
    schedule: "cosine",
    ema: 0.9,
    own: { keepState: true },
  });
  const { name, ...spec } = parseMethod("metalr:variant=released:hyperOptimizer=adam");
  expect(methodByName(name, spec).options).toMatchObject({ lookAhead: 1, roundDecimals: 6, hyperOptimizer: "adam" });
});

test("one factor for every method: LDoG's own, and MetaLR's bound with the rate", () => {
  expect(methodByName("finetune", { lrFactor: 3 }).options).toMatchObject({ lr: 0.03 });
  expect(methodByName("ldog", { lrFactor: 3 }).options).toMatchObject({ lr: 3 });
  expect(methodByName("metalr", { lrFactor: 3 }).options).toMatchObject({ lr: 0.03, bounds: [1e-6, 0.03] });
  expect(methodByName("metalr", { lrFactor: 0.3 }).options).toMatchObject({ lr: 0.003, bounds: [1e-6, 0.01] });
});

test("L2-SP has no second weight decay, LDoG is SGD; an optimizer that is given counts", () => {
  expect(methodByName("l2sp").options).toMatchObject({ optimizer: { name: "adam", weightDecay: 0 } });
  expect(methodByName("ldog").options).toMatchObject({ optimizer: { name: "sgd" }, gamma: 8 });
  expect(methodByName("l2sp", { optimizer: adam({ weightDecay: 0.5 }) }).options).toMatchObject({
    optimizer: { weightDecay: 0.5 },
  });
});

test("what is not known is refused by name", () => {
  expect(() => parseMethod("magic")).toThrow(
    "method: is not known\n  expected metalr, finetune, lastLayer, lastGroups, linearProbe, layerDecay, discriminative, l2sp, autoRgn, ldog\n  got      magic",
  );
  expect(() => parseMethod("l2sp:gamma=1")).toThrow(
    "method l2sp: has no such option\n  expected alpha, beta, backboneRatio, schedule, ema\n  got      gamma",
  );
  expect(() => parseMethod("l2sp:alpha=much")).toThrow("method l2sp: option alpha cannot be this\n  got      much");
  expect(() => methodByName("ldog", { ema: 0.9 })).toThrow(
    "ema: has no meaning with ldog, which averages weights by itself",
  );
});
