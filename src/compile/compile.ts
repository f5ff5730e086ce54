/** @file Graph → ONNX bytes: simplify, verify, lower each node, encode. */
import { GraphError, InternalError } from "../common/errors.js";
import { constantOp, constantTensor, inputOp, nodesOf } from "../graph/build.js";
import type { Graph, Value } from "../graph/value.js";
import { verifyGraph } from "../graph/verify.js";
import { opOf } from "../ops/index.js";
import { Emitter } from "./emitter.js";
import { simplify } from "./simplify.js";
import type { Compiled, Port } from "./types.js";

/**
 * Lowers to plain ONNX operators, which run on every execution provider.
 * @param options.keepNames initializers are called as the constants of the graph: parameters by their own names. Default false
 * @param options.webgpu lowers what ONNX Runtime's WebGPU computes wrongly in another way. Default false
 * @throws {GraphError} naming the node that cannot be lowered
 */
export function compilePortable(graph: Graph, { keepNames = false, webgpu = false } = {}): Compiled {
  verifyGraph(graph);
  const small = simplify(graph);
  const emitter = new Emitter({ webgpu });
  const ports = new Set([...small.inputs.keys(), ...small.outputs.keys()]);
  const names = new Map<Value, string>();
  const nodes = nodesOf(small.outputs.values());
  const read = new Set<Value>(small.outputs.values());
  for (const node of nodes) for (const v of node.inputs) if (v) read.add(v);
  for (const [name, v] of small.inputs) names.set(v, name);

  for (const node of nodes) {
    if (node.op === inputOp) continue;
    if (node.op === constantOp) {
      const value = node.outputs[0]!; // Constant has one output
      const name = keepNames && !ports.has(node.name) ? node.name : "";
      names.set(value, emitter.constant(constantTensor(value)!, name)); // it is a constant
      continue;
    }
    emitter.current = {
      label: node.name || node.op.name,
      used: (i) => node.outputs[i] !== undefined && read.has(node.outputs[i]),
    };
    const inputs = node.inputs.map((v) => (v ? names.get(v) : ""));
    if (inputs.includes(undefined)) throw new InternalError(`${node.op.name} is lowered before its inputs`);
    // No undefined is left: checked on the line above.
    const outputs = opOf(node).lower(node, inputs as string[], emitter);
    node.outputs.forEach((v, i) => {
      const name = outputs[i];
      if (read.has(v) && !name)
        throw new GraphError(node.op.name, { problem: `internal: output ${i} was not lowered` });
      if (name) names.set(v, name);
    });
  }
  return emitter.finish(small.name, "portable", inputPorts(small), outputPorts(small, names));
}

/** Inputs that nothing reads are left out: the runtime would refuse to be fed them. */
export function inputPorts(graph: Graph): Port[] {
  const read = new Set(nodesOf(graph.outputs.values()));
  return [...graph.inputs]
    .filter(([, v]) => read.has(v.node))
    .map(([name, v]) => ({ name, dtype: v.dtype, shape: v.shape }));
}

const outputPorts = (graph: Graph, names: ReadonlyMap<Value, string>) =>
  [...graph.outputs].map(([name, v]) => ({ name, dtype: v.dtype, shape: v.shape, from: names.get(v) ?? "" }));
