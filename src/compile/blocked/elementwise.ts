/** @file Ops that do not care how elements lie, as long as all operands lie the same way; residual adds and ReLU join batch norm. */
import { sameShape, sizeOf } from "../../common/tensor.js";
import type { Node, Value } from "../../graph/value.js";
import { opOf } from "../../ops/index.js";
import { float, int } from "../../ops/lowering.js";
import { type Context, isConstant, isScalarLike } from "./context.js";
import { isBlockable, isWeight, type Layout, NCHWC } from "./layout.js";

const names = new Set(
  "Add Sub Mul Div Max Min Pow Greater GreaterOrEqual Less LessOrEqual Equal Where Neg Abs Sign Exp Log Sqrt Reciprocal Relu Sigmoid Tanh Cast Clip LeakyRelu Elu Softplus HardSigmoid Erf".split(
    " ",
  ),
);

/** Zero in, zero out: the padding columns of a strip stay clean. */
function staysClean(c: Context, node: Node): boolean {
  const clean = (v: Value | null | undefined) => (v ? c.isClean(v) : false);
  const [a, b, third] = node.inputs;
  switch (node.op.name) {
    case "Relu":
    case "Neg":
    case "Abs":
    case "Sqrt":
    case "Tanh":
    case "Sign":
    case "LeakyRelu":
    case "Elu":
    case "Erf":
      return clean(a);
    case "Add":
    case "Sub":
      return clean(a) && clean(b);
    case "Mul":
      return clean(a) || clean(b);
    case "Where":
      return (clean(b) || isConstant(b, 0)) && (clean(third) || isConstant(third, 0));
    default:
      return false;
  }
}

export function elementwiseRule(c: Context, node: Node): boolean {
  if (!names.has(node.op.name)) return false;
  const y = node.outputs[0]!; // elementwise ops have one output
  const operands = node.inputs.filter((v): v is Value => v !== null);
  const full = operands.filter((v) => !isScalarLike(v));
  if (full.length === 0 || y.shape.length !== 4 || !full.every((v) => sameShape(v.shape, y.shape))) return false;
  if (joined(c, node, y)) return true;
  const layouts: readonly Layout[] = [
    ...(isBlockable(y.shape, c.block) ? (["pixel", "strip", "image"] as const) : []),
    ...(isWeight(y.shape, c.block) ? (["taps", "weight"] as const) : []),
  ];
  if (gated(c, node, y, layouts)) return true;
  const layout = layouts.find((l) => full.some((v) => c.has(v, l)));
  if (!layout) return false;
  const inputs = node.inputs.map((v) => (v === null ? "" : isScalarLike(v) ? c.get(v, "plain") : c.get(v, layout)));
  const output = opOf(node).lower(node, inputs, c.e)[0]!; // one output
  c.put(y, layout, output, layout === "strip" && staysClean(c, node));
  return true;
}

/**
 * ReLU's gradient, dy where v > 0: times a step of v, which two threads do faster than comparing and choosing. The step is
 * clip(1e38·v, 0, 1), 0 or 1 for every v that is not denormal. It is taken in v's layout, which batch norm's gradient goes on in.
 */
function gated(c: Context, node: Node, y: Value, layouts: readonly Layout[]): boolean {
  const [condition, dy, otherwise] = node.inputs;
  if (node.op.name !== "Where" || !condition || !dy || !isConstant(otherwise, 0) || !sameShape(dy.shape, y.shape))
    return false;
  const [v, zero] = condition.node.inputs;
  if (condition.node.op.name !== "Greater" || !v || !isConstant(zero, 0)) return false;
  const layout = layouts.find((l) => c.has(v, l));
  if (!layout) return false;
  if (pooledGate(c, node, y, v, dy)) return true;
  const clean = layout === "strip" && (c.isClean(v) || c.isClean(dy));
  c.put(y, layout, whereAbove(c, v, dy, layout), clean);
  return true;
}

/** dy where v > 0, else 0. */
function whereAbove(c: Context, v: Value, dy: Value, layout: Layout): string {
  const step = c.e.emit("HardSigmoid", [c.get(v, layout)], { alpha: float(1e38), beta: float(0) });
  return c.e.emit("Mul", [c.get(dy, layout), step]);
}

/**
 * The gate behind a max pooling of ReLU: a pixel that was the maximum of a window is above 0 exactly where the maximum is, so the
 * smaller gradient is gated before it goes back to its places.
 */
function pooledGate(c: Context, node: Node, dx: Value, v: Value, unpooled: Value): boolean {
  if (unpooled.node.op.name !== "MaxPoolGrad" || c.onlyReader(unpooled) !== node) return false;
  const [indices, dy] = unpooled.node.inputs as [Value, Value]; // MaxPoolGrad's inputs
  const [x] = indices.node.inputs as [Value]; // MaxPool's input
  if (x !== v && !(x.node.op.name === "Relu" && x.node.inputs[0] === v)) return false;
  const pooled = indices.node.outputs[0]!; // MaxPool gives the maxima first
  if (!c.isRead(pooled)) return false; // nor were they computed
  const layout = (["pixel", "strip", "image"] as const).find((l) => c.has(dy, l)) ?? "plain";
  const known = c.conversion(whereAbove(c, pooled, dy, layout), dy.shape, layout, "plain");
  c.put(dx, "plain", opOf(unpooled.node).lower(unpooled.node, [c.get(indices, "plain"), known], c.e)[0]!);
  return true;
}

/** Batch norm → (+ residual) → ReLU as one depthwise convolution, where nothing else reads what lies between. */
function joined(c: Context, node: Node, y: Value): boolean {
  if (node.op.name === "Relu") {
    const affine = c.take(node.inputs[0]!, node); // Relu has one input
    if (!affine) return false;
    c.put(y, affine.layout, c.affine(y.shape, affine, true));
    return true;
  }
  if (node.op.name !== "Add") return false;
  const [a, b] = node.inputs as [Value, Value]; // Add has two
  if (!sameShape(a.shape, b.shape)) return false;
  const [affine, other] = c.take(a, node) ? [c.take(a, node), b] : [c.take(b, node), a];
  if (!affine || affine.sum !== null) return false;
  c.defer(y, { ...affine, sum: c.get(other, affine.layout) });
  return true;
}

/** Σ a·b over values that lie the same way. */
export function dotRule(c: Context, node: Node): boolean {
  const [a, b] = node.inputs as [Value, Value]; // Dot has two inputs
  const y = node.outputs[0]!;
  if (a.shape.length !== 4) return false;
  const { e } = c;
  const whole = (["taps", "weight", "pixel", "image"] as const).find((l) => c.has(a, l) || c.has(b, l));
  if (whole) {
    c.put(y, "plain", opOf(node).lower(node, [c.get(a, whole), c.get(b, whole)], e)[0]!);
    return true;
  }
  if (!isBlockable(a.shape, c.block) || !(c.has(a, "strip") || c.has(b, "strip"))) return false;
  const left = c.get(a, "strip");
  const product = e.emit("Mul", [left, c.get(b, "strip")]);
  // Pooling adds up each image on all threads, and leaves the padding columns out: neither operand has to be clean.
  const means = c.imageMeans(product, a.shape);
  const sum = e.emit("ReduceSum", [means, e.vector([0, 1, 2, 3])], { keepdims: int(0) });
  c.put(y, "plain", e.emit("Mul", [sum, e.scalar(a.shape[2]! * a.shape[3]!)])); // four axes
  return true;
}

/** Mean over the pixels of each image: the pooling before a classifier. */
export function reduceMeanRule(c: Context, node: Node): boolean {
  const x = node.inputs[0]!; // ReduceMean has one input
  const y = node.outputs[0]!;
  const axes = node.attrs["axes"] as readonly number[]; // an attribute of ReduceMean
  if (
    !isBlockable(x.shape, c.block) ||
    axes.length !== 2 ||
    !axes.every((a) => a === 2 || a === 3 || a === -1 || a === -2)
  )
    return false;
  const [n, channels, h, w] = x.shape as [number, number, number, number]; // blockable
  const { e, block } = c;
  if (c.has(x, "pixel")) {
    const pixels = e.emit("Reshape", [c.get(x, "pixel"), e.vector([h * w, n * channels])]);
    const means = e.emit("ReduceMean", [pixels, e.vector([0])], { keepdims: int(0) });
    c.put(y, "plain", e.emit("Reshape", [means, e.vector(y.shape)]));
    return true;
  }
  if (c.has(x, "strip")) {
    const means = e.emit("Reshape", [c.imageMeans(c.get(x, "strip"), x.shape), e.vector([channels / block, n, block])]);
    const rows = e.emit("Transpose", [means], { perm: { type: "ints", value: [1n, 0n, 2n] } });
    c.put(y, "plain", e.emit("Reshape", [rows, e.vector(y.shape)]));
    return true;
  }
  if (!c.has(x, "image") || sizeOf([h, w]) === 1) return false;
  const means = e.emit("GlobalAveragePool", [c.get(x, "image")], {}, NCHWC);
  c.put(y, "plain", e.emit("Reshape", [means, e.vector(y.shape)]));
  return true;
}
