import { InferenceSession, Tensor as OrtTensor } from "onnxruntime-node";
import { describe, expect, test } from "vitest";
import { float32, int64, type Tensor } from "../../common/tensor.js";
import { constant, input } from "../../graph/build.js";
import { evaluateGraph } from "../../ops/index.js";
import { encodeOnnx } from "../encode.js";
import { importOnnx } from "../import.js";
import type { OnnxModel } from "../model.js";
import { bools, bothWays, modelOf, TOLERANCE } from "./rules.testing.js";
import { layerCases } from "./rules-layers.testing.js";
import { movingCases } from "./rules-moving.testing.js";
import { importTable } from "./table.js";

const families = { ...layerCases, ...movingCases };

describe.each(Object.entries(families))("%s", (_, cases) => {
  test.each(
    cases.map(
      (c) =>
        [`${c.op} ${JSON.stringify({ ...c.attrs, ...c.floats })} of [${c.x}], op set ${c.opset ?? 17}`, c] as const,
    ),
  )("%s agrees with ONNX Runtime", async (_, c) => {
    for (const { ours, theirs } of await bothWays(c)) {
      ours.forEach((v, i) => {
        const t = theirs[i] ?? Number.NaN;
        expect(Math.abs(v - t), `element ${i}: ${v} against ${t}`).toBeLessThan(TOLERANCE * Math.max(1, Math.abs(t)));
      });
    }
  });
});

test("every operator that is imported is compared here, or tested beside this file", () => {
  const compared = new Set(Object.values(families).flatMap((cases) => cases.map((c) => c.op)));
  const elsewhere = [
    "And",
    "ConcatFromSequence",
    "Constant",
    "ConstantOfShape",
    "If",
    "NonZero",
    "Not",
    "OneHot",
    "Or",
    "Range",
    "SequenceAt",
    "SplitToSequence",
    "Xor",
  ];
  expect(
    Object.keys(importTable)
      .filter((op) => !compared.has(op))
      .sort(),
  ).toEqual(elsewhere);
});

test.each([
  [{ op: "And", inputs: ["p", "q"] }],
  [{ op: "Or", inputs: ["p", "q"] }],
  [{ op: "Xor", inputs: ["p", "q"] }],
  [{ op: "Not", inputs: ["p"] }],
  [{ op: "NonZero", inputs: ["p"] }],
  [{ op: "Range", inputs: ["two", "nine", "three"] }],
  [{ op: "ConstantOfShape", inputs: ["shape"] }],
  [{ op: "OneHot", inputs: ["shape", "nine", "values"] }],
])("%o of constants agrees with ONNX Runtime", async ({ op, inputs }) => {
  const p = bools(2, 3);
  const q: Tensor = { dtype: "bool", shape: [3], data: Uint8Array.of(1, 0, 1) };
  const constants: Record<string, Tensor> = {
    p,
    q,
    two: int64([], [2]),
    nine: int64([], [9]),
    three: int64([], [3]),
    shape: int64([2], [2, 3]),
    values: float32([2], [0, 1]),
  };
  const cast = {
    name: "c",
    opType: "Cast",
    domain: "",
    inputs: ["k"],
    outputs: ["f"],
    attributes: { to: { type: "int" as const, value: 1n } },
  };
  const add = { ...cast, name: "a", opType: "Add", inputs: ["x", "f"], outputs: ["y0"], attributes: {} };
  const model = modelOf({ op, x: [1] });
  const nodes = [{ ...cast, name: "n", opType: op, inputs, outputs: ["k"], attributes: {} }, cast, add];
  const full: OnnxModel = {
    ...model,
    graph: {
      ...model.graph,
      nodes,
      initializers: new Map(Object.entries(constants)),
      inputs: [{ name: "x", dtype: "float32", shape: [1, 1] }],
    },
  };
  const session = await InferenceSession.create(encodeOnnx(full), { logSeverityLevel: 4 });
  const { y0 } = await session.run({ x: new OrtTensor("float32", [0.5], [1, 1]) });
  await session.release();
  const x = input("x", "float32", [1, 1]);
  const { logits } = importOnnx(full, { file: "case" }).forward((n) => constant(constants[n] ?? float32([], [0])), x, {
    batchNorm: "running",
  });
  const y = evaluateGraph([logits], new Map([[x, { shape: [1, 1], data: Float64Array.of(0.5) }]]))[0]!; // one was asked for
  expect(y.shape).toEqual(y0?.dims);
  expect([...y.data]).toEqual(Array.from(y0?.data as Float32Array)); // float32 by the Add
});
