/** Schedules, averages and MetaLR's options beyond the paper. */
import { describe, expect, test } from "vitest";
import { nodesOf } from "../graph/build.js";
import { adam, averaged, finetune, metalr, newestShare, scheduled, scheduleFactor, sgd } from "./index.js";
import { batch, layer, minus, norm, run, tiny } from "./tiny.testing.js";
import type { Clock } from "./types.js";

const clock = (step: number, total = 10): Clock => ({ step, epoch: 1, epochs: 1, stepsPerEpoch: total });

describe("schedules", () => {
  test("constant is 1; cosine begins at 1, is one half in the middle and goes towards 0", () => {
    expect(scheduleFactor("constant", clock(7))).toBe(1);
    expect([1, 6, 10].map((t) => scheduleFactor("cosine", clock(t)))).toEqual([
      1,
      expect.closeTo(0.5),
      expect.closeTo(0.0245, 4),
    ]);
  });
  test("warm-up rises in equal steps over the first tenth, then the cosine begins at 1", () => {
    expect([1, 2, 3, 12].map((t) => scheduleFactor("warmup-cosine", clock(t, 20)))).toEqual([0.5, 1, 1, 0.5]);
  });
  test("the true step uses the factor; the rates that reached the groups are reported", () => {
    const ran = run(finetune({ lr: 0.1, backboneRatio: 0.5, optimizer: scheduled(sgd(), "cosine") }), 4);
    const full = run(finetune({ lr: 0.1, backboneRatio: 0.5, optimizer: sgd() }), 1);
    expect(layer(ran, 1, "a")).toEqual(layer(full, 1, "a"));
    const factors = [1, 2, 3, 4].map((t) => scheduleFactor("cosine", clock(t, 4)));
    expect(ran.reports.map((r) => r["effectiveLr"])).toEqual(
      factors.map((f) => [expect.closeTo(0.05 * f, 7), expect.closeTo(0.05 * f, 7), expect.closeTo(0.1 * f, 7)]),
    );
    expect(ran.states[4]?.get("effectiveLr")?.data[2]).toBe(ran.reports[3]?.["effectiveLr"]?.[2]);
    expect(ran.reports[3]?.["lr"]?.[2]).toBeCloseTo(0.1, 7);
  });
  test("MetaLR's own rates do not see it", () => {
    const rates = (optimizer = sgd()) => run(metalr({ optimizer, headWarmup: { steps: 0 } }), 1).reports[0]?.["lr"];
    expect(rates(scheduled(sgd(), "warmup-cosine"))).toEqual(rates());
  });
});

describe("averaged weights", () => {
  test("decay 0.5: weights 1; 1/3, 2/3; 1/7, 2/7, 4/7, without the starting weights", () => {
    expect([1, 2, 3].map((t) => newestShare({ decay: 0.5 }, t))).toEqual([1, 2 / 3, 4 / 7]);
    const ran = run(averaged(finetune({ lr: 0.1 }), { decay: 0.5 }), 3);
    const [x1 = [], x2 = [], x3 = []] = [1, 2, 3].map((step) => layer(ran, step, "b"));
    const mean = x1.map((v, i) => (v + 2 * (x2[i] ?? 0) + 4 * (x3[i] ?? 0)) / 7);
    layer(ran, 3, "b", "average").forEach((v, i) => {
      expect(v).toBeCloseTo(mean[i] ?? Number.NaN, 12);
    });
  });
  test("training does not see them", () => {
    const [with_, without] = [averaged(finetune(), { decay: 0.9 }), finetune()].map((m) => layer(run(m, 3), 3, "a"));
    expect(with_).toEqual(without);
  });
  test("a decay of 1 is refused", () => {
    expect(() => averaged(finetune(), { decay: 1 })).toThrow(
      "ema: is out of range\n  expected 0 ≤ decay < 1, such as 0.99\n  got      1",
    );
  });
});

describe("MetaLR beyond the paper", () => {
  const free = { headWarmup: { steps: 0 }, bounds: null } as const;
  test("along the optimizer's direction: h is the slope of L_val by the rate, the step being Adam's", () => {
    // Two runs whose rates of one group differ a little at the start: the virtual step differs in that group alone.
    const optimizer = adam();
    const lossAt = (ratio: number) => {
      const m = metalr({ ...free, optimizer, direction: "optimizer", lr: 0.02, backboneRatio: ratio, hyperLr: 0 });
      return run(m, 1).reports[0];
    };
    const change = 1e-4;
    const [low, middle, high] = [1 - change, 1, 1 + change].map(lossAt);
    const numerical =
      ((high?.["validationLoss"]?.[0] ?? 0) - (low?.["validationLoss"]?.[0] ?? 0)) / (2 * change * 0.02);
    const [a = 0, b = 0] = middle?.["hypergradient"] ?? [];
    expect(a + b).toBeCloseTo(numerical, 3); // the ratio moves both groups below the head; rates are float32
  });

  test("with SGD the optimizer's direction is the gradient's", () => {
    const h = (direction: "gradient" | "optimizer") =>
      run(metalr({ ...free, optimizer: sgd(), direction }), 2).reports[1]?.["hypergradient"];
    expect(h("optimizer")).toEqual(h("gradient"));
  });

  test("cosine: −h is the cosine of ∇L_val(θ̂) and g in each layer", () => {
    const cos = run(metalr({ ...free, normalize: "cosine", lr: 1e-9 }), 1).reports[0]?.["hypergradient"] ?? [];
    // At a rate of nothing θ̂ = θ, so both gradients are those of one plain step of rate 1 on each batch.
    const gradient = (b: ReturnType<typeof batch>) => {
      const ran = run(finetune({ lr: 1, backboneRatio: 1, optimizer: sgd() }), 1, { train: () => b });
      return ["a", "b", "c"].map((name) => minus(layer(ran, 0, name), layer(ran, 1, name)));
    };
    const [train, valid] = [gradient(batch()), gradient(batch(0.3))];
    cos.forEach((h, j) => {
      const [g = [], v = []] = [train[j], valid[j]];
      const dot = g.reduce((sum, x, i) => sum + x * (v[i] ?? 0), 0);
      expect(-h).toBeCloseTo(dot / (norm(g) * norm(v)), 6);
    });
  });

  test("SGD on log α: α·exp(−η·α·h)", () => {
    const { reports } = run(metalr({ ...free, hyperOptimizer: "sgd", hyperLr: 50 }), 1);
    const h = reports[0]?.["hypergradient"] ?? [];
    [0.001, 0.001, 0.01].forEach((alpha, j) => {
      expect(reports[0]?.["lr"]?.[j]).toBeCloseTo(alpha * Math.exp(-50 * alpha * (h[j] ?? 0)), 8);
    });
  });

  test("Adam on log α: the first step multiplies every rate by exp(±η)", () => {
    const { reports } = run(metalr({ ...free, hyperOptimizer: "adam", hyperLr: 0.1 }), 1);
    const h = reports[0]?.["hypergradient"] ?? [];
    [0.001, 0.001, 0.01].forEach((alpha, j) => {
      expect((reports[0]?.["lr"]?.[j] ?? 0) / alpha).toBeCloseTo(Math.exp(-0.1 * Math.sign(h[j] ?? 0)), 3);
    });
  });

  test("every third step learns rates; the others have no validation pass", () => {
    const method = metalr({ ...free, metaEvery: 3 });
    const { reports } = run(method, 5);
    expect(reports.map((r) => "hypergradient" in r)).toEqual([true, false, false, true, false]);
    expect(reports[2]?.["lr"]).toEqual(reports[0]?.["lr"]);
    expect(reports[3]?.["lr"]).not.toEqual(reports[0]?.["lr"]);
  });

  test("the pinned head is pinned in steps without a validation pass, too", () => {
    const { reports } = run(metalr({ metaEvery: 2, headWarmup: { steps: 2 }, bounds: null, hyperLr: 30 }), 3);
    expect(reports.map((r) => r["lr"]?.[2] === Math.fround(0.01))).toEqual([true, true, false]);
  });

  test("an optimizer on log α and another update exclude each other", () => {
    expect(() => metalr({ hyperOptimizer: "adam", update: "additive" })).toThrow(
      "hyperOptimizer: works on log α, so the update cannot be another\n  got      update additive\n  hint     leave one of them out",
    );
  });
});

test("the number of nodes of MetaLR's step grows by a few a group only, whatever the options", () => {
  const shapes = { train: [4, 1, 1, 2], validation: [4, 1, 1, 2] };
  const nodes = (o: Parameters<typeof metalr>[0]) =>
    nodesOf(metalr(o).step(tiny(), shapes).graph.outputs.values()).length;
  expect(nodes({ hyperOptimizer: "adam" }) - nodes({})).toBeLessThan(40);
});
