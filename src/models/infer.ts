/** @file Which built-in network a checkpoint belongs to, from its names and shapes alone. */
import type { Shape } from "../common/tensor.js";

export interface InferredResNet {
  readonly architecture: string;
  /** Channels of the stem. */
  readonly width: number;
  /** Channels of the images. */
  readonly channels: number;
  /** Outputs of the last layer; null where the checkpoint has none of that name. */
  readonly classes: number | null;
}

/** Blocks of every stage, with "b" for bottlenecks. */
const byBlocks: Readonly<Record<string, string>> = {
  "2,2,2,2": "resnet18",
  "3,4,6,3": "resnet34",
  "3,4,6,3b": "resnet50",
  "3,3,3": "resnet20",
  "5,5,5": "resnet32",
  "7,7,7": "resnet44",
  "9,9,9": "resnet56",
};

/**
 * Reads PyTorch's names of ResNets: torchvision's (conv1, layer1.0.conv1, …, fc), those of CIFAR networks (…, linear), both with a
 * prefix such as "module.", and the layout of the released self-supervised checkpoint (features.0, features.4.0.conv1, …).
 *
 * @returns null where the names are of another network
 */
export function inferResNet(
  tensors: Iterable<readonly [name: string, tensor: { readonly shape: Shape }]>,
): InferredResNet | null {
  const blocks: number[] = [];
  let bottleneck = false;
  let stem: Shape | null = null;
  let classes: number | null = null;
  let released = false;
  for (const [name, { shape }] of tensors) {
    // The children of torchvision's network in order: 0 conv1, 1 bn1, (relu, maxpool,) 4 … 7 layer1 … layer4.
    const plain = name.replace(
      /(^|\.)features\.([4-7])\./,
      (_, dot: string, n: string) => `${dot}layer${Number(n) - 3}.`,
    );
    const [, stage, block, rest] = /(?:^|\.)layer([1-4])\.(\d{1,3})\.(.+)$/.exec(plain) ?? [];
    released ||= plain !== name;
    if (stage !== undefined && block !== undefined) {
      blocks[Number(stage) - 1] = Math.max(blocks[Number(stage) - 1] ?? 0, Number(block) + 1);
      if (rest === "conv3.weight") bottleneck = true;
    } else if (stem === null && shape.length === 4) stem = shape;
    if (/(^|\.)(fc|linear)\.weight$/.test(plain) && shape.length === 2) classes = shape[0] ?? null;
  }
  const counts = Array.from(blocks, (n: number | undefined) => n ?? 0).join(",");
  const architecture = byBlocks[counts + (bottleneck ? "b" : "")];
  const [width, channels] = stem ?? [];
  if (architecture === undefined || width === undefined || channels === undefined) return null;
  // What follows the features of the released layout is a projection head, whatever its name.
  return { architecture, width, channels, classes: released ? null : classes };
}

/**
 * A U-Net with the names of Models Genesis' network (`unet.ts`), for images or volumes by the rank of its kernels.
 * @returns null where the names are of another network
 */
export function inferUNet(
  tensors: Iterable<readonly [name: string, tensor: { readonly shape: Shape }]>,
): { readonly architecture: "unet2d" | "unet3d"; readonly width: number; readonly channels: number } | null {
  for (const [name, { shape }] of tensors) {
    if (!/(^|\.)down_tr64\.ops\.0\.conv1\.weight$/.test(name)) continue;
    const [width, channels] = shape;
    if (width === undefined || channels === undefined || (shape.length !== 4 && shape.length !== 5)) return null;
    return { architecture: shape.length === 5 ? "unet3d" : "unet2d", width, channels };
  }
  return null;
}
