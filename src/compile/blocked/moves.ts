/** @file Ops that take, spread or pad parts of images, in blocked layouts: the parameter-free shortcuts of ResNets and their gradients. */
import type { Node, Value } from "../../graph/value.js";
import { int, ints } from "../../ops/lowering.js";
import type { Context } from "./context.js";
import { declared, type Four, isBlockable, NCHWC, reorderWeight } from "./layout.js";

const numbers = (node: Node, name: string) => node.attrs[name] as readonly number[]; // the op's attribute is a list

/** Axes of which a Slice takes every second element, from the first on; null where it is another one. */
function halved(node: Node, whole: readonly number[]): readonly number[] | null {
  const axes = numbers(node, "axes");
  const [starts, ends, steps] = [numbers(node, "starts"), numbers(node, "ends"), numbers(node, "steps")];
  const fits = axes.every(
    (axis, i) => axis >= 2 && starts[i] === 0 && steps[i] === 2 && ends[i] === whole[axis] && whole[axis]! % 2 === 0, // an axis of x
  );
  return fits && whole.length === 4 ? axes : null;
}

/** Whether v is a strip, or soon becomes one. */
const inStrip = (c: Context, v: Value): boolean =>
  (["strip", "pixel", "image"] as const).some((layout) => c.has(v, layout));

/** Every second row or column of a strip; the padding column is an even one, and stays. */
export function sliceRule(c: Context, node: Node): boolean {
  const [x] = node.inputs as [Value]; // Slice has one input
  const y = node.outputs[0]!;
  const axes = halved(node, x.shape);
  if (!axes || !isBlockable(x.shape, c.block) || !inStrip(c, x)) return false;
  const { e, block: b } = c;
  let strip = c.get(x, "strip");
  const clean = c.isClean(x);
  const [n, ch, , w] = x.shape as unknown as Four; // blockable
  const [, , oh, ow] = y.shape as unknown as Four;
  if (axes.includes(2)) {
    const rows = e.emit("Reshape", [strip, e.vector([(ch / b) * oh, 2, n * (w + 1) * b])]);
    strip = e.emit("Slice", [rows, e.vector([0]), e.vector([1]), e.vector([1])]);
  }
  if (axes.includes(3)) {
    const images = e.emit("Reshape", [strip, e.vector([(ch / b) * oh * n, w + 1, b])]);
    strip = e.emit("Slice", [images, e.vector([0]), e.vector([w + 1]), e.vector([1]), e.vector([2])]);
  }
  c.put(y, "strip", e.emit("Reshape", [strip, e.vector([1, ch, oh, n * (ow + 1)])]), clean);
  return true;
}

/** Zeros after every row or column of a strip. */
export function sliceGradRule(c: Context, node: Node): boolean {
  const [dy] = node.inputs as [Value]; // SliceGrad has one input
  const dx = node.outputs[0]!;
  const axes = halved(node, dx.shape);
  if (!axes || !isBlockable(dy.shape, c.block) || !inStrip(c, dy)) return false;
  const { e, block: b } = c;
  let strip = c.get(dy, "strip");
  const clean = c.isClean(dy);
  const [n, ch, oh, ow] = dy.shape as unknown as Four; // blockable
  const [, , , w] = dx.shape as unknown as Four;
  if (axes.includes(3)) {
    // A zero behind each column makes W + 2 of W/2 + 1 columns: one padding column too many.
    const columns = e.emit("Reshape", [strip, e.vector([(ch / b) * oh * n, ow + 1, b])]);
    const spread = e.emit("Pad", [columns, e.vector([0, 0, 0, 0, 0, b])]);
    const flat = e.emit("Reshape", [spread, e.vector([(ch / b) * oh * n, (w + 2) * b])]);
    strip = e.emit("Slice", [flat, e.vector([0]), e.vector([(w + 1) * b]), e.vector([1])]);
  }
  if (axes.includes(2)) {
    const rows = e.emit("Reshape", [strip, e.vector([(ch / b) * oh, 1, n * (w + 1) * b])]);
    strip = e.emit("Pad", [rows, e.vector([0, 0, 0, 0, 1, 0])]);
  }
  c.put(dx, "strip", e.emit("Reshape", [strip, e.vector(declared(dx.shape, "strip"))]), clean);
  return true;
}

/** Channels padded with zeros, or cut: a 1×1 convolution whose weights are 0 and 1, which blocks of any alignment take. */
export function padRule(c: Context, node: Node): boolean {
  const [x] = node.inputs as [Value]; // Pad has one input
  const y = node.outputs[0]!;
  const [before, after] = [numbers(node, "before"), numbers(node, "after")];
  const others = [0, 2, 3].every((axis) => before[axis] === 0 && after[axis] === 0);
  if (!isBlockable(x.shape, c.block) || !isBlockable(y.shape, c.block) || !others || node.attrs["value"] !== 0)
    return false;
  if (!inStrip(c, x)) return false;
  const layout = c.has(x, "image") ? "image" : "strip";
  const [inputs, outputs] = [x.shape[1]!, y.shape[1]!]; // blockable
  const weight = new Float32Array(outputs * inputs);
  for (let i = 0; i < inputs; i++) {
    const o = i + before[1]!; // four axes
    if (o >= 0 && o < outputs) weight[o * inputs + i] = 1;
  }
  const shape = [outputs, inputs, 1, 1];
  const data = reorderWeight(weight, shape, { layout: "weight", block: c.block }, "pack");
  const attributes = { kernel_shape: ints([1, 1]), group: int(1) };
  const source = c.get(x, layout);
  const clean = c.isClean(x);
  const moved = c.e.emit(
    "Conv",
    [source, c.e.constant({ dtype: "float32", shape, data: Float32Array.from(data) })],
    attributes,
    NCHWC,
  );
  c.put(y, layout, moved, clean);
  return true;
}
