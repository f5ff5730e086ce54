/** @file Ops that pick or put elements by index: Gather, GatherND, ScatterND. */
import { ShapeError } from "../common/errors.js";
import { formatShape, type Shape, sizeOf } from "../common/tensor.js";
import { constant } from "../graph/build.js";
import type { Value } from "../graph/value.js";
import { nd, normalizeAxes } from "./_nd.js";
import { apply, defineOp, type NdArray, type Op } from "./define.js";
import { int, text } from "./lowering.js";

const gatheredShape = (data: Shape, indices: Shape, axis: number): Shape => [
  ...data.slice(0, axis),
  ...indices,
  ...data.slice(axis + 1),
];

/** An index counted from the end where it is negative. @throws {ShapeError} outside the axis */
function inRange(op: string, index: number, size: number): number {
  const i = index < 0 ? index + size : index;
  if (!(i >= 0 && i < size)) {
    throw new ShapeError(op, {
      problem: "an index is out of range",
      expected: `${-size} … ${size - 1}`,
      got: String(index),
    });
  }
  return i;
}

/** Calls visit(place in data, place in the gathered array) for every element. */
function eachGathered(data: Shape, indices: NdArray, axis: number, visit: (data: number, y: number) => void): void {
  const [outer, n, inner] = [sizeOf(data.slice(0, axis)), data[axis]!, sizeOf(data.slice(axis + 1))]; // axis is in range
  const count = indices.data.length;
  for (let o = 0; o < outer; o++)
    for (let k = 0; k < count; k++) {
      const at = inRange("Gather", indices.data[k]!, n);
      for (let i = 0; i < inner; i++) visit((o * n + at) * inner + i, (o * count + k) * inner + i);
    }
}

export const Gather: Op = defineOp({
  name: "Gather",
  source: "ONNX Gather-13; negative indices count from the end",
  inputs: ["data", "indices"],
  attrs: { axis: 0 },
  shape: ({ data, indices }, { axis }) => {
    const [at] = normalizeAxes("Gather", [axis], data.shape.length);
    return gatheredShape(data.shape, indices.shape, at!); // one axis was given
  },
  grad: {
    data: ({ data, indices, dy, attrs: { axis } }) =>
      apply(GatherGrad, [indices, dy], { axis: axis < 0 ? axis + data.shape.length : axis, shape: data.shape }),
    indices: "none",
  },
  linear: { data: ({ indices, attrs }, d) => apply(Gather, [d, indices], attrs) },
  evaluate: ({ data, indices }, { axis }, types) => {
    const y = nd(types[0]!.shape);
    eachGathered(data.shape, indices, axis < 0 ? axis + data.shape.length : axis, (from, to) => {
      y.data[to] = data.data[from]!;
    });
    return y;
  },
  lower: ({ data, indices }, low, { axis }) => low.emit("Gather", [data, indices], { axis: int(axis) }),
  samples: [
    { shapes: { data: [4, 3], indices: [5] }, ints: { indices: 4 } },
    { shapes: { data: [2, 3, 2], indices: [2, 2] }, attrs: { axis: 1 }, ints: { indices: 3 } },
    { shapes: { data: [2, 3], indices: [] }, attrs: { axis: -1 }, ints: { indices: 3 } },
  ],
});

const GatherGrad: Op = defineOp({
  name: "GatherGrad",
  source: "transpose of Gather: dy added at the places it was picked from",
  inputs: ["indices", "dy"],
  outputs: ["ddata"],
  attrs: { axis: 0, shape: [] as Shape },
  shape: ({ dy }, { shape }) => [{ dtype: dy.dtype, shape }],
  grad: { indices: "none", dy: ({ indices, dddata, attrs: { axis } }) => apply(Gather, [dddata, indices], { axis }) },
  evaluate: ({ indices, dy }, { axis, shape }) => {
    const x = nd(shape);
    eachGathered(shape, indices, axis, (to, from) => {
      x.data[to] = x.data[to]! + dy.data[from]!;
    });
    return x;
  },
  lower: ({ indices, dy }, low, { axis, shape }, node) => {
    // ScatterElements wants one index an element: the indices stand along `axis` and are repeated along the others.
    const count = sizeOf(node.inputs[0]!.shape); // indices
    const whole = shape.map((d, i) => (i === axis ? count : d));
    const column = low.emit("Reshape", [indices, low.vector(shape.map((_, i) => (i === axis ? count : 1)))]);
    return low.emit(
      "ScatterElements",
      [
        low.emit("ConstantOfShape", [low.vector(shape)]),
        low.emit("Expand", [column, low.vector(whole)]),
        low.emit("Reshape", [dy, low.vector(whole)]),
      ],
      { axis: int(axis), reduction: text("add") },
    );
  },
  samples: [
    { shapes: { indices: [5], dy: [5, 3] }, attrs: { axis: 0, shape: [4, 3] }, ints: { indices: 4 } },
    { shapes: { indices: [2, 2], dy: [2, 2, 2, 2] }, attrs: { axis: 1, shape: [2, 3, 2] }, ints: { indices: 3 } },
  ],
});

/** Calls visit(place in data, place in updates) for every element that indices [..., k] address. */
function eachIndexed(op: string, data: Shape, indices: NdArray, visit: (data: number, updates: number) => void): void {
  const depth = indices.shape.at(-1) ?? 0;
  const inner = sizeOf(data.slice(depth));
  for (let row = 0; row < indices.data.length / Math.max(depth, 1); row++) {
    let base = 0;
    for (let d = 0; d < depth; d++) base = base * data[d]! + inRange(op, indices.data[row * depth + d]!, data[d]!);
    for (let i = 0; i < inner; i++) visit(base * inner + i, row * inner + i);
  }
}

const indexedShape = (op: string, data: Shape, indices: Shape): Shape => {
  const depth = indices.at(-1);
  if (depth === undefined || depth > data.length) {
    throw new ShapeError(op, {
      problem: "indices do not fit the data",
      expected: `[…, k] with k ≤ ${data.length}`,
      got: formatShape(indices),
    });
  }
  return [...indices.slice(0, -1), ...data.slice(depth)];
};

export const GatherND: Op = defineOp({
  name: "GatherND",
  source: "ONNX GatherND-13, batch_dims 0",
  inputs: ["data", "indices"],
  shape: ({ data, indices }) => indexedShape("GatherND", data.shape, indices.shape),
  grad: {
    data: ({ data, indices, dy }) => apply(ScatterND, [zerosOf(data.shape), indices, dy], { add: true }),
    indices: "none",
  },
  evaluate: ({ data, indices }, _, types) => {
    const y = nd(types[0]!.shape);
    eachIndexed("GatherND", data.shape, indices, (from, to) => {
      y.data[to] = data.data[from]!;
    });
    return y;
  },
  samples: [
    { shapes: { data: [4, 3], indices: [5, 1] }, ints: { indices: 4 } },
    { shapes: { data: [3, 3, 2], indices: [2, 2, 2] }, ints: { indices: 3 } },
  ],
});

export const ScatterND: Op = defineOp({
  name: "ScatterND",
  source: "ONNX ScatterND-16; without `add` the indices must differ, as ONNX asks",
  inputs: ["data", "indices", "updates"],
  attrs: { add: false },
  shape: ({ data, indices, updates }) => {
    const wanted = indexedShape("ScatterND", data.shape, indices.shape);
    if (formatShape(wanted) !== formatShape(updates.shape)) {
      throw new ShapeError("ScatterND", {
        problem: "updates do not fit the indices",
        expected: formatShape(wanted),
        got: formatShape(updates.shape),
      });
    }
    return data.shape;
  },
  grad: {
    data: ({ indices, updates, dy, attrs: { add } }) =>
      add ? dy : apply(ScatterND, [dy, indices, zerosOf(updates.shape)], { add: false }),
    indices: "none",
    updates: ({ indices, dy }) => apply(GatherND, [dy, indices]),
  },
  evaluate: ({ data, indices, updates }, { add }) => {
    const y = nd(data.shape, data.data.slice());
    eachIndexed("ScatterND", data.shape, indices, (to, from) => {
      y.data[to] = (add ? y.data[to]! : 0) + updates.data[from]!;
    });
    return y;
  },
  lower: ({ data, indices, updates }, low, { add }) =>
    low.emit("ScatterND", [data, indices, updates], add ? { reduction: text("add") } : {}),
  samples: [
    { shapes: { data: [4, 3], indices: [1, 1], updates: [1, 3] }, ints: { indices: 4 } },
    { shapes: { data: [3, 3, 2], indices: [2, 2, 2], updates: [2, 2, 2] }, attrs: { add: true }, ints: { indices: 3 } },
  ],
});

const zerosOf = (shape: Shape): Value => constant({ dtype: "float32", shape, data: new Float32Array(sizeOf(shape)) });

export const gather = (data: Value, indices: Value, axis = 0): Value => apply(Gather, [data, indices], { axis });
export const gatherNd = (data: Value, indices: Value): Value => apply(GatherND, [data, indices]);
export const scatterNd = (data: Value, indices: Value, updates: Value, o: { add?: boolean } = {}): Value =>
  apply(ScatterND, [data, indices, updates], { add: o.add ?? false });
