/** @file What the bench measures: a network, an image size and a batch size, all three in the name. */
import { UsageError } from "../src/common/errors.js";

export interface Workload {
  /** "resnet18-64-b128": model, height and width in pixels (of "unet3d" depth, too), images in a batch. */
  readonly name: string;
  readonly model: (typeof models)[number];
  readonly size: number;
  readonly batch: number;
  readonly classes: number;
}

/** "unet3d" is the 3-D U-Net of base width 16 on volumes of one channel. */
const models = ["resnet18", "resnet20", "unet3d"] as const;
const form = /^([a-z0-9]+)-(\d+)-b(\d+)$/;

/** Any name of the form works, not only the ones below. @throws {UsageError} another form, a size of 0 */
export function workload(name: string): Workload {
  const [, named, size, batch] = form.exec(name) ?? [];
  const model = models.find((m) => m === named);
  if (model === undefined || Number(size) === 0 || Number(batch) === 0) {
    throw new UsageError("--workload", {
      problem: "no such workload",
      expected: `${[...sets.keys()].join(", ")}, or model-size-bBATCH such as resnet18-64-b128 (models ${models.join(", ")})`,
      got: name,
    });
  }
  return { name, model, size: Number(size), batch: Number(batch), classes: 3 };
}

/** One axis at a time; both series share resnet18-64-b16. */
export const batchSeries = [16, 32, 64, 128, 256].map((batch) => `resnet18-64-b${batch}`);
export const sizeSeries = [32, 64, 96, 128, 160, 192, 224].map((size) => `resnet18-${size}-b16`);

const main = ["resnet18-64-b128", "resnet18-224-b32", "resnet20-32-b128", "unet3d-32-b4"];

/** Shape of a batch of images. */
export const shapeOf = ({ model, batch, size }: Workload): readonly number[] =>
  model === "unet3d" ? [batch, 1, size, size, size] : [batch, 3, size, size];

/** Names for several workloads; "all" is the default of the bench. */
export const sets: ReadonlyMap<string, readonly string[]> = new Map([
  ["all", [...new Set([...main, ...batchSeries, ...sizeSeries])]],
  ["main", main],
  ["growth", [...new Set([...batchSeries, ...sizeSeries])]],
]);

/** The workloads that names of sets or of single ones stand for, each once, in order. */
export const workloads = (names: readonly string[]): Workload[] =>
  [...new Set(names.flatMap((name) => sets.get(name) ?? [name]))].map(workload);
