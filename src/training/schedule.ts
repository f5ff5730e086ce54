/** @file Which images a step sees: a pure function of seed and step, so that nothing random has to be saved to resume. */
import { TrainingError, UsageError } from "../common/errors.js";
import { Random } from "../common/random.js";
import type { Split } from "../data/types.js";

export interface ScheduleOptions {
  readonly batchSize: number;
  readonly seed: number;
  readonly metaBatches: "stream" | "first" | "balanced";
  /** No group (patient, video) of a step's training batch is in its validation batch; needs `groups`. Default false. */
  readonly metaDisjoint?: boolean;
  /** Class of every image of the data set; for "balanced". */
  readonly labels?: Uint32Array;
  /** Group of every image of the data set. */
  readonly groups?: readonly string[] | null;
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
   * through; "first": the first ones in stored order, always; "balanced": drawn anew for each step, all classes equally often.
   * @throws {TrainingError} disjoint by group from the training batch, and no image is left
   */
  meta(step: number): Uint32Array {
    const { meta } = this.split;
    const { metaBatches, metaDisjoint = false } = this.options;
    if (metaBatches === "balanced" || metaDisjoint) return this.drawn(step, metaBatches === "balanced", metaDisjoint);
    if (metaBatches === "first") return meta.slice(0, this.metaBatch);
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

  /** A validation batch of the step's own: classes in turn where balanced, groups of the training batch left out where disjoint. */
  private drawn(step: number, balanced: boolean, disjoint: boolean): Uint32Array {
    const { labels, groups, seed } = this.options;
    const seen = new Set(disjoint ? Array.from(this.train(step), (i) => groups?.[i]) : []);
    const queues = new Map<number, number[]>();
    for (const at of new Random(seed, "meta", step).permutation(this.split.meta.length)) {
      const image = this.split.meta[at]!; // a permutation of its places
      if (disjoint && seen.has(groups?.[image])) continue;
      const label = balanced ? (labels?.[image] ?? 0) : 0;
      const queue = queues.get(label);
      if (queue) queue.push(image);
      else queues.set(label, [image]);
    }
    const classes = [...queues.keys()].sort((a, b) => a - b).map((label) => queues.get(label) ?? []);
    if (classes.length === 0) {
      throw new TrainingError(`step ${step}`, {
        problem: "every validation image is of a group that is in the training batch, too",
        hint: "hold out a part for the learning rates (--meta-data split), or use smaller batches",
      });
    }
    return Uint32Array.from({ length: this.metaBatch }, (_, i) => {
      const queue = classes[(i + step) % classes.length] ?? [];
      return queue[Math.floor(i / classes.length) % queue.length] ?? 0; // queues are not empty; small ones begin again
    });
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
