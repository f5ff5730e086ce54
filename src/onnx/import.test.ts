import { describe, expect, test } from "vitest";
import { float32, int64 } from "../common/tensor.js";
import { moduleOfScope } from "./import/scope.js";
import { importOnnx } from "./import.js";
import { message, modelOf, names, node, ones, run } from "./import.testing.js";
import type { OnnxModel } from "./model.js";

describe("roles of initializers", () => {
  test("weights and biases are parameters, running statistics buffers, shapes and settings constants", () => {
    const imported = importOnnx(
      modelOf(
        [
          node("Gemm", ["x", "fc.weight", "fc.bias"], "a"),
          node("BatchNormalization", ["a", "bn.weight", "bn.bias", "bn.running_mean", "bn.running_var"], "b"),
          node("Clip", ["b", "low", "high"], "c"),
          node("Reshape", ["c", "shape"], "d"),
          node("Mul", ["d", "factor"], "e"),
          node("Mul", ["e", "block.gamma"], "f"),
          node("Add", ["f", "attn_mask"], "y"),
        ],
        {
          "fc.weight": ones(2, 3),
          "fc.bias": ones(3),
          "bn.weight": ones(3),
          "bn.bias": ones(3),
          "bn.running_mean": ones(3),
          "bn.running_var": ones(3),
          low: ones(),
          high: ones(),
          shape: int64([2], [-1, 3]),
          factor: ones(),
          "block.gamma": ones(1),
          attn_mask: float32([3], [0, -100, 0]),
        },
      ),
      { file: "m.onnx" },
    );
    expect(names(imported.parameters)).toEqual(["fc.weight", "fc.bias", "bn.weight", "bn.bias", "block.gamma"]);
    expect(names(imported.buffers)).toEqual(["bn.running_mean", "bn.running_var"]);
    expect(imported.constants).toEqual(["low", "high", "shape", "factor", "attn_mask"]);
  });

  test("what is added to the image itself is its normalisation", () => {
    const imported = importOnnx(
      modelOf([node("Sub", ["x", "centre"], "a"), node("Gemm", ["a", "w"], "y")], { centre: ones(2), w: ones(2, 3) }),
      { file: "m.onnx" },
    );
    expect(names(imported.parameters)).toEqual(["w"]);
  });

  test("a weight that is transposed or standardised on the way is a layer's weight", () => {
    const imported = importOnnx(
      modelOf(
        [
          node("Transpose", ["in_proj_weight"], "t", { perm: { type: "ints", value: [1n, 0n] } }),
          node("MatMul", ["x", "t"], "a"),
          node("ReduceMean", ["proj.weight"], "mean"),
          node("Sub", ["proj.weight", "mean"], "standard"),
          node("MatMul", ["a", "standard"], "y"),
        ],
        { in_proj_weight: ones(3, 2), "proj.weight": ones(3, 3) },
      ),
      { file: "m.onnx" },
    );
    expect(imported.parameters.map((p) => [p.name, p.layerWeight])).toEqual([
      ["in_proj_weight", true],
      ["proj.weight", true],
    ]);
  });

  test("equal tensors that the exporter stored once are parted", () => {
    const imported = importOnnx(
      modelOf(
        [
          node("Identity", ["a.bias"], "b.bias"),
          node("Gemm", ["x", "a.weight", "a.bias"], "h"),
          node("Gemm", ["h", "b.weight", "b.bias"], "y"),
        ],
        { "a.weight": ones(2, 2), "a.bias": ones(2), "b.weight": ones(2, 2) },
      ),
      { file: "m.onnx" },
    );
    expect(names(imported.parameters)).toEqual(["a.weight", "a.bias", "b.weight", "b.bias"]);
  });

  test("a folded weight has the module of the node that reads it", () => {
    const imported = importOnnx(
      modelOf([{ ...node("Gemm", ["x", "onnx::Gemm_7"], "y"), name: "/layer1/layer1.0/fc/Gemm" }], {
        "onnx::Gemm_7": ones(2, 2),
      }),
      { file: "m.onnx" },
    );
    expect(imported.parameters[0]?.module).toBe("layer1.0.fc");
  });

  test.each([
    ["/layer1/layer1.0/conv1/Conv", "layer1.0.conv1"],
    ["/features/features.3/features.3.0/Conv", "features.3.0"],
    ["/conv1/Conv", "conv1"],
    ["Conv_12", ""],
  ])("scope %s is module %s", (scope, module) => {
    expect(moduleOfScope(scope)).toBe(module);
  });
});

describe("forward pass", () => {
  test("a chain of shapes is computed when the graph is built", () => {
    const imported = importOnnx(
      modelOf(
        [
          node("Shape", ["x"], "s"),
          node("Gather", ["s", "zero"], "n"),
          node("Unsqueeze", ["n", "axis"], "n1"),
          node("Concat", ["n1", "rest"], "shape", { axis: { type: "int", value: 0n } }),
          node("Reshape", ["x", "shape"], "y"),
        ],
        { zero: int64([], [0]), axis: int64([1], [0]), rest: int64([2], [2, 1]) },
      ),
      { file: "m.onnx" },
    );
    expect(run(imported, [3, 2], [1, 2, 3, 4, 5, 6])).toEqual({ shape: [3, 2, 1], data: [1, 2, 3, 4, 5, 6] });
  });

  test("whole numbers are divided towards zero, and the end of a slice may be 2^63 − 1", () => {
    const imported = importOnnx(
      modelOf(
        [
          node("Div", ["seven", "minusTwo"], "q"), // −3
          node("Neg", ["q"], "start"),
          node("Slice", ["x", "start", "end", "axis"], "y"),
        ],
        {
          seven: int64([1], [7]),
          minusTwo: int64([1], [-2]),
          end: { dtype: "int64", shape: [1], data: BigInt64Array.of(2n ** 63n - 1n) },
          axis: int64([1], [1]),
        },
        ["N", 5],
      ),
      { file: "m.onnx" },
    );
    expect(run(imported, [1, 5], [1, 2, 3, 4, 5]).data).toEqual([4, 5]);
  });

  test("If with a known condition takes its branch", () => {
    const branch = (op: string) => ({
      type: "graph" as const,
      value: {
        name: op,
        inputs: [],
        outputs: [{ name: `${op}_y`, dtype: "float32" as const, shape: null }],
        initializers: new Map(),
        nodes: [node(op, ["x"], `${op}_y`)],
      },
    });
    const imported = importOnnx(
      modelOf([node("If", ["no"], "y", { then_branch: branch("Relu"), else_branch: branch("Neg") })], {
        no: { dtype: "bool", shape: [], data: Uint8Array.of(0) },
      }),
      { file: "m.onnx" },
    );
    expect(run(imported, [1, 2], [1, -2]).data).toEqual([-1, 2]);
  });

  test("Dropout in training form passes its input on", () => {
    const imported = importOnnx(
      modelOf([node("Dropout", ["x", "ratio", "yes"], "y")], {
        ratio: float32([], [0.5]),
        yes: { dtype: "bool", shape: [], data: Uint8Array.of(1) },
      }),
      { file: "m.onnx" },
    );
    expect(run(imported, [1, 2], [1, -2]).data).toEqual([1, -2]);
  });

  test("a batch that the file fixes in a Reshape gives way to another", () => {
    const imported = importOnnx(
      modelOf([node("Reshape", ["x", "shape"], "y")], { shape: int64([3], [1, -1, 1]) }, [1, 2]),
      { file: "m.onnx" },
    );
    expect(run(imported, [2, 2], [1, 2, 3, 4]).shape).toEqual([2, 2, 1]);
  });
});

describe("what is refused", () => {
  const build = (m: OnnxModel, shape: readonly number[] = [1, 2]) =>
    message(() => run(importOnnx(m, { file: "m.onnx" }), shape, new Array(shape.reduce((a, b) => a * b, 1)).fill(1)));
  test("an operator that is not supported, by the name of its node", () => {
    expect(build(modelOf([node("Loop", ["x"], "y")], {}))).toBe(
      'm.onnx: Loop "/block/y/Loop": the operator is not supported\n  hint     docs/OPERATORS.md lists those that are',
    );
  });
  test("an operator of another domain", () => {
    expect(build(modelOf([{ ...node("FusedConv", ["x"], "y"), domain: "com.microsoft" }], {}))).toBe(
      'm.onnx: FusedConv "/block/y/FusedConv": the operator is not supported\n  got      com.microsoft FusedConv\n  hint     docs/OPERATORS.md lists those that are',
    );
  });
  test("shapes that do not fit, with the node", () => {
    expect(build(modelOf([node("Gemm", ["x", "w"], "y")], { w: ones(3, 4) }))).toBe(
      'm.onnx: Gemm "/block/y/Gemm": inner dimensions differ\n  expected […, m, k] and […, k, n]\n  got      [1,2] and [3,4]',
    );
  });
  test("a shape that depends on the image's values", () => {
    expect(build(modelOf([node("Reshape", ["w", "x"], "y")], { w: ones(2) }))).toBe(
      'm.onnx: Reshape "/block/y/Reshape": input "x" depends on the image or on a parameter\n  expected a value that is known when the model is opened',
    );
  });
  test("an image of another shape", () => {
    expect(build(modelOf([node("Relu", ["x"], "y")], {}, ["N", 3, 32, "W"]), [1, 3, 16, 16])).toBe(
      'm.onnx: input "x": the image does not fit the model\n  expected [N,3,32,?]\n  got      [1,3,16,16]',
    );
  });
  test("two images", () => {
    const one = modelOf([node("Add", ["x", "z"], "y")], {});
    const two = {
      ...one,
      graph: { ...one.graph, inputs: [...one.graph.inputs, { name: "z", dtype: "float32" as const, shape: ["N", 2] }] },
    };
    expect(message(() => importOnnx(two, { file: "m.onnx" }))).toBe(
      "m.onnx: the model does not have one input\n  expected one image\n  got      x, z",
    );
  });
  test("an output that is not there", () => {
    expect(message(() => importOnnx(modelOf([node("Relu", ["x"], "y")], {}), { file: "m.onnx", output: "z" }))).toBe(
      'm.onnx: no output "z"\n  expected y',
    );
  });
});
