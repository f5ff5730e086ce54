import { describe, expect, test } from "vitest";
import { sampleNode } from "../autodiff/gradientError.js";
import type { Tensor } from "../common/tensor.js";
import { makeGraph } from "../graph/build.js";
import type { Graph } from "../graph/value.js";
import { evaluateGraph, fromNd, ops } from "../ops/index.js";
import { findNative } from "../platform/node/onednn.js";
import { nodeExecutor } from "../platform/node/onnxRuntime.js";
import { nativeExecutor } from "../runtime/onednn.js";
import { compileNative } from "./onednn.js";

const found = findNative();
const native = "module" in found ? found.module : null;
const skipped = "missing" in found ? ` (skipped: ${found.missing})` : "";
// float32 against float64 on sums of at most a few dozen terms of size ≤ 4.
const TOLERANCE = 2e-5;

describe.skipIf(!native)(`native programs${skipped}`, () => {
  const executor = nativeExecutor(native!, { threads: 2, other: nodeExecutor({ threads: 1 }) });
  const run = async (graph: Graph, tensors: Readonly<Record<string, Tensor>>) => {
    const compiled = compileNative(graph, { block: native!.block });
    const program = await executor.load(compiled);
    const known = new Set(compiled.inputs.map((p) => p.name));
    const results = await program.run(Object.fromEntries(Object.entries(tensors).filter(([k]) => known.has(k))));
    await program.close();
    return results;
  };

  describe.each(Object.values(ops).map((op) => [op.name, op] as const))("%s", (_, op) => {
    test.each(op.samples.map((s) => [JSON.stringify(s.shapes), s] as const))(
      "agrees with the float64 reference at %s",
      async (_, sample) => {
        const { feeds, y } = sampleNode(op, sample, 11);
        const rounded = new Map(
          [...feeds].map(([v, x]) => [v, { shape: x.shape, data: Float64Array.from(x.data, Math.fround) }]),
        );
        const outputs = y.node.outputs;
        const reference = evaluateGraph(outputs, rounded);
        const inputs = new Map([...feeds.keys()].map((v, i) => [`i${i}`, v]));
        const graph = makeGraph("test", inputs, new Map(outputs.map((v, i) => [`o${i}`, v])));
        const tensors = Object.fromEntries(
          [...inputs].map(([name, v]) => [name, fromNd(v.dtype, rounded.get(v)!) as Tensor]),
        );
        const results = await run(graph, tensors);
        outputs.forEach((_, i) => {
          const [r, want] = [results[`o${i}`]!, reference[i]!];
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
});
