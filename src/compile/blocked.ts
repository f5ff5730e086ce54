/** @file The fast lowering for x86 CPUs: channel-blocked layouts on ONNX Runtime's own `nchwc` operators. */
import { InternalError } from "../common/errors.js";
import { constantOp, constantTensor, inputOp, nodesOf } from "../graph/build.js";
import type { Graph, Node, Value } from "../graph/value.js";
import { verifyGraph } from "../graph/verify.js";
import { opOf } from "../ops/index.js";
import { batchNormGradRule, batchNormInferenceRule, batchNormRule } from "./blocked/batchNorm.js";
import { Context } from "./blocked/context.js";
import { convDotRule, convRule, inputGradRule } from "./blocked/conv.js";
import { dotRule, elementwiseRule, reduceMeanRule } from "./blocked/elementwise.js";
import { isWeight, type KeptWeight, weightLayout } from "./blocked/layout.js";
import { padRule, sliceGradRule, sliceRule } from "./blocked/moves.js";
import { maxPoolRule } from "./blocked/pool.js";
import { weightGradRule } from "./blocked/weightGrad.js";
import { inputPorts } from "./compile.js";
import { Emitter } from "./emitter.js";
import { isState, readersOf } from "./readers.js";
import { simplify } from "./simplify.js";
import type { Compiled, Port } from "./types.js";

/** Lowers a node into blocked layouts; false where it does not apply, and the portable lowering does. */
type Rule = (c: Context, node: Node) => boolean;
const rules: Readonly<Record<string, Rule>> = {
  Conv: convRule,
  ConvInputGrad: inputGradRule,
  ConvWeightGrad: weightGradRule,
  BatchNormTraining: batchNormRule,
  BatchNormGrad: batchNormGradRule,
  BatchNormInference: batchNormInferenceRule,
  Dot: (c, node) => convDotRule(c, node) || dotRule(c, node),
  MaxPool: maxPoolRule,
  Slice: sliceRule,
  SliceGrad: sliceGradRule,
  Pad: padRule,
  ReduceMean: reduceMeanRule,
};

/** Convolution weights, their slots and gradients stay in the layout that they are computed in between steps. */
const keptWeight = (name: string, v: Value, block: number): KeptWeight | undefined =>
  isState(name) && isWeight(v.shape, block) ? { layout: weightLayout(v.shape), block } : undefined;

/**
 * @param block channels in a block: what the runtime's `nchwc` operators use on this processor (16 with AVX-512, 8 with AVX2)
 * @throws {GraphError} naming the node that cannot be lowered
 */
export function compileBlocked(graph: Graph, { block }: { block: number }): Compiled {
  verifyGraph(graph);
  const small = simplify(graph);
  const nodes = nodesOf(small.outputs.values());
  const emitter = new Emitter({ share: true });
  const c = new Context(emitter, block, readersOf(small));
  for (const [name, v] of small.inputs) c.put(v, keptWeight(name, v, block)?.layout ?? "plain", name);

  for (const node of nodes) {
    if (node.op === inputOp) continue;
    const first = node.outputs[0]!; // every node has an output
    if (node.op === constantOp) {
      c.put(first, "plain", emitter.constant(constantTensor(first)!)); // it is a constant
      continue;
    }
    emitter.current = {
      label: node.name || node.op.name,
      used: (i) => node.outputs[i] !== undefined && c.isRead(node.outputs[i]),
    };
    if (rules[node.op.name]?.(c, node) || elementwiseRule(c, node)) continue;
    const outputs = opOf(node).lower(
      node,
      node.inputs.map((v) => (v ? c.get(v, "plain") : "")),
      emitter,
    );
    node.outputs.forEach((v, i) => {
      const name = outputs[i];
      if (c.isRead(v) && !name) throw new InternalError(`${node.op.name}: output ${i} was not lowered`);
      if (name) c.put(v, "plain", name);
    });
  }
  const outputs = [...small.outputs].map(([name, v]) => {
    const kept = keptWeight(name, v, block);
    return { name, dtype: v.dtype, shape: v.shape, from: c.get(v, kept?.layout ?? "plain"), ...(kept && { kept }) };
  });
  const inputs: Port[] = inputPorts(small).map((p) => {
    const v = small.inputs.get(p.name);
    const kept = v && keptWeight(p.name, v, block);
    return kept ? { ...p, kept } : p;
  });
  return emitter.finish(small.name, "blocked", inputs, outputs);
}
