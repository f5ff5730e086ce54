/** @file Batch normalisation: by batch statistics with its gradient, and by running statistics. */
import { ShapeError } from "../common/errors.js";
import { formatShape, type Shape, sizeOf } from "../common/tensor.js";
import { scalar } from "../graph/build.js";
import type { Value } from "../graph/value.js";
import { nd } from "./_nd.js";
import { apply, defineOp, type NdArray, type Type } from "./define.js";
import { add, mul, reciprocal, sqrt, sub } from "./elementwise.js";
import { float, type Lowering } from "./lowering.js";
import { reduceSum } from "./reduce.js";
import { reshape } from "./shape.js";

const perChannel = (x: Shape): Shape => [x[1] ?? 0];
/** All axes but the channel's. */
const others = (x: Shape): number[] => x.flatMap((_, i) => (i === 1 ? [] : [i]));
/** [C] as [1, C, 1, …], to broadcast against x. */
const column = (c: Value, x: Shape): Value =>
  reshape(
    c,
    x.map((d, i) => (i === 1 ? d : 1)),
  );

function check(op: string, x: Value, ...vectors: readonly Value[]): void {
  for (const v of vectors) {
    if (x.shape.length < 2 || v.shape.length !== 1 || v.shape[0] !== x.shape[1]) {
      throw new ShapeError(op, {
        problem: "a channel vector does not fit the input",
        expected: formatShape(perChannel(x.shape)),
        got: `${formatShape(v.shape)} (input ${formatShape(x.shape)})`,
      });
    }
  }
}

/** Sum over everything but the channel. */
function channelSums(x: NdArray, f: (v: number, i: number, c: number) => number): Float64Array {
  const channels = x.shape[1]!;
  const space = sizeOf(x.shape.slice(2));
  const sums = new Float64Array(channels);
  for (let i = 0; i < x.data.length; i++) {
    const c = Math.floor(i / space) % channels;
    sums[c] = sums[c]! + f(x.data[i]!, i, c);
  }
  return sums;
}
const mapChannels = (x: NdArray, f: (v: number, i: number, c: number) => number): NdArray => {
  const space = sizeOf(x.shape.slice(2));
  return nd(
    x.shape,
    x.data.map((v, i) => f(v, i, Math.floor(i / space) % x.shape[1]!)),
  );
};

/** [1, C, 1, …] and the other axes, for lowerings. */
const lowColumn = (v: string, x: Shape, low: Lowering) =>
  low.emit("Reshape", [v, low.vector(x.map((d, i) => (i === 1 ? d : 1)))]);

const samples = [
  { shapes: { x: [4, 3, 2, 2], scale: [3], bias: [3] }, attrs: { epsilon: 1e-5 } },
  { shapes: { x: [6, 2], scale: [2], bias: [2] }, attrs: { epsilon: 1e-3 } },
  { shapes: { x: [3, 2, 2, 1, 3], scale: [2], bias: [2] }, attrs: { epsilon: 1e-5 } },
];

/** y = scale·(x − mean)/√(var + ε) + bias by the batch's own statistics; also mean and biased variance, for the running ones. */
export const BatchNormTraining = defineOp({
  name: "BatchNormTraining",
  source: "Ioffe and Szegedy 2015; biased batch variance, as PyTorch. Gradients flow through y only",
  inputs: ["x", "scale", "bias"],
  outputs: ["y", "mean", "variance"],
  attrs: { epsilon: 1e-5 },
  shape: ({ x, scale, bias }): readonly Type[] => {
    check("BatchNormTraining", x, scale, bias);
    const c: Type = { dtype: x.dtype, shape: perChannel(x.shape) };
    return [{ dtype: x.dtype, shape: x.shape }, c, c];
  },
  grad: {
    x: ({ x, scale, mean, variance, dy, attrs }) => batchNormGrad(x, scale, mean, variance, dy, attrs, 0),
    scale: ({ x, scale, mean, variance, dy, attrs }) => batchNormGrad(x, scale, mean, variance, dy, attrs, 1),
    bias: ({ x, scale, mean, variance, dy, attrs }) => batchNormGrad(x, scale, mean, variance, dy, attrs, 2),
  },
  evaluate: ({ x, scale, bias }, { epsilon }) => {
    const count = x.data.length / x.shape[1]!;
    const mean = channelSums(x, (v) => v / count);
    const variance = channelSums(x, (v, _, c) => (v - mean[c]!) ** 2 / count);
    const y = mapChannels(
      x,
      (v, _, c) => (scale.data[c]! * (v - mean[c]!)) / Math.sqrt(variance[c]! + epsilon) + bias.data[c]!,
    );
    return [y, nd(perChannel(x.shape), mean), nd(perChannel(x.shape), variance)];
  },
  lower: ({ x, scale, bias }, low, { epsilon }, node) => {
    const shape = node.inputs[0]!.shape; // x
    const axes = low.vector(others(shape));
    // Two passes (mean, then centred squares): E[x²] − mean² loses all digits where |mean| ≫ deviation.
    const mean = low.emit("ReduceMean", [x, axes]);
    const centred = low.emit("Sub", [x, mean]);
    const variance = low.emit("ReduceMean", [low.emit("Mul", [centred, centred]), axes]);
    const deviation = low.emit("Sqrt", [low.emit("Add", [variance, low.scalar(epsilon)])]);
    const gain = low.emit("Div", [lowColumn(scale, shape, low), deviation]);
    const y = low.emit("Add", [low.emit("Mul", [centred, gain]), lowColumn(bias, shape, low)]);
    const flat = low.vector(perChannel(shape));
    return [y, low.emit("Reshape", [mean, flat]), low.emit("Reshape", [variance, flat])];
  },
  samples,
});

/** Gradients of BatchNormTraining by x, scale and bias in one op: they share two sums over the batch. */
export const BatchNormGrad = defineOp({
  name: "BatchNormGrad",
  source:
    "with x̂ = (x − mean)/√(var + ε): dbias = Σdy, dscale = Σdy·x̂, dx = scale/√(var + ε)·(dy − dbias/m − x̂·dscale/m)",
  inputs: ["x", "scale", "mean", "variance", "dy"],
  outputs: ["dx", "dscale", "dbias"],
  attrs: { epsilon: 1e-5 },
  shape: ({ x, scale, mean, variance }): readonly Type[] => {
    check("BatchNormGrad", x, scale, mean, variance);
    const c: Type = { dtype: x.dtype, shape: perChannel(x.shape) };
    return [{ dtype: x.dtype, shape: x.shape }, c, c];
  },
  // MetaLR needs first derivatives only; a second one through batch statistics is refused, not approximated.
  grad: { x: "none", scale: "none", mean: "none", variance: "none", dy: "none" },
  evaluate: ({ x, scale, mean, variance, dy }, { epsilon }) => {
    const count = x.data.length / x.shape[1]!;
    const inverse = variance.data.map((v) => 1 / Math.sqrt(v + epsilon));
    const hat = (v: number, c: number) => (v - mean.data[c]!) * inverse[c]!;
    const dbias = channelSums(dy, (v) => v);
    const dscale = channelSums(dy, (v, i, c) => v * hat(x.data[i]!, c));
    const dx = mapChannels(
      dy,
      (v, i, c) => scale.data[c]! * inverse[c]! * (v - dbias[c]! / count - (hat(x.data[i]!, c) * dscale[c]!) / count),
    );
    return [dx, nd(perChannel(x.shape), dscale), nd(perChannel(x.shape), dbias)];
  },
  lower: ({ x, scale, mean, variance, dy }, low, { epsilon }, node) => {
    const shape = node.inputs[0]!.shape;
    const axes = low.vector(others(shape));
    const m = sizeOf(shape) / shape[1]!;
    const deviation = low.emit("Sqrt", [low.emit("Add", [lowColumn(variance, shape, low), low.scalar(epsilon)])]);
    const centred = low.emit("Sub", [x, lowColumn(mean, shape, low)]);
    const dbias = low.emit("ReduceSum", [dy, axes]);
    const dscale = low.emit("Div", [low.emit("ReduceSum", [low.emit("Mul", [dy, centred]), axes]), deviation]);
    const flat = low.vector(perChannel(shape));
    const results = [low.emit("Reshape", [dscale, flat]), low.emit("Reshape", [dbias, flat])];
    if (!low.used(0)) return ["", ...results];
    // dx = p·dy + q·(x − mean) + r with channel vectors p, q, r.
    const p = low.emit("Div", [lowColumn(scale, shape, low), deviation]);
    const share = low.emit("Mul", [p, low.scalar(-1 / m)]);
    const q = low.emit("Div", [low.emit("Mul", [share, dscale]), deviation]);
    const r = low.emit("Mul", [share, dbias]);
    const dx = low.emit("Add", [low.emit("Add", [low.emit("Mul", [p, dy]), low.emit("Mul", [q, centred])]), r]);
    return [dx, ...results];
  },
  samples: samples.map(({ shapes, attrs }) => ({
    shapes: { x: shapes.x, scale: shapes.scale, mean: shapes.scale, variance: shapes.scale, dy: shapes.x },
    attrs,
    ranges: { variance: [0.5, 2] as const },
  })),
});

const batchNormGrad = (
  x: Value,
  scale: Value,
  mean: Value,
  variance: Value,
  dy: Value,
  attrs: { epsilon: number },
  output: 0 | 1 | 2,
): Value => BatchNormGrad.node([x, scale, mean, variance, dy], attrs).outputs[output]!; // it has three outputs

/** y = scale·(x − mean)/√(var + ε) + bias with given statistics (evaluation, frozen layers). */
export const BatchNormInference = defineOp({
  name: "BatchNormInference",
  source: "ONNX BatchNormalization-15, training_mode 0",
  inputs: ["x", "scale", "bias", "mean", "variance"],
  attrs: { epsilon: 1e-5 },
  shape: ({ x, scale, bias, mean, variance }) => {
    check("BatchNormInference", x, scale, bias, mean, variance);
    return x.shape;
  },
  grad: {
    x: ({ x, scale, variance, dy, attrs }) =>
      mul(dy, column(mul(scale, inverseDeviation(variance, attrs.epsilon)), x.shape)),
    scale: ({ x, mean, variance, dy, attrs }) =>
      mul(
        reduceSum(mul(dy, sub(x, column(mean, x.shape))), others(x.shape)),
        inverseDeviation(variance, attrs.epsilon),
      ),
    bias: ({ x, dy }) => reduceSum(dy, others(x.shape)),
    mean: "none",
    variance: "none",
  },
  evaluate: ({ x, scale, bias, mean, variance }, { epsilon }) =>
    mapChannels(
      x,
      (v, _, c) => (scale.data[c]! * (v - mean.data[c]!)) / Math.sqrt(variance.data[c]! + epsilon) + bias.data[c]!,
    ),
  lower: ({ x, scale, bias, mean, variance }, low, { epsilon }) =>
    low.emit("BatchNormalization", [x, scale, bias, mean, variance], { epsilon: float(epsilon) }),
  samples: samples.map(({ shapes, attrs }) => ({
    shapes: { ...shapes, mean: shapes.scale, variance: shapes.scale },
    attrs,
    ranges: { variance: [0.5, 2] as const },
  })),
});

const inverseDeviation = (variance: Value, epsilon: number): Value => reciprocal(sqrt(add(variance, scalar(epsilon))));

/** Batch norm by batch statistics: y [as x], mean [C], biased variance [C]. */
export function batchNormTraining(
  x: Value,
  scale: Value,
  bias: Value,
  epsilon = 1e-5,
  name?: string,
): { y: Value; mean: Value; variance: Value } {
  const [y, mean, variance] = BatchNormTraining.node([x, scale, bias], { epsilon }, name).outputs;
  return { y: y!, mean: mean!, variance: variance! }; // the op has three outputs
}
export const batchNormInference = (
  x: Value,
  p: { scale: Value; bias: Value; mean: Value; variance: Value },
  epsilon = 1e-5,
  name?: string,
): Value => apply(BatchNormInference, [x, p.scale, p.bias, p.mean, p.variance], { epsilon }, name);

/**
 * Running statistics after one batch: (1 − momentum)·old + momentum·batch, the variance made unbiased first, as PyTorch
 * (ONNX's own operator uses the biased one).
 */
export function updateRunning(
  running: { mean: Value; variance: Value },
  batch: { mean: Value; variance: Value },
  count: number,
  momentum = 0.1,
): { mean: Value; variance: Value } {
  const blend = (old: Value, now: Value, factor: number) =>
    add(mul(old, scalar(1 - momentum)), mul(now, scalar(momentum * factor)));
  // One value a channel has no unbiased variance; PyTorch refuses such a batch, we keep the biased one (0).
  const unbiased = count > 1 ? count / (count - 1) : 1;
  return {
    mean: blend(running.mean, batch.mean, 1),
    variance: blend(running.variance, batch.variance, unbiased),
  };
}
