/** @file Which images a step sees: a pure function of seed and step, so that nothing random has to be saved to resume. */
import { UsageError } from "../common/errors.js";
import { Random } from "../common/random.js";
import type { Split } from "../data/types.js";

export interface ScheduleOptions {
  readonly batchSize: number;
  readonly seed: number;
  readonly metaBatches: "stream" | "first";
}

/** The batches of a run by step, counted from 1. */
export class Schedule {
  /** Images of a full training batch, and of the last one of an epoch. */
  readonly batch: number;
  readonly lastBatch: number;
  readonly stepsPerEpoch: number;
  /** Images of a validation batch of MetaLR: as a training batch, at most all of `meta`; 0 where there are none. */
  readonly metaBatch: number;
  /** Images that no step of an epoch sees: 1 where the last batch would be one image alone, else 0. */
  readonly leftOut: number;
  private readonly orders = { train: new Map<number, Uint32Array>(), meta: new Map<number, Uint32Array>() };

  /** @throws {UsageError} no training images */
  constructor(
    private readonly split: Pick<Split, "train" | "meta">,
    private readonly options: ScheduleOptions,
  ) {
    const { batchSize } = options;
    const n = split.train.length;
    if (n === 0) throw new UsageError("training", { problem: "there are no training images" });
    this.batch = Math.min(batchSize, n);
    const rest = n % this.batch;
    // Batch statistics of one image whose maps have shrunk to one pixel are no statistics (PyTorch refuses them).
    this.leftOut = rest === 1 && this.batch > 1 ? 1 : 0;
    this.stepsPerEpoch = Math.floor(n / this.batch) + (rest > this.leftOut ? 1 : 0);
    this.lastBatch = rest > this.leftOut ? rest : this.batch;
    this.metaBatch = Math.min(batchSize, split.meta.length);
  }

  /** Epoch of a step, and its place in it; all from 1. */
  placeOf(step: number): { readonly epoch: number; readonly stepInEpoch: number } {
    return {
      epoch: Math.floor((step - 1) / this.stepsPerEpoch) + 1,
      stepInEpoch: ((step - 1) % this.stepsPerEpoch) + 1,
    };
  }

  /** Training images of a step: every image once an epoch, in an order of the epoch's own. */
  train(step: number): Uint32Array {
    const { epoch, stepInEpoch } = this.placeOf(step);
    const order = this.order("train", epoch, this.split.train);
    const from = (stepInEpoch - 1) * this.batch;
    const size = stepInEpoch === this.stepsPerEpoch ? this.lastBatch : this.batch;
    return order.slice(from, from + size);
  }

  /**
   * Validation images of a step. "stream": the next ones of an endless stream that shuffles `meta` anew each time it has been
   * through; "first": the first ones in stored order, always.
   */
  meta(step: number): Uint32Array {
    const { meta } = this.split;
    if (this.options.metaBatches === "first") return meta.slice(0, this.metaBatch);
    const out = new Uint32Array(this.metaBatch);
    let at = (step - 1) * this.metaBatch;
    for (let i = 0; i < out.length; ) {
      const order = this.order("meta", Math.floor(at / meta.length) + 1, meta);
      const part = order.subarray(at % meta.length, (at % meta.length) + out.length - i);
      out.set(part, i);
      i += part.length;
      at += part.length;
    }
    return out;
  }

  /** The images in the order of one pass; those of the last two passes are kept. */
  private order(part: "train" | "meta", pass: number, images: Uint32Array): Uint32Array {
    const known = this.orders[part];
    let order = known.get(pass);
    if (!order) {
      order = new Random(this.options.seed, "shuffle", part, pass).permutation(images.length);
      for (let i = 0; i < order.length; i++) order[i] = images[order[i]!]!; // a permutation of images' places
      known.set(pass, order);
      for (const old of known.keys()) if (known.size > 2) known.delete(old);
    }
    return order;
  }
}
