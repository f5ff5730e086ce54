import { describe, expect, test } from "vitest";
import { Random } from "../../common/random.js";
import { float32, sizeOf, type Tensor } from "../../common/tensor.js";
import { input, makeGraph } from "../../graph/build.js";
import type { Graph } from "../../graph/value.js";
import { apply, conv, evaluateGraph, ops } from "../../ops/index.js";
import { findNative } from "../../platform/node/onednn.js";
import { nodeExecutor } from "../../platform/node/onnxRuntime.js";
import { nativeExecutor } from "../../runtime/onednn.js";
import { compileNative } from "../onednn.js";
import type { Precision } from "./program.js";

const found = findNative();
const native = "module" in found ? found.module : null;
const skipped = "missing" in found ? ` (skipped: ${found.missing})` : "";

/** Images, channels in and out, height, width. */
type Sizes = [number, number, number, number, number];

/** A convolution of 3×3 with both gradients; `dw` and `dx` are those of the scalar product with g. */
function convolutionGraph([images, into, out, height, width]: Sizes, stride = 1, dilation = 1) {
  const x = input("x", "float32", [images, into, height, width]);
  const w = input("w", "float32", [out, into, 3, 3]);
  const y = conv(x, w, null, { padding: dilation, stride, dilation });
  const g = input("g", "float32", y.shape);
  const attributes = y.node.attrs;
  const dx = apply(ops.ConvInputGrad!, [w, g], { ...attributes, space: [height, width] }); // an op by that name
  const dw = apply(ops.ConvWeightGrad!, [x, g], { ...attributes, kernel: [3, 3] });
  return makeGraph("g", { x, w, g }, { y, dx, dw });
}
function normalTensors(graph: Graph, seed: number): Readonly<Record<string, Tensor>> {
  const random = new Random(seed);
  return Object.fromEntries(
    [...graph.inputs].map(([name, v]) => [
      name,
      float32(
        v.shape,
        Float32Array.from({ length: sizeOf(v.shape) }, () => random.normal()),
      ),
    ]),
  );
}
const rootMeanSquare = (x: ArrayLike<number>) => Math.sqrt(Array.from(x).reduce((s, v) => s + v * v, 0) / x.length);
const kindsOf = (graph: Graph, winograd: boolean, precision: Precision = "float32") =>
  compileNative(graph, { block: 16, winograd, precision })
    .native.instructions.map((i) => i.kind)
    .filter((k) => k !== "Reorder");

describe("the algorithm of a convolution", () => {
  const [direct, winograd] = [
    ["Convolution", "Convolution", "Convolution"],
    ["Winograd", "Winograd", "Winograd"],
  ];
  test.each<[string, Sizes, readonly string[]]>([
    ["maps of whole tiles", [3, 64, 64, 16, 16], winograd],
    ["maps whose last tiles are part filled", [32, 64, 64, 7, 7], winograd],
    ["maps that waste most of their tiles", [128, 64, 64, 5, 5], direct],
    ["few tiles", [2, 64, 64, 16, 16], direct],
    ["few channels: the weights' gradient stays direct", [3, 32, 64, 16, 16], ["Winograd", "Winograd", "Convolution"]],
    ["fewer channels", [3, 16, 64, 16, 16], direct],
    ["maps of 2×2 and few images", [63, 64, 64, 2, 2], direct],
  ])("%s", (_, sizes, kinds) => {
    const graph = convolutionGraph(sizes);
    expect(kindsOf(graph, true)).toEqual(kinds);
    expect(kindsOf(graph, false)).toEqual(direct);
    expect(kindsOf(graph, true, "bfloat16")).toEqual(direct);
  });

  test("is a product of matrices on maps of 2×2, in bfloat16 for the weights' gradient alone", () => {
    const graph = convolutionGraph([64, 16, 32, 2, 2]);
    expect(kindsOf(graph, true)).toEqual([
      ...["Copy", "Copy", "Convolution", "Copy"], // x and w spread, the product, y gathered
      ...["Copy", "Copy", "Convolution", "Copy"],
      ...["Copy", "Copy", "Convolution", "Fill", "Copy"], // the dense gradient adds up in w's
    ]);
    expect(kindsOf(graph, true, "bfloat16")).toEqual(
      ["Convolution", "Convolution", "Copy", "Copy", "Convolution", "Fill", "Copy"], //
    );
  });

  test("sums the weights' gradient over patches on small maps in bfloat16", () => {
    const patches = ["Convolution", "Convolution", "Fill", ...Array<string>(9).fill("Copy"), "Copy", "Convolution"];
    expect(kindsOf(convolutionGraph([16, 16, 32, 4, 4]), false, "bfloat16")).toEqual(patches);
    expect(kindsOf(convolutionGraph([16, 16, 32, 8, 8], 2), false, "bfloat16")).toEqual(patches);
    expect(kindsOf(convolutionGraph([15, 16, 32, 4, 4]), false, "bfloat16")).toEqual(direct); // few images
    expect(kindsOf(convolutionGraph([16, 16, 32, 5, 5]), false, "bfloat16")).toEqual(direct); // larger maps
    expect(kindsOf(convolutionGraph([16, 16, 32, 4, 4]), false)).toEqual(direct); // float32
  });

  test("is direct with a stride, a bias on tiny maps, or another padding", () => {
    const x = input("x", "float32", [64, 64, 16, 16]);
    const w = input("w", "float32", [64, 64, 3, 3]);
    const tiny = input("t", "float32", [64, 64, 2, 2]);
    const b = input("b", "float32", [64]);
    const outputs = {
      strided: conv(x, w, null, { padding: 1, stride: 2 }),
      unpadded: conv(x, w, null),
      biased: conv(tiny, w, b, { padding: 1 }),
    };
    expect(kindsOf(makeGraph("g", { x, w, t: tiny, b }, outputs), true)).toEqual(direct);
  });
});

describe.skipIf(!native)(`convolutions${skipped}`, () => {
  const executor = nativeExecutor(native!, { threads: 2, other: nodeExecutor({ threads: 1 }) });
  const run = async (graph: Graph, tensors: Readonly<Record<string, Tensor>>, winograd = false) => {
    const program = await executor.load(compileNative(graph, { block: native!.block, winograd }));
    const results = await program.run(tensors);
    await program.close();
    return results;
  };

  // The transformed domain costs about five times the rounding of direct sums (their own is 2e-7 of the results' size).
  test.skipIf(!native?.winograd).each<Sizes>([
    [3, 64, 64, 16, 16],
    [16, 64, 128, 7, 7],
    [50, 128, 64, 4, 4],
  ])("Winograd's algorithm agrees with direct sums: %i images, %i to %i channels, %i×%i", async (...sizes) => {
    const graph = convolutionGraph(sizes);
    const tensors = normalTensors(graph, 5);
    const fast = await run(graph, tensors, true);
    const slow = await run(graph, tensors);
    for (const [name, v] of graph.outputs) {
      const [a, b] = [fast[name]!.data as Float32Array, slow[name]!.data as Float32Array]; // float32 outputs
      expect(rootMeanSquare(a.map((x, i) => x - b[i]!)) / rootMeanSquare(b), name).toBeLessThan(3e-6);
      expect(rootMeanSquare(b)).toBeGreaterThan(0.1); // there is something to compare
      expect(a.length).toBe(sizeOf(v.shape));
    }
  });

  // What bfloat16 rounds, it rounds for both: products are exact in float32, and the sums differ in their order alone.
  test.skipIf(!native?.bfloat16).each<[Sizes, number, number]>([
    [[16, 16, 32, 4, 4], 1, 1],
    [[17, 32, 16, 8, 7], 2, 1],
    [[40, 16, 16, 4, 3], 1, 2],
  ])("patches agree with the float64 reference: %j, stride %i, dilation %i", async (sizes, stride, dilation) => {
    const graph = convolutionGraph(sizes, stride, dilation);
    const tensors = normalTensors(graph, 7);
    for (const t of Object.values(tensors))
      (t.data as Float32Array).set((t.data as Float32Array).map((v) => Math.round(v * 8) / 8)); // exact in bfloat16
    const compiled = compileNative(graph, { block: native!.block, winograd: false, precision: "bfloat16" });
    expect(compiled.native.instructions.map((i) => i.kind)).toContain("Fill");
    const program = await executor.load(compiled);
    const { dw } = await program.run(tensors);
    await program.close();
    const feeds = new Map(
      [...graph.inputs].map(([name, v]) => [
        v,
        { shape: v.shape, data: Float64Array.from(tensors[name]!.data as Float32Array) },
      ]), // made above
    );
    const [want] = evaluateGraph([graph.outputs.get("dw")!], feeds);
    const got = dw!.data as Float32Array; // a float32 output
    expect(rootMeanSquare(got.map((v, i) => v - want!.data[i]!)) / rootMeanSquare(want!.data)).toBeLessThan(1e-6);
  });

  test.each<Sizes>([
    [64, 16, 32, 2, 2],
    [65, 32, 16, 1, 2],
    [70, 16, 16, 2, 1],
    [64, 32, 32, 1, 1],
  ])("tiny maps agree with the float64 reference: %i images, %i to %i channels, %i×%i", async (...sizes) => {
    const graph = convolutionGraph(sizes);
    const tensors = normalTensors(graph, 6);
    const results = await run(graph, tensors);
    const outputs = [...graph.outputs];
    const feeds = new Map(
      [...graph.inputs].map(([name, v]) => [
        v,
        { shape: v.shape, data: Float64Array.from(tensors[name]!.data as Float32Array) },
      ]), // made above
    );
    const reference = evaluateGraph(
      outputs.map(([, v]) => v),
      feeds,
    );
    outputs.forEach(([name], k) => {
      const [got, want] = [results[name]!.data as Float32Array, reference[k]!.data];
      expect(rootMeanSquare(got.map((x, i) => x - want[i]!)) / rootMeanSquare(want), name).toBeLessThan(1e-6);
    });
  });
});
