/** @file The lowering for the native executor: a step graph becomes a program of oneDNN primitives and fused loops. */
import { InternalError } from "../common/errors.js";
import { type DType, sizeOf } from "../common/tensor.js";
import { constantOp, input, inputOp, makeGraph, nodesOf } from "../graph/build.js";
import type { Graph, Node, Value } from "../graph/value.js";
import { verifyGraph } from "../graph/verify.js";
import { opOf } from "../ops/index.js";
import { compilePortable, inputPorts } from "./compile.js";
import { convRule, inputGradRule, weightGradRule } from "./onednn/convolution.js";
import { encodeProgram } from "./onednn/encode.js";
import { canBlockWeight, type Layout, typeNumber } from "./onednn/layout.js";
import { placeBuffers, placeConstants } from "./onednn/memory.js";
import {
  concatRule,
  expandRule,
  padRule,
  reshapeRule,
  sliceGradRule,
  sliceRule,
  transposeRule,
} from "./onednn/moves.js";
import { joinRule, normGradRule, normInferenceRule, normRule } from "./onednn/norm.js";
import { Planner } from "./onednn/planner.js";
import { makeChain, pointwiseRule } from "./onednn/pointwise.js";
import { maxPoolGradRule, maxPoolRule } from "./onednn/pool.js";
import type { Machine, NativeProgram, Region, Stage } from "./onednn/program.js";
import { dotRule, gemmRule, matmulRule, type Rule, reduceRule, softmaxRule } from "./onednn/rules.js";
import { isState, readersOf } from "./readers.js";
import { simplify } from "./simplify.js";
import type { Compiled, Port } from "./types.js";

const rules: Readonly<Record<string, Rule>> = {
  Conv: convRule,
  ConvInputGrad: inputGradRule,
  ConvWeightGrad: weightGradRule,
  MatMul: matmulRule,
  Gemm: gemmRule,
  BatchNormTraining: normRule,
  BatchNormGrad: normGradRule,
  BatchNormInference: normInferenceRule,
  Relu: joinRule,
  Add: joinRule,
  MaxPool: maxPoolRule,
  MaxPoolGrad: maxPoolGradRule,
  ReduceSum: reduceRule,
  ReduceMean: reduceRule,
  ReduceMax: reduceRule,
  Softmax: softmaxRule,
  LogSoftmax: softmaxRule,
  Dot: dotRule,
  Reshape: reshapeRule,
  Transpose: transposeRule,
  Slice: sliceRule,
  SliceGrad: sliceGradRule,
  Concat: concatRule,
  Pad: padRule,
};

/** State is kept in the weight layout between steps. */
const storedLayout = (name: string, v: Value, block: number): Layout =>
  isState(name) && v.dtype === "float32" && canBlockWeight(v.shape, block) ? "weight" : "plain";

/** Compiled for the native executor: `native` is what it loads. */
export interface CompiledNative extends Compiled {
  readonly native: NativeProgram;
}
export const isNative = (c: Compiled): c is CompiledNative => "native" in c;

/**
 * Plans a graph for the native executor. Nodes that it does not know are compiled for ONNX Runtime and run in between.
 */
export function compileNative(graph: Graph, machine: Machine): CompiledNative {
  const { block } = machine;
  verifyGraph(graph);
  const small = simplify(graph);
  const nodes = nodesOf(small.outputs.values());

  const outputs = [...small.outputs].map(([name, v], at) => {
    const layout = storedLayout(name, v, block);
    return { name, v, layout, buffer: caller("output", v, at) };
  });
  const targets = new Map<Value, { layout: Layout; buffer: Region }>();
  for (const o of outputs) if (!targets.has(o.v)) targets.set(o.v, o);
  const p = new Planner(machine, readersOf(small), targets);
  const ports = inputPorts(small);
  const inputs = ports.map((port, at) => {
    const v = small.inputs.get(port.name)!; // ports are the graph's inputs
    const layout = storedLayout(port.name, v, block);
    p.put(v, layout, caller("input", v, at));
    return layout === "weight" ? { ...port, kept: { layout, block } } : port;
  });

  const bridges: Region[] = [];
  for (const node of nodes) {
    if (node.op === inputOp || node.op === constantOp) continue;
    p.label = node.name || node.op.name;
    if (rules[node.op.name]?.(p, node) || pointwiseRule(p, node)) continue;
    if (node.op.name === "Expand" && expandRule(p, node)) continue;
    planForeign(p, node, bridges);
  }
  finishOutputs(p, outputs);
  return seal(p, small.name, inputs, outputs, bridges);
}

const caller = (space: "input" | "output", v: Value, at: number): Region => ({
  space,
  dtype: v.dtype,
  size: sizeOf(v.shape),
  at,
});

/** Elementwise outputs of one size and layout come from one chain (a slot, its square and the parameter read the gradient once). */
function finishOutputs(
  p: Planner,
  outputs: readonly { readonly v: Value; readonly layout: Layout; readonly buffer: Region }[],
): void {
  const waiting = new Map<string, Value[]>();
  const numbers = new Map<Node, number>();
  const number = (n: Node) => numbers.get(n) ?? numbers.set(n, numbers.size).get(n)!; // just set
  for (const { v, layout } of outputs) {
    if (p.pending(v)?.layout !== layout || !p.pending(v)?.chains) continue;
    const roots = [...rootsOf(v)].map(number).join();
    const key = `${layout} ${sizeOf(v.shape)} ${roots}`;
    const list = waiting.get(key);
    if (!list) waiting.set(key, [v]);
    else if (!list.includes(v)) list.push(v);
  }
  for (const [key, list] of waiting) {
    const open = list.filter((v) => p.pending(v)?.chains);
    if (open.length > 1) makeChain(p, open, key.split(" ")[0] as Layout); // the key begins with its layout
  }
  for (const { v, layout, buffer } of outputs) {
    const from = p.get(v, layout);
    if (from === buffer) continue;
    p.label = "output";
    const n = sizeOf(v.shape);
    if (n > 0) p.copy([n], { buffer: from, strides: [1] }, { buffer, strides: [1] });
  }
}
const chainable: Readonly<Record<string, true>> = { Add: true, Sub: true, Mul: true, Div: true, Sqrt: true, Neg: true };

/** Gradients that v is made of by elementwise operators: what a parameter and its slots have in common. */
function rootsOf(v: Value): Set<Node> {
  const found = new Set<Node>();
  const seen = new Set<Value>();
  const walk = (x: Value) => {
    if (seen.has(x) || sizeOf(x.shape) !== sizeOf(v.shape)) return;
    seen.add(x);
    if (x.node.op.name in chainable) for (const i of x.node.inputs) if (i) walk(i);
    if (/Grad$|^Gemm$|^MatMul$/.test(x.node.op.name)) found.add(x.node);
  };
  walk(v);
  return found;
}

/** One node for another executor; what it reads and gives passes through memory of the caller. */
function planForeign(p: Planner, node: Node, bridges: Region[]): void {
  const bridge = (dtype: DType, n: number): Region => {
    const b: Region = { space: "output", dtype, size: n, at: 0 };
    bridges.push(b);
    return b;
  };
  const seen = new Map<Value, { name: string; value: Value; buffer: Region }>();
  const twins = node.inputs.map((v) => {
    if (!v) return null;
    if (v.node.op === constantOp) return v;
    let known = seen.get(v);
    if (!known) {
      const name = `i${seen.size}`;
      const buffer = outward(p, v, bridge);
      known = { name, value: input(name, v.dtype, v.shape), buffer };
      seen.set(v, known);
    }
    return known.value;
  });
  const twin = opOf(node).node(twins, node.attrs, node.name);
  const results = node.outputs.flatMap((v, k) =>
    p.isRead(v) ? [{ name: `o${k}`, v, made: twin.outputs[k]!, buffer: bridge(v.dtype, sizeOf(v.shape)) }] : [],
  );
  const graph = makeGraph(
    node.name || node.op.name,
    new Map([...seen.values()].map((s) => [s.name, s.value])),
    new Map(results.map((r) => [r.name, r.made])),
  );
  p.foreign({
    compiled: compilePortable(graph),
    inputs: [...seen].map(([v, s]) => ({ name: s.name, buffer: s.buffer, shape: v.shape })),
    outputs: results.map((r) => ({ name: r.name, buffer: r.buffer, shape: r.v.shape })),
  });
  for (const r of results) p.put(r.v, "plain", r.buffer);
}

/** v in memory that the caller sees: an input or output as it is, anything else copied. */
function outward(p: Planner, v: Value, bridge: (dtype: DType, n: number) => Region): Region {
  if (typeNumber[v.dtype] === undefined) {
    throw new InternalError(`${v.dtype} values cannot leave a native program ("${v.node.name}")`);
  }
  const from = p.get(v, "plain");
  if (from.space === "input" || from.space === "output") return from;
  const to = bridge(v.dtype, sizeOf(v.shape));
  if (sizeOf(v.shape) > 0) p.copy([sizeOf(v.shape)], { buffer: from, strides: [1] }, { buffer: to, strides: [1] });
  return to;
}

function seal(
  p: Planner,
  name: string,
  inputs: readonly Port[],
  outputs: readonly { readonly name: string; readonly v: Value; readonly layout: Layout }[],
  bridges: readonly Region[],
): CompiledNative {
  bridges.forEach((b, i) => {
    b.at = outputs.length + i;
  });
  const constants = placeConstants(p.constants);
  const arenaBytes = placeBuffers(p.instructions);
  const words = encodeProgram(p.instructions, {
    arenaBytes,
    constantBytes: constants.length,
    inputs: inputs.length,
    outputs: outputs.length + bridges.length,
  });
  const stages: Stage[] = [...p.stages, { end: p.instructions.length }];
  const native: NativeProgram = {
    precision: p.precision,
    block: p.block,
    instructions: p.instructions,
    words,
    constants,
    arenaBytes,
    stages,
    bridges,
  };
  return {
    name,
    bytes: new Uint8Array(words.buffer, words.byteOffset, words.byteLength),
    inputs,
    outputs: outputs.map(({ name: n, v, layout }) => ({
      name: n,
      dtype: v.dtype,
      shape: v.shape,
      ...(layout === "weight" && { kept: { layout, block: p.block } }),
    })),
    lowering: "onednn",
    nodes: p.instructions.length,
    native,
  };
}
