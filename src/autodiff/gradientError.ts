/** @file How far an op's gradient rules are from central differences, in float64: the test of every rule. */
import { Random } from "../common/random.js";
import { type Shape, sameShape, sizeOf } from "../common/tensor.js";
import { input } from "../graph/build.js";
import type { Value } from "../graph/value.js";
import { cast, dot, evaluateGraph, type NdArray, type Op, type Sample } from "../ops/index.js";
import { directional, gradients } from "./backward.js";

/** A node of the op on random inputs of one sample. */
export function sampleNode(
  op: Op,
  sample: Sample,
  seed: number,
): { inputs: Value[]; names: string[]; feeds: Map<Value, NdArray>; y: Value } {
  const random = new Random(seed, op.name, JSON.stringify(sample.shapes));
  const [low, high] = sample.range ?? [-2, 2];
  const feeds = new Map<Value, NdArray>();
  const make = (name: string, label: string, shape: Shape): Value => {
    const whole = sample.ints?.[name];
    const [from, to] = sample.ranges?.[name] ?? [low, high];
    const value = input(label, whole === undefined ? "float32" : whole === 2 ? "bool" : "int64", shape);
    const data = Float64Array.from({ length: sizeOf(shape) }, () =>
      whole === undefined ? random.between(from, to) : random.below(whole),
    );
    feeds.set(value, { shape, data });
    return value;
  };
  const names: string[] = [];
  const values: (Value | null)[] = [];
  for (const name of op.variadic ? [op.variadic] : op.inputs) {
    const given = sample.shapes[name];
    if (given === undefined) values.push(null);
    else if (op.variadic) {
      (given as readonly Shape[]).forEach((s, i) => {
        names.push(`${name}${i}`);
        values.push(make(name, `${name}${i}`, s));
      }); // a variadic sample lists shapes
    } else {
      names.push(name);
      values.push(make(name, name, given as Shape)); // a single input has one shape
    }
  }
  const y = op.node(values, sample.attrs).outputs[0]!; // every op has a first output
  return { inputs: values.filter((v) => v !== null), names, feeds, y };
}

/**
 * Largest relative difference, over differentiable inputs, between ⟨gradient, direction⟩ and the central difference of
 * L = Σ c·y along the same random direction; and the same for `directional`. `where` names the worst input.
 */
export function gradientError(
  op: Op,
  sample: Sample,
  { seed, step }: { seed: number; step: number },
): { error: number; where: string } {
  const { inputs, names, feeds, y } = sampleNode(op, sample, seed);
  const random = new Random(seed, "directions", op.name);
  const noise = (shape: Shape): NdArray => ({
    shape,
    data: Float64Array.from({ length: sizeOf(shape) }, () => random.between(-1, 1)),
  });
  const c = input("c", "float32", y.shape);
  feeds.set(c, noise(y.shape));
  const loss = dot(cast(y, "float32"), c);
  let worst = { error: 0, where: "no differentiable input" };
  inputs.forEach((v, i) => {
    const name = op.variadic ?? names[i] ?? "";
    if (!op.differentiable[name] || v.dtype !== "float32") return;
    const d = input("d", "float32", v.shape);
    const g = gradients(loss, [v])[0]!; // one value was asked for
    if (!sameShape(g.shape, v.shape)) {
      worst = { error: Number.POSITIVE_INFINITY, where: `${name}: shape` };
      return;
    }
    const direction = noise(v.shape);
    const all = new Map(feeds).set(d, direction);
    const along = evaluateGraph([dot(g, d), directional(loss, [v], [d])[0]!], all);
    const at = (t: number) => {
      const x = feeds.get(v)!; // sampleNode fed every input
      const moved = { shape: x.shape, data: x.data.map((a, k) => a + t * direction.data[k]!) };
      return evaluateGraph([loss], new Map(feeds).set(v, moved))[0]!.data[0]!; // a scalar
    };
    const reference = (at(step) - at(-step)) / (2 * step);
    along.forEach((a, k) => {
      const error = Math.abs(a.data[0]! - reference) / Math.max(1, Math.abs(reference));
      if (!(error <= worst.error))
        worst = { error, where: `${name}${k === 1 ? " (directional)" : ""}: ${a.data[0]} against ${reference}` };
    });
  });
  return worst;
}
