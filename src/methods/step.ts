/** @file `defineStep`: the surroundings of a step graph (state, batches, scalars), so that a method is only its equations. */
import { InternalError } from "../common/errors.js";
import { type FloatTensor, type Shape, sizeOf, type Tensor } from "../common/tensor.js";
import { input, makeGraph } from "../graph/build.js";
import type { Value } from "../graph/value.js";
import { type BatchNormMode, lossNameOf, type Model, type ParameterSpec } from "../models/types.js";
import { concat, lossOf, reshape, slice } from "../ops/index.js";
import type { BatchName, StateSpec, StepProgram, StepShapes } from "./types.js";

/** One value for each trained parameter, in the order of the model. */
export type PerParameter = readonly Value[];

export interface LossResult {
  readonly loss: Value;
  readonly logits: Value;
  /** New running statistics by buffer name (mode "update"). */
  readonly buffers: ReadonlyMap<string, Value>;
}

/** What a method's equations are written with. */
export interface Step {
  readonly model: Model;
  /** Trained parameters, and their values before the step. */
  readonly parameters: readonly ParameterSpec[];
  readonly theta: PerParameter;
  /** Learning rate of every layer group, float32 [d]. */
  readonly lr: Value;
  /** The rate of one parameter's group, [1]: broadcasts over the parameter. */
  rateOf(rates: Value, parameter: ParameterSpec): Value;
  /** A state tensor of the method's own, one for each trained parameter; starts at zeros, or at the parameter's first value. */
  slot(kind: string, initial?: "zeros" | "weights"): PerParameter;
  /** A float32 state tensor of the method's own; without a place in the result's `state` it stays as it is. */
  own(name: string, shape: Shape, initial: () => Float32Array): Value;
  scalar(name: string): Value;
  /** Loss of the model at other values of the trained parameters, on the train or the validation batch. */
  loss(theta: PerParameter, batch: BatchName, o: { batchNorm: BatchNormMode }): LossResult;
  /**
   * Says that values are means over the images of a batch, as the gradients of its loss are: there a step can be cut into
   * micro-batches. The losses and running statistics that `loss` gives are marked already. @returns the same values
   */
  mean<V extends Value | PerParameter>(batch: BatchName, values: V): V;
  /** [d] from one scalar a layer group; `f` gets the numbers of the trained parameters in the group. */
  perLayer(f: (parameters: readonly number[]) => Value): Value;
}

/** What the equations give. */
export interface StepResult {
  /** Trained parameters after the step. */
  readonly theta: PerParameter;
  /** Slots after the step, by kind; the others stay. */
  readonly slots?: Readonly<Record<string, PerParameter>>;
  /** The method's own state after the step, by name. */
  readonly state?: Readonly<Record<string, Value>>;
  /** Rates after the step; absent where they stay. */
  readonly lr?: Value;
  /** Rates that reached the layer groups, [d], where they are not `lr` itself: reported, and kept as state "effectiveLr". */
  readonly effectiveLr?: Value;
  readonly buffers: ReadonlyMap<string, Value>;
  readonly report: Readonly<Record<string, Value>>;
}

export interface StepSettings {
  /** Rates before the first step, one a layer group. */
  readonly initialLr: Float32Array;
  /** Layer groups whose parameters are trained; default all. */
  readonly trained?: (group: number) => boolean;
}

const copyOf = (t: FloatTensor): FloatTensor => ({ ...t, data: t.data.slice() });

/** Builds the step graph of a method. */
export function defineStep(
  model: Model,
  shapes: StepShapes,
  settings: StepSettings,
  equations: (s: Step) => StepResult,
): StepProgram {
  const inputs = new Map<string, Value>();
  const declare = (name: string, dtype: "float32" | "int64", shape: Shape): Value => {
    const known = inputs.get(name);
    if (known) return known;
    const value = input(name, dtype, shape);
    inputs.set(name, value);
    return value;
  };
  const trained = settings.trained ?? (() => true);
  const parameters = model.parameters.filter((p) => trained(p.group));
  const current = new Map<string, Value>();
  for (const { name, shape } of [...model.parameters, ...model.buffers]) {
    current.set(name, declare(`state/model/${name}`, "float32", shape));
  }
  const valueNamed = (name: string): Value => {
    const v = current.get(name);
    if (!v)
      throw new InternalError(`model ${model.name} asks for "${name}", which is neither a parameter nor a buffer`);
    return v;
  };
  const slots = new Map<string, "zeros" | "weights">();
  const own = new Map<string, { readonly shape: Shape; readonly initial: () => Float32Array }>();
  const scalars = new Set<string>();
  const means: { readonly value: Value; readonly batch: BatchName }[] = [];
  const mark = (batch: BatchName, values: readonly Value[]): void => {
    if (lossNameOf(model) !== "cross-entropy") return; // Dice is of the whole batch, not a mean over its images
    for (const value of values) if (!means.some((m) => m.value === value)) means.push({ value, batch });
  };
  const lr = declare("state/lr", "float32", [model.groups.length]);

  const result = equations({
    model,
    parameters,
    theta: parameters.map((p) => valueNamed(p.name)),
    lr,
    rateOf: (rates, p) => slice(rates, { axis: 0, start: p.group, end: p.group + 1 }),
    slot(kind, initial = "zeros") {
      slots.set(kind, initial);
      return parameters.map((p) => declare(`state/${kind}/${p.name}`, "float32", p.shape));
    },
    own(name, shape, initial) {
      own.set(name, { shape, initial });
      return declare(`state/${name}`, "float32", shape);
    },
    mean(batch, values) {
      mark(batch, "node" in values ? [values] : values);
      return values;
    },
    scalar(name) {
      scalars.add(name);
      return declare(`scalar/${name}`, "float32", []);
    },
    loss(theta, batch, { batchNorm }) {
      const shape = batch === "train" ? shapes.train : shapes.validation;
      if (!shape) throw new InternalError("the method has a validation pass but no shape for its batch");
      const replaced = new Map(parameters.map((p, i) => [p.name, theta[i]]));
      const x = declare(`${batch}/x`, "float32", shape);
      const { logits, buffers } = model.forward((n) => replaced.get(n) ?? valueNamed(n), x, { batchNorm });
      // Classification: one label an image; segmentation: one a position.
      const y = declare(`${batch}/y`, "int64", [logits.shape[0]!, ...logits.shape.slice(2)]); // logits are [N, classes, …]
      const loss = lossOf(lossNameOf(model), logits, y);
      mark(batch, [loss, ...buffers.values()]);
      return { loss, logits, buffers };
    },
    perLayer: (f) =>
      concat(
        model.groups.map((_, group) => reshape(f(parameters.flatMap((p, i) => (p.group === group ? [i] : []))), [1])),
        0,
      ),
  });

  const outputs = new Map<string, Value>();
  const state: StateSpec[] = [];
  const keep = (name: string, shape: Shape, next: Value | undefined, initial: () => Tensor) => {
    state.push({ name, dtype: "float32", shape, changes: next !== undefined, initial });
    if (next) outputs.set(`next/${name}`, next);
  };
  const stepped = new Map<string, Value | undefined>([
    ...parameters.map((p, i) => [p.name, result.theta[i]] as const),
    ...result.buffers,
  ]);
  for (const { name, shape } of [...model.parameters, ...model.buffers]) {
    keep(`model/${name}`, shape, stepped.get(name), () => copyOf(model.weights.get(name)!)); // a model has weights for all it declares
  }
  for (const [kind, initial] of slots) {
    parameters.forEach((p, i) => {
      keep(`${kind}/${p.name}`, p.shape, result.slots?.[kind]?.[i], () =>
        initial === "weights"
          ? copyOf(model.weights.get(p.name)!) // as above
          : { dtype: "float32", shape: p.shape, data: new Float32Array(sizeOf(p.shape)) },
      );
    });
  }
  for (const [name, { shape, initial }] of own) {
    keep(name, shape, result.state?.[name], () => ({ dtype: "float32", shape, data: initial() }));
  }
  keep("lr", [model.groups.length], result.lr, () => ({
    dtype: "float32",
    shape: [model.groups.length],
    data: settings.initialLr.slice(),
  }));
  const { effectiveLr } = result;
  if (effectiveLr) {
    // State as well, so that a resumed run knows the rates of the step before it.
    const shape = [model.groups.length];
    declare("state/effectiveLr", "float32", shape);
    keep("effectiveLr", shape, effectiveLr, () => ({ dtype: "float32", shape, data: settings.initialLr.slice() }));
  }
  const report = { ...result.report, ...(effectiveLr && { effectiveLr }) };
  for (const [name, value] of Object.entries(report)) outputs.set(`report/${name}`, value);
  return {
    graph: makeGraph(`${model.name} step`, inputs, outputs),
    state,
    scalars: [...scalars],
    means,
    report: Object.keys(report),
  };
}

/** The model's evaluation pass (running statistics): inputs "x" and "state/model/…", output "logits". */
export function inferenceGraph(model: Model, shape: Shape) {
  const inputs = new Map<string, Value>();
  const x = input("x", "float32", shape);
  inputs.set("x", x);
  for (const p of [...model.parameters, ...model.buffers]) {
    inputs.set(`state/model/${p.name}`, input(`state/model/${p.name}`, "float32", p.shape));
  }
  const { logits } = model.forward((n) => inputs.get(`state/model/${n}`)!, x, { batchNorm: "running" }); // declared above
  return makeGraph(`${model.name} inference`, inputs, { logits });
}
