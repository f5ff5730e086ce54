/** Micro-batches give the step of the whole batch: the same training, with either lowering and in steps of uneven parts. */
import { describe, expect, test } from "vitest";
import { Random } from "../common/random.js";
import type { Tensor } from "../common/tensor.js";
import { methodByName, parseMethod, sgd } from "../methods/index.js";
import { fromGroups } from "../models/build.js";
import { batchNormLayer, convLayer, type Layer, linearLayer, pure, sequence } from "../models/layers.js";
import type { Model } from "../models/types.js";
import { reduceMean, relu } from "../ops/index.js";
import { processorExecutor } from "../platform/node/executor.js";
import { nodeExecutor } from "../platform/node/onnxRuntime.js";
import { chooseCompiler, portableCompiler } from "./lowering.js";
import { type LabelledBatch, Stepper } from "./stepper.js";
import type { Compiler, Executor } from "./types.js";

const executor = nodeExecutor({ threads: 1 });
const fastest = processorExecutor("auto", 1); // the native module's where it is built
const lowerings = new Map<string, { executor: Executor; compile: Compiler["compile"] }>();
for (const one of [executor, fastest]) {
  for (const { lowering, compile } of [portableCompiler, await chooseCompiler(one)]) {
    if (!lowerings.has(lowering)) lowerings.set(lowering, { executor: one, compile });
  }
}

const network = (norm: (name: string, channels: number) => readonly Layer[]): Model =>
  fromGroups(
    { architecture: "small", classes: 3, channels: 3 },
    [
      ["stem", sequence(convLayer("c1", 3, 16, 3, { padding: 1 }), ...norm("b1", 16), pure(relu))],
      ["body", sequence(convLayer("c2", 16, 32, 3, { stride: 2, padding: 1 }), ...norm("b2", 32), pure(relu))],
      [
        "head",
        sequence(
          pure((x) => reduceMean(x, [2, 3])),
          linearLayer("fc", 32, 3),
        ),
      ],
    ],
    2,
  );
const plain = network(() => []);
const normed = network((name, channels) => [batchNormLayer(name, channels)]);

function batch(seed: number, n: number): LabelledBatch {
  const random = new Random(seed, "micro");
  const x = Float32Array.from({ length: n * 3 * 64 }, () => random.normal());
  const y = BigInt64Array.from({ length: n }, (_, i) => BigInt(i % 3));
  return { x: { dtype: "float32", shape: [n, 3, 8, 8], data: x }, y: { dtype: "int64", shape: [n], data: y } };
}

async function trained(
  model: Model,
  text: string,
  microBatch: number | undefined,
  { executor: on, compile } = { executor, compile: portableCompiler.compile },
) {
  const { name, ...spec } = parseMethod(text);
  const method = methodByName(name, {
    lr: 0.1,
    ...(name !== "ldog" && { optimizer: sgd({ momentum: 0.9 }) }),
    ...spec,
  });
  const stepper = new Stepper(on, model, method, { compile, microBatch });
  const reports: Readonly<Record<string, Tensor>>[] = [];
  for (let step = 1; step <= 3; step++) {
    const clock = { step, epoch: 1, epochs: 1, stepsPerEpoch: 3 };
    // The third batch is a last one of an epoch: smaller.
    const train = batch(step, step === 3 ? 4 : 7);
    reports.push(
      structuredClone(await stepper.step(train, method.needsValidation ? batch(step + 50, 5) : null, clock)),
    );
  }
  const state = new Map([...stepper.state].map(([key, t]) => [key, structuredClone(t)]));
  await stepper.close();
  return { state, reports };
}

function worst(a: Tensor | undefined, b: Tensor | undefined): number {
  const numbers = (t: Tensor | undefined) => Array.from((t?.data ?? []) as ArrayLike<number>, Number); // all of it is float32
  const [p, q] = [numbers(a), numbers(b)];
  if (p.length !== q.length) return Number.POSITIVE_INFINITY;
  const scale = Math.max(1e-2, ...p.map(Math.abs));
  return Math.max(0, ...p.map((v, i) => Math.abs(v - (q[i] ?? Number.NaN)))) / scale;
}

describe.each([...lowerings])("%s lowering", (_, how) => {
  test.each(["metalr", "finetune", "metalr:normalize=cosine", "metalr:metaEvery=2:ema=0.5", "ldog"])(
    "%s: micro-batches of 3 train as whole batches of 7 and 4 do, without batch norm",
    async (text) => {
      const [whole, parts] = [await trained(plain, text, undefined, how), await trained(plain, text, 3, how)];
      expect([...parts.state.keys()]).toEqual([...whole.state.keys()]);
      for (const [name, t] of whole.state) expect(worst(t, parts.state.get(name)), name).toBeLessThan(1e-5);
      for (const [i, report] of whole.reports.entries()) {
        expect(Object.keys(parts.reports[i] ?? {}).sort()).toEqual(Object.keys(report).sort());
        for (const [name, t] of Object.entries(report)) {
          expect(parts.reports[i]?.[name]?.shape).toEqual(t.shape);
          expect(worst(t, parts.reports[i]?.[name]), `step ${i + 1}, ${name}`).toBeLessThan(1e-5);
        }
      }
    },
  );
});

test("batches that fit are not cut: the same bits", async () => {
  const [whole, parts] = [await trained(normed, "metalr", undefined), await trained(normed, "metalr", 7)];
  for (const [name, t] of whole.state) expect(worst(t, parts.state.get(name)), name).toBe(0);
});

test("with batch norm running means are those of the whole batch, and move once a step", async () => {
  const [whole, parts] = [await trained(normed, "finetune", undefined), await trained(normed, "finetune", 3)];
  // The first convolution sees the images as they are, so its means agree as long as its weights do: to the first steps' size.
  const [a, b] = [whole, parts].map((r) => r.state.get("model/b1.running_mean"));
  expect(worst(a, b)).toBeLessThan(0.05);
  expect(worst(whole.state.get("model/c2.weight"), parts.state.get("model/c2.weight"))).toBeGreaterThan(1e-4); // other statistics
});

test("twice the same training gives the same bits", async () => {
  const [a, b] = [await trained(normed, "metalr", 3), await trained(normed, "metalr", 3)];
  for (const [name, t] of a.state) expect(worst(t, b.state.get(name)), name).toBe(0);
});
