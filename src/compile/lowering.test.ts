import { describe, expect, test } from "vitest";
import { sampleNode } from "../autodiff/gradientError.js";
import { float32, type Tensor } from "../common/tensor.js";
import { input, makeGraph, scalar } from "../graph/build.js";
import type { Value } from "../graph/value.js";
import { add, evaluateGraph, fromNd, mul, ops } from "../ops/index.js";
import { nodeExecutor } from "../platform/node/onnxRuntime.js";
import { compilePortable } from "./compile.js";

// float32 against float64 on sums of at most a few dozen terms of size ≤ 4.
const TOLERANCE = 2e-5;
const executor = nodeExecutor({ threads: 1 });

async function runOnnx(
  outputs: readonly Value[],
  feeds: ReadonlyMap<Value, { shape: readonly number[]; data: Float64Array }>,
) {
  const inputs = new Map([...feeds.keys()].map((v, i) => [`i${i}`, v]));
  const graph = makeGraph("test", inputs, new Map(outputs.map((v, i) => [`o${i}`, v])));
  const program = await executor.load(compilePortable(graph));
  const tensors = Object.fromEntries(
    [...inputs]
      .filter(([name]) => program.compiled.inputs.some((p) => p.name === name))
      .map(([name, v]) => [name, fromNd(v.dtype, feeds.get(v)!) as Tensor]),
  );
  const results = await program.run(tensors);
  await program.close();
  return outputs.map((_, i) => results[`o${i}`]!);
}

describe.each(Object.values(ops).map((op) => [op.name, op] as const))("%s", (_, op) => {
  test.each(op.samples.map((s) => [JSON.stringify(s.shapes), s] as const))(
    "the portable lowering agrees with the reference at %s",
    async (_, sample) => {
      const { feeds, y } = sampleNode(op, sample, 11);
      const outputs = y.node.outputs;
      const rounded = new Map(
        [...feeds].map(([v, x]) => [v, { shape: x.shape, data: Float64Array.from(x.data, Math.fround) }]),
      );
      const reference = evaluateGraph(outputs, rounded);
      const results = await runOnnx(outputs, rounded);
      results.forEach((r, i) => {
        const want = reference[i]!;
        expect(r.shape).toEqual(want.shape);
        Array.from(r.data as ArrayLike<number | bigint>, Number).forEach((v, k) => {
          expect(Math.abs(v - want.data[k]!), `output ${i}, element ${k}: ${v} against ${want.data[k]}`).toBeLessThan(
            TOLERANCE * Math.max(1, Math.abs(want.data[k]!)),
          );
        });
      });
    },
  );
});

test("equal nodes are computed once, constants are folded and x·1 disappears", () => {
  const x = input("x", "float32", [2]);
  const two = add(scalar(1), scalar(1));
  const graph = makeGraph("g", { x }, { y: add(mul(mul(x, two), scalar(1)), mul(x, add(scalar(1), scalar(1)))) });
  expect(compilePortable(graph).nodes).toBe(2); // x·2, and its sum with itself
});

test("a graph that returns an input gives it back", async () => {
  const x = input("x", "float32", [2]);
  const program = await executor.load(compilePortable(makeGraph("g", { x }, { a: x, b: x })));
  const { a, b } = await program.run({ x: float32([2], [1, 2]) });
  expect([[...a!.data], [...b!.data]]).toEqual([
    [1, 2],
    [1, 2],
  ]);
});

test("a tensor that does not fit its port is refused by name", async () => {
  const x = input("x", "float32", [2]);
  const program = await executor.load(compilePortable(makeGraph("g", { x }, { y: add(x, x) })));
  await expect(program.run({ x: float32([3], [1, 2, 3]) })).rejects.toThrow(
    'graph "g", x: tensor does not fit\n  expected float32[2]\n  got      float32[3]',
  );
  await expect(program.run({})).rejects.toThrow('graph "g", x: tensor is missing\n  expected float32[2]');
});
