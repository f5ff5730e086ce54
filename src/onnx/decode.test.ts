import { create } from "@bufbuild/protobuf";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { MetalrError } from "../common/errors.js";
import { arrayTypes, type DType, float32, sizeOf, type Tensor } from "../common/tensor.js";
import { decodeOnnx } from "./decode.js";
import { modelOf, node, protoOf, weight } from "./decode.testing.js";
import { encodeOnnx } from "./encode.js";
import type { OnnxAttribute } from "./model.js";
import { ModelProtoSchema } from "./onnx_pb.js";

describe("what is written is read", () => {
  const dtypes = Object.keys(arrayTypes) as DType[]; // exactly the keys of arrayTypes
  const tensors: fc.Arbitrary<Tensor> = fc
    .tuple(
      fc.constantFrom(...dtypes),
      fc.array(fc.integer({ min: 0, max: 3 }), { maxLength: 3 }),
      fc.infiniteStream(fc.integer({ min: 0, max: 1 })),
    )
    .map(([dtype, shape, values]) => {
      const numbers = Array.from({ length: sizeOf(shape) }, () => values.next().value ?? 0);
      const data =
        dtype === "int64" || dtype === "uint64"
          ? arrayTypes[dtype].from(numbers.map(BigInt))
          : arrayTypes[dtype].from(numbers);
      return { dtype, shape, data } as Tensor; // the array was made by the dtype's own constructor
    });
  const attributes: fc.Arbitrary<OnnxAttribute> = fc.oneof(
    fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }).map((value) => ({ type: "int" as const, value })),
    fc.float({ noNaN: true }).map((value) => ({ type: "float" as const, value })),
    fc.string({ unit: "grapheme" }).map((value) => ({ type: "string" as const, value })),
    tensors.map((value) => ({ type: "tensor" as const, value })),
    fc.array(fc.bigInt({ min: -100n, max: 100n })).map((value) => ({ type: "ints" as const, value })),
    fc.array(fc.float({ noNaN: true })).map((value) => ({ type: "floats" as const, value })),
    fc.array(fc.string()).map((value) => ({ type: "strings" as const, value })),
  );

  test("any tensors and attributes", async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(tensors, { maxLength: 4 }), fc.array(attributes, { maxLength: 4 }), async (ts, as) => {
        const named = Object.fromEntries(as.map((a, i) => [`a${i}`, a]));
        const model = modelOf(
          [node("Relu", ["x"], ["y"], named)],
          ts.map((t, i) => [`t${i}`, t]),
        );
        expect(await decodeOnnx(encodeOnnx(model), "m.onnx")).toEqual(model);
      }),
      { seed: 1, numRuns: 200 },
    );
  });

  test("subgraphs, which may read values from around them", async () => {
    const branch = (op: string): OnnxAttribute => ({
      type: "graph",
      value: {
        name: op,
        inputs: [],
        outputs: [{ name: `${op}_out`, dtype: "float32", shape: null }],
        initializers: new Map(),
        nodes: [node(op, ["x"], [`${op}_out`])],
      },
    });
    const model = modelOf(
      [node("If", ["c"], ["y"], { then_branch: branch("Relu"), else_branch: branch("Neg") })],
      [["c", { dtype: "bool", shape: [], data: Uint8Array.of(1) }]],
    );
    expect(await decodeOnnx(encodeOnnx(model), "m.onnx")).toEqual(model);
  });

  test("weights are views of the file where they are aligned", async () => {
    const bytes = encodeOnnx(
      modelOf([node("Add", ["x", "b"], ["y"])], [["b", { dtype: "uint8", shape: [3], data: Uint8Array.of(1, 2, 3) }]]),
    );
    const { graph } = await decodeOnnx(bytes, "m.onnx");
    expect(graph.initializers.get("b")?.data.buffer).toBe(bytes.buffer);
  });

  test("cutting a file anywhere gives our error or a whole model, never another", async () => {
    const bytes = encodeOnnx(modelOf([node("Add", ["x", "w"], ["y"])], [["w", float32([2], [1, 2])]]));
    for (let end = 0; end < bytes.length; end++) {
      const error: unknown = await decodeOnnx(bytes.subarray(0, end), "m.onnx").catch((e: unknown) => e);
      if (error instanceof Error) expect(error, `cut at ${end}`).toBeInstanceOf(MetalrError);
    }
  });

  test("random damage gives our error or a model, never another", async () => {
    const bytes = encodeOnnx(modelOf([node("Add", ["x", "w"], ["y"])], [["w", float32([2], [1, 2])]]));
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.tuple(fc.nat(bytes.length - 1), fc.nat(255)), { minLength: 1, maxLength: 5 }),
        async (hits) => {
          const damaged = bytes.slice();
          for (const [i, b] of hits) damaged[i] = b;
          const error: unknown = await decodeOnnx(damaged, "m.onnx").catch((e: unknown) => e);
          if (error instanceof Error) expect(error).toBeInstanceOf(MetalrError);
        },
      ),
      { seed: 2, numRuns: 2000 },
    );
  });
});

describe("typed fields", () => {
  const cases: [string, number, Partial<ReturnType<typeof weight>>, Tensor["data"]][] = [
    ["float32 in float_data", 1, { floatData: [1.5, -2] }, Float32Array.of(1.5, -2)],
    ["float64 in double_data", 11, { floatData: [], doubleData: [0.1, 2] }, Float64Array.of(0.1, 2)],
    ["int64 in int64_data", 7, { floatData: [], int64Data: [-1n, 2n] }, BigInt64Array.of(-1n, 2n)],
    ["int32 in int32_data", 6, { floatData: [], int32Data: [-1, 2] }, Int32Array.of(-1, 2)],
    ["uint8 in int32_data", 2, { floatData: [], int32Data: [255, 2] }, Uint8Array.of(255, 2)],
    ["int8 in int32_data", 3, { floatData: [], int32Data: [-128, 2] }, Int8Array.of(-128, 2)],
    ["bool in int32_data", 9, { floatData: [], int32Data: [0, 1] }, Uint8Array.of(0, 1)],
    ["uint32 in uint64_data", 12, { floatData: [], uint64Data: [2n ** 32n - 1n, 2n] }, Uint32Array.of(2 ** 32 - 1, 2)],
    ["float16 in int32_data: 1.5 and −2", 10, { floatData: [], int32Data: [0x3e00, 0xc000] }, Float32Array.of(1.5, -2)],
    [
      "float16: the smallest number and infinity",
      10,
      { floatData: [], int32Data: [1, 0x7c00] },
      Float32Array.of(2 ** -24, Infinity),
    ],
    ["float16 as raw data", 10, { floatData: [], rawData: Uint8Array.of(0, 0x3e, 0, 0xc0) }, Float32Array.of(1.5, -2)],
    ["bfloat16 in int32_data: 1 and −2", 16, { floatData: [], int32Data: [0x3f80, 0xc000] }, Float32Array.of(1, -2)],
    [
      "bool as raw data, any byte but 0 is true",
      9,
      { floatData: [], rawData: Uint8Array.of(0, 7) },
      Uint8Array.of(0, 1),
    ],
  ];
  test.each(cases)("%s", async (_, dataType, fields, expected) => {
    const bytes = protoOf((p) => {
      Object.assign(weight(p), { dataType, ...fields });
    });
    expect((await decodeOnnx(bytes, "m.onnx")).graph.initializers.get("w")?.data).toEqual(expected);
  });
});

test("nodes out of order are put in order", async () => {
  const [a, b] = [node("Relu", ["x"], ["a"]), node("Neg", ["a"], ["y"])];
  const model = await decodeOnnx(encodeOnnx(modelOf([b, a])), "m.onnx");
  expect(model.graph.nodes).toEqual([a, b]);
});

test("a chain of 20,000 nodes is sorted", async () => {
  const chain = Array.from({ length: 20000 }, (_, i) =>
    node("Relu", [i === 0 ? "x" : `v${i}`], [i === 19999 ? "y" : `v${i + 1}`]),
  );
  const model = await decodeOnnx(encodeOnnx(modelOf(chain.toReversed())), "m.onnx");
  expect(model.graph.nodes).toEqual(chain);
});

test("functions are inlined, with their attributes and inner names", async () => {
  const bytes = protoOf((p) => {
    p.opsetImport.push(create(ModelProtoSchema, { opsetImport: [{ domain: "my", version: 1n }] }).opsetImport[0]!);
    p.graph!.node = create(ModelProtoSchema, {
      graph: {
        node: [
          {
            name: "f1",
            opType: "Twice",
            domain: "my",
            input: ["x"],
            output: ["m"],
            attribute: [{ name: "slope", type: 1, f: 0.25 }],
          },
          { name: "n", opType: "Add", input: ["m", "w"], output: ["y"] },
        ],
      },
    }).graph!.node;
    p.functions = create(ModelProtoSchema, {
      functions: [
        {
          name: "Twice",
          domain: "my",
          input: ["a"],
          output: ["c"],
          node: [
            {
              name: "first",
              opType: "LeakyRelu",
              input: ["a"],
              output: ["b"],
              attribute: [{ name: "alpha", refAttrName: "slope", type: 1 }],
            },
            { name: "second", opType: "Neg", input: ["b"], output: ["c"] },
          ],
        },
      ],
    }).functions;
  });
  expect((await decodeOnnx(bytes, "m.onnx")).graph.nodes.slice(0, 2)).toEqual([
    {
      name: "f1/first",
      opType: "LeakyRelu",
      domain: "",
      inputs: ["x"],
      outputs: ["f1/b"],
      attributes: { alpha: { type: "float", value: 0.25 } },
    },
    { name: "f1/second", opType: "Neg", domain: "", inputs: ["f1/b"], outputs: ["m"], attributes: {} },
  ]);
});
