/** @file A network small enough to follow by hand, and methods run on it: for the tests of methods. */
import type { Tensor } from "../common/tensor.js";
import { fromGroups } from "../models/build.js";
import { linearLayer, pure, sequence } from "../models/layers.js";
import type { Model } from "../models/types.js";
import { evaluateGraph, flatten, fromNd, type NdArray, tanh, toNd } from "../ops/index.js";
import { type Clock, type Method, phaseAt } from "./types.js";

/** Two pixels → three → three → two classes: groups "low", "middle", "head" of one linear layer each. */
export const tiny = (): Model =>
  fromGroups(
    { architecture: "tiny", classes: 2, channels: 1 },
    [
      [
        "low",
        sequence(
          pure((x) => flatten(x)),
          linearLayer("a", 2, 3),
          pure(tanh),
        ),
      ],
      ["middle", sequence(linearLayer("b", 3, 3), pure(tanh))],
      ["head", linearLayer("c", 3, 2)],
    ],
    4,
  );

/** A batch of [4, 1, 1, 2] images and its labels; other numbers for another `shift`. */
export const batch = (shift = 0): { x: Tensor; y: Tensor } => ({
  x: {
    dtype: "float32",
    shape: [4, 1, 1, 2],
    data: Float32Array.of(1, 0.5, -0.5, 1, 0.25, -1, -1, -0.25).map((v, i) => v + shift * Math.sin(i)),
  },
  y: { dtype: "int64", shape: [4], data: BigInt64Array.of(0n, 1n, 1n, 0n) },
});

export interface Ran {
  /** The state after every step; [0] is that before the first. Every number is float64, as in the reference arithmetic. */
  readonly states: readonly ReadonlyMap<string, NdArray>[];
  readonly reports: readonly Readonly<Record<string, readonly number[]>>[];
}

/** Steps of a method in float64 reference arithmetic. */
export function run(
  method: Method,
  steps: number,
  o: {
    model?: Model;
    epochs?: number;
    train?: (step: number) => { x: Tensor; y: Tensor };
    validation?: (step: number) => { x: Tensor; y: Tensor };
  } = {},
): Ran {
  const { model = tiny(), epochs = 1, train = () => batch(), validation = () => batch(0.3) } = o;
  const stepsPerEpoch = steps / epochs;
  let state = new Map<string, NdArray>();
  const states: Map<string, NdArray>[] = [];
  const reports: Record<string, readonly number[]>[] = [];
  for (let step = 1; step <= steps; step++) {
    const clock: Clock = { step, epoch: Math.ceil(step / stepsPerEpoch), epochs, stepsPerEpoch };
    const phase = phaseAt(method, clock);
    const shape = [4, 1, 1, 2];
    const program = method.step(model, {
      train: shape,
      ...(phase.validation && { validation: shape }),
      ...(phase.name && { phase: phase.name }),
    });
    for (const spec of program.state) {
      if (!state.has(spec.name)) state.set(spec.name, toNd(spec.initial()));
    }
    if (step === 1) states.push(state);
    const scalars = method.scalars(clock);
    const [t, v] = [train(step), validation(step)];
    const given = new Map<string, NdArray>([
      ["train/x", toNd(t.x)],
      ["train/y", toNd(t.y)],
      ["validation/x", toNd(v.x)],
      ["validation/y", toNd(v.y)],
      ...program.scalars.map(
        (name) => [`scalar/${name}`, { shape: [], data: Float64Array.of(scalars[name] ?? Number.NaN) }] as const,
      ),
      ...[...state].map(([name, value]) => [`state/${name}`, value] as const),
    ]);
    const feeds = new Map(
      [...program.graph.inputs].flatMap(([name, value]) => {
        const fed = given.get(name);
        return fed ? [[value, fed] as const] : [];
      }),
    );
    const names = [...program.graph.outputs.keys()];
    const values = evaluateGraph([...program.graph.outputs.values()], feeds);
    state = new Map(state);
    const report: Record<string, readonly number[]> = {};
    for (const [i, name] of names.entries()) {
      const value = values[i];
      if (value === undefined) continue;
      if (name.startsWith("next/")) state.set(name.slice("next/".length), value);
      else report[name.slice("report/".length)] = [...value.data];
    }
    states.push(state);
    reports.push(report);
  }
  return { states, reports };
}

/** All numbers of the parameters of one layer ("a", "b", "c"), after a step. */
export const layer = ({ states }: Ran, step: number, name: string, kind = "model"): number[] =>
  ["weight", "bias"].flatMap((part) => [...(states[step]?.get(`${kind}/${name}.${part}`)?.data ?? [])]);

export const norm = (a: readonly number[]): number => Math.hypot(...a);
export const minus = (a: readonly number[], b: readonly number[]): number[] =>
  a.map((v, i) => v - (b[i] ?? Number.NaN));

export { fromNd };
