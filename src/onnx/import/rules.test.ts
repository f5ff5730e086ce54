import { InferenceSession, Tensor as OrtTensor } from "onnxruntime-node";
import { describe, expect, test } from "vitest";
import { Random } from "../../common/random.js";
import { float32, int64, type Shape, sizeOf, type Tensor } from "../../common/tensor.js";
import { constant, input } from "../../graph/build.js";
import { evaluateGraph } from "../../ops/index.js";
import { encodeOnnx } from "../encode.js";
import { importOnnx } from "../import.js";
import type { OnnxAttribute, OnnxModel } from "../model.js";
import { importTable } from "./table.js";

/** One operator over an image x and initializers; every result is compared with ONNX Runtime's own operator. */
interface Case {
  readonly op: string;
  readonly x: Shape;
  /** The other inputs: numbers as float32 scalars, arrays as int64 vectors, null as absent, tensors as they are. */
  readonly rest?: readonly (Tensor | readonly number[] | number | null)[];
  readonly attrs?: Readonly<Record<string, number | string | readonly number[] | boolean>>;
  /** Float attributes, where a number would be read as a whole one. */
  readonly floats?: Readonly<Record<string, number>>;
  readonly outputs?: number;
  readonly opset?: number;
  readonly range?: readonly [number, number];
  /** Which input the image is; default the first. */
  readonly place?: number;
  /** Of the result; default float32. */
  readonly dtype?: "bool" | "int64";
}

const noise = (shape: Shape, seed: number, [low, high]: readonly [number, number] = [-2, 2]) => {
  const random = new Random(seed, "rules");
  return float32(
    shape,
    Float32Array.from({ length: sizeOf(shape) }, () => random.between(low, high)),
  );
};
const w = (...shape: number[]) => noise(shape, 5);

const attribute = (v: number | string | readonly number[] | boolean): OnnxAttribute => {
  if (typeof v === "string") return { type: "string", value: v };
  if (typeof v === "number" || typeof v === "boolean") return { type: "int", value: BigInt(v) };
  return { type: "ints", value: v.map(BigInt) };
};

/** Every third one false. */
const bools = (...shape: number[]): Tensor => ({
  dtype: "bool",
  shape,
  data: Uint8Array.from({ length: sizeOf(shape) }, (_, i) => (i % 3 === 0 ? 0 : 1)),
});

function modelOf(c: Case): OnnxModel {
  const initializers = new Map<string, Tensor>();
  const names = (c.rest ?? []).map((r, i) => {
    if (r === null) return "";
    const name = `Constant_${i}`;
    const value = typeof r === "number" ? float32([], [r]) : "dtype" in r ? r : int64([r.length], r);
    initializers.set(name, value);
    return name;
  });
  const outputs = Array.from({ length: c.outputs ?? 1 }, (_, i) => `y${i}`);
  return {
    irVersion: 8,
    producer: "",
    opsets: new Map([["", c.opset ?? 17]]),
    metadata: new Map(),
    graph: {
      name: c.op,
      inputs: [{ name: "x", dtype: "float32", shape: c.x }],
      outputs: outputs.map((name) => ({ name, dtype: c.dtype ?? ("float32" as const), shape: null })),
      initializers,
      nodes: [
        {
          name: "",
          opType: c.op,
          domain: "",
          inputs: names.toSpliced(c.place ?? 0, 0, "x"),
          outputs,
          attributes: Object.fromEntries([
            ...Object.entries(c.attrs ?? {}).map(([k, v]) => [k, attribute(v)] as const),
            ...Object.entries(c.floats ?? {}).map(([k, value]) => [k, { type: "float" as const, value }] as const),
          ]),
        },
      ],
    },
  };
}

async function bothWays(c: Case): Promise<{ shape: Shape; ours: number[]; theirs: number[] }[]> {
  const model = modelOf(c);
  const image = noise(c.x, 3, c.range);
  const session = await InferenceSession.create(encodeOnnx(model), { logSeverityLevel: 4 });
  const theirs = await session.run({ x: new OrtTensor("float32", image.data, [...c.x]) });
  await session.release();
  return model.graph.outputs.map(({ name }) => {
    const x = input("x", "float32", c.x);
    const { logits } = importOnnx(model, { file: "case", output: name }).forward(
      (n) => constant(model.graph.initializers.get(n) ?? float32([], [0])),
      x,
      { batchNorm: "running" },
    );
    const y = evaluateGraph([logits], new Map([[x, { shape: c.x, data: Float64Array.from(image.data) }]]))[0]!; // one was asked for
    const other = theirs[name]!; // an output of the model
    expect(y.shape).toEqual(other.dims);
    return { shape: y.shape, ours: [...y.data], theirs: Array.from(other.data as ArrayLike<number | bigint>, Number) }; // numbers all
  });
}

/** float32 in the runtime against float64 here, on values of size 1 to 10. */
const TOLERANCE = 2e-5;

const image: Shape = [2, 4, 5, 6];
const families: Readonly<Record<string, readonly Case[]>> = {
  arithmetic: [
    ...["Add", "Sub", "Mul", "Min", "Sum"].map((op): Case => ({ op, x: image, rest: [w(5, 1)] })),
    { op: "Div", x: image, rest: [noise([6], 8, [0.5, 2])] },
    { op: "Mod", x: image, rest: [noise([6], 8, [0.5, 2])], attrs: { fmod: 1 } },
    ...["Abs", "Neg", "Exp", "Sign", "Sigmoid", "Tanh", "Relu", "Floor", "Ceil", "Round", "Sin", "Cos"].map(
      (op): Case => ({ op, x: image }),
    ),
    ...["Log", "Sqrt", "Reciprocal"].map((op): Case => ({ op, x: image, range: [0.5, 3] })),
    ...["Greater", "GreaterOrEqual", "Less", "LessOrEqual", "Equal"].map(
      (op): Case => ({ op, x: image, rest: [w(6)], dtype: "bool" }),
    ),
    { op: "Where", x: image, rest: [bools(5, 6), w(6)], place: 1 },
  ],
  activations: [
    { op: "LeakyRelu", x: image, floats: { alpha: 0.2 } },
    { op: "PRelu", x: image, rest: [w(4, 1, 1)] },
    { op: "Elu", x: image, floats: { alpha: 0.7 } },
    { op: "Selu", x: image },
    { op: "Celu", x: image, floats: { alpha: 0.7 } },
    { op: "HardSigmoid", x: image },
    { op: "HardSwish", x: image, range: [-5, 5] },
    { op: "Softplus", x: image },
    { op: "Softsign", x: image },
    { op: "Mish", x: image, opset: 18 },
    { op: "Gelu", x: image, opset: 20 },
    { op: "Gelu", x: image, opset: 20, attrs: { approximate: "tanh" } },
    { op: "ThresholdedRelu", x: image, floats: { alpha: 0.3 } },
    { op: "Shrink", x: image, floats: { lambd: 0.5, bias: 0.2 } },
    { op: "Clip", x: image, rest: [-0.5, 1] },
    { op: "Clip", x: image, rest: [null, 1] },
    { op: "Erf", x: image },
    { op: "Sinh", x: image },
    { op: "Cosh", x: image },
    { op: "Pow", x: image, rest: [3] },
    { op: "Pow", x: image, rest: [-0.5], range: [0.5, 2] },
    { op: "Pow", x: image, rest: [1.7], range: [0.5, 2] },
    { op: "Softmax", x: image, attrs: { axis: 1 } },
    { op: "Softmax", x: image, attrs: { axis: 1 }, opset: 11 },
    { op: "LogSoftmax", x: image, attrs: { axis: -1 } },
    { op: "Mean", x: image, rest: [w(2, 4, 5, 6), w(2, 4, 5, 6)] },
    { op: "Max", x: image, rest: [w(6), w(5, 1)] },
  ],
  convolutions: [
    {
      op: "Conv",
      x: [2, 4, 7, 6],
      rest: [w(6, 2, 3, 3), w(6)],
      attrs: { group: 2, strides: [2, 1], pads: [1, 0, 2, 1], dilations: [1, 2] },
    },
    { op: "Conv", x: [2, 4, 7, 6], rest: [w(3, 4, 3, 2)], attrs: { auto_pad: "SAME_UPPER", strides: [2, 3] } },
    { op: "Conv", x: [2, 4, 7, 6], rest: [w(3, 4, 4, 2)], attrs: { auto_pad: "SAME_LOWER", strides: [1, 1] } },
    { op: "Conv", x: [2, 4, 7, 6], rest: [w(3, 4, 3, 2)], attrs: { auto_pad: "VALID" } },
    { op: "Conv", x: [2, 4, 9], rest: [w(3, 4, 3), w(3)], attrs: { pads: [1, 1] } },
    { op: "Conv", x: [1, 2, 4, 5, 3], rest: [w(3, 2, 2, 3, 1)], attrs: { pads: [1, 1, 0, 0, 1, 0] } },
    { op: "ConvTranspose", x: [2, 4, 5, 4], rest: [w(4, 3, 2, 2), w(3)], attrs: { strides: [2, 2] } },
    {
      op: "ConvTranspose",
      x: [2, 4, 5, 4],
      rest: [w(4, 2, 3, 3), w(4)],
      attrs: { group: 2, strides: [2, 3], pads: [1, 0, 1, 1], output_padding: [1, 2] },
    },
    { op: "ConvTranspose", x: [2, 4, 5, 4], rest: [w(4, 3, 3, 3)], attrs: { dilations: [2, 1], pads: [1, 1, 0, 2] } },
    { op: "ConvTranspose", x: [2, 4, 5, 4], rest: [w(4, 3, 3, 3)], attrs: { strides: [2, 2], output_shape: [10, 8] } },
    { op: "ConvTranspose", x: [1, 2, 3, 4, 2], rest: [w(2, 3, 2, 2, 2)], attrs: { strides: [2, 2, 2] } },
    { op: "ConvTranspose", x: [1, 2, 6], rest: [w(2, 3, 3)], attrs: { strides: [2] } },
  ],
  pooling: [
    { op: "MaxPool", x: image, attrs: { kernel_shape: [3, 2], strides: [2, 2], pads: [1, 0, 0, 1] } },
    { op: "MaxPool", x: [2, 3, 6, 7], attrs: { kernel_shape: [3, 3], strides: [2, 2], ceil_mode: 1 } },
    { op: "MaxPool", x: [2, 3, 6, 6], attrs: { kernel_shape: [2, 2], strides: [3, 3], ceil_mode: 1 } },
    { op: "MaxPool", x: [2, 3, 6, 7], attrs: { kernel_shape: [2, 2], dilations: [2, 3] } },
    { op: "MaxPool", x: [2, 3, 6, 7], attrs: { kernel_shape: [3, 3], strides: [2, 2], auto_pad: "SAME_UPPER" } },
    { op: "MaxPool", x: [1, 2, 5, 4, 6], attrs: { kernel_shape: [2, 2, 2], strides: [2, 2, 2] } },
    { op: "AveragePool", x: image, attrs: { kernel_shape: [3, 3], strides: [2, 2], pads: [1, 1, 1, 1] } },
    {
      op: "AveragePool",
      x: image,
      attrs: { kernel_shape: [3, 3], strides: [2, 2], pads: [1, 1, 1, 1], count_include_pad: 1 },
    },
    { op: "AveragePool", x: [2, 3, 6, 7], attrs: { kernel_shape: [3, 3], strides: [2, 2], ceil_mode: 1 } },
    { op: "AveragePool", x: [1, 2, 5, 4, 6], attrs: { kernel_shape: [2, 2, 2], strides: [2, 1, 2] } },
    { op: "GlobalAveragePool", x: image },
    { op: "GlobalMaxPool", x: image },
    { op: "LRN", x: [2, 7, 3, 3], attrs: { size: 5 }, floats: { alpha: 0.1, beta: 0.75, bias: 1.5 } },
  ],
  normalisation: [
    {
      op: "BatchNormalization",
      x: image,
      rest: [w(4), w(4), w(4), noise([4], 9, [0.5, 2])],
      floats: { epsilon: 1e-3 },
    },
    { op: "InstanceNormalization", x: image, rest: [w(4), w(4)], floats: { epsilon: 1e-3 } },
    { op: "LayerNormalization", x: image, rest: [w(6), w(6)] },
    { op: "LayerNormalization", x: image, rest: [w(4, 5, 6)], attrs: { axis: 1 } },
    { op: "GroupNormalization", x: image, rest: [w(4), w(4)], attrs: { num_groups: 2 }, opset: 21 },
    { op: "MeanVarianceNormalization", x: image },
    { op: "LpNormalization", x: image, attrs: { axis: 1, p: 2 } },
    { op: "LpNormalization", x: image, attrs: { axis: -1, p: 1 } },
  ],
  "matrix products": [
    { op: "Gemm", x: [3, 4], rest: [w(5, 4), w(5)], attrs: { transB: 1 }, floats: { alpha: 0.5, beta: 2 } },
    { op: "Gemm", x: [4, 3], rest: [w(4, 5)], attrs: { transA: 1 } },
    { op: "MatMul", x: image, rest: [w(6, 3)] },
    { op: "MatMul", x: image, rest: [w(4, 6, 3)] },
    { op: "MatMul", x: image, rest: [w(6)] },
    { op: "Einsum", x: [2, 3, 4], rest: [w(4, 5)], attrs: { equation: "bij,jk->bik" } },
    { op: "Einsum", x: [2, 3, 4], rest: [w(2, 5, 4)], attrs: { equation: "bic,bjc->bij" } },
    { op: "Einsum", x: [2, 3, 4], rest: [w(3, 5)], attrs: { equation: "bhw,hk" } },
    { op: "Einsum", x: [2, 3, 4], attrs: { equation: "abc->cb" } },
  ],
  "moving elements": [
    { op: "Reshape", x: image, rest: [[0, -1, 6]] },
    { op: "Flatten", x: image, attrs: { axis: 2 } },
    { op: "Transpose", x: image },
    {
      op: "Slice",
      x: image,
      rest: [
        [1, -1],
        [-1, -100],
        [2, -1],
        [1, -2],
      ],
    },
    { op: "Slice", x: image, rest: [[1], [2 ** 53]] },
    { op: "Split", x: image, rest: [[1, 3]], attrs: { axis: 1 }, outputs: 2 },
    { op: "Split", x: image, attrs: { axis: -1 }, outputs: 3 },
    { op: "Split", x: [2, 7], attrs: { axis: 1, num_outputs: 3 }, outputs: 3, opset: 18 },
    { op: "Split", x: image, attrs: { axis: 1, split: [3, 1] }, outputs: 2, opset: 11 },
    { op: "Squeeze", x: [2, 1, 3, 1], rest: [[1]] },
    { op: "Squeeze", x: [2, 1, 3, 1] },
    { op: "Unsqueeze", x: [2, 3], rest: [[0, -1]] },
    { op: "Unsqueeze", x: [2, 3], attrs: { axes: [1] }, opset: 11 },
    { op: "Expand", x: [2, 1, 3], rest: [[4, 1, 5, 1]] },
    { op: "Tile", x: [2, 3], rest: [[2, 3]] },
    { op: "Concat", x: [2, 3], rest: [w(2, 2)], attrs: { axis: -1 } },
    { op: "Pad", x: image, rest: [[0, 0, 1, 2, 0, 1, 0, 3], 0.5] },
    { op: "Pad", x: image, rest: [[0, 0, 1, 2, 0, 0, 3, 1]], attrs: { mode: "reflect" } },
    { op: "Pad", x: image, rest: [[0, 0, 1, 2, 0, 0, 3, 1]], attrs: { mode: "edge" } },
    { op: "Pad", x: image, rest: [[1, 2, 0, 1], null, [-1, 2]], opset: 18 },
    { op: "Gather", x: image, rest: [[3, 1]], attrs: { axis: 1 } },
    { op: "Gather", x: image, rest: [[0, 0, 2]], attrs: { axis: -1 } },
    { op: "Gather", x: image, rest: [int64([], [-1])], attrs: { axis: 2 } },
    { op: "GatherND", x: [3, 4, 2], rest: [int64([2, 2], [0, 1, 2, 3])] },
    { op: "ScatterND", x: [3, 4], rest: [int64([2, 1], [2, 0]), w(2, 4)] },
    { op: "ScatterND", x: [3, 4], rest: [int64([2, 1], [2, 2]), w(2, 4)], attrs: { reduction: "add" } },
    { op: "DepthToSpace", x: [1, 8, 2, 3], attrs: { blocksize: 2 } },
    { op: "DepthToSpace", x: [1, 8, 2, 3], attrs: { blocksize: 2, mode: "CRD" } },
    { op: "SpaceToDepth", x: [1, 2, 4, 6], attrs: { blocksize: 2 } },
    { op: "Trilu", x: [2, 4, 4], rest: [int64([], [1])] },
    { op: "Trilu", x: [2, 3, 4], attrs: { upper: 0 } },
    { op: "EyeLike", x: [3, 4], attrs: { k: 1 } },
  ],
  reductions: [
    { op: "ReduceSum", x: image, rest: [[1, -1]], attrs: { keepdims: 0 } },
    { op: "ReduceMean", x: image, attrs: { axes: [2, 3] } },
    { op: "ReduceMean", x: image, rest: [[2, 3]], opset: 18 },
    { op: "ReduceMax", x: image, attrs: { axes: [1], keepdims: 0 } },
    { op: "ReduceMin", x: image, attrs: { axes: [1] } },
    { op: "ReduceL1", x: image, attrs: { axes: [1] } },
    { op: "ReduceL2", x: image, attrs: { axes: [1, 2], keepdims: 0 } },
    { op: "ReduceSumSquare", x: image, attrs: { axes: [0] } },
    { op: "ReduceLogSumExp", x: image, attrs: { axes: [-1], keepdims: 0 } },
    { op: "ReduceProd", x: image, attrs: { axes: [1, 3], keepdims: 0 } },
    { op: "ReduceMean", x: image },
    { op: "ReduceLogSum", x: image, attrs: { axes: [1] }, range: [0.5, 2] },
    { op: "CumSum", x: image, rest: [int64([], [2])] },
    { op: "CumSum", x: image, rest: [int64([], [1])], attrs: { exclusive: 1, reverse: 1 } },
  ],
  "known when the model is opened": [
    { op: "Shape", x: image, dtype: "int64" },
    { op: "Shape", x: image, attrs: { start: 1, end: -1 }, dtype: "int64" },
    { op: "Size", x: image, dtype: "int64" },
    { op: "Cast", x: image, attrs: { to: 7 }, dtype: "int64" },
    { op: "CastLike", x: image, rest: [int64([1], [0])], dtype: "int64" },
    { op: "Identity", x: image },
    { op: "Dropout", x: image },
  ],
  resizing: [
    ...["half_pixel", "pytorch_half_pixel", "align_corners", "asymmetric"].flatMap((mode): Case[] => [
      {
        op: "Resize",
        x: image,
        rest: [null, float32([4], [1, 1, 2, 1.7])],
        attrs: { mode: "linear", coordinate_transformation_mode: mode },
      },
      {
        op: "Resize",
        x: image,
        rest: [null, float32([4], [1, 1, 0.6, 3])],
        attrs: { mode: "nearest", coordinate_transformation_mode: mode },
      },
      {
        op: "Resize",
        x: image,
        rest: [null, null, [2, 4, 11, 3]],
        attrs: { mode: "cubic", coordinate_transformation_mode: mode },
      },
    ]),
    {
      op: "Resize",
      x: image,
      rest: [null, float32([4], [1, 1, 2, 3])],
      attrs: { mode: "nearest", coordinate_transformation_mode: "asymmetric", nearest_mode: "floor" },
    },
    {
      op: "Resize",
      x: image,
      rest: [null, float32([4], [1, 1, 1.5, 0.5])],
      attrs: { mode: "nearest", nearest_mode: "round_prefer_ceil" },
    },
    {
      op: "Resize",
      x: image,
      rest: [null, float32([4], [1, 1, 2.5, 0.5])],
      attrs: { mode: "nearest", nearest_mode: "ceil" },
    },
    { op: "Resize", x: image, rest: [null, null, [2, 4, 7, 9]], attrs: { mode: "cubic", exclude_outside: 1 } },
    { op: "Resize", x: [1, 2, 3, 4, 2], rest: [null, float32([5], [1, 1, 2, 2, 2])], attrs: { mode: "linear" } },
    {
      op: "Resize",
      x: [1, 2, 5],
      rest: [null, float32([3], [1, 1, 2])],
      attrs: { mode: "nearest", coordinate_transformation_mode: "asymmetric", nearest_mode: "floor" },
    },
    { op: "Resize", x: image, rest: [null, float32([2], [2, 2])], attrs: { mode: "linear", axes: [2, 3] }, opset: 18 },
  ],
};

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
  const elsewhere = ["And", "Constant", "ConstantOfShape", "If", "NonZero", "Not", "OneHot", "Or", "Range", "Xor"];
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
