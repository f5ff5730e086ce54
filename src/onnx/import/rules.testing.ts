/** @file Runs one ONNX operator by our import rules and by ONNX Runtime. */
import { InferenceSession, Tensor as OrtTensor } from "onnxruntime-node";
import { expect } from "vitest";
import { Random } from "../../common/random.js";
import { float32, int64, type Shape, sizeOf, type Tensor } from "../../common/tensor.js";
import { constant, input } from "../../graph/build.js";
import { evaluateGraph } from "../../ops/index.js";
import { encodeOnnx } from "../encode.js";
import { importOnnx } from "../import.js";
import type { OnnxAttribute, OnnxModel } from "../model.js";

/** One operator over an image x and initializers; every result is compared with ONNX Runtime's own operator. */
export interface Case {
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

export const noise = (shape: Shape, seed: number, [low, high]: readonly [number, number] = [-2, 2]) => {
  const random = new Random(seed, "rules");
  return float32(
    shape,
    Float32Array.from({ length: sizeOf(shape) }, () => random.between(low, high)),
  );
};
export const w = (...shape: number[]) => noise(shape, 5);

const attribute = (v: number | string | readonly number[] | boolean): OnnxAttribute => {
  if (typeof v === "string") return { type: "string", value: v };
  if (typeof v === "number" || typeof v === "boolean") return { type: "int", value: BigInt(v) };
  return { type: "ints", value: v.map(BigInt) };
};

/** Every third one false. */
export const bools = (...shape: number[]): Tensor => ({
  dtype: "bool",
  shape,
  data: Uint8Array.from({ length: sizeOf(shape) }, (_, i) => (i % 3 === 0 ? 0 : 1)),
});

/** The operator as a model of one node. */
export function modelOf(c: Case): OnnxModel {
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

/** Every output by our float64 reference and by the runtime. */
export async function bothWays(c: Case): Promise<{ shape: Shape; ours: number[]; theirs: number[] }[]> {
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
export const TOLERANCE = 2e-5;

/** Of most cases. */
export const image: Shape = [2, 4, 5, 6];
