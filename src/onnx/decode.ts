/** @file Reads the bytes of an .onnx file into plain data, with functions inlined and everything checked. */
import { fromBinary } from "@bufbuild/protobuf";
import { FileError } from "../common/errors.js";
import type { Tensor } from "../common/tensor.js";
import { checkGraph } from "./_check.js";
import { type ExternalData, ExternalFiles, tensorFromProto } from "./_tensor.js";
import { attributeTypes, dtypeFromOnnx, onnxTypeName, supportedOpsets } from "./dtype.js";
import { maxProtobufBytes } from "./encode.js";
import { moduleOfScopes, scopesKey } from "./import/scope.js";
import type { OnnxAttribute, OnnxGraph, OnnxModel, OnnxNode, OnnxValueInfo } from "./model.js";
import {
  type AttributeProto,
  type FunctionProto,
  type GraphProto,
  type ModelProto,
  ModelProtoSchema,
  type NodeProto,
  type ValueInfoProto,
} from "./onnx_pb.js";

export type { ExternalData } from "./_tensor.js";

/** Inlining stops here: functions that call each other could otherwise grow without bound. */
const maxNodes = 1_000_000;
const maxFunctionDepth = 64;

const utf8 = new TextDecoder();
const domainOf = (domain: string): string => (domain === "ai.onnx" ? "" : domain);

/** What a function body sees of its caller: how its names are called there, and the caller's attributes. */
interface Scope {
  readonly rename: (name: string) => string;
  readonly attributes: Readonly<Record<string, OnnxAttribute>>;
  /** Put before the names of nodes: "layer1/" inside the function that node "layer1" calls. */
  readonly prefix: string;
  readonly depth: number;
}

const outermost: Scope = { rename: (name) => name, attributes: {}, prefix: "", depth: 0 };

class Decoder {
  private readonly functions = new Map<string, FunctionProto>();
  private nodeCount = 0;

  constructor(
    private readonly file: string,
    model: ModelProto,
  ) {
    for (const f of model.functions) this.functions.set(`${domainOf(f.domain)}::${f.name}`, f);
  }

  graph(g: GraphProto, scope: Scope = outermost): OnnxGraph {
    if (g.sparseInitializer.length > 0) this.refuse(`graph "${g.name}"`, "sparse initializers are not supported");
    const initializers = new Map<string, Tensor>();
    for (const t of g.initializer) {
      const name = scope.rename(t.name);
      if (initializers.has(name)) this.refuse(`initializer "${name}"`, "the name is used twice");
      initializers.set(name, tensorFromProto(t, this.file, `initializer "${name}"`));
    }
    const inputs = g.input.map((v) => this.valueInfo(v, "input", scope)).filter((v) => !initializers.has(v.name));
    return {
      name: g.name,
      nodes: g.node.flatMap((n) => this.node(n, scope)),
      inputs,
      outputs: g.output.map((v) => this.valueInfo(v, "output", scope)),
      initializers,
    };
  }

  private refuse(what: string, problem: string, facts: { expected?: string; got?: string; hint?: string } = {}): never {
    throw new FileError(`${this.file}: ${what}`, { problem, ...facts });
  }

  private valueInfo(v: ValueInfoProto, kind: "input" | "output", scope: Scope): OnnxValueInfo {
    const name = scope.rename(v.name);
    const type = v.type?.tensorType;
    // Outputs of a subgraph often say nothing of their type; float32 is what they nearly always are, and nobody relies on it.
    if (type === undefined && v.type === undefined) return { name, dtype: "float32", shape: null };
    const dtype = dtypeFromOnnx(type?.elemType ?? 0);
    if (type === undefined || dtype === undefined) {
      return this.refuse(`${kind} "${name}"`, "type is not supported", {
        expected: "a tensor of floats, integers or bools",
        got: type === undefined ? "a sequence, map or optional" : onnxTypeName(type.elemType),
      });
    }
    if (type.shape === undefined) return { name, dtype, shape: null };
    const shape = type.shape.dim.map((d) => {
      if (d.value.case === "dimParam") return d.value.value;
      // −1 is how some converters write "any".
      if (d.value.case === undefined || d.value.value === -1n) return "";
      const size = Number(d.value.value);
      if (size < 0 || !Number.isSafeInteger(size))
        this.refuse(`${kind} "${name}"`, "impossible dimension", { got: String(size) });
      return size;
    });
    return { name, dtype, shape };
  }

  /** One node, or the nodes of the function that it calls. */
  private node(n: NodeProto, scope: Scope): OnnxNode[] {
    const domain = domainOf(n.domain);
    const attributes: Record<string, OnnxAttribute> = {};
    for (const a of n.attribute) {
      const what = `node "${n.name}" (${n.opType}), attribute "${a.name}"`;
      if (a.refAttrName !== "") {
        const given = scope.attributes[a.refAttrName];
        if (given !== undefined) attributes[a.name] = given;
      } else {
        attributes[a.name] = this.attribute(a, what, scope);
      }
    }
    const inputs = n.input.map((x) => (x === "" ? "" : scope.rename(x)));
    const outputs = n.output.map((x) => (x === "" ? "" : scope.rename(x)));
    const body = this.functions.get(`${domain}::${n.opType}`);
    if (body !== undefined)
      return this.inline(
        body,
        { name: scope.prefix + (n.name || (n.output[0] ?? "")), inputs, outputs, attributes },
        scope,
      );
    if (++this.nodeCount > maxNodes) this.refuse("graph", `more than ${maxNodes} nodes`);
    const module = moduleOfScopes(n.metadataProps.find((p) => p.key === scopesKey)?.value ?? "");
    return [
      {
        name: scope.prefix + n.name,
        opType: n.opType,
        domain,
        inputs,
        outputs,
        attributes,
        ...(module === undefined ? {} : { module }),
      },
    ];
  }

  private inline(
    f: FunctionProto,
    call: { name: string; inputs: readonly string[]; outputs: readonly string[]; attributes: Scope["attributes"] },
    scope: Scope,
  ): OnnxNode[] {
    if (scope.depth >= maxFunctionDepth) this.refuse(`function "${f.name}"`, "calls itself");
    const names = new Map<string, string>();
    f.input.forEach((x, i) => {
      names.set(x, call.inputs[i] ?? "");
    });
    f.output.forEach((x, i) => {
      const outer = call.outputs[i];
      if (outer) names.set(x, outer);
    });
    const defaults: Record<string, OnnxAttribute> = {};
    for (const a of f.attributeProto)
      defaults[a.name] = this.attribute(a, `function "${f.name}", attribute "${a.name}"`, scope);
    const inner: Scope = {
      rename: (x) => names.get(x) ?? `${call.name}/${x}`,
      attributes: { ...defaults, ...call.attributes },
      prefix: `${call.name}/`,
      depth: scope.depth + 1,
    };
    return f.node.flatMap((n) => this.node(n, inner));
  }

  private attribute(a: AttributeProto, what: string, scope: Scope): OnnxAttribute {
    switch (a.type) {
      case attributeTypes.float:
        return { type: "float", value: a.f };
      case attributeTypes.int:
        return { type: "int", value: a.i };
      case attributeTypes.string:
        return { type: "string", value: utf8.decode(a.s) };
      case attributeTypes.floats:
        return { type: "floats", value: a.floats };
      case attributeTypes.ints:
        return { type: "ints", value: a.ints };
      case attributeTypes.strings:
        return { type: "strings", value: a.strings.map((s) => utf8.decode(s)) };
      case attributeTypes.tensor:
        if (a.t === undefined) return this.refuse(what, "has no value");
        return { type: "tensor", value: tensorFromProto(a.t, this.file, what) };
      case attributeTypes.graph:
        if (a.g === undefined) return this.refuse(what, "has no value");
        return { type: "graph", value: this.graph(a.g, scope) };
      default:
        return this.refuse(what, "type is not supported", {
          expected: `one of ${Object.keys(attributeTypes).join(", ")}`,
          got: String(a.type),
        });
    }
  }
}

/** Brings in the external data of every tensor of the model. */
async function loadExternal(model: ModelProto, files: ExternalFiles): Promise<void> {
  const nodes = async (list: readonly NodeProto[]): Promise<void> => {
    for (const n of list) {
      for (const a of n.attribute) {
        if (a.t?.dataLocation === 1) await files.load(a.t, `node "${n.name}" (${n.opType}), attribute "${a.name}"`);
        if (a.g !== undefined) await graph(a.g);
      }
    }
  };
  const graph = async (g: GraphProto): Promise<void> => {
    for (const t of g.initializer) if (t.dataLocation === 1) await files.load(t, `initializer "${t.name}"`);
    await nodes(g.node);
  };
  if (model.graph !== undefined) await graph(model.graph);
  for (const f of model.functions) await nodes(f.node);
}

function parse(bytes: Uint8Array, name: string): ModelProto & { graph: GraphProto } {
  if (bytes.length === 0) throw new FileError(name, { problem: "the file is empty", expected: "an ONNX model" });
  if (bytes.length > maxProtobufBytes) {
    throw new FileError(name, {
      problem: "too large for an ONNX model",
      expected: `at most ${maxProtobufBytes} bytes`,
      got: String(bytes.length),
      hint: "save it with external data",
    });
  }
  let model: ModelProto;
  try {
    model = fromBinary(ModelProtoSchema, bytes, { readUnknownFields: false });
  } catch (cause) {
    throw new FileError(name, {
      problem: "not an ONNX model, or only a part of one",
      got: `${bytes.length} bytes that do not decode`,
      cause,
    });
  }
  const { graph } = model;
  if (graph === undefined || graph.node.length + graph.output.length === 0) {
    throw new FileError(name, {
      problem: "not an ONNX model",
      expected: "a graph with nodes and outputs",
      got: "none",
    });
  }
  return Object.assign(model, { graph });
}

function opsetsOf(model: ModelProto, name: string): Map<string, number> {
  const opsets = new Map(model.opsetImport.map((o) => [domainOf(o.domain), Number(o.version)]));
  const version = opsets.get("");
  const { min, max } = supportedOpsets;
  if (version === undefined || version < min || version > max) {
    throw new FileError(name, {
      problem: "op set is not supported",
      expected: `ai.onnx ${min} to ${max}`,
      got: version === undefined ? "none" : `ai.onnx ${version}`,
      hint: "export the model again with opset_version=17",
    });
  }
  return opsets;
}

/**
 * Reads an .onnx file. Weights are views of `bytes` where their offset allows it, so `bytes` must not change afterwards;
 * half precision is widened to float32. Functions of the model are inlined, nodes are put in topological order.
 *
 * @param name of the file, for messages
 * @param externalData opens a file beside the model, for weights that are kept outside
 * @throws {FileError} not a whole ONNX model, an op set outside 11–21, an element type that is not supported, data that do
 *   not fill their shape, external data outside the folder or the file
 * @throws {GraphError} an input that nobody makes, a name made twice, a cycle, a domain that is not declared
 */
export async function decodeOnnx(bytes: Uint8Array, name: string, externalData?: ExternalData): Promise<OnnxModel> {
  const proto = parse(bytes, name);
  const opsets = opsetsOf(proto, name);
  const files = new ExternalFiles(name, externalData);
  try {
    await loadExternal(proto, files);
  } finally {
    await files.close();
  }
  const graph = checkGraph(new Decoder(name, proto).graph(proto.graph), opsets, name);
  return {
    irVersion: Number(proto.irVersion),
    producer: [proto.producerName, proto.producerVersion].filter((s) => s !== "").join(" "),
    opsets,
    graph,
    metadata: new Map(proto.metadataProps.map((p) => [p.key, p.value])),
  };
}
