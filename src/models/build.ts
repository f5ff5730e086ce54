/** @file A Model from named groups of layers that follow one another. */
import type { FloatTensor } from "../common/tensor.js";
import type { Value } from "../graph/value.js";
import { initialWeights, type Layer, sequence } from "./layers.js";
import type { Model, ModelConfig } from "./types.js";

/** The groups in order; the last one is the head. Weights start from `seed`. */
export function fromGroups(
  config: ModelConfig & { readonly classes: number; readonly channels: number },
  groups: readonly (readonly [name: string, layer: Layer])[],
  seed: number,
): Model {
  const all = sequence(...groups.map(([, layer]) => layer));
  return {
    name: config.architecture,
    config,
    task: "classification",
    classes: config.classes,
    input: { channels: config.channels, size: null, dimensions: 2 },
    parameters: groups.flatMap(([, layer], group) =>
      layer.parameters.map(({ name, shape }) => ({ name, shape, group })),
    ),
    buffers: all.buffers.map(({ name, shape }) => ({ name, shape })),
    groups: groups.map(([name]) => name),
    headGroup: groups.length - 1,
    weights: initialWeights(all, seed),
    forward(value, x, { batchNorm }) {
      const buffers = new Map<string, Value>();
      return { logits: all.apply({ value, batchNorm, buffers }, x), buffers };
    },
  };
}

/** The same model with other values for some of its parameters and buffers. */
export const withWeights = (model: Model, weights: ReadonlyMap<string, FloatTensor>): Model => ({
  ...model,
  weights: new Map([...model.weights].map(([name, t]) => [name, weights.get(name) ?? t])),
});
