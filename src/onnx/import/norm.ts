/** @file Import of normalisations: batch norm with its running statistics, and instance, layer and group norm. */
import { formatShape, type Shape, sizeOf } from "../../common/tensor.js";
import { constant } from "../../graph/build.js";
import type { Value } from "../../graph/value.js";
import { add, batchNormInference, batchNormTraining, mul, reshape, updateRunning } from "../../ops/index.js";
import type { ImportRule, ImportTable, NodeContext } from "./_context.js";

/**
 * BatchNormalization in training or inference form: which statistics normalise is the caller's choice, not the file's.
 * ONNX's momentum is the share that is kept, ours (PyTorch's) the share that is new.
 */
const batchNorm: ImportRule = (c) => {
  const x = c.x(0);
  const [scale, bias, mean, variance] = [c.x(1), c.x(2), c.x(3), c.x(4)];
  const epsilon = c.float("epsilon", 1e-5);
  if (c.pass.batchNorm === "running") {
    return [batchNormInference(x, { scale, bias, mean, variance }, epsilon, c.name), null, null];
  }
  const batch = batchNormTraining(x, scale, bias, epsilon, c.name);
  if (c.pass.batchNorm === "update") {
    const count = sizeOf(x.shape) / Math.max(1, x.shape[1] ?? 1);
    // Files hold 0.9 in single precision, 0.899999976: six digits are what was meant.
    const kept = Number(c.float("momentum", 0.9).toPrecision(6));
    const next = updateRunning({ mean, variance }, batch, count, 1 - kept);
    c.pass.update(c.node.inputs[3] ?? "", next.mean);
    c.pass.update(c.node.inputs[4] ?? "", next.variance);
  }
  return [batch.y, null, null];
};

const filled = (n: number, x: number): Value =>
  constant({ dtype: "float32", shape: [n], data: new Float32Array(n).fill(x) });

/**
 * (x − mean)/√(var + ε) over each of `rows` equal parts of x in reading order: batch norm over an image of one whose
 * channels are the parts, so that its gradient serves here, too.
 */
function standardize(x: Value, rows: number, epsilon: number, name: string): Value {
  const parts = reshape(x, [1, rows, sizeOf(x.shape) / rows]);
  return reshape(batchNormTraining(parts, filled(rows, 1), filled(rows, 0), epsilon, name).y, x.shape);
}

/** [C] as [C, 1, …], to broadcast against x [N, C, …]. */
const column = (v: Value, x: Value): Value => reshape(v, [v.shape[0] ?? 1, ...x.shape.slice(2).map(() => 1)]);
const affine = (y: Value, scale: Value, bias: Value): Value => add(mul(y, column(scale, y)), column(bias, y));

const instanceNorm: ImportRule = (c) => {
  const x = c.x(0);
  c.space(x);
  const rows = (x.shape[0] ?? 1) * (x.shape[1] ?? 1);
  return affine(standardize(x, rows, c.float("epsilon", 1e-5), c.name), c.x(1), c.x(2));
};

/** Scale and bias are one a group in op set 18 and one a channel from 21 on. */
const groupNorm: ImportRule = (c) => {
  const [x, scale, bias] = [c.x(0), c.x(1), c.x(2)];
  const [groups, channels] = [c.int("num_groups"), x.shape[1] ?? 0];
  if (channels % groups !== 0) {
    return c.refuse("channels do not divide into groups", { got: `${channels} channels, ${groups} groups` });
  }
  const y = standardize(x, (x.shape[0] ?? 1) * groups, c.float("epsilon", 1e-5), c.name);
  if (scale.shape[0] === channels) return affine(y, scale, bias);
  const grouped = reshape(y, [x.shape[0] ?? 1, groups, channels / groups, ...x.shape.slice(2)]);
  return reshape(affine(grouped, scale, bias), x.shape);
};

const layerNorm: ImportRule = (c) => {
  const x = c.x(0);
  const axis = c.axis(c.int("axis", -1), x.shape.length);
  const inner: Shape = x.shape.slice(axis);
  const y = mul(standardize(x, sizeOf(x.shape.slice(0, axis)), c.float("epsilon", 1e-5), c.name), c.x(1));
  const bias = c.maybe(2);
  if (formatShape(y.shape) !== formatShape(x.shape))
    return c.refuse("scale does not fit", { expected: formatShape(inner) });
  return [bias ? add(y, bias) : y, null, null];
};

/** Over batch and space by default, without a scale: the channels' own standardisation. */
const meanVariance: ImportRule = (c: NodeContext) => {
  const x = c.x(0);
  const axes = c.ints("axes", [0, 2, 3]).join();
  if (axes !== "0,2,3" || x.shape.length !== 4)
    return c.refuse("axes are not supported", { expected: "0,2,3", got: axes });
  const n = x.shape[1] ?? 1;
  return batchNormTraining(x, filled(n, 1), filled(n, 0), 1e-9, c.name).y;
};

export const normTable: ImportTable = {
  BatchNormalization: batchNorm,
  InstanceNormalization: instanceNorm,
  GroupNormalization: groupNorm,
  LayerNormalization: layerNorm,
  MeanVarianceNormalization: meanVariance,
};
