import { InferenceSession, Tensor as OrtTensor } from "onnxruntime-node";
import { expect, test } from "vitest";
import { float32, int64, type Tensor } from "../common/tensor.js";
import { encodeOnnx } from "./encode.js";
import type { OnnxModel } from "./model.js";

const reshapeAndScale: OnnxModel = {
  irVersion: 8,
  producer: "metalr",
  opsets: new Map([["", 17]]),
  metadata: new Map([["key", "value"]]),
  graph: {
    name: "g",
    inputs: [{ name: "x", dtype: "float32", shape: ["N", 2] }],
    outputs: [{ name: "y", dtype: "float32", shape: null }],
    initializers: new Map<string, Tensor>([
      ["w", float32([1, 2], [10, 100])],
      ["s", int64([1], [-1])],
    ]),
    nodes: [
      { name: "m", opType: "Mul", domain: "", inputs: ["x", "w"], outputs: ["p"], attributes: {} },
      {
        name: "r",
        opType: "Reshape",
        domain: "",
        inputs: ["p", "s"],
        outputs: ["q"],
        attributes: { allowzero: { type: "int", value: 0n } },
      },
      {
        name: "l",
        opType: "LeakyRelu",
        domain: "",
        inputs: ["q"],
        outputs: ["y"],
        attributes: { alpha: { type: "float", value: 0.5 } },
      },
    ],
  },
};

test("ONNX Runtime loads and runs what is written", async () => {
  const session = await InferenceSession.create(encodeOnnx(reshapeAndScale));
  const { y } = await session.run({ x: new OrtTensor("float32", [1, 2, -3, 4], [2, 2]) });
  expect(y?.dims).toEqual([4]);
  expect(y?.data).toEqual(Float32Array.of(10, 200, -15, 400));
});
