/** @file The batches of an epoch, and an endless stream of batches: any of them by its number, so that a resumed run goes on exactly. */
import { InternalError, UsageError } from "../common/errors.js";
import { Random } from "../common/random.js";
import type { BatchSource, Preparer } from "./preparer.js";
import type { Batch, Dataset, TransformSpec } from "./types.js";

export interface BatchOptions {
  readonly preparer: Preparer;
  readonly transform: TransformSpec;
  /** Images to go through. */
  readonly indices: Uint32Array;
  readonly batchSize: number;
  readonly seed: number;
  /** Name of the random stream, so that two sets of batches of one run are shuffled differently: "train". */
  readonly stream: string;
  /** "shuffled" anew each epoch by (seed, stream, epoch), or "sequential", as in `indices`; default shuffled. */
  readonly order?: "shuffled" | "sequential";
  /** Leaves out the last batch of an epoch where it is not full; default false. */
  readonly dropLast?: boolean;
  /** Batches made ahead; default 2, or twice the preparer's threads if that is more; without threads nothing is made ahead. */
  readonly prefetch?: number;
}

export interface Batches {
  readonly batchesPerEpoch: number;
  /** The batches of an epoch, from number `from` (0 …) on; nothing is done for those before it. */
  epoch(epoch: number, from?: number): AsyncGenerator<Batch, void, undefined>;
  close(): void;
}

export interface BatchStream {
  /** Images in every batch: batchSize, at most all of them. */
  readonly batchSize: number;
  /** Batch t = 0, 1, …; asking for them in turn finds them made ahead. */
  batchAt(t: number): Promise<Batch>;
  close(): void;
}

/** Images of a batch and the epoch that keys their augmentation. */
interface Request {
  readonly indices: Uint32Array;
  readonly epoch: number | Uint32Array;
}

/**
 * Batches of whole epochs. Augmentation is keyed by (seed, "augment", epoch, image): neither order, threads nor resuming change it.
 *
 * @throws {UsageError} no images, batch size below 1
 */
export function openBatches(dataset: Dataset, options: BatchOptions): Batches {
  const { indices, batchSize, order, dropLast } = options;
  check(dataset, options);
  const full = Math.floor(indices.length / batchSize);
  const count = dropLast === true ? full : Math.ceil(indices.length / batchSize);
  if (count === 0) {
    throw new UsageError("batch size", {
      problem: "is larger than the number of images, and incomplete batches are left out",
      expected: `at most ${indices.length}`,
      got: String(batchSize),
    });
  }
  const source = options.preparer.source(dataset, options.transform, options.seed);
  const orderOf = shuffles(options);
  const request = (t: number): Request => {
    const epoch = Math.floor(t / count);
    const at = (t - epoch * count) * batchSize;
    const all = order === "sequential" ? indices : orderOf(epoch);
    return { indices: all.slice(at, at + batchSize), epoch };
  };
  const ahead = new Ahead(source, request, aheadOf(options));
  return {
    batchesPerEpoch: count,
    async *epoch(epoch, from = 0) {
      // An epoch in order is one of evaluation: nothing follows it.
      const end = order === "sequential" ? (epoch + 1) * count : Number.POSITIVE_INFINITY;
      for (let k = from; k < count; k++) yield await ahead.get(epoch * count + k, end);
    },
    close: () => source.close(),
  };
}

/**
 * Batches without end: the images shuffled, anew at each pass, a batch going over the end of a pass into the next, so that
 * all have the same size. With `order: "sequential"` every batch is the first one (what the released program does).
 *
 * @throws {UsageError} no images, batch size below 1
 */
export function openStream(dataset: Dataset, options: Omit<BatchOptions, "dropLast">): BatchStream {
  check(dataset, options);
  const { indices, order } = options;
  const source = options.preparer.source(dataset, options.transform, options.seed);
  const batchSize = Math.min(options.batchSize, indices.length);
  const close = () => source.close();
  if (order === "sequential") {
    let first: Promise<Batch> | null = null;
    return {
      batchSize,
      batchAt() {
        first ??= source.batch(indices.slice(0, batchSize), 0);
        return first;
      },
      close,
    };
  }
  const orderOf = shuffles(options);
  const request = (t: number): Request => {
    const chosen = new Uint32Array(batchSize);
    const passes = new Uint32Array(batchSize);
    for (let i = 0; i < batchSize; i++) {
      const at = t * batchSize + i;
      const pass = Math.floor(at / indices.length);
      passes[i] = pass;
      chosen[i] = orderOf(pass)[at - pass * indices.length]!; // below the length
    }
    return { indices: chosen, epoch: passes };
  };
  const ahead = new Ahead(source, request, aheadOf(options));
  return { batchSize, batchAt: (t) => ahead.get(t, Number.POSITIVE_INFINITY), close };
}

const aheadOf = ({ prefetch, preparer }: BatchOptions): number =>
  preparer.workers === 0 ? 0 : (prefetch ?? Math.max(2, 2 * preparer.workers));

/** The images in the order of a pass; the last two orders are kept. */
function shuffles({ indices, seed, stream }: BatchOptions): (pass: number) => Uint32Array {
  const kept = new Map<number, Uint32Array>();
  return (pass) => {
    let order = kept.get(pass);
    if (order === undefined) {
      order = new Random(seed, stream, pass).permutation(indices.length).map((i) => indices[i]!); // a permutation of the places
      kept.set(pass, order);
      for (const old of kept.keys()) if (kept.size > 2) kept.delete(old);
    }
    return order;
  };
}

/** Batches by number, with the next ones already under way. */
class Ahead {
  private readonly started = new Map<number, Promise<Batch>>();

  constructor(
    private readonly source: BatchSource,
    private readonly request: (t: number) => Request,
    private readonly depth: number,
  ) {}

  get(t: number, end: number): Promise<Batch> {
    const batch = this.started.get(t) ?? this.start(t);
    this.started.delete(t);
    // What was made ahead of another place is not wanted any more.
    for (const other of this.started.keys()) if (other < t || other > t + this.depth) this.started.delete(other);
    for (let next = t + 1; next <= t + this.depth && next < end; next++) {
      if (!this.started.has(next)) this.started.set(next, this.start(next));
    }
    return batch;
  }

  private start(t: number): Promise<Batch> {
    const { indices, epoch } = this.request(t);
    if (indices.length === 0) throw new InternalError(`batch ${t} has no images`);
    const batch = this.source.batch(indices, epoch);
    batch.catch(() => {}); // told to who asks for it; until then it is not unhandled
    return batch;
  }
}

function check(dataset: Dataset, { indices, batchSize }: BatchOptions): void {
  if (!Number.isInteger(batchSize) || batchSize < 1) {
    throw new UsageError("batch size", {
      problem: "is out of range",
      expected: "a whole number from 1",
      got: String(batchSize),
    });
  }
  if (indices.length === 0) throw new UsageError("batches", { problem: "there are no images to make batches of" });
  for (const i of indices) if (i >= dataset.count) throw new InternalError(`image ${i} of ${dataset.count}`);
}
