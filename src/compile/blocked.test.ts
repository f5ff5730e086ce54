import { describe, expect, test } from "vitest";
import { gradients } from "../autodiff/backward.js";
import { Random } from "../common/random.js";
import { type Shape, sizeOf, type Tensor } from "../common/tensor.js";
import { input, makeGraph, scalar } from "../graph/build.js";
import type { Graph, Value } from "../graph/value.js";
import { metalr, sgd } from "../methods/index.js";
import { createModel } from "../models/index.js";
import {
  add,
  batchNormTraining,
  cast,
  clamp,
  conv,
  dot,
  elu,
  gelu,
  greater,
  leakyRelu,
  maxPool,
  mul,
  pad,
  reduceMean,
  relu,
  slice,
  where,
} from "../ops/index.js";
import { nodeExecutor } from "../platform/node/onnxRuntime.js";
import { chooseCompiler, probeBlock } from "../runtime/lowering.js";
import { Stepper } from "../runtime/stepper.js";
import { isWeight, reorderWeight } from "./blocked/layout.js";
import { compileBlocked } from "./blocked.js";
import { compilePortable } from "./compile.js";
import type { Compiled } from "./types.js";

const executor = nodeExecutor({ threads: 2 });
const block = await probeBlock(executor);
const supported = block !== null;
const why = supported ? "" : " (skipped: this runtime has no nchwc operators)";
const blocked = (graph: Graph) => compileBlocked(graph, { block: block ?? 16 });

/** Sums of up to 10,000 float32 products in another order. */
const TOLERANCE = 1e-4;

const random = (seed: number, shape: Shape): Tensor => {
  const r = new Random(seed, "blocked");
  return { dtype: "float32", shape, data: Float32Array.from({ length: sizeOf(shape) }, () => r.between(-1, 1)) };
};

/** Element by element with === : toEqual takes seconds on arrays of this size. */
const sameBits = (a: Tensor, b: Tensor | undefined): boolean =>
  b !== undefined &&
  a.data.length === b.data.length &&
  a.data.every((v: number | bigint, i: number) => Object.is(v, b.data[i]));

async function outputs(compiled: Compiled, feeds: Readonly<Record<string, Tensor>>) {
  const program = await executor.load(compiled);
  const results = await program.run(feeds);
  await program.close();
  return results;
}

/** Largest difference of any output between the lowerings, relative to that output's largest element. */
async function difference(graph: Graph): Promise<number> {
  const feeds = Object.fromEntries([...graph.inputs].map(([name, v], i) => [name, random(i + 1, v.shape)]));
  const [a, b] = [await outputs(compilePortable(graph), feeds), await outputs(blocked(graph), feeds)];
  let worst = 0;
  for (const name of graph.outputs.keys()) {
    const [p, q] = [a[name]!.data as Float32Array, b[name]!.data as Float32Array]; // all outputs here are float32
    const scale = p.reduce((m, v) => Math.max(m, Math.abs(v)), 1e-6);
    p.forEach((v, i) => {
      worst = Math.max(worst, Number.isFinite(q[i]!) ? Math.abs(v - q[i]!) / scale : Number.POSITIVE_INFINITY);
    });
  }
  return worst;
}

/** y and the gradients of ⟨y, c⟩ by the named inputs. */
function withGradients(inputs: Readonly<Record<string, Value>>, y: Value, by: readonly string[]): Graph {
  const c = input("c", "float32", y.shape);
  const g = gradients(
    dot(y, c),
    by.map((n) => inputs[n]!),
  ); // by names inputs
  return makeGraph("test", { ...inputs, c }, { y, ...Object.fromEntries(by.map((n, i) => [`d${n}`, g[i]!])) });
}

describe.skipIf(!supported)(`blocked and portable lowerings agree${why}`, () => {
  test.each([
    ["3×3", [3, 16, 6, 5], [32, 16, 3, 3], 1, 1],
    ["3×3 with stride 2", [2, 32, 8, 6], [16, 32, 3, 3], 2, 1],
    ["3×3 with stride 2 on an odd size", [2, 16, 7, 7], [16, 16, 3, 3], 2, 1],
    ["1×1", [2, 48, 4, 4], [16, 48, 1, 1], 1, 0],
    ["1×1 with stride 2", [3, 16, 4, 8], [32, 16, 1, 1], 2, 0],
    ["5×5", [2, 16, 8, 8], [16, 16, 5, 5], 1, 2],
    ["3×3 without padding", [2, 16, 6, 6], [16, 16, 3, 3], 1, 0],
    ["7×7 on three channels, the stem", [2, 3, 16, 16], [16, 3, 7, 7], 2, 3],
    ["one image of one row", [1, 16, 1, 4], [16, 16, 3, 3], 1, 1],
    ["channels that fill no block", [2, 12, 5, 5], [20, 12, 3, 3], 1, 1],
    ["3×3 on many channels, 1×2 pixels", [16, 64, 1, 2], [64, 64, 3, 3], 1, 1],
    ["3×3 on many channels, 2×2 pixels", [17, 64, 2, 2], [128, 64, 3, 3], 1, 1],
    ["3×3 on many channels, 3×4 pixels", [16, 64, 3, 4], [64, 64, 3, 3], 1, 1],
    ["3×3 on many channels, 5×7 pixels", [18, 64, 5, 7], [64, 64, 3, 3], 1, 1],
    ["3×3 on many channels, 8×2 pixels", [16, 64, 8, 2], [64, 64, 3, 3], 1, 1],
    ["3×3 on many channels, 16×9 pixels", [16, 64, 16, 9], [64, 64, 3, 3], 1, 1],
    ["3×3 on many channels, few images", [5, 64, 4, 4], [64, 64, 3, 3], 1, 1],
    ["3×3 on large images", [2, 16, 32, 33], [16, 16, 3, 3], 1, 1],
    ["3×3 on large images of several blocks", [3, 32, 33, 32], [48, 32, 3, 3], 1, 1],
    ["1×1 on large images", [2, 16, 32, 32], [32, 16, 1, 1], 1, 0],
    ["3×3 with stride 2 on many channels", [16, 64, 4, 6], [64, 64, 3, 3], 2, 1],
  ] as const)("convolution %s, with its gradients", async (_, xs, ws, stride, padding) => {
    const x = input("x", "float32", xs);
    const w = input("w", "float32", ws);
    expect(await difference(withGradients({ x, w }, conv(x, w, null, { stride, padding }), ["x", "w"]))).toBeLessThan(
      TOLERANCE,
    );
  });

  test.each([
    ["7×7 with stride 2 on three channels", [16, 3, 15, 18], [32, 3, 7, 7], 2, 3],
    ["3×3 on one channel", [32, 1, 8, 8], [16, 1, 3, 3], 1, 1],
    ["5×5 without padding, with a stride that leaves a row over", [16, 4, 12, 11], [16, 4, 5, 5], 2, 0],
  ] as const)("the first convolution of a batch that fills blocks: %s", async (_, xs, ws, stride, padding) => {
    const x = input("x", "float32", xs);
    const w = input("w", "float32", ws);
    const y = relu(conv(x, w, null, { stride, padding }));
    expect(await difference(withGradients({ x, w }, y, ["w"]))).toBeLessThan(TOLERANCE);
  });

  test("inner products with convolutions that nothing else reads", async () => {
    const inputs = {
      x: input("x", "float32", [16, 64, 4, 6]),
      v: input("v", "float32", [64, 64, 3, 3]),
      w: input("w", "float32", [64, 64, 3, 3]),
    };
    const [p, q] = [conv(inputs.x, inputs.v, null, { padding: 1 }), conv(inputs.x, inputs.w, null, { padding: 1 })];
    const graph = makeGraph("g", inputs, { left: dot(p, inputs.x), right: dot(inputs.x, q) });
    expect(await difference(graph)).toBeLessThan(TOLERANCE);
    const both = makeGraph("g", inputs, { both: dot(p, q) });
    expect(await difference(both)).toBeLessThan(TOLERANCE);
  });

  test("convolutions, batch norm, residual, ReLU and pooling in a row, with all gradients", async () => {
    const inputs = {
      x: input("x", "float32", [3, 16, 8, 8]),
      w1: input("w1", "float32", [16, 16, 3, 3]),
      s1: input("s1", "float32", [16]),
      b1: input("b1", "float32", [16]),
      w2: input("w2", "float32", [32, 16, 3, 3]),
      s2: input("s2", "float32", [32]),
      b2: input("b2", "float32", [32]),
    };
    const { x, w1, s1, b1, w2, s2, b2 } = inputs;
    const first = relu(add(batchNormTraining(conv(x, w1, null, { padding: 1 }), s1, b1).y, x));
    const pooled = maxPool(first, [3, 3], { stride: [2, 2], padding: [1, 1] });
    const y = reduceMean(relu(batchNormTraining(conv(pooled, w2, null, { padding: 1 }), s2, b2).y), [2, 3]);
    expect(await difference(withGradients(inputs, y, Object.keys(inputs)))).toBeLessThan(TOLERANCE);
  });

  test.each([
    ["padded by half a block", 16, 32],
    ["padded by a block", 32, 64],
    ["cut", 64, 32],
  ])("every second pixel, channels %s: CIFAR's shortcut, with its gradient", async (_, channels, wanted) => {
    const x = input("x", "float32", [3, channels, 8, 6]);
    const w = input("w", "float32", [channels, channels, 1, 1]);
    const v = input("v", "float32", [16, wanted, 1, 1]);
    const every = (axis: number, end: number) => (value: Value) => slice(value, { axis, start: 0, end, step: 2 });
    const before = Math.trunc((wanted - channels) / 2);
    const padded = pad(every(3, 6)(every(2, 8)(conv(x, w))), [0, before, 0, 0], [0, wanted - channels - before, 0, 0]);
    expect(await difference(withGradients({ x, w, v }, conv(padded, v), ["x", "w", "v"]))).toBeLessThan(TOLERANCE);
  });

  test("activations of other networks, whose gradients choose by masks", async () => {
    const x = input("x", "float32", [2, 16, 6, 6]);
    const w = input("w", "float32", [32, 16, 3, 3]);
    const mask = input("mask", "float32", [2, 32, 6, 6]);
    const y = conv(x, w, null, { padding: 1 });
    const all = [clamp(y, 0, 0.5), leakyRelu(y, 0.1), elu(y), gelu(y), where(greater(mask, y), y, mask)].reduce(add);
    expect(await difference(withGradients({ x, w, mask }, all, ["x", "w", "mask"]))).toBeLessThan(TOLERANCE);
    // A mask that is computed where nothing is in blocks.
    const plain = where(greater(mask, clamp(mask, -0.5, 0.5)), y, mask);
    expect(await difference(withGradients({ x, w, mask }, plain, ["x", "w", "mask"]))).toBeLessThan(TOLERANCE);
  });

  test("max pooling with ties sends each gradient to the first place, as PyTorch", async () => {
    const x = input("x", "float32", [2, 16, 8, 8]);
    const w = input("w", "float32", [16, 16, 3, 3]);
    // Steps of 1 from few numbers: most windows hold their maximum several times.
    const levels = conv(relu(cast(cast(mul(x, scalar(2)), "int64"), "float32")), w);
    const y = maxPool(relu(levels), [3, 3], { stride: [2, 2], padding: [1, 1] });
    const graph = withGradients({ x, w }, y, ["w"]);
    const feeds = Object.fromEntries([...graph.inputs].map(([name, v], i) => [name, random(i + 1, v.shape)]));
    feeds["w"] = { ...feeds["w"]!, data: new Float32Array(16 * 16 * 9).fill(1) } as Tensor; // of float32
    const [p, q] = [await outputs(compilePortable(graph), feeds), await outputs(blocked(graph), feeds)];
    for (const name of ["y", "dw"]) {
      p[name]!.data.forEach((v: number | bigint, i: number) => {
        expect(Number(q[name]!.data[i]), `${name} ${i}`).toBeCloseTo(Number(v), 2);
      });
    }
  });

  test("batch norm of values far from zero loses no digits", async () => {
    const x = input("x", "float32", [2, 16, 4, 4]);
    const [s, b] = [input("s", "float32", [16]), input("b", "float32", [16])];
    const far = input("far", "float32", [1]);
    const w = input("w", "float32", [16, 16, 1, 1]);
    const y = batchNormTraining(add(conv(x, w), far), s, b).y;
    const graph = makeGraph("g", { x, s, b, far, w }, { y });
    const feeds = {
      x: random(1, x.shape),
      s: random(2, s.shape),
      b: random(3, b.shape),
      w: random(4, w.shape),
      far: { dtype: "float32", shape: [1], data: Float32Array.of(1000) } as Tensor,
    };
    const [p, q] = [await outputs(compilePortable(graph), feeds), await outputs(blocked(graph), feeds)];
    const worst = (p["y"]!.data as Float32Array).reduce(
      (m, v, i) => Math.max(m, Math.abs(v - Number(q["y"]!.data[i]))),
      0,
    );
    expect(worst).toBeLessThan(1e-3); // 1000 in float32 has steps of 6e-5, and the deviation is about 1
  });

  const batch = (seed: number, n: number) => ({
    x: random(seed, [n, 3, 32, 32]),
    y: { dtype: "int64" as const, shape: [n], data: BigInt64Array.from({ length: n }, (_, i) => BigInt(i % 3)) },
  });
  const clock = { step: 1, epoch: 1, epochs: 1, stepsPerEpoch: 1 };
  const stepper = (threads: number, compile: (graph: Graph) => Compiled) =>
    new Stepper(
      nodeExecutor({ threads }),
      createModel("resnet18", { classes: 3, width: 16 }),
      metalr({ optimizer: sgd() }),
      { compile },
    );

  test.each([
    ["5, too small for products", [5]],
    ["17, with products", [17]],
    ["17, 5 and 17, on the same state", [17, 5, 17]],
  ])("whole MetaLR steps of ResNet-18, on batches of %s", async (_, sizes) => {
    const [a, b] = [stepper(2, compilePortable), stepper(2, blocked)];
    for (const [at, n] of sizes.entries()) {
      const given = [batch(2 * at + 1, n), batch(2 * at + 2, n - 1), { ...clock, step: at + 1 }] as const;
      const [p, q] = [await a.step(...given), await b.step(...given)];
      for (const name of ["trainLoss", "validationLoss", "lr"]) {
        Array.from(p[name]!.data as Float32Array).forEach((v, i) => {
          // Differences of rounding grow from step to step.
          expect(Number(q[name]!.data[i]), `step ${at + 1}, ${name} ${i}`).toBeCloseTo(v, at === 0 ? 4 : 3);
        });
      }
    }
    await Promise.all([a.close(), b.close()]);
  });

  test.each([6, 16])("the same bits with one thread and with two, batches of %i", async (n) => {
    const states = [];
    for (const threads of [1, 2]) {
      const s = stepper(threads, blocked);
      await s.step(batch(1, n), batch(2, n), clock);
      await s.step(batch(3, n), batch(4, n), { ...clock, step: 2 });
      states.push(s.state);
      await s.close();
    }
    for (const [name, t] of states[0]!) expect(sameBits(t, states[1]!.get(name)), name).toBe(true);
  });

  test("state is in C order for its readers, whatever the step keeps", async () => {
    const s = stepper(1, blocked);
    await s.ready({ train: [2, 3, 32, 32], validation: [2, 3, 32, 32] });
    for (const [name, t] of s.model.weights) expect(sameBits(t, s.state.get(`model/${name}`)), name).toBe(true);
    const copy = new Map(s.state);
    s.restore(copy);
    for (const [name, t] of copy) expect(sameBits(t, s.state.get(name)), name).toBe(true);
    await s.close();
  });

  test("the compiler that is chosen by itself is the blocked one", async () => {
    expect((await chooseCompiler(executor)).lowering).toBe("blocked");
    expect((await chooseCompiler(executor, "portable")).lowering).toBe("portable");
  });
});

test("a weight goes into blocks and back; element [o, i, y, x] lies at [o/b, i/b, y, x, i mod b, o mod b]", () => {
  const shape = [16, 8, 1, 2];
  const data = Float32Array.from({ length: 256 }, (_, i) => i);
  const packed = reorderWeight(data, shape, { layout: "weight", block: 8 }, "pack");
  const [o, i, x] = [11, 3, 1]; // → [1, 0, 0, 1, 3, 3]
  expect(packed[(((1 * 1 + 0) * 2 + 1) * 8 + 3) * 8 + 3]).toBe((o * 8 + i) * 2 + x);
  expect(reorderWeight(packed, shape, { layout: "weight", block: 8 }, "unpack")).toEqual(data);
  expect(isWeight(shape, 8)).toBe(true);
  expect(isWeight([16, 12, 1, 2], 8)).toBe(false);
});
