/** @file ResNets: 18/34/50 with torchvision's names, and CIFAR's 20/32/44/56 with parameter-free shortcuts. */
import type { Value } from "../graph/value.js";
import { add, maxPool, pad, reduceMean, relu, slice } from "../ops/index.js";
import { fromGroups } from "./build.js";
import { batchNormLayer, combine, convLayer, heNormal, type Layer, linearLayer, pure, sequence } from "./layers.js";
import type { Model } from "./types.js";

export interface ResNetOptions {
  readonly classes: number;
  /** Channels of the images; default 3. */
  readonly channels?: number;
  /** Channels of the stem; default 64 (ImageNet form) or 16 (CIFAR form). Every stage doubles it. */
  readonly width?: number;
  /** For weights that no checkpoint gives; default 0. */
  readonly seed?: number;
}

const conv3 = (name: string, i: number, o: number, stride: number, by: "in" | "out") =>
  convLayer(name, i, o, 3, { stride, padding: 1, init: heNormal(by) });
const pool: Layer = pure((x) => reduceMean(x, [2, 3]));

/** relu(main(x) + shortcut(x)). */
const residual = (main: Layer, shortcut: Layer): Layer =>
  combine([main, shortcut], (c, x) => relu(add(main.apply(c, x), shortcut.apply(c, x))));

/** conv3–bn–relu–conv3–bn (He et al. 2016). */
const basic = (n: string, i: number, o: number, stride: number, by: "in" | "out"): Layer =>
  sequence(
    conv3(`${n}.conv1`, i, o, stride, by),
    batchNormLayer(`${n}.bn1`, o),
    pure(relu),
    conv3(`${n}.conv2`, o, o, 1, by),
    batchNormLayer(`${n}.bn2`, o),
  );

/** 1×1, 3×3 with the stride, 1×1 to four times the width: torchvision's form of the bottleneck. */
const bottleneck = (n: string, i: number, w: number, stride: number): Layer => {
  const one = (name: string, p: number, q: number) => convLayer(name, p, q, 1, { init: heNormal("out") });
  return sequence(
    one(`${n}.conv1`, i, w),
    batchNormLayer(`${n}.bn1`, w),
    pure(relu),
    conv3(`${n}.conv2`, w, w, stride, "out"),
    batchNormLayer(`${n}.bn2`, w),
    pure(relu),
    one(`${n}.conv3`, w, 4 * w),
    batchNormLayer(`${n}.bn3`, 4 * w),
  );
};

const imageNetStages = {
  resnet18: { counts: [2, 2, 2, 2], expansion: 1 },
  resnet34: { counts: [3, 4, 6, 3], expansion: 1 },
  resnet50: { counts: [3, 4, 6, 3], expansion: 4 },
} as const;
export type ImageNetResNet = keyof typeof imageNetStages;

/** ResNet-18/34/50 as torchvision builds them (stride in the 3×3 convolution); groups: stem, every residual block, fc. */
export function imageNetResNet(architecture: ImageNetResNet, o: ResNetOptions): Model {
  const { counts, expansion } = imageNetStages[architecture];
  const { classes, channels = 3, width = 64, seed = 0 } = o;
  const stem = sequence(
    convLayer("conv1", channels, width, 7, { stride: 2, padding: 3, init: heNormal("out") }),
    batchNormLayer("bn1", width),
    pure(relu),
    pure((x) => maxPool(x, [3, 3], { stride: [2, 2], padding: [1, 1] })),
  );
  const groups: [string, Layer][] = [["stem", stem]];
  let inputs = width;
  counts.forEach((count, stage) => {
    for (let block = 0; block < count; block++) {
      const name = `layer${stage + 1}.${block}`;
      const w = width * 2 ** stage;
      const stride = stage > 0 && block === 0 ? 2 : 1;
      const main = expansion === 1 ? basic(name, inputs, w, stride, "out") : bottleneck(name, inputs, w, stride);
      const outputs = w * expansion;
      const shortcut =
        stride === 1 && inputs === outputs
          ? pure((x) => x)
          : sequence(
              convLayer(`${name}.downsample.0`, inputs, outputs, 1, { stride, init: heNormal("out") }),
              batchNormLayer(`${name}.downsample.1`, outputs),
            );
      groups.push([name, residual(main, shortcut)]);
      inputs = outputs;
    }
  });
  groups.push(["fc", sequence(pool, linearLayer("fc", inputs, classes))]);
  return fromGroups({ architecture, classes, channels, width }, groups, seed);
}

/** CIFAR's shortcut without parameters: every second pixel, channels padded with zeros on both sides. */
const subsample = (x: Value, outputs: number): Value => {
  const [, c, h, w] = x.shape as [number, number, number, number]; // images
  const half = slice(slice(x, { axis: 2, start: 0, end: h, step: 2 }), { axis: 3, start: 0, end: w, step: 2 });
  const before = Math.floor((outputs - c) / 2);
  return pad(half, [0, before, 0, 0], [0, outputs - c - before, 0, 0]);
};

const cifarBlocks = { resnet20: 3, resnet32: 5, resnet44: 7, resnet56: 9 } as const;
export type CifarResNet = keyof typeof cifarBlocks;

/** ResNet-20/32/44/56 of He et al. 2016, section 4.2 (option A); groups: stem, every residual block, linear. */
export function cifarResNet(architecture: CifarResNet, o: ResNetOptions): Model {
  const { classes, channels = 3, width = 16, seed = 0 } = o;
  const stem = sequence(conv3("conv1", channels, width, 1, "in"), batchNormLayer("bn1", width), pure(relu));
  const groups: [string, Layer][] = [["stem", stem]];
  let inputs = width;
  for (let stage = 0; stage < 3; stage++)
    for (let block = 0; block < cifarBlocks[architecture]; block++) {
      const name = `layer${stage + 1}.${block}`;
      const outputs = width * 2 ** stage;
      const stride = stage > 0 && block === 0 ? 2 : 1;
      const shortcut = stride === 1 ? pure((x) => x) : pure((x) => subsample(x, outputs));
      groups.push([name, residual(basic(name, inputs, outputs, stride, "in"), shortcut)]);
      inputs = outputs;
    }
  groups.push(["linear", sequence(pool, linearLayer("linear", inputs, classes, heNormal("in")))]);
  return fromGroups({ architecture, classes, channels, width }, groups, seed);
}
