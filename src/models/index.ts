/** @file The built-in networks by name. */
import { UsageError } from "../common/errors.js";
import type { Tensor } from "../common/tensor.js";
import { type CifarResNet, cifarResNet, type ImageNetResNet, imageNetResNet, type ResNetOptions } from "./resnet.js";
import type { Model } from "./types.js";
import { type UNet, unet } from "./unet.js";

const builders: Readonly<Record<string, (o: ResNetOptions) => Model>> = {
  ...Object.fromEntries(
    (["resnet18", "resnet34", "resnet50"] satisfies ImageNetResNet[]).map((n) => [
      n,
      (o: ResNetOptions) => imageNetResNet(n, o),
    ]),
  ),
  ...Object.fromEntries(
    (["resnet20", "resnet32", "resnet44", "resnet56"] satisfies CifarResNet[]).map((n) => [
      n,
      (o: ResNetOptions) => cifarResNet(n, o),
    ]),
  ),
  ...Object.fromEntries((["unet2d", "unet3d"] satisfies UNet[]).map((n) => [n, (o: ResNetOptions) => unet(n, o)])),
};

export const architectures: readonly string[] = Object.keys(builders);

/** A built-in network. @throws {UsageError} for a name that is none of `architectures` */
export function createModel(architecture: string, options: ResNetOptions): Model {
  const build = builders[architecture];
  if (!build) {
    throw new UsageError(`model "${architecture}"`, {
      problem: "there is no such network",
      expected: `one of ${architectures.join(", ")}`,
    });
  }
  return build(options);
}

/** Width and image channels of a ResNet from a checkpoint: the first convolution's weight [width, channels, k, k]. */
export function inferWidth(tensors: ReadonlyMap<string, Tensor>): { width: number; channels: number } | null {
  for (const t of tensors.values()) {
    const [width, channels] = t.shape;
    if (t.shape.length === 4 && width !== undefined && channels !== undefined) return { width, channels };
  }
  return null;
}

export { withWeights } from "./build.js";
export type { ResNetOptions } from "./resnet.js";
export type {
  BatchNormMode,
  BufferSpec,
  ForwardResult,
  Model,
  ModelConfig,
  ModelInput,
  ParameterSpec,
} from "./types.js";
export { lossNameOf } from "./types.js";
export { type UNet, type UNetOptions, unet } from "./unet.js";
