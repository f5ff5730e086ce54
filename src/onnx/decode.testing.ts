/** @file Small ONNX files, good and bad, for the tests of the reader. */
import { create, toBinary } from "@bufbuild/protobuf";
import { MetalrError } from "../common/errors.js";
import type { Tensor } from "../common/tensor.js";
import type { ByteSource } from "../platform/types.js";
import type { OnnxModel, OnnxNode } from "./model.js";
import { type ModelProto, ModelProtoSchema } from "./onnx_pb.js";

export const node = (
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

export const modelOf = (nodes: readonly OnnxNode[], initializers: readonly [string, Tensor][] = []): OnnxModel => ({
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
export const protoOf = (change: (p: ModelProto) => void): Uint8Array => {
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

/** The initializer "w" of protoOf. */
export const weight = (p: ModelProto) => p.graph!.initializer[0]!; // protoOf puts one there

/** The message of a read that has to fail with an error of ours. */
export const failure = async (read: Promise<unknown>): Promise<string> => {
  const error = await read.then(
    () => "no error",
    (e: unknown) => e,
  );
  return error instanceof MetalrError ? error.message : `not ours: ${String(error)}`;
};

/** A file in memory. */
export const memory = (bytes: Uint8Array, name: string): ByteSource => ({
  name,
  size: bytes.length,
  read: async (offset, length) => bytes.slice(offset, offset + length),
  close: async () => {},
});
