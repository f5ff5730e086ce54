import { describe, expect, test } from "vitest";
import { float32, type Tensor } from "../../common/tensor.js";
import { decodeOnnx } from "../decode.js";
import { encodeOnnx } from "../encode.js";
import { importOnnx } from "../import.js";
import { modelOf, names, node, ones } from "../import.testing.js";
import type { OnnxNode } from "../model.js";
import { moduleOfScopes } from "./scope.js";

const zeros = (n: number) => float32([n], new Float32Array(n));
const inModule = (n: OnnxNode, module: string): OnnxNode => ({ ...n, name: "", module });
const parameters = (nodes: readonly OnnxNode[], tensors: Readonly<Record<string, Tensor>>, opset = 18) => {
  const model = modelOf(nodes, tensors, ["N", 2]);
  return importOnnx({ ...model, opsets: new Map([["", opset]]) }, { file: "m.onnx" }).parameters;
};

describe("biases and norms that an exporter stored once because they were equal", () => {
  test("a bias of two layers is one for each, called as its layer", () => {
    const found = parameters(
      [node("Gemm", ["x", "a.weight", "a.bias"], "h"), node("Gemm", ["h", "b.weight", "a.bias"], "y")],
      { "a.weight": ones(2, 2), "b.weight": float32([2, 2], [1, 2, 3, 4]), "a.bias": zeros(2) },
    );
    expect(names(found)).toEqual(["a.weight", "a.bias", "b.weight", "b.bias"]);
  });

  test("a layer that is called twice has one bias", () => {
    const found = parameters(
      [node("Gemm", ["x", "a.weight", "a.bias"], "h"), node("Gemm", ["h", "a.weight", "a.bias"], "y")],
      { "a.weight": ones(2, 2), "a.bias": zeros(2) },
    );
    expect(names(found)).toEqual(["a.weight", "a.bias"]);
  });

  test("a bias that is added to a product has the module of the addition", () => {
    const found = parameters(
      [
        node("MatMul", ["x", "val_1"], "p"),
        inModule(node("Add", ["p", "mlp.0.bias"], "h"), "mlp.0"),
        node("MatMul", ["h", "val_2"], "q"),
        inModule(node("Add", ["q", "mlp.0.bias"], "y"), "mlp.3"),
      ],
      { val_1: ones(2, 2), val_2: float32([2, 2], [1, 2, 3, 4]), "mlp.0.bias": zeros(2) },
    );
    expect(names(found)).toEqual(["val_1", "mlp.0.bias", "val_2", "mlp.3.bias"]);
  });

  test("what was trained and is added twice stays one tensor", () => {
    const found = parameters(
      [
        node("MatMul", ["x", "val_1"], "p"),
        node("Add", ["p", "shared.bias"], "h"),
        node("MatMul", ["h", "val_2"], "q"),
        node("Add", ["q", "shared.bias"], "y"),
      ],
      { val_1: ones(2, 2), val_2: float32([2, 2], [1, 2, 3, 4]), "shared.bias": float32([2], [0.5, -1]) },
    );
    expect(names(found)).toEqual(["val_1", "shared.bias", "val_2"]);
  });

  const norm = (x: string, y: string, module: string) =>
    inModule(node("LayerNormalization", [x, "n1.weight", "n1.bias"], y), module);
  test("fresh norms of two modules have a scale and a bias each", () => {
    expect(
      names(parameters([norm("x", "h", "n1"), norm("h", "y", "n2")], { "n1.weight": ones(2), "n1.bias": zeros(2) })),
    ).toEqual(["n1.weight", "n1.bias", "n2.weight", "n2.bias"]);
  });
  test("a norm that is called twice has one", () => {
    expect(
      names(parameters([norm("x", "h", "n1"), norm("h", "y", "n1")], { "n1.weight": ones(2), "n1.bias": zeros(2) })),
    ).toEqual(["n1.weight", "n1.bias"]);
  });
});

describe("what is no parameter", () => {
  const shape3 = ["N", 2, 4];
  test("ones and zeros without a name, which stand for a norm without scale and bias", () => {
    const model = modelOf(
      [
        node("InstanceNormalization", ["x", "val_0", "val_1"], "h"),
        node("InstanceNormalization", ["h", "val_0", "val_1"], "y"),
      ],
      { val_0: ones(2), val_1: zeros(2) },
      shape3,
    );
    const imported = importOnnx(model, { file: "m.onnx" });
    expect([names(imported.parameters), imported.constants]).toEqual([[], ["val_0", "val_1"]]);
  });

  test("a table of coordinates before a small network, which is a parameter", () => {
    const model = modelOf(
      [
        node("MatMul", ["attn.relative_coords_table", "attn.cpb.weight"], "t"),
        node("ReduceMean", ["t"], "m"),
        node("Mul", ["x", "m"], "y"),
      ],
      { "attn.relative_coords_table": float32([3, 2], [1, 2, 3, 4, 5, 6]), "attn.cpb.weight": ones(2, 2) },
    );
    const imported = importOnnx(model, { file: "m.onnx" });
    expect([names(imported.parameters), imported.constants]).toEqual([
      ["attn.cpb.weight"],
      ["attn.relative_coords_table"],
    ]);
  });

  test("zeros that a mask is put together from", () => {
    const model = modelOf([node("ScatterND", ["val_5", "places", "val_6"], "mask"), node("Add", ["x", "mask"], "y")], {
      val_5: float32([2, 2], [0, 0, 0, 0]),
      val_6: ones(1, 2),
      places: { dtype: "int64", shape: [1, 1], data: BigInt64Array.of(1n) },
    });
    const imported = importOnnx(model, { file: "m.onnx" });
    expect([names(imported.parameters), imported.constants]).toEqual([[], ["val_5", "places", "val_6"]]);
  });
});

describe("modules beside the nodes", () => {
  test("the last but one of PyTorch's list of scopes", () => {
    expect(moduleOfScopes("['', 'layer1', 'layer1.0', 'layer1.0.conv1', 'conv2d']")).toBe("layer1.0.conv1");
    expect(moduleOfScopes("['', 'linear']")).toBe("");
    expect(moduleOfScopes("")).toBe(undefined);
  });

  test("are kept when the file is written again, and say where a folded weight belongs", async () => {
    const model = modelOf([inModule(node("MatMul", ["x", "val_9"], "y"), "blocks.1.fc")], { val_9: ones(2, 2) });
    const again = await decodeOnnx(encodeOnnx(model), "m.onnx");
    expect(again.graph.nodes[0]?.module).toBe("blocks.1.fc");
    expect(importOnnx(again, { file: "m.onnx" }).parameters[0]?.module).toBe("blocks.1.fc");
  });
});
