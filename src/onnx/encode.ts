/** @file Writes an ONNX model as the bytes of an .onnx file. */
import { create, type MessageInitShape, toBinary } from "@bufbuild/protobuf";
import { GraphError } from "../common/errors.js";
import { bytesPerElement, type Tensor } from "../common/tensor.js";
import { attributeTypes, onnxTypeOf } from "./dtype.js";
import { scopesKey, scopesOfModule } from "./import/scope.js";
import type { OnnxAttribute, OnnxGraph, OnnxModel, OnnxNode, OnnxValueInfo } from "./model.js";
import {
  type AttributeProtoSchema,
  type GraphProtoSchema,
  ModelProtoSchema,
  type NodeProtoSchema,
  type TensorProtoSchema,
  type ValueInfoProtoSchema,
} from "./onnx_pb.js";

/** A protobuf message cannot be longer: its lengths are signed 32-bit numbers in most readers. */
export const maxProtobufBytes = 2 ** 31 - 1;

const utf8 = new TextEncoder();

/** The bytes under a typed array, not copied. Every JavaScript engine in use is little-endian, as ONNX's raw data is. */
const bytesOf = (t: Tensor): Uint8Array => new Uint8Array(t.data.buffer, t.data.byteOffset, t.data.byteLength);

const tensorProto = (name: string, t: Tensor): MessageInitShape<typeof TensorProtoSchema> => ({
  name,
  dims: t.shape.map(BigInt),
  dataType: onnxTypeOf[t.dtype],
  rawData: bytesOf(t),
});

function attributeProto(name: string, a: OnnxAttribute): MessageInitShape<typeof AttributeProtoSchema> {
  const base = { name, type: attributeTypes[a.type] };
  switch (a.type) {
    case "int":
      return { ...base, i: a.value };
    case "float":
      return { ...base, f: a.value };
    case "string":
      return { ...base, s: utf8.encode(a.value) };
    case "tensor":
      return { ...base, t: tensorProto("", a.value) };
    case "ints":
      return { ...base, ints: [...a.value] };
    case "floats":
      return { ...base, floats: [...a.value] };
    case "strings":
      return { ...base, strings: a.value.map((s) => utf8.encode(s)) };
    case "graph":
      return { ...base, g: graphProto(a.value) };
  }
}

const nodeProto = (n: OnnxNode): MessageInitShape<typeof NodeProtoSchema> => ({
  name: n.name,
  opType: n.opType,
  ...(n.domain === "" ? {} : { domain: n.domain }),
  input: [...n.inputs],
  output: [...n.outputs],
  attribute: Object.entries(n.attributes).map(([name, a]) => attributeProto(name, a)),
  ...(n.module === undefined ? {} : { metadataProps: [{ key: scopesKey, value: scopesOfModule(n.module) }] }),
});

const valueInfoProto = (v: OnnxValueInfo): MessageInitShape<typeof ValueInfoProtoSchema> => ({
  name: v.name,
  type: {
    tensorType: {
      elemType: onnxTypeOf[v.dtype],
      ...(v.shape === null
        ? {}
        : {
            shape: {
              dim: v.shape.map((d) =>
                typeof d === "number"
                  ? { value: { case: "dimValue" as const, value: BigInt(d) } }
                  : d === "" // a dimension of which the file says nothing
                    ? {}
                    : { value: { case: "dimParam" as const, value: d } },
              ),
            },
          }),
    },
  },
});

const graphProto = (g: OnnxGraph): MessageInitShape<typeof GraphProtoSchema> => ({
  name: g.name,
  node: g.nodes.map(nodeProto),
  input: g.inputs.map(valueInfoProto),
  output: g.outputs.map(valueInfoProto),
  initializer: [...g.initializers].map(([name, t]) => tensorProto(name, t)),
});

/**
 * The bytes of an .onnx file. Weights are written as raw data; the result is one fresh array.
 *
 * @throws {GraphError} when the weights alone pass the 2 GiB that a protobuf file can hold
 */
export function encodeOnnx(model: OnnxModel): Uint8Array {
  let weightBytes = 0;
  for (const t of model.graph.initializers.values()) weightBytes += t.data.length * bytesPerElement(t.dtype);
  if (weightBytes > maxProtobufBytes) {
    throw new GraphError(`model "${model.graph.name}"`, {
      problem: "too large for one .onnx file",
      expected: `at most ${maxProtobufBytes} bytes of weights`,
      got: String(weightBytes),
      hint: "save the weights as safetensors",
    });
  }
  return toBinary(
    ModelProtoSchema,
    create(ModelProtoSchema, {
      irVersion: BigInt(model.irVersion),
      producerName: model.producer,
      opsetImport: [...model.opsets].map(([domain, version]) => ({ domain, version: BigInt(version) })),
      graph: graphProto(model.graph),
      metadataProps: [...model.metadata].map(([key, value]) => ({ key, value })),
    }),
  );
}
