/** The defining property of each method, in float64 reference arithmetic on a network of 23 numbers. */
import { describe, expect, test } from "vitest";
import {
  autoRgn,
  discriminative,
  finetune,
  l2sp,
  lastGroups,
  lastLayer,
  layerDecay,
  ldog,
  linearProbe,
  sgd,
} from "./index.js";
import { batch, layer, minus, norm, run, tiny } from "./tiny.testing.js";

const plain = sgd();
const close = (a: readonly number[], b: readonly number[], digits = 12) =>
  a.forEach((v, i) => {
    expect(v, `element ${i}`).toBeCloseTo(b[i] ?? Number.NaN, digits);
  });
/** Gradients of the three layers at the start: one plain step of rate 1 in all layers. */
const gradientsAtStart = () => {
  const ran = run(finetune({ lr: 1, backboneRatio: 1, optimizer: plain }), 1);
  return ["a", "b", "c"].map((name) => minus(layer(ran, 0, name), layer(ran, 1, name)));
};

test("last k groups: the others keep their weights and report rate 0", () => {
  const ran = run(lastGroups({ groups: 2, lr: 0.5, optimizer: plain }), 3);
  expect(layer(ran, 3, "a")).toEqual(layer(ran, 0, "a"));
  expect(norm(minus(layer(ran, 3, "b"), layer(ran, 0, "b")))).toBeGreaterThan(1e-3);
  close(ran.reports[2]?.["lr"] ?? [], [0, 0.05, 0.5], 7);
});

test("last 1 group is the last layer; last all groups is fine-tuning", () => {
  const one = run(lastGroups({ groups: 1, optimizer: plain }), 2);
  expect(layer(one, 2, "c")).toEqual(layer(run(lastLayer({ optimizer: plain }), 2), 2, "c"));
  const all = run(lastGroups({ groups: 9, optimizer: plain }), 2);
  const full = run(finetune({ optimizer: plain }), 2);
  for (const name of ["a", "b", "c"]) expect(layer(all, 2, name)).toEqual(layer(full, 2, name));
});

describe("linear probe, then fine-tuning", () => {
  const ran = run(linearProbe({ lr: 0.1 }), 8, { epochs: 4 });
  test("the first half of the epochs is the last layer's", () => {
    const probe = run(lastLayer({ lr: 0.1 }), 4, { epochs: 2 });
    expect(layer(ran, 4, "c")).toEqual(layer(probe, 4, "c"));
    expect(layer(ran, 4, "a")).toEqual(layer(ran, 0, "a"));
    close(ran.reports[3]?.["lr"] ?? [], [0, 0, 0.1], 7);
  });
  test("the second half is fine-tuning from there, with a fresh optimizer", () => {
    const model = tiny();
    const weights = new Map(
      [...model.weights].map(([name, t]) => [
        name,
        { ...t, data: Float32Array.from(ran.states[4]?.get(`model/${name}`)?.data ?? []) },
      ]),
    );
    const full = run(finetune({ lr: 0.1 }), 4, { epochs: 2, model: { ...model, weights } });
    for (const name of ["a", "b", "c"]) close(layer(ran, 8, name), layer(full, 4, name), 5); // weights went through float32
  });
  test("a single epoch is fine-tuning alone", () => {
    const short = run(linearProbe({ lr: 0.1 }), 2);
    expect(layer(short, 2, "a")).toEqual(layer(run(finetune({ lr: 0.1 }), 2), 2, "a"));
  });
});

test("layer-wise decay: 0.75 of the rate of the group above", () => {
  close(run(layerDecay({ lr: 0.16 }), 1).reports[0]?.["lr"] ?? [], [0.09, 0.12, 0.16], 7);
});

test("discriminative rates: 1/2.6 of the rate of the group above (Howard and Ruder)", () => {
  close(run(discriminative({ lr: 6.76 }), 1).reports[0]?.["lr"] ?? [], [1, 2.6, 6.76], 6);
});

test("L2-SP: from the second step on α(θ − θ⁰) is added to the gradient, and β·θ to the head's", () => {
  const [alpha, beta, lr] = [0.5, 0.25, 0.2];
  const ran = run(l2sp({ alpha, beta, lr, backboneRatio: 1, optimizer: plain }), 2);
  const [ga = [], , gc = []] = gradientsAtStart();
  close(
    minus(layer(ran, 0, "a"), layer(ran, 1, "a")),
    ga.map((g) => lr * g),
    8,
  ); // at θ⁰ there is no pull
  close(
    minus(layer(ran, 0, "c"), layer(ran, 1, "c")),
    gc.map((g, i) => lr * (g + beta * (layer(ran, 0, "c")[i] ?? 0))),
    8,
  );
  // The same second step without the pull: fine-tuning from the weights after the first.
  const model = tiny();
  const after = ran.states[1];
  const weights = new Map(
    [...model.weights].map(([name, t]) => [
      name,
      { ...t, data: Float32Array.from(after?.get(`model/${name}`)?.data ?? []) },
    ]),
  );
  const without = run(finetune({ lr, backboneRatio: 1, optimizer: plain }), 1, { model: { ...model, weights } });
  const pull = minus(layer(without, 1, "a"), layer(ran, 2, "a"));
  close(
    pull,
    minus(layer(ran, 1, "a"), layer(ran, 0, "a")).map((moved) => lr * alpha * moved),
    6,
  );
});

describe("Auto-RGN", () => {
  const weightsOnly = (name: string, ran = run(finetune({ lr: 1, backboneRatio: 1, optimizer: plain }), 1)) => {
    const [before, after] = [0, 1].map((step) => [...(ran.states[step]?.get(`model/${name}.weight`)?.data ?? [])]);
    return norm(minus(before ?? [], after ?? [])) / norm(before ?? []);
  };
  test("the rate of a layer is lr·(‖g‖/‖θ‖) over the largest of these ratios", () => {
    const ratios = ["a", "b", "c"].map((name) => weightsOnly(name));
    const lr = run(autoRgn({ lr: 0.01 }), 1).reports[0]?.["lr"] ?? [];
    close(
      lr,
      ratios.map((r) => (0.01 * r) / Math.max(...ratios)),
      8,
    );
  });
  test("rates stay for the epoch and are set anew in the next", () => {
    const { reports } = run(autoRgn({ lr: 0.05 }), 6, { epochs: 2, train: (step) => batch(step / 10) });
    const lr = reports.map((r) => r["lr"]);
    expect(lr[1]).toEqual(lr[0]);
    expect(lr[2]).toEqual(lr[0]);
    expect(lr[3]).not.toEqual(lr[0]);
    expect(lr[5]).toEqual(lr[3]);
  });
  test("Adam starts afresh with the epoch, or keeps its state", () => {
    const slots = (keepState: boolean) => {
      const ran = run(autoRgn({ keepState }), 4, { epochs: 2 });
      return [2, 3].map((step) => norm(layer(ran, step, "c", "adam/v")));
    };
    const [before = 0, after = 0] = slots(false);
    expect(after).toBeLessThan(0.7 * before); // v holds one gradient again instead of two
    const [kept = 0, grown = 0] = slots(true);
    expect(grown).toBeGreaterThan(1.1 * kept);
  });
});

describe("LDoG", () => {
  test("the first rate is 1e-6·(1 + ‖θ⁰‖)/‖g‖ of each layer", () => {
    const ran = run(ldog(), 1);
    const expected = gradientsAtStart().map((g, j) => {
      const start = norm(layer(ran, 0, ["a", "b", "c"][j] ?? ""));
      return (1e-6 * (1 + start)) / Math.sqrt(norm(g) ** 2 + 1e-8);
    });
    close(
      ran.reports[0]?.["lr"]?.map((r) => r * 1e6) ?? [],
      expected.map((r) => r * 1e6),
      5,
    );
  });
  test("after that, the largest distance so far over the root of the sum of ‖g‖²", () => {
    const ran = run(ldog({ relativeStart: 0.1 }), 3);
    const rates = ran.reports.map((r) => r["lr"]?.[2] ?? Number.NaN);
    const moved = [0, 1, 2].map((step) => minus(layer(ran, step, "c"), layer(ran, step + 1, "c")));
    const squares = moved.map((m, i) => (norm(m) / (rates[i] ?? 0)) ** 2); // SGD: θ moves by η·g
    const first = 0.1 * (1 + norm(layer(ran, 0, "c")));
    const distance = Math.max(first, ...[1, 2].map((step) => norm(minus(layer(ran, step, "c"), layer(ran, 0, "c")))));
    expect(rates[2]).toBeCloseTo(distance / Math.sqrt(squares.reduce((a, b) => a + b) + 1e-8), 6);
  });
  test("the evaluated weights are the iterates averaged by (1 + γ)/(t + γ), γ = 8", () => {
    const ran = run(ldog({ relativeStart: 0.1 }), 3);
    const [x1 = [], x2 = [], x3 = []] = [1, 2, 3].map((step) => layer(ran, step, "a"));
    const second = x1.map((v, i) => 0.1 * v + 0.9 * (x2[i] ?? 0)); // 9/10
    const third = second.map((v, i) => v * (2 / 11) + (x3[i] ?? 0) * (9 / 11)); // 9/11
    close(layer(ran, 3, "a", "average"), third);
  });
});

test("options out of range are refused", () => {
  expect(() => lastGroups({ groups: 0 })).toThrow("groups: is not a whole number ≥ 1\n  got      0");
  expect(() => layerDecay({ decay: 1.5 })).toThrow("decay: is out of range\n  expected 0 < decay ≤ 1\n  got      1.5");
  expect(() => l2sp({ alpha: -1 })).toThrow("alpha: is not a number ≥ 0\n  got      -1");
  expect(() => linearProbe({ probeShare: 1 })).toThrow(
    "probeShare: is out of range\n  expected 0 < share < 1\n  got      1",
  );
});
