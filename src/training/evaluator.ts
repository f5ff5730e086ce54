/** @file Predictions of a model for any number of images: one compiled pass of a fixed batch size, the last batch padded. */
import { InternalError } from "../common/errors.js";
import { type Shape, sizeOf, type Tensor } from "../common/tensor.js";
import type { Batch } from "../data/types.js";
import { inferenceGraph } from "../methods/step.js";
import type { Model } from "../models/types.js";
import { portableFor } from "../runtime/lowering.js";
import type { Executor, Program } from "../runtime/types.js";
import { EvaluationAccumulator } from "./metrics.js";

export interface EvaluatorOptions {
  readonly executor: Executor;
  readonly model: Model;
  /** Shape of a full batch: [N, C, …]. */
  readonly batch: Shape;
}

/**
 * The evaluation pass (running statistics of batch norm) of one model, for any values of its weights. Always in the portable lowering:
 * the same weights give the same predictions however they were trained.
 */
export class Evaluator {
  private program: Promise<Program> | null = null;

  constructor(private readonly options: EvaluatorOptions) {}

  /** Images of a full batch. */
  get batchSize(): number {
    return this.options.batch[0] ?? 0;
  }

  private load(): Promise<Program> {
    const { executor, model, batch } = this.options;
    this.program ??= executor.load(portableFor(executor).compile(inferenceGraph(model, batch)), { seldom: true });
    return this.program;
  }

  /**
   * Logits [n, classes] of n images, n at most the batch size.
   * @param weights value of every parameter and buffer by name
   * @param x float32 [n, C, …], row by row
   */
  async logits(weights: ReadonlyMap<string, Tensor>, x: Float32Array, n: number): Promise<Float32Array> {
    const { batch, model } = this.options;
    const program = await this.load();
    const size = sizeOf(batch);
    if (n > this.batchSize || x.length !== (size / this.batchSize) * n) {
      throw new InternalError(`evaluation of ${n} images of ${x.length} numbers by a batch of [${batch}]`);
    }
    let data = x;
    if (n < this.batchSize) {
      data = new Float32Array(size); // images of zeros fill the batch; running statistics keep them apart from the others
      data.set(x);
    }
    const inputs: Record<string, Tensor> = { x: { dtype: "float32", shape: batch, data } };
    for (const { name } of [...model.parameters, ...model.buffers]) {
      const value = weights.get(name);
      if (!value) throw new InternalError(`evaluation has no value for "${name}"`);
      inputs[`state/model/${name}`] = value;
    }
    const { logits } = await program.run(inputs);
    if (logits?.dtype !== "float32") throw new InternalError("the evaluation pass gave no logits");
    return logits.data.subarray(0, (logits.data.length / this.batchSize) * n);
  }

  /**
   * Logits and labels of all batches in order.
   * @throws the signal's reason when it is aborted between batches
   */
  async run(
    weights: ReadonlyMap<string, Tensor>,
    batches: AsyncIterable<Batch>,
    signal?: AbortSignal,
  ): Promise<EvaluationAccumulator> {
    const all = new EvaluationAccumulator(this.options.model.classes);
    for await (const { x, y } of batches) {
      signal?.throwIfAborted();
      all.add(await this.logits(weights, x, y.length), y);
    }
    return all;
  }

  async close(): Promise<void> {
    if (this.program) await (await this.program).close();
    this.program = null;
  }
}

/** Indices in runs of at most `size`. */
export function chunks(indices: Uint32Array, size: number): Uint32Array[] {
  const out: Uint32Array[] = [];
  for (let at = 0; at < indices.length; at += size) out.push(indices.subarray(at, at + size));
  return out;
}
