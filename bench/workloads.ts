/** @file What the bench measures: a network, an image size and a batch size, all three in the name. */
import { UsageError } from "../src/common/errors.js";

export interface Workload {
  /** "resnet18-64-b128": model, height and width in pixels, images in a batch. */
  readonly name: string;
  readonly model: "resnet18" | "resnet20";
  readonly size: number;
  readonly batch: number;
  readonly classes: number;
}

const form = /^(resnet18|resnet20)-(\d+)-b(\d+)$/;

/** Any name of the form works, not only the ones below. @throws {UsageError} another form, a size of 0 */
export function workload(name: string): Workload {
  const [, model, size, batch] = form.exec(name) ?? [];
  if ((model !== "resnet18" && model !== "resnet20") || Number(size) === 0 || Number(batch) === 0) {
    throw new UsageError("--workload", {
      problem: "no such workload",
      expected: `${[...sets.keys()].join(", ")}, or model-size-bBATCH such as resnet18-64-b128 (models resnet18, resnet20)`,
      got: name,
    });
  }
  return { name, model, size: Number(size), batch: Number(batch), classes: 3 };
}

/** One axis at a time; both series share resnet18-64-b16. */
export const batchSeries = [16, 32, 64, 128, 256].map((batch) => `resnet18-64-b${batch}`);
export const sizeSeries = [32, 64, 96, 128, 160, 192, 224].map((size) => `resnet18-${size}-b16`);

const main = ["resnet18-64-b128", "resnet18-224-b32", "resnet20-32-b128"];

/** Names for several workloads; "all" is the default of the bench. */
export const sets: ReadonlyMap<string, readonly string[]> = new Map([
  ["all", [...new Set([...main, ...batchSeries, ...sizeSeries])]],
  ["main", main],
  ["growth", [...new Set([...batchSeries, ...sizeSeries])]],
]);

/** The workloads that names of sets or of single ones stand for, each once, in order. */
export const workloads = (names: readonly string[]): Workload[] =>
  [...new Set(names.flatMap((name) => sets.get(name) ?? [name]))].map(workload);
