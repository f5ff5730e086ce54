/** @file U-Nets for segmentation in two and three dimensions, with the layers and names of Models Genesis' 3-D U-Net. */
import { ShapeError } from "../common/errors.js";
import type { Value } from "../graph/value.js";
import { concat, maxPool, relu } from "../ops/index.js";
import {
  batchNormLayer,
  type Context,
  convLayer,
  convTransposeLayer,
  initialWeights,
  type Layer,
  pure,
  sequence,
} from "./layers.js";
import type { Model } from "./types.js";

export interface UNetOptions {
  /** Background included. */
  readonly classes: number;
  /** Channels of the images; default 1. */
  readonly channels?: number;
  /** Channels of the first convolution; default 32, the published network's. Every level doubles it. */
  readonly width?: number;
  /** For weights that no checkpoint gives; default 0. */
  readonly seed?: number;
}

export type UNet = "unet2d" | "unet3d";

/** The network halves the image three times. */
const unetStep = 8;

/** 3×3(×3) convolution with bias, batch norm, ReLU: "LUConv" in the published code. */
const unit = (name: string, inputs: number, outputs: number, dimensions: 2 | 3): Layer =>
  sequence(
    convLayer(`${name}.conv1`, inputs, outputs, 3, { padding: 1, bias: true, dimensions }),
    batchNormLayer(`${name}.bn1`, outputs),
    pure(relu),
  );

/**
 * The 3-D U-Net of Models Genesis (Zhou et al., MICCAI 2019) and its twin for images: at every level two units, w → 2w channels going
 * down from the first, max pooling between; up by a transposed convolution with stride 2 that keeps the channels, the level's own output
 * put behind it, and two units. With width 32 names and shapes are those of the published weights: `down_tr64.ops.0.conv1.weight`, …
 * Two things differ: the output is one logit a class, where the published one is a sigmoid, and evaluation uses the running
 * statistics of batch norm, where the published code always takes the batch's.
 *
 * Groups: Down-64 … Down-512, Up-256 … Up-64, Out, as in MetaLR's figure, whatever the width. Space must be divisible by 8.
 */
export function unet(architecture: UNet, o: UNetOptions): Model {
  const { classes, channels = 1, width: w = 32, seed = 0 } = o;
  const dimensions = architecture === "unet3d" ? 3 : 2;
  const two = (name: string, inputs: number, middle: number, outputs: number): Layer =>
    sequence(unit(`${name}.ops.0`, inputs, middle, dimensions), unit(`${name}.ops.1`, middle, outputs, dimensions));
  const up = (name: string, inputs: number, skipped: number, outputs: number) => ({
    wide: convTransposeLayer(`${name}.up_conv`, inputs, inputs, 2, { stride: 2, dimensions }),
    units: two(name, inputs + skipped, outputs, outputs),
  });
  const down = [
    two("down_tr64", channels, w, 2 * w),
    two("down_tr128", 2 * w, 2 * w, 4 * w),
    two("down_tr256", 4 * w, 4 * w, 8 * w),
    two("down_tr512", 8 * w, 8 * w, 16 * w),
  ];
  const ups = [
    up("up_tr256", 16 * w, 8 * w, 8 * w),
    up("up_tr128", 8 * w, 4 * w, 4 * w),
    up("up_tr64", 4 * w, 2 * w, 2 * w),
  ];
  const out = convLayer("out_tr.final_conv", 2 * w, classes, 1, { bias: true, dimensions });
  const layers = [...down, ...ups.map(({ wide, units }) => sequence(wide, units)), out];
  const apply = (c: Context, x: Value): Value => {
    const space = x.shape.slice(2);
    if (space.length !== dimensions || space.some((d) => d % unetStep !== 0)) {
      throw new ShapeError(architecture, {
        problem: "cannot halve the image three times",
        expected: `${dimensions} axes of space, each a multiple of ${unetStep}`,
        got: space.join("×"),
        hint: "choose another patch size",
      });
    }
    const skips: Value[] = [];
    let y = x;
    for (const [level, layer] of down.entries()) {
      y = layer.apply(c, level === 0 ? y : maxPool(y, new Array<number>(dimensions).fill(2)));
      skips.push(y);
    }
    skips.pop(); // the deepest level is no shortcut
    for (const { wide, units } of ups) {
      const skip = skips.pop();
      const wider = wide.apply(c, y);
      y = units.apply(c, skip ? concat([wider, skip], 1) : wider);
    }
    return out.apply(c, y);
  };
  const all = sequence(...layers);
  return {
    name: architecture,
    config: { architecture, classes, channels, width: w },
    task: "segmentation",
    classes,
    input: { channels, size: null, dimensions },
    parameters: layers.flatMap((layer, group) => layer.parameters.map(({ name, shape }) => ({ name, shape, group }))),
    buffers: all.buffers.map(({ name, shape }) => ({ name, shape })),
    groups: ["Down-64", "Down-128", "Down-256", "Down-512", "Up-256", "Up-128", "Up-64", "Out"],
    headGroup: layers.length - 1,
    weights: initialWeights(all, seed),
    forward(value, x, { batchNorm }) {
      const buffers = new Map<string, Value>();
      return { logits: apply({ value, batchNorm, buffers }, x), buffers };
    },
  };
}
