import { InferenceSession, Tensor as OrtTensor } from "onnxruntime-node";
import { describe, expect, test } from "vitest";
import { float32, type Tensor } from "../common/tensor.js";
import { encodeOnnx } from "./encode.js";
import { foldBatchNorm } from "./fold-batch-norm.js";
import { modelOf, node, ones } from "./import.testing.js";
import type { OnnxNode } from "./model.js";

const vector = (...values: number[]) => float32([values.length], values);
/** s = scale/√(variance + ε) is 3/√(3.75 + 0.25) = 1.5. */
const norm = {
  scale: vector(3),
  shift: vector(4),
  mean: vector(5),
  variance: vector(3.75),
};
const bn = (x: string, y: string): OnnxNode => ({
  ...node("BatchNormalization", [x, "scale", "shift", "mean", "variance"], y),
  attributes: { epsilon: { type: "float", value: 0.25 } },
});
const fold = (nodes: readonly OnnxNode[], tensors: Readonly<Record<string, Tensor>>) =>
  foldBatchNorm(modelOf(nodes, { ...norm, ...tensors }, ["N", 1, 2, 2])).graph;

describe("batch norm after a layer", () => {
  test("goes into weight and bias: W·1.5, (1 − 5)·1.5 + 4", () => {
    const g = fold([node("Conv", ["x", "w", "b"], "h"), bn("h", "y")], { w: float32([1, 1, 1, 1], [2]), b: vector(1) });
    expect(g.nodes.map((n) => [n.opType, n.inputs, n.outputs])).toEqual([["Conv", ["x", "w", "b"], ["y"]]]);
    expect(g.initializers.get("w")?.data).toEqual(Float32Array.of(3));
    expect(g.initializers.get("b")?.data).toEqual(Float32Array.of(-2));
    expect([...g.initializers.keys()]).toEqual(["w", "b"]);
  });

  test("a layer without a bias takes the norm's: −5·1.5 + 4", () => {
    const g = fold([node("Conv", ["x", "w"], "h"), bn("h", "y")], { w: float32([1, 1, 1, 1], [2]) });
    expect(g.nodes[0]?.inputs).toEqual(["x", "w", "shift"]);
    expect(g.initializers.get("shift")?.data).toEqual(Float32Array.of(-3.5));
  });

  test("outputs of a transposed convolution are the second axis of its weight", () => {
    const four = { scale: vector(3, 6), shift: vector(0, 0), mean: vector(0, 0), variance: vector(3.75, 3.75) };
    const g = fold([node("ConvTranspose", ["x", "w"], "h"), bn("h", "y")], { ...four, w: ones(1, 2, 1, 2) });
    expect(g.initializers.get("w")?.data).toEqual(Float32Array.of(1.5, 1.5, 3, 3));
  });

  test.each<[string, OnnxNode[]]>([
    ["after a sum", [node("Conv", ["x", "w"], "h"), node("Add", ["h", "x"], "s"), bn("s", "y")]],
    [
      "where another node reads the layer, too",
      [node("Conv", ["x", "w"], "h"), bn("h", "n"), node("Add", ["h", "n"], "y")],
    ],
    ["where the weight is read twice", [node("Conv", ["x", "w"], "h"), bn("h", "n"), node("Conv", ["n", "w"], "y")]],
  ])("stays %s", (_, nodes) => {
    expect(fold(nodes, { w: ones(1, 1, 1, 1) }).nodes).toEqual(nodes);
  });

  test("two norms with the same numbers, as fresh ones are: the runtime gives what it gave", async () => {
    const model = modelOf(
      [node("Conv", ["x", "w1"], "h"), bn("h", "n"), node("Conv", ["n", "w2", "b"], "k"), bn("k", "y")],
      { ...norm, w1: float32([1, 1, 1, 1], [2]), w2: float32([1, 1, 1, 1], [-0.5]), b: vector(1) },
      ["N", 1, 2, 2],
    );
    const run = async (m: typeof model) => {
      const session = await InferenceSession.create(encodeOnnx(m), { logSeverityLevel: 4 });
      const { y } = await session.run({ x: new OrtTensor("float32", [1, -2, 3, 0.5], [1, 1, 2, 2]) });
      await session.release();
      return Array.from(y?.data as Float32Array); // float32 in, float32 out
    };
    const folded = foldBatchNorm(model);
    expect(folded.graph.nodes.map((n) => n.opType)).toEqual(["Conv", "Conv"]);
    const [ours, theirs] = [await run(folded), await run(model)];
    ours.forEach((v, i) => {
      expect(v).toBeCloseTo(theirs[i] ?? Number.NaN, 4);
    });
  });
});
