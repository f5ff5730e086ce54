/** @file Rules of the native plan for batch normalisation: residual sums and ReLU join it, in both directions. */
import { sameShape, sizeOf } from "../../common/tensor.js";
import type { Node, Value } from "../../graph/value.js";
import { type Layout, spaceOf } from "./layout.js";
import { elementNumber, int, type Planner, real, sizes } from "./planner.js";
import { isConstant } from "./pointwise.js";
import type { Region, Word } from "./program.js";
import type { Rule } from "./rules.js";

const normShape = (p: Planner, v: Value, x: Region, layout: Layout): Word[] => [
  ...sizes([v.shape[0]!, v.shape[1]!, spaceOf(v.shape), layout === "blocked" ? p.block : 1]), // [N, C, …]
  elementNumber(x),
];

/** What waits to become gain·(x − mean) + bias (+ sum) (and ReLU). */
interface Affine {
  readonly node: Node;
  readonly x: Value;
  readonly parameters: readonly [scale: Value, bias: Value, mean: Value, variance: Value];
  readonly sum: Value | null;
  readonly relu: boolean;
}
const affines = new WeakMap<Planner, Map<Value, Affine>>();
const affineOf = (p: Planner, v: Value): Affine | null => affines.get(p)?.get(v) ?? null;

function deferAffine(p: Planner, y: Value, a: Affine): void {
  const layout = p.imageLayout(a.x);
  const known = affines.get(p) ?? new Map<Value, Affine>();
  affines.set(p, known);
  known.set(y, a);
  p.defer(y, {
    layout,
    chains: false,
    make: () => {
      known.delete(y);
      p.label = a.node.name || a.node.op.name;
      const [scale, bias, mean, variance] = a.parameters.map((v) => p.get(v, "plain")) as [
        Region,
        Region,
        Region,
        Region,
      ];
      const x = p.get(a.x, layout);
      const sum = a.sum ? p.get(a.sum, layout) : null;
      const to = p.make(y, layout);
      const epsilon = real(Number(a.node.attrs["epsilon"]));
      const words = [
        ...normShape(p, y, x, layout),
        epsilon,
        int(a.relu ? 1 : 0),
        x,
        scale,
        bias,
        mean,
        variance,
        sum,
        to,
      ];
      p.emit("NormApply", words, [x, scale, bias, mean, variance, sum], [to]);
    },
  });
}

export const normRule: Rule = (p, node) => {
  const [x, scale, bias] = node.inputs as [Value, Value, Value]; // BatchNormTraining's inputs
  const [y, mean, variance] = node.outputs as readonly Value[] as [Value, Value, Value];
  if (x.dtype !== "float32" || sizeOf(x.shape) === 0) return false;
  const layout = p.imageLayout(x);
  const source = p.get(x, layout);
  const [m, v] = [p.make(mean, "plain"), p.make(variance, "plain")];
  p.emit("NormStatistics", [...normShape(p, x, source, layout), source, m, v], [source], [m, v]);
  if (p.isRead(y)) deferAffine(p, y, { node, x, parameters: [scale, bias, mean, variance], sum: null, relu: false });
  return true;
};

export const normInferenceRule: Rule = (p, node) => {
  const [x, scale, bias, mean, variance] = node.inputs as [Value, Value, Value, Value, Value]; // BatchNormInference's inputs
  if (x.dtype !== "float32" || sizeOf(x.shape) === 0) return false;
  p.get(x, p.imageLayout(x));
  deferAffine(p, node.outputs[0]!, { node, x, parameters: [scale, bias, mean, variance], sum: null, relu: false });
  return true;
};

/** Residual sums and ReLU join the normalisation before them, where nothing else reads what lies between. */
export const joinRule: Rule = (p, node) => {
  const y = node.outputs[0]!;
  const take = (v: Value | null | undefined): Affine | null => {
    const a = v && p.onlyReader(v) === node ? affineOf(p, v) : null;
    return a && !a.relu ? a : null;
  };
  const [a, b] = node.inputs as [Value, Value | undefined];
  if (node.op.name === "Relu") {
    const affine = take(a);
    if (!affine) return false;
    p.settle(a);
    affines.get(p)?.delete(a);
    deferAffine(p, y, { ...affine, relu: true });
    return true;
  }
  if (node.op.name !== "Add" || !b || !sameShape(a.shape, b.shape)) return false;
  const first = take(a);
  const affine = first ?? take(b);
  if (!affine || affine.sum !== null) return false;
  const [joined, other] = first ? [a, b] : [b, a];
  p.settle(joined);
  affines.get(p)?.delete(joined);
  deferAffine(p, y, { ...affine, sum: other });
  return true;
};

export const normGradRule: Rule = (p, node) => {
  const [x, scale, mean, variance, dy] = node.inputs as [Value, Value, Value, Value, Value]; // BatchNormGrad's inputs
  const [dx, dscale, dbias] = node.outputs as readonly Value[] as [Value, Value, Value];
  if (x.dtype !== "float32" || sizeOf(x.shape) === 0) return false;
  const layout = p.imageLayout(x);
  const gate = gateOf(p, dy, layout);
  const vectors = [scale, mean, variance].map((v) => p.get(v, "plain")) as [Region, Region, Region];
  const source = p.get(x, layout);
  const cotangent = p.get(gate ? gate.dy : dy, layout);
  const mask = gate ? p.get(gate.by, layout) : null;
  // Others that read the gated cotangent (a residual) get it from here.
  let gated: Region | null = null;
  if (gate && p.onlyReader(dy) !== node) {
    p.settle(dy);
    gated = p.make(dy, layout);
  }
  const [ds, db] = [p.make(dscale, "plain"), p.make(dbias, "plain")];
  const to = p.isRead(dx) ? p.make(dx, layout) : null;
  const words = [
    ...normShape(p, x, source, layout),
    real(Number(node.attrs["epsilon"])),
    source,
    ...vectors,
    cotangent,
    mask,
    gated,
    to,
    ds,
    db,
  ];
  p.emit("NormGradient", words, [source, ...vectors, cotangent, mask], [gated, to, ds, db]);
  return true;
};

/** dy = Where(by > 0, given, 0) that still waits, `given` being in memory: ReLU's gradient can join the normalisation's. */
function gateOf(p: Planner, dy: Value, layout: Layout): { dy: Value; by: Value } | null {
  const [condition, given, otherwise] = dy.node.inputs;
  if (dy.node.op.name !== "Where" || !p.pending(dy) || !condition || !given || !isConstant(otherwise, 0)) return null;
  const [by, zero] = condition.node.inputs;
  if (condition.node.op.name !== "Greater" || !by || !isConstant(zero, 0)) return null;
  const there = (v: Value) => sameShape(v.shape, dy.shape) && p.isMade(v) && p.has(v, layout);
  return there(by) && there(given) ? { dy: given, by } : null;
}
