import { create } from "@bufbuild/protobuf";
import { describe, expect, test } from "vitest";
import { decodeOnnx } from "./decode.js";
import { failure, memory, modelOf, node, protoOf, weight } from "./decode.testing.js";
import { encodeOnnx } from "./encode.js";
import { ModelProtoSchema } from "./onnx_pb.js";

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
