/** @file The weight gradient of a convolution of few channels, such as the first one of images, with the batch as channels. */
import type { Node, Value } from "../../graph/value.js";
import { type ConvAttributes, leftover } from "../../ops/index.js";
import { int, ints } from "../../ops/lowering.js";
import type { Context } from "./context.js";
import { type Four, isBlockable, moveRows, NCHWC } from "./layout.js";

/**
 * Side of the gradients' images up to which blocks pay. They are the kernel here, and read again for every row of the result: larger
 * ones leave the caches (112 pixels: twice the time of the plain operator; 32 pixels: 0.85, and no large buffer of patches).
 */
const LARGEST = 32;

/** dw[o, i] = Σ over the batch: images x [I, N, …] with kernels dy [O, N, …], strides and dilations exchanged. */
export function stemWeightGrad(c: Context, node: Node): boolean {
  const [x, dy] = node.inputs as [Value, Value]; // ConvWeightGrad's inputs
  const dw = node.outputs[0]!;
  const a = node.attrs as unknown as ConvAttributes;
  if (x.shape.length !== 4 || a.group !== 1 || !isBlockable(dy.shape, c.block) || !c.has(dy, "image")) return false;
  const { e, block: b } = c;
  const [n, i, ...space] = x.shape as unknown as Four;
  const [, o, h, w] = dy.shape as unknown as Four;
  const kernel = dw.shape.slice(2);
  const ends = space.map((d, axis) => a.padsEnd[axis]! - leftover(d, kernel[axis]!, [h, w][axis]!, a, axis)); // two axes
  if (n % b !== 0 || i >= b || Math.max(h, w) > LARGEST || ends.some((p) => p < 0)) return false;
  const images = e.emit("Transpose", [c.get(x, "plain")], { perm: ints([1, 0, 2, 3]) });
  const kernels = moveRows(e, c.get(dy, "image"), { from: [n / b, b, o / b, h * w], order: [2, 0, 3, 1], width: b });
  const product = e.emit(
    "Conv",
    [c.conversion(images, [i, n, ...space], "plain", "image"), e.emit("Reshape", [kernels, e.vector([o, n, h, w])])],
    {
      kernel_shape: ints([h, w]),
      strides: ints(a.dilations),
      dilations: ints(a.strides),
      pads: ints([...a.padsBegin, ...ends]),
      group: int(1),
    },
    NCHWC,
  );
  const plain = c.conversion(product, [i, o, ...kernel], "image", "plain");
  c.put(dw, "plain", e.emit("Transpose", [plain], { perm: ints([1, 0, 2, 3]) }));
  return true;
}
