import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { sampleNode } from "../autodiff/gradientError.js";
import { float32, type Tensor } from "../common/tensor.js";
import { input, makeGraph } from "../graph/build.js";
import type { Graph } from "../graph/value.js";
import { add, conv, evaluateGraph, fromNd, ops, relu } from "../ops/index.js";
import { findNative } from "../platform/node/onednn.js";
import { nodeExecutor } from "../platform/node/onnxRuntime.js";
import { nativeExecutor } from "../runtime/onednn.js";
import { encodeProgram } from "./onednn/encode.js";
import { placeBuffers } from "./onednn/memory.js";
import { printProgram } from "./onednn/print.js";
import type { Instruction, Region } from "./onednn/program.js";
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

describe("a plan", () => {
  const x = input("x", "float32", [2, 16, 4, 4]);
  const w = input("w", "float32", [16, 16, 3, 3]);
  const graph = makeGraph("g", { x, w }, { y: relu(add(conv(x, w, null, { padding: 1 }), x)) });

  test("prints one line an instruction", () => {
    const text = printProgram(compileNative(graph, { block: 16 }).native);
    expect(text.split("\n")).toEqual([
      "native program: 5 instructions, arena 0.0 MiB, constants 0.0 KiB, blocks of 16, images in float32",
      "    0 Reorder          in0:float32[512] → @144:float32[512]  # Conv",
      "    1 Reorder          in1:float32[2304] → @0:float32[2304]  # Conv",
      "    2 Convolution      @144:float32[512] @0:float32[2304] → @176:float32[512]  # Conv",
      "    3 Pointwise        @176:float32[512] @144:float32[512] → @0:float32[512]  # Add·Relu",
      "    4 Reorder          @0:float32[512] → out0:float32[512]  # Add·Relu",
    ]);
  });

  test("keeps operands inside their memory, or never becomes words", () => {
    const { native: program } = compileNative(graph, { block: 16 });
    const limits = { arenaBytes: program.arenaBytes, constantBytes: 0, inputs: 2, outputs: 1 };
    expect(encodeProgram(program.instructions, limits)).toEqual(program.words);
    expect(() => encodeProgram(program.instructions, { ...limits, arenaBytes: 64 })).toThrow(
      'internal: Reorder "Conv": an operand lies outside its arena',
    );
    expect(() => encodeProgram(program.instructions, { ...limits, inputs: 1 })).toThrow(
      'internal: Reorder "Conv": an operand lies outside its input',
    );
  });

  test("gives two buffers the same memory only when they are never needed together", () => {
    fc.assert(
      fc.property(
        fc.array(fc.tuple(fc.nat(20), fc.nat(20), fc.integer({ min: 1, max: 500 })), { maxLength: 40 }),
        (spans) => {
          const buffers = spans.map(([, , size]): Region => ({ space: "arena", dtype: "float32", size, at: -1 }));
          const steps = Array.from({ length: 21 }, (_, i): Instruction => {
            const here = buffers.filter(
              (_, k) => Math.min(spans[k]![0], spans[k]![1]) <= i && i <= Math.max(spans[k]![0], spans[k]![1]),
            );
            return { kind: "Fill", label: "", words: [], reads: here, writes: [], flops: 0 };
          });
          const bytes = placeBuffers(steps);
          for (const { reads } of steps) {
            const places = reads.map((b) => [b.at * 64, b.at * 64 + b.size * 4] as const).sort((a, b) => a[0] - b[0]);
            places.forEach(([from, to], k) => {
              expect(from).toBeGreaterThanOrEqual(places[k - 1]?.[1] ?? 0);
              expect(to).toBeLessThanOrEqual(bytes);
            });
          }
        },
      ),
    );
  });
});

describe.skipIf(!native)(`a corrupt program${skipped}`, () => {
  const words = (list: readonly number[]) => native!.load(Int32Array.from(list), new Uint8Array(), 64, 16, 1);
  test.each([
    ["an unknown instruction", [99, 0], "no instruction has the number 99"],
    ["a length beyond the end", [14, 50, 0], "an instruction is longer than the program"],
    ["half a head", [14], "the program ends inside an instruction"],
    ["an instruction that ends early", [14, 2, 0, 0], "an instruction ends early"],
    ["words left over", [11, 6, 1, 0, 0, 0, 0, 7], "an instruction has words left over"],
    ["a list without end", [10, 1, 1000], "a copy has one to eight axes"],
  ])("%s is refused", async (_, list, message) => {
    await expect(words(list)).rejects.toThrow(message);
  });

  test("a tensor of another shape never reaches the native code", async () => {
    const x = input("x", "float32", [4]);
    const executor = nativeExecutor(native!, { threads: 1, other: nodeExecutor({ threads: 1 }) });
    const program = await executor.load(compileNative(makeGraph("g", { x }, { y: add(x, x) }), { block: 16 }));
    await expect(program.run({ x: float32([3], [1, 2, 3]) })).rejects.toThrow(
      'graph "g", x: tensor does not fit\n  expected float32[4]\n  got      float32[3] of 3 elements',
    );
    const short = { dtype: "float32", shape: [4], data: new Float32Array(2) } as const;
    await expect(program.run({ x: short })).rejects.toThrow("got      float32[4] of 2 elements");
    await program.close();
    await expect(program.run({ x: float32([4], [1, 2, 3, 4]) })).rejects.toThrow(
      'graph "g": the run failed\n  got      the program is closed',
    );
  });
});
