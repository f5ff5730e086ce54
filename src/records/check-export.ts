/** @file An exported network against the trained one: the same images must give the same logits. */
import { RuntimeError } from "../common/errors.js";
import { Random } from "../common/random.js";
import { type FloatTensor, float32, sizeOf, toFloat32 } from "../common/tensor.js";
import { compilePortable } from "../compile/compile.js";
import type { TransformSpec } from "../data/types.js";
import { constant, input, makeGraph } from "../graph/build.js";
import type { Model } from "../models/types.js";
import type { Executor } from "../runtime/types.js";

/** Rounding in single precision, in another order where batch norm was folded; relative to the largest logit, or to 1. */
const exportTolerance = 1e-3;

/**
 * Runs an exported file and the network that it was made of on random images.
 * @param executor one that runs ONNX files as they are
 * @returns the largest difference of two logits, relative to the largest logit or to 1
 * @throws {RuntimeError} the file does not run, or the difference is above `exportTolerance`
 */
export async function checkExport(
  bytes: Uint8Array,
  model: Model,
  { transform, executor }: { readonly transform: TransformSpec; readonly executor: Executor },
): Promise<number> {
  const shape = [1, transform.channels, ...transform.size];
  const random = new Random(0, "export");
  const images = float32(
    shape,
    Float32Array.from({ length: sizeOf(shape) }, () => random.normal()),
  );
  const x = input("x", "float32", shape);
  const values = new Map([...model.weights].map(([name, t]) => [name, constant(t, name)]));
  const { logits } = model.forward((name) => values.get(name)!, x, { batchNorm: "running" }); // a model has weights for all it reads
  const own = compilePortable(makeGraph(model.name, { x }, { logits }));
  const run = async (file: Uint8Array): Promise<FloatTensor> => {
    const program = await executor.load({ ...own, bytes: file });
    try {
      const result = (await program.run({ x: images }))["logits"];
      if (result === undefined) throw new RuntimeError(model.name, { problem: "the exported network has no logits" });
      return toFloat32(result);
    } finally {
      await program.close();
    }
  };
  const [ours, theirs] = [(await run(own.bytes)).data, (await run(bytes)).data];
  const largest = ours.reduce((m, v) => Math.max(m, Math.abs(v)), 1);
  const error = ours.reduce((m, v, i) => Math.max(m, Math.abs(v - (theirs[i] ?? Number.NaN))), 0) / largest;
  if (!(error <= exportTolerance)) {
    throw new RuntimeError(model.name, {
      problem: "the exported network gives other logits than the trained one",
      expected: `differences up to ${exportTolerance}`,
      got: String(error),
      hint: "export it without --fold-batch-norm, and report this",
    });
  }
  return error;
}
