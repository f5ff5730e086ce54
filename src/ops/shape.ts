/** @file Ops that move or copy elements: Reshape, Transpose, Expand, Concat. */
import { ShapeError } from "../common/errors.js";
import { formatShape, type Shape, sameShape, sizeOf } from "../common/tensor.js";
import type { Value } from "../graph/value.js";
import { broadcastShapes, map, nd, normalizeAxes, stridesOf, transposeNd, walk } from "./_nd.js";
import { apply, defineOp } from "./define.js";
import { int, ints } from "./lowering.js";
import { reduceSum } from "./reduce.js";
import { slice } from "./slice.js";

export const Reshape = defineOp({
  name: "Reshape",
  source: "ONNX Reshape-14 with a known shape",
  inputs: ["x"],
  attrs: { shape: [] as Shape },
  shape: ({ x }, { shape }) => {
    if (sizeOf(shape) !== sizeOf(x.shape)) {
      throw new ShapeError("Reshape", {
        problem: "the number of elements changes",
        expected: `${sizeOf(x.shape)} (${formatShape(x.shape)})`,
        got: `${sizeOf(shape)} (${formatShape(shape)})`,
      });
    }
    return shape;
  },
  grad: { x: ({ x, dy }) => reshape(dy, x.shape) },
  linear: { x: ({ attrs }, d) => reshape(d, attrs.shape) },
  evaluate: ({ x }, { shape }) => nd(shape, x.data),
  lower: ({ x }, low, { shape }) => low.emit("Reshape", [x, low.vector(shape)]),
  samples: [{ shapes: { x: [2, 6] }, attrs: { shape: [3, 4] } }],
});

export const Transpose = defineOp({
  name: "Transpose",
  source: "ONNX Transpose-13",
  inputs: ["x"],
  attrs: { perm: [] as readonly number[] },
  shape: ({ x }, { perm }) => {
    if (perm.length !== x.shape.length) {
      throw new ShapeError("Transpose", {
        problem: "perm has another length",
        expected: String(x.shape.length),
        got: `[${perm.join(",")}]`,
      });
    }
    normalizeAxes("Transpose", perm, x.shape.length);
    return perm.map((p) => x.shape[p]!); // perm is a permutation of the axes
  },
  grad: {
    x: ({ dy, attrs }) => {
      const back = new Array<number>(attrs.perm.length);
      attrs.perm.forEach((p, i) => {
        back[p] = i;
      });
      return transpose(dy, back);
    },
  },
  evaluate: ({ x }, { perm }) => transposeNd(x, perm),
  lower: ({ x }, low, { perm }) => low.emit("Transpose", [x], { perm: ints(perm) }),
  samples: [{ shapes: { x: [2, 3, 4] }, attrs: { perm: [2, 0, 1] } }],
});

export const Expand = defineOp({
  name: "Expand",
  source: "ONNX Expand-13 with a known shape",
  inputs: ["x"],
  attrs: { shape: [] as Shape },
  shape: ({ x }, { shape }) => broadcastShapes("Expand", x.shape, shape),
  grad: { x: ({ dy }) => dy }, // summed back over the broadcast axes by backward()
  evaluate: ({ x }, { shape }) => map("Expand", (v) => v, x, nd(shape)),
  lower: ({ x }, low, { shape }) => low.emit("Expand", [x, low.vector(shape)]),
  samples: [{ shapes: { x: [3, 1] }, attrs: { shape: [2, 3, 4] } }],
});

export const Concat = defineOp({
  name: "Concat",
  source: "ONNX Concat-13",
  inputs: [],
  variadic: "xs",
  attrs: { axis: 0 },
  shape: ({ xs }, { axis }) => {
    const first = xs[0]!.shape; // defineOp refuses an empty list
    const at = normalizeAxes("Concat", [axis], first.length)[0]!;
    for (const x of xs) {
      if (x.shape.length !== first.length || x.shape.some((d, i) => i !== at && d !== first[i])) {
        throw new ShapeError("Concat", {
          problem: `shapes differ outside axis ${at}`,
          got: xs.map((v) => formatShape(v.shape)).join(", "),
        });
      }
    }
    return first.map((d, i) => (i === at ? xs.reduce((n, x) => n + x.shape[i]!, 0) : d));
  },
  grad: {
    xs: ({ xs, dy, attrs, index }) => {
      const axis = attrs.axis < 0 ? attrs.axis + dy.shape.length : attrs.axis;
      const start = xs.slice(0, index).reduce((n, x) => n + x.shape[axis]!, 0);
      return slice(dy, { axis, start, end: start + xs[index]!.shape[axis]! }); // index is an input of this node
    },
  },
  evaluate: ({ xs }, { axis }, types) => {
    const y = nd(types[0]!.shape); // one output
    const at = axis < 0 ? axis + y.shape.length : axis;
    const own = stridesOf(y.shape);
    let offset = 0;
    for (const x of xs) {
      walk(x.shape, [own], (i, p) => {
        y.data[p[0]! + offset * own[at]!] = x.data[i]!;
      });
      offset += x.shape[at]!;
    }
    return y;
  },
  lower: ({ xs }, low, { axis }) => low.emit("Concat", xs, { axis: int(axis) }),
  samples: [
    {
      shapes: {
        xs: [
          [2, 3],
          [2, 1],
          [2, 2],
        ],
      },
      attrs: { axis: 1 },
    },
    {
      shapes: {
        xs: [
          [1, 2],
          [3, 2],
        ],
      },
      attrs: { axis: -2 },
    },
  ],
});

export const reshape = (x: Value, shape: Shape): Value =>
  sameShape(x.shape, shape) ? x : apply(Reshape, [x], { shape });
export const transpose = (x: Value, perm: readonly number[]): Value =>
  perm.every((p, i) => p === i) ? x : apply(Transpose, [x], { perm });
export const expand = (x: Value, shape: Shape): Value =>
  sameShape(x.shape, shape) ? x : apply(Expand, [x], { shape });
export const concat = (xs: readonly Value[], axis: number): Value =>
  xs.length === 1 ? xs[0]! : apply(Concat, xs, { axis });
/** [N, …] → [N, product of the rest]. */
export const flatten = (x: Value): Value => reshape(x, [x.shape[0] ?? 1, sizeOf(x.shape.slice(1))]);
/** x summed over the axes that broadcasting to x.shape would have added: the transpose of a broadcast. */
export function sumTo(x: Value, shape: Shape): Value {
  if (sameShape(x.shape, shape)) return x;
  const lead = x.shape.length - shape.length;
  const axes = x.shape.flatMap((d, i) => (i < lead || (shape[i - lead] === 1 && d !== 1) ? [i] : []));
  return reshape(axes.length > 0 ? reduceSum(x, axes, true) : x, shape);
}
