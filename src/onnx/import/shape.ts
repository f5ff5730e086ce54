/** @file Import of ops that move elements: reshaping, slicing, joining, padding, repeating. */
import { formatShape, type Shape, sizeOf } from "../../common/tensor.js";
import { constantTensor } from "../../graph/build.js";
import type { Value } from "../../graph/value.js";
import { concat, expand, reshape, slice, transpose } from "../../ops/index.js";
import type { ImportRule, ImportTable, NodeContext } from "./_context.js";

/** The shape that 0 (as the input) and −1 (the rest) in a target stand for; not whole where they do not fit. */
function resolved(target: readonly number[], x: Shape, keepZeros: boolean): number[] {
  const shape = target.map((d, i) => (d === 0 && !keepZeros ? (x[i] ?? 0) : d));
  const open = shape.indexOf(-1);
  if (open >= 0) shape[open] = sizeOf(x) / Math.max(1, sizeOf(shape.filter((_, i) => i !== open)));
  return shape;
}

/**
 * A file that was exported for a fixed batch has its size in constants; one axis of the result has to grow as one of the
 * input has grown. Where that axis is split, a part of the batch's size is the batch. Else its place follows from the sizes
 * before it, in reading order; right between two axes it is the second, but not the last one, which holds features.
 *
 * @param now shape of the input in this pass, `then` with the batch of the file, `result` what the file makes of that
 */
function regrown(now: Shape, then: Shape, result: readonly number[], batch: number): number[] {
  const axis = then.findIndex((d, i) => d !== now[i]);
  if (axis < 0) return [...result];
  const before = sizeOf(then.slice(0, axis));
  const merged = then[axis]!; // axis is one of both
  const starts = result.map((_, i) => sizeOf(result.slice(0, i)));
  const part =
    merged === batch
      ? -1
      : result.findIndex((d, i) => d === batch && starts[i]! >= before && starts[i]! <= before * merged);
  const held = result.findIndex((d, i) => starts[i] === before || starts[i]! * d > before); // one start each
  const place = part >= 0 ? part : held === result.length - 1 && held > 0 && starts[held] === before ? held - 1 : held;
  return result.map((d, i) => (i === place ? (d * now[axis]!) / merged : d));
}

const reshaped: ImportRule = (c) => {
  const x = c.x(0);
  const target = c.numbers(1);
  const keepZeros = c.flag("allowzero");
  // A target that is computed from shapes has grown by itself.
  const then = c.grewByItself(1) ? null : c.shapeInFile(0);
  const shape = then
    ? regrown(x.shape, then, resolved(target, then, keepZeros), c.pass.batchInFile ?? 0)
    : resolved(target, x.shape, keepZeros);
  if (sizeOf(shape) !== sizeOf(x.shape) || shape.some((d) => d < 0 || !Number.isInteger(d))) {
    return c.refuse("the number of elements changes", {
      expected: `${sizeOf(x.shape)} (${formatShape(x.shape)})`,
      got: `[${target.join(",")}]`,
      hint: "the model may take one image size only: open it with the size it was exported for",
    });
  }
  return reshape(x, shape);
};

/** A token for a batch of one, joined to images of another batch, is repeated for each of them. */
const joined: ImportRule = (c) => {
  const xs = c.inputs;
  const axis = c.axis(c.int("axis"), xs[0]?.shape.length ?? 0);
  const grown = xs.some((x, i) => String(c.shapeInFile(i) ?? x.shape) !== String(x.shape));
  if (!grown || axis === 0) return concat(xs, axis);
  const batch = Math.max(...xs.map((x) => x.shape[0] ?? 1));
  return concat(
    xs.map((x) => (x.shape[0] === 1 ? expand(x, [batch, ...x.shape.slice(1)]) : x)),
    axis,
  );
};

const flatten: ImportRule = (c) => {
  const x = c.x(0);
  const axis = c.int("axis", 1);
  const at = axis < 0 ? axis + x.shape.length : axis;
  return reshape(x, [sizeOf(x.shape.slice(0, at)), sizeOf(x.shape.slice(at))]);
};

/** Axes of Squeeze and Unsqueeze: an attribute up to op set 12, an input from then on. */
const axesOf = (c: NodeContext): readonly number[] | null =>
  c.has("axes") ? c.ints("axes") : c.maybe(1) ? c.numbers(1) : null;

const squeeze: ImportRule = (c) => {
  const x = c.x(0);
  const axes = axesOf(c)?.map((a) => c.axis(a, x.shape.length));
  const gone = (d: number, i: number) => (axes ? axes.includes(i) : d === 1);
  const wrong = axes?.find((a) => x.shape[a] !== 1);
  if (wrong !== undefined) return c.refuse(`axis ${wrong} is not 1`, { got: formatShape(x.shape) });
  return reshape(
    x,
    x.shape.filter((d, i) => !gone(d, i)),
  );
};

const unsqueeze: ImportRule = (c) => {
  const x = c.x(0);
  const axes = axesOf(c) ?? c.refuse("axes are missing");
  const rank = x.shape.length + axes.length;
  const at = new Set(axes.map((a) => c.axis(a, rank)));
  const left = [...x.shape];
  return reshape(
    x,
    Array.from({ length: rank }, (_, i) => (at.has(i) ? 1 : (left.shift() ?? 1))),
  );
};

const sliced: ImportRule = (c) => {
  let y = c.x(0);
  const [starts, ends] = [c.numbers(1), c.numbers(2)];
  const axes = c.numbers(
    3,
    starts.map((_, i) => i),
  );
  const steps = c.numbers(
    4,
    starts.map(() => 1),
  );
  for (const [i, start] of starts.entries()) {
    const [end, step] = [ends[i], steps[i]];
    const axis = c.axis(axes[i] ?? 0, y.shape.length);
    const d = y.shape[axis]!; // checked by c.axis
    if (end === undefined || !step) return c.refuse("starts, ends and steps differ in length, or a step is 0");
    // As NumPy: negative from the end, then clamped; downwards the end may lie before the first element.
    const clamp = (n: number, low: number, high: number) => Math.max(low, Math.min(high, n < 0 ? n + d : n));
    const [from, to] =
      step > 0 ? [clamp(start, 0, d), clamp(end, 0, d)] : [clamp(start, 0, d - 1), clamp(end, -1, d - 1)];
    y = slice(y, { axis, start: from, end: step > 0 ? Math.max(from, to) : Math.min(from, to), step });
  }
  return y;
};

const split: ImportRule = (c) => {
  const x = c.x(0);
  const axis = c.axis(c.int("axis", 0), x.shape.length);
  const d = x.shape[axis]!; // checked by c.axis
  const parts = c.node.outputs.length;
  // Equal parts; where they do not come out even, the last one is smaller (op set 18).
  const even = Array.from({ length: parts }, (_, i) => Math.min(Math.ceil(d / parts), d - i * Math.ceil(d / parts)));
  const sizes = c.has("split") ? c.ints("split") : c.numbers(1, even);
  if (sizes.length !== parts || sizeOf([sizes.reduce((n, s) => n + s, 0)]) !== d || sizes.some((s) => s < 0)) {
    return c.refuse("parts do not add up to the axis", { expected: String(d), got: `[${sizes.join(",")}]` });
  }
  let start = 0;
  return sizes.map((n) => {
    const part = slice(x, { axis, start, end: start + n });
    start += n;
    return part;
  });
};

/** x repeated along each axis, block after block. */
const tile: ImportRule = (c) => {
  const x = c.x(0);
  const repeats = c.numbers(1);
  if (repeats.length !== x.shape.length)
    return c.refuse("one repeat for each axis is needed", { got: `[${repeats.join(",")}]` });
  const spread = repeats.flatMap((r, i) => [r, x.shape[i] ?? 1]);
  return reshape(
    expand(
      reshape(
        x,
        x.shape.flatMap((d) => [1, d]),
      ),
      spread,
    ),
    x.shape.map((d, i) => d * (repeats[i] ?? 1)),
  );
};

/** x between reflections of itself (without the border), or between copies of its border. */
function mirrored(c: NodeContext, x: Value, axis: number, before: number, after: number, mode: string): Value {
  const d = x.shape[axis]!; // the caller's axis
  const longest = mode === "reflect" ? d - 1 : mode === "wrap" ? d : Number.POSITIVE_INFINITY;
  if (before < 0 || after < 0 || before > longest || after > longest) {
    return c.refuse(`${mode} padding does not fit`, { expected: `0 to ${longest}`, got: `${before} and ${after}` });
  }
  const part = (start: number, end: number, step = 1) => slice(x, { axis, start, end, step });
  const edge = (at: number, n: number) =>
    expand(
      part(at, at + 1),
      x.shape.map((s, i) => (i === axis ? n : s)),
    );
  const [left, right]: readonly [() => Value, () => Value] =
    mode === "reflect"
      ? [() => part(before, 0, -1), () => part(d - 2, d - 2 - after, -1)]
      : mode === "wrap"
        ? [() => part(d - before, d), () => part(0, after)]
        : [() => edge(0, before), () => edge(d - 1, after)];
  return concat([...(before > 0 ? [left()] : []), x, ...(after > 0 ? [right()] : [])], axis);
}

const pad: ImportRule = (c) => {
  const x = c.x(0);
  const rank = x.shape.length;
  const given = c.numbers(1);
  const axes = c
    .numbers(
      3,
      x.shape.map((_, i) => i),
    )
    .map((a) => c.axis(a, rank));
  if (given.length !== 2 * axes.length)
    return c.refuse("two pads for each axis are needed", { got: `[${given.join(",")}]` });
  const before = x.shape.map(() => 0);
  const after = x.shape.map(() => 0);
  axes.forEach((a, i) => {
    before[a] = given[i] ?? 0;
    after[a] = given[i + axes.length] ?? 0;
  });
  const mode = c.text("mode", "constant");
  if (mode === "constant") {
    if (before.every((p) => p === 0) && after.every((p) => p === 0)) return x;
    return c.op("Pad", [x], { before, after, value: c.number(2, 0) });
  }
  return x.shape.reduce<Value>(
    (y, _, i) => (before[i] || after[i] ? mirrored(c, y, i, before[i] ?? 0, after[i] ?? 0, mode) : y),
    x,
  );
};

/** A known index is a slice, whose gradient is cheap; a known regular list, too. */
const gather: ImportRule = (c) => {
  const [data, indices] = [c.x(0), c.x(1)];
  const axis = c.axis(c.int("axis", 0), data.shape.length);
  const d = data.shape[axis]!; // checked by c.axis
  const known = constantTensor(indices);
  if (known === null || known.data.length === 0) return c.op("Gather", [data, indices], { axis });
  const list = c.numbers(1).map((i) => (i < 0 ? i + d : i));
  const [first, second] = [list[0] ?? 0, list[1]];
  const step = second === undefined ? 1 : second - first;
  if (list.some((i) => i < 0 || i >= d))
    return c.refuse("an index is out of range", { expected: `${-d} … ${d - 1}`, got: c.numbers(1).join(",") });
  if (step === 0 || list.some((i, k) => i !== first + k * step)) return c.op("Gather", [data, indices], { axis });
  const last = first + (list.length - 1) * step;
  const y = slice(data, { axis, start: first, end: step > 0 ? last + 1 : last - 1, step });
  return reshape(y, [...data.shape.slice(0, axis), ...indices.shape, ...data.shape.slice(axis + 1)]);
};

const expanded: ImportRule = (c) => {
  const x = c.x(0);
  const target = c.numbers(1);
  const rank = Math.max(target.length, x.shape.length);
  const at = (s: Shape, i: number) => s[i - (rank - s.length)] ?? 1;
  const wanted = Array.from({ length: rank }, (_, i) => {
    const t = at(target, i);
    return t === 1 || t === -1 ? at(x.shape, i) : t;
  });
  return expand(x, wanted);
};

/** Space folded into channels or back; the two orders of DepthToSpace differ in where the block's axes stand. */
const depthToSpace: ImportRule = (c) => {
  const x = c.x(0);
  const [b, [n = 0, channels = 0, h = 0, w = 0]] = [c.int("blocksize"), x.shape];
  const inner = channels / (b * b);
  if (c.text("mode", "DCR") === "DCR") {
    return reshape(transpose(reshape(x, [n, b, b, inner, h, w]), [0, 3, 4, 1, 5, 2]), [n, inner, h * b, w * b]);
  }
  return reshape(transpose(reshape(x, [n, inner, b, b, h, w]), [0, 1, 4, 2, 5, 3]), [n, inner, h * b, w * b]);
};
const spaceToDepth: ImportRule = (c) => {
  const x = c.x(0);
  const [b, [n = 0, channels = 0, h = 0, w = 0]] = [c.int("blocksize"), x.shape];
  const blocks = reshape(x, [n, channels, h / b, b, w / b, b]);
  return reshape(transpose(blocks, [0, 3, 5, 1, 2, 4]), [n, channels * b * b, h / b, w / b]);
};

export const shapeTable: ImportTable = {
  Reshape: reshaped,
  Flatten: flatten,
  Squeeze: squeeze,
  Unsqueeze: unsqueeze,
  Transpose: (c) => {
    const x = c.x(0);
    const perm = c.ints(
      "perm",
      x.shape.map((_, i) => x.shape.length - 1 - i),
    );
    return transpose(x, perm);
  },
  Concat: joined,
  Slice: sliced,
  Split: split,
  Tile: tile,
  Pad: pad,
  Gather: gather,
  GatherND: (c) =>
    c.int("batch_dims", 0) === 0 ? c.op("GatherND", c.inputs) : c.refuse("batch_dims other than 0 are not supported"),
  ScatterND: (c) => {
    const reduction = c.text("reduction", "none");
    return reduction === "none" || reduction === "add"
      ? c.op("ScatterND", c.inputs, { add: reduction === "add" })
      : c.refuse("reduction is not supported", { expected: "none or add", got: reduction });
  },
  Expand: expanded,
  DepthToSpace: depthToSpace,
  SpaceToDepth: spaceToDepth,
};
