/** @file Layers with named parameters, as PyTorch names them: what built-in networks are made of. */
import { Random } from "../common/random.js";
import { type FloatTensor, type Shape, sizeOf } from "../common/tensor.js";
import type { Value } from "../graph/value.js";
import { batchNormInference, batchNormTraining, conv, convTranspose, linear, updateRunning } from "../ops/index.js";
import type { BatchNormMode } from "./types.js";

/** What a layer's forward pass sees. */
export interface Context {
  /** Value of a parameter or buffer by name. */
  readonly value: (name: string) => Value;
  readonly batchNorm: BatchNormMode;
  /** New running statistics are put here. */
  readonly buffers: Map<string, Value>;
}

/** How a parameter starts where there are no weights. */
export type Init = (random: Random, shape: Shape) => Float32Array;

export interface Layer {
  readonly parameters: readonly { readonly name: string; readonly shape: Shape; readonly init: Init }[];
  readonly buffers: readonly { readonly name: string; readonly shape: Shape; readonly init: Init }[];
  apply(c: Context, x: Value): Value;
}

const fill =
  (f: (random: Random) => number): Init =>
  (random, shape) => {
    const values = new Float32Array(sizeOf(shape)); // a loop, not `from`: millions of values
    for (let i = 0; i < values.length; i++) values[i] = f(random);
    return values;
  };
const constantInit = (x: number): Init => fill(() => x);
/** Inputs that reach one output: C/group · kernel. */
const fanIn = (shape: Shape) => sizeOf(shape.slice(1));
const fanOut = (shape: Shape) => sizeOf(shape) / (shape[1] ?? 1);

/** He et al. 2015, normal; torchvision's ResNets count outputs, others inputs. */
export const heNormal =
  (by: "in" | "out"): Init =>
  (random, shape) => {
    const deviation = Math.sqrt(2 / (by === "in" ? fanIn(shape) : fanOut(shape)));
    return fill((r) => deviation * r.normal())(random, shape);
  };
/** torch.nn.Linear and Conv by default: uniform within ±1/√fan, `fan` given where the shape does not tell (biases). */
const torchUniform =
  (fan?: number): Init =>
  (random, shape) => {
    const bound = 1 / Math.sqrt(fan ?? fanIn(shape));
    return fill((r) => r.between(-bound, bound))(random, shape);
  };

/** Convolution over `dimensions` space axes, the kernel equal in all of them. */
export function convLayer(
  name: string,
  inputs: number,
  outputs: number,
  kernel: number,
  o: { stride?: number; padding?: number; bias?: boolean; init?: Init; dimensions?: 2 | 3 } = {},
): Layer {
  const weight = `${name}.weight`;
  const bias = `${name}.bias`;
  const shape = [outputs, inputs, ...new Array<number>(o.dimensions ?? 2).fill(kernel)];
  const { stride = 1, padding = 0 } = o;
  return {
    parameters: [
      { name: weight, shape, init: o.init ?? torchUniform() },
      ...(o.bias ? [{ name: bias, shape: [outputs], init: torchUniform(fanIn(shape)) }] : []),
    ],
    buffers: [],
    apply: (c, x) => conv(x, c.value(weight), o.bias ? c.value(bias) : null, { stride, padding, name }),
  };
}

/** Transposed convolution with bias, without padding: PyTorch's ConvTranspose. */
export function convTransposeLayer(
  name: string,
  inputs: number,
  outputs: number,
  kernel: number,
  o: { stride?: number; dimensions?: 2 | 3 } = {},
): Layer {
  const [weight, bias] = [`${name}.weight`, `${name}.bias`];
  const shape = [inputs, outputs, ...new Array<number>(o.dimensions ?? 2).fill(kernel)];
  return {
    parameters: [
      { name: weight, shape, init: torchUniform() },
      { name: bias, shape: [outputs], init: torchUniform(fanIn(shape)) }, // PyTorch counts outputs here
    ],
    buffers: [],
    apply: (c, x) => convTranspose(x, c.value(weight), c.value(bias), { stride: o.stride ?? 1, name }),
  };
}

/** Batch norm with PyTorch's running statistics: momentum 0.1, unbiased variance, ε 1e-5. */
export function batchNormLayer(name: string, channels: number, epsilon = 1e-5): Layer {
  const [weight, bias, mean, variance] = ["weight", "bias", "running_mean", "running_var"].map(
    (n) => `${name}.${n}`,
  ) as [string, string, string, string]; // four names
  const shape = [channels];
  return {
    parameters: [
      { name: weight, shape, init: constantInit(1) },
      { name: bias, shape, init: constantInit(0) },
    ],
    buffers: [
      { name: mean, shape, init: constantInit(0) },
      { name: variance, shape, init: constantInit(1) },
    ],
    apply: (c, x) => normalize(c, x, { weight, bias, mean, variance }, { epsilon, momentum: 0.1, name }),
  };
}

/** Batch norm in the mode of the pass, over values by name. */
export function normalize(
  c: Context,
  x: Value,
  names: { weight: string; bias: string; mean: string; variance: string },
  o: { epsilon: number; momentum: number; name?: string },
): Value {
  const [scale, bias] = [c.value(names.weight), c.value(names.bias)];
  if (c.batchNorm === "running") {
    const statistics = { mean: c.value(names.mean), variance: c.value(names.variance) };
    return batchNormInference(x, { scale, bias, ...statistics }, o.epsilon, o.name);
  }
  const batch = batchNormTraining(x, scale, bias, o.epsilon, o.name);
  if (c.batchNorm === "update") {
    const running = { mean: c.value(names.mean), variance: c.value(names.variance) };
    const next = updateRunning(running, batch, sizeOf(x.shape) / (x.shape[1] ?? 1), o.momentum);
    c.buffers.set(names.mean, next.mean);
    c.buffers.set(names.variance, next.variance);
  }
  return batch.y;
}

/** y = x·Wᵀ + b. */
export function linearLayer(name: string, inputs: number, outputs: number, init: Init = torchUniform()): Layer {
  const [weight, bias] = [`${name}.weight`, `${name}.bias`];
  return {
    parameters: [
      { name: weight, shape: [outputs, inputs], init },
      { name: bias, shape: [outputs], init: torchUniform(inputs) },
    ],
    buffers: [],
    apply: (c, x) => linear(x, c.value(weight), c.value(bias), name),
  };
}

/** The layers one after another. */
export const sequence = (...layers: readonly Layer[]): Layer =>
  combine(layers, (c, x) => layers.reduce((y, l) => l.apply(c, y), x));

/** A layer with the parameters of `parts` and a forward pass of its own. */
export const combine = (parts: readonly Layer[], apply: Layer["apply"]): Layer => ({
  parameters: parts.flatMap((l) => l.parameters),
  buffers: parts.flatMap((l) => l.buffers),
  apply,
});

/** A layer without parameters. */
export const pure = (apply: (x: Value) => Value): Layer => combine([], (_, x) => apply(x));

/**
 * Starting values of all parameters and buffers, each from its own stream of random numbers, drawn when they are first read: a
 * checkpoint takes the place of most.
 */
export function initialWeights(layer: Layer, seed: number): Map<string, FloatTensor> {
  return new Map(
    [...layer.parameters, ...layer.buffers].map(({ name, shape, init }) => {
      let drawn: Float32Array | null = null;
      const tensor: FloatTensor = {
        dtype: "float32",
        shape,
        get data() {
          drawn ??= init(new Random(seed, "init", name), shape);
          return drawn;
        },
      };
      return [name, tensor];
    }),
  );
}
