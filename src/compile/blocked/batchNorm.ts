/** @file Batch norm by batch statistics and its gradient in blocked layouts: channel means by pooling, channel maps by depthwise convolution. */
import { sizeOf } from "../../common/tensor.js";
import type { Node, Value } from "../../graph/value.js";
import type { Context } from "./context.js";
import { type ImageLayout, isBlockable } from "./layout.js";

/** The layout that batch norm works in: the one that x has, or else `other` (its gradient's dy). */
function imageLayout(c: Context, x: Value, other = x): ImageLayout | null {
  if (!isBlockable(x.shape, c.block)) return null;
  const layouts: readonly ImageLayout[] = ["pixel", "strip", "image"];
  return layouts.find((l) => c.has(x, l)) ?? layouts.find((l) => c.has(other, l)) ?? null;
}

/** x − mean, the same node for the forward and the backward pass. */
function centred(c: Context, x: string, mean: string, channels: number, layout: ImageLayout): string {
  if (layout === "pixel") return c.e.emit("Sub", [x, mean]);
  const ones = c.e.constant({ dtype: "float32", shape: [channels], data: new Float32Array(channels).fill(1) });
  return c.channelMap(x, ones, c.e.emit("Neg", [mean]), channels);
}

const deviation = (c: Context, variance: string, epsilon: number) =>
  c.e.emit("Sqrt", [c.e.emit("Add", [variance, c.e.scalar(epsilon)])]);

export function batchNormRule(c: Context, node: Node): boolean {
  const [x, scale, bias] = node.inputs as [Value, Value, Value]; // BatchNormTraining's inputs
  const [y, mean, variance] = node.outputs as unknown as [Value, Value, Value];
  const layout = imageLayout(c, x);
  if (!layout) return false;
  const { e } = c;
  const channels = x.shape[1]!; // blockable: four axes
  const input = c.get(x, layout);
  const means = c.channelMeans(input, x.shape, layout);
  const middle = centred(c, input, means, channels, layout);
  const variances = c.channelMeans(e.emit("Mul", [middle, middle]), x.shape, layout);
  const gain = e.emit("Div", [c.get(scale, "plain"), deviation(c, variances, Number(node.attrs["epsilon"]))]);
  c.put(mean, "plain", means);
  c.put(variance, "plain", variances);
  c.defer(y, { x: middle, layout, gain, bias: c.get(bias, "plain"), sum: null });
  return true;
}

/** Normalising by given statistics is one channel map. */
export function batchNormInferenceRule(c: Context, node: Node): boolean {
  const [x, scale, bias, mean, variance] = node.inputs as [Value, Value, Value, Value, Value]; // BatchNormInference's inputs
  const y = node.outputs[0]!;
  const layout = imageLayout(c, x);
  if (!layout) return false;
  const { e } = c;
  const gain = e.emit("Div", [
    c.get(scale, "plain"),
    deviation(c, c.get(variance, "plain"), Number(node.attrs["epsilon"])),
  ]);
  const shift = e.emit("Sub", [c.get(bias, "plain"), e.emit("Mul", [c.get(mean, "plain"), gain])]);
  c.defer(y, { x: c.get(x, layout), layout, gain, bias: shift, sum: null });
  return true;
}

export function batchNormGradRule(c: Context, node: Node): boolean {
  const [x, scale, mean, variance, dy] = node.inputs as [Value, Value, Value, Value, Value]; // BatchNormGrad's inputs
  const [dx, dscale, dbias] = node.outputs as unknown as [Value, Value, Value];
  const layout = imageLayout(c, x, dy);
  if (!layout) return false;
  const { e } = c;
  const channels = x.shape[1]!; // blockable: four axes
  const count = e.scalar(sizeOf(x.shape) / channels);
  const middle = centred(c, c.get(x, layout), c.get(mean, "plain"), channels, layout);
  const cotangent = c.get(dy, layout);
  const meanDy = c.channelMeans(cotangent, x.shape, layout);
  const meanDyX = c.channelMeans(e.emit("Mul", [cotangent, middle]), x.shape, layout);
  const root = deviation(c, c.get(variance, "plain"), Number(node.attrs["epsilon"]));
  c.put(dbias, "plain", e.emit("Mul", [meanDy, count]));
  c.put(dscale, "plain", e.emit("Div", [e.emit("Mul", [meanDyX, count]), root]));
  if (!c.isRead(dx)) return true;
  // dx = p·(dy − mean(dy) − (x − mean)·mean(dy·(x − mean))/σ²) with p = scale/σ.
  const p = e.emit("Div", [c.get(scale, "plain"), root]);
  const slope = e.emit("Neg", [e.emit("Div", [meanDyX, e.emit("Mul", [root, root])])]);
  if (layout === "pixel") {
    const slopes = e.emit("Mul", [middle, e.emit("Mul", [p, slope])]);
    const shifted = e.emit("Sub", [e.emit("Mul", [cotangent, p]), e.emit("Mul", [meanDy, p])]);
    c.put(dx, layout, e.emit("Add", [shifted, slopes]));
    return true;
  }
  const inner = c.channelMap(middle, slope, e.emit("Neg", [meanDy]), channels, cotangent);
  if (layout === "strip") c.put(dx, layout, c.mask(inner, x.shape, p), true);
  else c.put(dx, layout, c.channelMap(inner, p, "", channels));
  return true;
}
