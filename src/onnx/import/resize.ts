/** @file Import of Resize: nearest, linear and cubic, each axis through its own matrix; whole factors of nearest by repetition. */
import type { Value } from "../../graph/value.js";
import { expand, type Matrix, mapAxis, reshape, slice } from "../../ops/index.js";
import type { ImportRule, ImportTable, NodeContext } from "./_context.js";

interface AxisPlan {
  readonly axis: number;
  readonly size: number;
  readonly out: number;
  readonly scale: number;
}

/** Sizes and scales by axis, from scales or sizes; axes that stay as they are are left out. */
function plans(c: NodeContext, x: Value): AxisPlan[] {
  const axes = c.has("axes") ? c.ints("axes").map((a) => c.axis(a, x.shape.length)) : x.shape.map((_, i) => i);
  const scales = c.numbers(2, []);
  const sizes = c.numbers(3, []);
  const given = scales.length > 0 ? scales : sizes;
  if (given.length !== axes.length) {
    return c.refuse("one scale or size for each axis is needed", {
      expected: String(axes.length),
      got: `[${given.join(",")}]`,
    });
  }
  if (c.text("keep_aspect_ratio_policy", "stretch") !== "stretch")
    return c.refuse("keep_aspect_ratio_policy is not supported");
  return axes.flatMap((axis, i) => {
    const size = x.shape[axis]!; // axes were checked
    const scale = scales.length > 0 ? (scales[i] ?? 1) : (sizes[i] ?? size) / size;
    const out = scales.length > 0 ? Math.floor(size * scale) : (sizes[i] ?? size);
    if (!(scale > 0) || out < 1 || out > 2 ** 16 || out * size > 2 ** 24)
      return c.refuse("a scale or size is not possible", { got: `[${given.join(",")}]` });
    // A batch written into the file as a size gives way to the batch of this pass.
    return (out === size && scale === 1) || axis === 0 ? [] : [{ axis, size, out, scale }];
  });
}

/** Where place i of the output lies in the input. */
function coordinate(c: NodeContext, mode: string, i: number, { size, out, scale }: AxisPlan): number {
  switch (mode) {
    case "half_pixel":
      return (i + 0.5) / scale - 0.5;
    case "pytorch_half_pixel":
      return out > 1 ? (i + 0.5) / scale - 0.5 : 0;
    case "align_corners":
      return out > 1 ? (i * (size - 1)) / (out - 1) : 0;
    case "asymmetric":
      return i / scale;
    case "half_pixel_symmetric": {
      const centre = (size / 2) * (1 - out / (scale * size));
      return centre + (i + 0.5) / scale - 0.5;
    }
    case "tf_half_pixel_for_nn":
      return (i + 0.5) / scale;
    default:
      return c.refuse("coordinate_transformation_mode is not supported", { got: mode });
  }
}

const nearest: Readonly<Record<string, (x: number) => number>> = {
  round_prefer_floor: (x) => Math.ceil(x - 0.5),
  round_prefer_ceil: (x) => Math.floor(x + 0.5),
  floor: Math.floor,
  ceil: Math.ceil,
};

/** Which input place each output place copies. */
function copies(c: NodeContext, p: AxisPlan, coordinates: string): number[] {
  const mode = c.text("nearest_mode", "round_prefer_floor");
  const round = nearest[mode] ?? c.refuse("nearest_mode is not supported", { got: mode });
  return Array.from({ length: p.out }, (_, i) =>
    Math.max(0, Math.min(p.size - 1, round(coordinate(c, coordinates, i, p)))),
  );
}

/** Weights of the cubic kernel at distance t (Keys 1981) with coefficient a. */
const cubic = (t: number, a: number): number => {
  const d = Math.abs(t);
  if (d <= 1) return (a + 2) * d ** 3 - (a + 3) * d ** 2 + 1;
  return d < 2 ? a * (d ** 3 - 5 * d ** 2 + 8 * d - 4) : 0;
};

/** Interpolation along one axis; places outside are those at the border. */
function interpolation(c: NodeContext, p: AxisPlan, coordinates: string, mode: string): Matrix {
  const data = new Float64Array(p.out * p.size);
  const put = (i: number, j: number, w: number) => {
    const at = i * p.size + Math.max(0, Math.min(p.size - 1, j));
    data[at] = (data[at] ?? 0) + w;
  };
  const a = c.float("cubic_coeff_a", -0.75);
  const inside = (j: number) => j >= 0 && j < p.size;
  for (let i = 0; i < p.out; i++) {
    const x = coordinate(c, coordinates, i, p);
    const base = Math.floor(x);
    if (mode === "linear") {
      put(i, base, 1 - (x - base));
      put(i, base + 1, x - base);
      continue;
    }
    const taps = [-1, 0, 1, 2].map((k) => ({ at: base + k, weight: cubic(x - base - k, a) }));
    const used = c.flag("exclude_outside") ? taps.filter((t) => inside(t.at)) : taps;
    const total = used.reduce((s, t) => s + t.weight, 0);
    for (const t of used) put(i, t.at, t.weight / total);
  }
  return { rows: p.out, columns: p.size, data };
}

/** Every place repeated `factor` times along each axis. */
function repeat(x: Value, factors: ReadonlyMap<number, number>): Value {
  const of = (axis: number) => factors.get(axis) ?? 1;
  const thin = x.shape.flatMap((d, i) => (factors.has(i) ? [d, 1] : [d]));
  const wide = x.shape.flatMap((d, i) => (factors.has(i) ? [d, of(i)] : [d]));
  return reshape(
    expand(reshape(x, thin), wide),
    x.shape.map((d, i) => d * of(i)),
  );
}

function copied(x: Value, p: AxisPlan, from: readonly number[]): Value {
  const [first = 0, second = first] = from;
  const step = second - first;
  if (step > 0 && from.every((j, i) => j === first + i * step)) {
    return slice(x, { axis: p.axis, start: first, end: first + (from.length - 1) * step + 1, step });
  }
  const data = new Float64Array(p.out * p.size);
  from.forEach((j, i) => {
    data[i * p.size + j] = 1;
  });
  return mapAxis(x, p.axis, { rows: p.out, columns: p.size, data });
}

const resize: ImportRule = (c) => {
  const x = c.x(0);
  const [mode, coordinates] = [c.text("mode", "nearest"), c.text("coordinate_transformation_mode", "half_pixel")];
  if (c.flag("antialias")) return c.refuse("antialias is not supported");
  const todo = plans(c, x);
  if (mode === "linear" || mode === "cubic") {
    return todo.reduce((y, p) => mapAxis(y, p.axis, interpolation(c, p, coordinates, mode)), x);
  }
  if (mode !== "nearest") return c.refuse("mode is not supported", { expected: "nearest, linear or cubic", got: mode });
  const factors = new Map<number, number>();
  const others: { plan: AxisPlan; from: number[] }[] = [];
  for (const plan of todo) {
    const from = copies(c, plan, coordinates);
    const k = plan.out / plan.size;
    if (Number.isInteger(k) && from.every((j, i) => j === Math.floor(i / k))) factors.set(plan.axis, k);
    else others.push({ plan, from });
  }
  return others.reduce((y, { plan, from }) => copied(y, plan, from), factors.size > 0 ? repeat(x, factors) : x);
};

export const resizeTable: ImportTable = { Resize: resize };
