import { create, toBinary } from "@bufbuild/protobuf";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { MetalrError } from "../common/errors.js";
import { arrayTypes, type DType, float32, sizeOf, type Tensor } from "../common/tensor.js";
import type { ByteSource } from "../platform/types.js";
import { decodeOnnx } from "./decode.js";
import { encodeOnnx } from "./encode.js";
import type { OnnxAttribute, OnnxModel, OnnxNode } from "./model.js";
import { type ModelProto, ModelProtoSchema } from "./onnx_pb.js";

const node = (
  opType: string,
  inputs: string[],
  outputs: string[],
  attributes: OnnxNode["attributes"] = {},
): OnnxNode => ({
  name: outputs[0] ?? "",
  opType,
  domain: "",
  inputs,
  outputs,
  attributes,
});

const modelOf = (nodes: readonly OnnxNode[], initializers: readonly [string, Tensor][] = []): OnnxModel => ({
  irVersion: 8,
  producer: "test",
  opsets: new Map([["", 17]]),
  metadata: new Map(),
  graph: {
    name: "g",
    nodes,
    inputs: [{ name: "x", dtype: "float32", shape: ["N", 2] }],
    outputs: [{ name: "y", dtype: "float32", shape: null }],
    initializers: new Map(initializers),
  },
});

/** A one-node model in protobuf form, for what our own encoder never writes. */
const protoOf = (change: (p: ModelProto) => void): Uint8Array => {
  const p = create(ModelProtoSchema, {
    irVersion: 8n,
    opsetImport: [{ domain: "", version: 17n }],
    graph: {
      name: "g",
      node: [{ name: "n", opType: "Add", input: ["x", "w"], output: ["y"] }],
      input: [{ name: "x", type: { tensorType: { elemType: 1 } } }],
      output: [{ name: "y", type: { tensorType: { elemType: 1 } } }],
      initializer: [{ name: "w", dims: [2n], dataType: 1, floatData: [1, 2] }],
    },
  });
  change(p);
  return toBinary(ModelProtoSchema, p);
};

const weight = (p: ModelProto) => p.graph!.initializer[0]!; // protoOf puts one there

const failure = async (read: Promise<unknown>): Promise<string> => {
  const error = await read.then(
    () => "no error",
    (e: unknown) => e,
  );
  return error instanceof MetalrError ? error.message : `not ours: ${String(error)}`;
};

const memory = (bytes: Uint8Array, name: string): ByteSource => ({
  name,
  size: bytes.length,
  read: async (offset, length) => bytes.slice(offset, offset + length),
  close: async () => {},
});

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

describe("external data", () => {
  const external = (entries: Record<string, string>) =>
    protoOf((p) => {
      Object.assign(weight(p), {
        floatData: [],
        dataLocation: 1,
        externalData: Object.entries(entries).map(([key, value]) => ({
          $typeName: "metalr.onnx.StringStringEntryProto" as const,
          key,
          value,
        })),
      });
    });
  const file = new Uint8Array(Float32Array.of(9, 1, 2, 9).buffer);
  const open = async (location: string) => memory(file, location);

  test("is read from its offset", async () => {
    const model = await decodeOnnx(external({ location: "m.data", offset: "4", length: "8" }), "m.onnx", open);
    expect(model.graph.initializers.get("w")?.data).toEqual(Float32Array.of(1, 2));
  });

  test.each([
    [
      { location: "m.data", offset: "12", length: "8" },
      `m.onnx: initializer "w": external data end beyond "m.data"
  expected offset and length within 16 bytes
  got      offset 12, length 8`,
    ],
    [
      { location: "m.data", offset: "-4" },
      `m.onnx: initializer "w": external data end beyond "m.data"
  expected offset and length within 16 bytes
  got      offset -4, length 8`,
    ],
    [
      { location: "m.data", offset: "4", length: "4" },
      `m.onnx: initializer "w": data does not fill the shape
  expected 8 bytes (float32 [2])
  got      4`,
    ],
    ...["../secret", "a/../../b", "/etc/passwd", "C:\\x", "\\\\host\\x", ""].map(
      (location) =>
        [
          { location },
          `m.onnx: initializer "w": external data lie outside the model's folder
  expected a path relative to the model
  got      ${JSON.stringify(location)}`,
        ] as [Record<string, string>, string],
    ),
  ])("%o is refused", async (entries, message) => {
    expect(await failure(decodeOnnx(external(entries), "m.onnx", open))).toBe(message);
  });

  test("without access to other files says what is missing", async () => {
    expect(await failure(decodeOnnx(external({ location: "m.data" }), "m.onnx"))).toBe(
      `m.onnx: initializer "w": weights are in another file
  expected "m.data" beside the model
  hint     open the model by its path, or save it with its weights inside`,
    );
  });
});

describe("bad files", () => {
  const wrong: [string, Uint8Array, string][] = [
    ["empty", new Uint8Array(0), "m.onnx: the file is empty\n  expected an ONNX model"],
    [
      "truncated",
      encodeOnnx(modelOf([node("Relu", ["x"], ["y"])])).subarray(0, 30),
      "m.onnx: not an ONNX model, or only a part of one\n  got      30 bytes that do not decode",
    ],
    [
      "without a graph",
      protoOf((p) => {
        delete p.graph;
      }),
      "m.onnx: not an ONNX model\n  expected a graph with nodes and outputs\n  got      none",
    ],
    [
      "a newer op set",
      protoOf((p) => {
        p.opsetImport[0]!.version = 99n;
      }),
      "m.onnx: op set is not supported\n  expected ai.onnx 11 to 21\n  got      ai.onnx 99\n  hint     export the model again with opset_version=17",
    ],
    [
      "no op set",
      protoOf((p) => {
        p.opsetImport = [];
      }),
      "m.onnx: op set is not supported\n  expected ai.onnx 11 to 21\n  got      none\n  hint     export the model again with opset_version=17",
    ],
    [
      "an undeclared domain",
      protoOf((p) => {
        p.graph!.node[0]!.domain = "my.ops";
      }),
      'm.onnx: Add "n": op set of the node is not declared\n  expected ai.onnx 17\n  got      my.ops',
    ],
    [
      "a missing initializer",
      protoOf((p) => {
        p.graph!.initializer = [];
      }),
      'm.onnx: Add "n": an input is missing\n  expected "w" as an input of the graph, an initializer or the output of a node\n  got      nothing of that name',
    ],
    [
      "an output that nobody makes",
      protoOf((p) => {
        p.graph!.output[0]!.name = "z";
      }),
      'm.onnx: output "z": nobody makes it\n  expected the output of a node\n  got      nothing of that name',
    ],
    [
      "a value made twice",
      protoOf((p) => {
        p.graph!.node[0]!.output = ["x"];
      }),
      'm.onnx: value "x": made twice\n  got      an input or initializer and Add "n"',
    ],
    [
      "an initializer twice",
      protoOf((p) => {
        p.graph!.initializer.push(weight(p));
      }),
      'm.onnx: initializer "w": the name is used twice',
    ],
    [
      "a cycle",
      encodeOnnx(
        modelOf([
          node("Add", ["x", "c"], ["a"]),
          node("Relu", ["a"], ["b"]),
          node("Neg", ["b"], ["c"]),
          node("Neg", ["c"], ["y"]),
        ]),
      ),
      'm.onnx: graph "g": nodes wait for each other in a circle\n  got      Relu "b" → Neg "c" → Add "a" → Relu "b"',
    ],
    [
      "strings as weights",
      protoOf((p) => {
        weight(p).dataType = 8;
      }),
      'm.onnx: initializer "w": element type is not supported\n  expected a float, integer or bool type\n  got      string (8)',
    ],
    [
      "an element type of the future",
      protoOf((p) => {
        weight(p).dataType = 77;
      }),
      'm.onnx: initializer "w": element type is not supported\n  expected a float, integer or bool type\n  got      unknown (77)',
    ],
    [
      "a negative dimension",
      protoOf((p) => {
        weight(p).dims = [-2n];
      }),
      'm.onnx: initializer "w": impossible shape\n  got      [-2]',
    ],
    [
      "a shape beyond counting",
      protoOf((p) => {
        weight(p).dims = [2n ** 40n, 2n ** 40n];
      }),
      'm.onnx: initializer "w": impossible shape\n  got      [1099511627776,1099511627776]',
    ],
    [
      "a terabyte claimed, eight bytes there",
      protoOf((p) => {
        Object.assign(weight(p), { dims: [2n ** 38n], floatData: [], rawData: new Uint8Array(8) });
      }),
      'm.onnx: initializer "w": data does not fill the shape\n  expected 1099511627776 bytes (float32 [274877906944])\n  got      8',
    ],
    [
      "fewer values than the shape",
      protoOf((p) => {
        weight(p).dims = [3n];
      }),
      'm.onnx: initializer "w": data does not fill the shape\n  expected 3 values (float32 [3])\n  got      2',
    ],
  ];
  test.each(wrong)("%s", async (_, bytes, message) => {
    expect(await failure(decodeOnnx(bytes, "m.onnx"))).toBe(message);
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

test("a function that calls itself is refused", async () => {
  const bytes = protoOf((p) => {
    p.opsetImport.push(create(ModelProtoSchema, { opsetImport: [{ domain: "my", version: 1n }] }).opsetImport[0]!);
    Object.assign(p.graph!.node[0]!, { opType: "F", domain: "my" });
    p.functions = create(ModelProtoSchema, {
      functions: [
        {
          name: "F",
          domain: "my",
          input: ["a"],
          output: ["c"],
          node: [{ name: "again", opType: "F", domain: "my", input: ["a"], output: ["c"] }],
        },
      ],
    }).functions;
  });
  expect(await failure(decodeOnnx(bytes, "m.onnx"))).toBe('m.onnx: function "F": calls itself');
});
