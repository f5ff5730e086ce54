/** A step in pieces is the whole step: in float64 reference arithmetic, for every method. */
import { expect, test } from "vitest";
import type { Tensor } from "../common/tensor.js";
import { evaluateGraph, type NdArray, reduceMax, toNd } from "../ops/index.js";
import { inPieces, microBatches } from "./pieces.js";
import { methodByName, methodNames, parseMethod } from "./registry.js";
import { defineStep } from "./step.js";
import { batch, tiny } from "./tiny.testing.js";
import type { Method } from "./types.js";

/** Constants of the graph are float32: a mean over three images is one of 1/3 to 3e-8. */
const TOLERANCE = 1e-6;

const clock = { step: 1, epoch: 1, epochs: 2, stepsPerEpoch: 2 };

const rows = (t: Tensor, from: number, to: number): NdArray => {
  const all = toNd(t);
  const row = all.data.length / (all.shape[0] ?? 1);
  return { shape: [to - from, ...all.shape.slice(1)], data: all.data.slice(from * row, to * row) };
};

function evaluate(graph: Parameters<typeof inPieces>[1]["graph"], given: ReadonlyMap<string, NdArray>) {
  const feeds = new Map(
    [...graph.inputs].map(([name, v]) => [v, given.get(name) ?? { shape: [], data: new Float64Array(1) }]),
  );
  const values = evaluateGraph([...graph.outputs.values()], feeds);
  return new Map([...graph.outputs.keys()].map((name, i) => [name, values[i]!])); // one a name
}

/** All outputs of a step on four training and four validation images: whole, and in micro-batches of 3 + 1 and 2 + 2. */
function both(method: Method) {
  const [train, validation] = [batch(), batch(0.3)];
  const phase = method.phases?.at(clock);
  const withValidation = phase?.validation ?? method.needsValidation;
  const program = (t: number, v: number) =>
    method.step(tiny(), {
      train: [t, 1, 1, 2],
      ...(withValidation && { validation: [v, 1, 1, 2] }),
      ...(phase?.name && { phase: phase.name }),
    });
  const whole = program(4, 4);
  const scalars = method.scalars(clock);
  const given = new Map<string, NdArray>([
    ...whole.state.map((s) => [`state/${s.name}`, toNd(s.initial())] as const),
    ...whole.scalars.map(
      (n) => [`scalar/${n}`, { shape: [], data: Float64Array.of(scalars[n] ?? Number.NaN) }] as const,
    ),
    ["train/x", toNd(train.x)],
    ["train/y", toNd(train.y)],
    ["validation/x", toNd(validation.x)],
    ["validation/y", toNd(validation.y)],
  ]);
  const expected = evaluate(whole.graph, given);

  const sums = new Map<string, NdArray>();
  const found = new Map<string, NdArray>();
  const cuts = { train: [3, 1], validation: [2, 2] };
  const [large, small] = [inPieces("m", program(3, 2)), inPieces("m", program(1, 2))];
  for (const [g, { batch: name, sums: own }] of large.gather.entries()) {
    const { x, y } = name === "train" ? train : validation;
    for (const s of own) {
      sums.set(`state/${s.name}`, { shape: s.shape, data: new Float64Array(s.shape.reduce((a, b) => a * b, 1)) });
    }
    let at = 0;
    for (const [i, n] of cuts[name].entries()) {
      const { graph } = (i === 0 ? large : small).gather[g]!; // pieces of one method
      const share = { shape: [], data: Float64Array.of(n / 4) };
      const feeds = new Map([...given, ...sums, ["scalar/share", share] as const]);
      feeds.set(`${name}/x`, rows(x, at, at + n)).set(`${name}/y`, rows(y, at, at + n));
      for (const [output, value] of evaluate(graph, feeds)) {
        if (output.startsWith("next/sum/")) sums.set(output.replace("next", "state"), value);
        else {
          const before = found.get(output)?.data ?? [];
          found.set(output, {
            shape: [at + n, ...value.shape.slice(1)],
            data: Float64Array.of(...before, ...value.data),
          });
        }
      }
      at += n;
    }
  }
  for (const [name, value] of evaluate(large.apply, new Map([...given, ...sums]))) found.set(name, value);
  return { expected, found };
}

test.each([
  ...methodNames,
  "metalr:direction=optimizer:normalize=cosine",
  "metalr:hyperOptimizer=adam",
  "finetune:ema=0.9:schedule=cosine",
])("%s: the whole step and its pieces agree", (text) => {
  const { name, ...spec } = parseMethod(text);
  const { expected, found } = both(methodByName(name, { lr: 0.1, ...spec }));
  expect([...found.keys()].sort()).toEqual([...expected.keys()].sort());
  for (const [output, { shape, data }] of expected) {
    expect(found.get(output)?.shape, output).toEqual(shape);
    data.forEach((v, i) => {
      expect(Math.abs((found.get(output)?.data[i] ?? Number.NaN) - v), `${output}[${i}]`).toBeLessThan(
        TOLERANCE * (1 + Math.abs(v)),
      );
    });
  }
});

test("a step that uses a batch in another way is refused", () => {
  const step = defineStep(tiny(), { train: [4, 1, 1, 2] }, { initialLr: new Float32Array(3) }, (s) => {
    const train = s.loss(s.theta, "train", { batchNorm: "update" });
    return {
      theta: s.theta,
      lr: s.perLayer(() => reduceMax(train.logits, [0, 1])),
      buffers: train.buffers,
      report: {},
    };
  });
  expect(() => inPieces("own", { graph: step.graph, means: [] })).toThrow(
    [
      'microBatch: has no meaning with own: "next/lr" needs a whole batch at once',
      "  hint     leave micro-batches out, or use smaller batches",
    ].join("\n"),
  );
});

test("micro-batches are as even as can be, and none is of one image alone", () => {
  expect(microBatches(32, 8)).toEqual([8, 8, 8, 8]);
  expect(microBatches(9, 8)).toEqual([5, 4]);
  expect(microBatches(5, 8)).toEqual([5]);
  expect(microBatches(3, 2)).toEqual([3]);
  expect(microBatches(3, 1)).toEqual([1, 1, 1]);
  for (let n = 2; n < 40; n++) {
    for (let micro = 2; micro < 12; micro++) {
      const sizes = microBatches(n, micro);
      expect(sizes.reduce((a, b) => a + b)).toBe(n);
      expect(Math.min(...sizes)).toBeGreaterThanOrEqual(Math.min(2, n));
      expect(Math.max(...sizes) - Math.min(...sizes)).toBeLessThanOrEqual(1);
      expect(Math.max(...sizes)).toBeLessThanOrEqual(micro + (micro === 2 ? 1 : 0));
    }
  }
});
