/** @file Batches made by threads while the calling one computes or is blocked; the same bits for any number of threads. */
import { UsageError } from "../common/errors.js";
import type { Platform, Thread, ThreadHandler, Threads } from "../platform/types.js";
import { type BatchReply, createHandler, type OpenMessage } from "./prepare.js";
import { isStored, makeStore, type Store, storeBytes, storeKey } from "./store.js";
import { createTransform } from "./transforms.js";
import type { Batch, Dataset, PixelSource, RawImage, TransformSpec } from "./types.js";

export interface PreparerOptions {
  /** Reads image files and has the threads; without it everything runs here, over images that `dataset.image` gives. */
  readonly platform?: Platform;
  /** Number of threads; 0 (the default) prepares in the calling thread. */
  readonly workers?: number;
  /** Limit of resized images kept in shared memory, in bytes over all data sets; default 2 GiB. Memory is taken as it is filled. */
  readonly cacheBytes?: number;
}

/** One data set under one transform. */
export interface BatchSource {
  /**
   * The images in this order. Requests run at once as far as there are threads, and may be made ahead.
   *
   * @param epoch keys the random numbers of the augmentation, with seed and image; one for all or one for each image
   * @throws {FileError} an image that cannot be read; @throws {DataError} one that does not fit the network
   */
  batch(indices: Uint32Array, epoch: number | Uint32Array): Promise<Batch>;
  close(): void;
}

export interface Preparer {
  readonly workers: number;
  /** @throws {UsageError} a transform that makes no sense; @throws {DataError} images that cannot be fed to the network */
  source(dataset: Dataset, transform: TransformSpec, seed: number): BatchSource;
  /** Closes its sources. The threads stay for the next preparer and do not keep the process alive. */
  close(): void;
}

/** One place where batches are made: a thread, or the calling one. */
interface Place {
  readonly call: (message: unknown) => Promise<unknown>;
  /** Tells it of a source, unless it knows it; a thread that was started again knows nothing. */
  readonly tell: (source: OpenMessage) => void;
  readonly forget: (id: number) => void;
  /** Batches that are under way. */
  busy: number;
}

const maxWorkers = 64;

/** Threads by platform: they start once and serve all preparers. */
const threadsOf = new WeakMap<Threads, Thread[]>();
/** Resized images by data set, so that folds, training and evaluation share them. */
const storesOf = new WeakMap<Dataset, Map<string, Store | null>>();
let lastId = 0;

/** @throws {UsageError} workers out of range */
export function openPreparer(options: PreparerOptions = {}): Preparer {
  const { platform, workers = 0 } = options;
  if (!Number.isInteger(workers) || workers < 0 || workers > maxWorkers) {
    throw new UsageError("workers", {
      problem: "is out of range",
      expected: `a whole number from 0 to ${maxWorkers}`,
      got: String(workers),
    });
  }
  const threads = platform?.threads;
  const places =
    threads === undefined || workers === 0
      ? [here(platform)]
      : Array.from({ length: workers }, (_, i) => there(threads, i));
  let cacheLeft = options.cacheBytes ?? 2 ** 31;
  const sources = new Set<BatchSource>();

  const storeFor = (dataset: Dataset, spec: TransformSpec): Store | null => {
    if (keepsSize(dataset.pixels, spec)) return null;
    const stores = storesOf.get(dataset) ?? new Map<string, Store | null>();
    storesOf.set(dataset, stores);
    let store = stores.get(storeKey(spec));
    if (store === undefined) {
      store = makeStore(dataset, spec, cacheLeft);
      cacheLeft -= Math.min(cacheLeft, storeBytes(dataset, spec));
      stores.set(storeKey(spec), store);
    }
    return store;
  };

  return {
    workers: threads === undefined ? 0 : workers,
    source(dataset, spec, seed) {
      checkImages(dataset, spec);
      const pixels = dataset.pixels?.kind === "files" && platform === undefined ? null : (dataset.pixels ?? null);
      const open: OpenMessage = { type: "open", id: ++lastId, spec, seed, pixels, store: storeFor(dataset, spec) };
      const source = openSource(dataset, open, places, () => sources.delete(source));
      sources.add(source);
      return source;
    },
    close() {
      for (const source of [...sources]) source.close();
    },
  };
}

function openSource(dataset: Dataset, open: OpenMessage, places: readonly Place[], forget: () => void): BatchSource {
  const { id, spec, store } = open;
  return {
    async batch(indices, epoch) {
      const images = open.pixels === null ? await imagesOf(dataset, indices, store) : null;
      const place = places.reduce((best, p) => (p.busy < best.busy ? p : best));
      place.busy++;
      try {
        place.tell(open);
        // The handler answers a batch message with a BatchReply.
        const { x } = (await place.call({ type: "batch", id, indices, epoch, images })) as BatchReply;
        const y = Uint32Array.from(indices, (i) => dataset.labels[i] ?? 0);
        return { x, shape: [indices.length, spec.channels, ...spec.size], y, indices };
      } finally {
        place.busy--;
      }
    },
    close() {
      forget();
      for (const place of places) place.forget(id);
    },
  };
}

/** A place whose messages go to `target`, asked anew each time: it may have been started again. */
function placeAt(target: () => { call(message: unknown): Promise<unknown> }): Place {
  let knowing: unknown = null;
  const known = new Set<number>();
  const send = (message: unknown) => target().call(message);
  return {
    call: send,
    tell(open) {
      if (knowing !== target()) known.clear();
      knowing = target();
      if (known.has(open.id)) return;
      known.add(open.id);
      // Not awaited: messages arrive in order, and a thread that failed fails the batch as well.
      send(open).catch(() => {});
    },
    forget(id) {
      if (known.delete(id)) send({ type: "close", id }).catch(() => {});
    },
    busy: 0,
  };
}

/** The calling thread. */
function here(platform: Platform | undefined): Place {
  const handle: ThreadHandler = createHandler(platform);
  const target = { call: async (message: unknown) => (await handle(message)).value };
  return placeAt(() => target);
}

/** Thread number i of a platform, started when it is first needed and again when it has died. */
function there(threads: Threads, i: number): Place {
  const running = threadsOf.get(threads) ?? [];
  threadsOf.set(threads, running);
  return placeAt(() => {
    let thread = running[i];
    if (thread?.alive !== true) {
      thread = threads.start(new URL("./prepare.js", import.meta.url));
      running[i] = thread;
    }
    return thread;
  });
}

/** Where the images have the network's size already, resizing is a copy: nothing is gained by keeping it. */
function keepsSize(pixels: PixelSource | undefined, { size, colorToGrey }: TransformSpec): boolean {
  if (pixels?.kind !== "blocks" || colorToGrey !== undefined) return false;
  return pixels.blocks.every((b) => b.height === size[0] && b.width === size[1] && b.layout === "planar");
}

/** Refuses at once what every image would be refused for. @throws {DataError} channels or volumes that do not fit the network */
export function checkImages({ imageShape, name }: Dataset, spec: TransformSpec): void {
  const { channels, depth, height, width } = imageShape;
  const one: RawImage = { channels, height: 1, width: 1, data: new Uint8Array(channels) };
  const volume = { depth: depth ?? 1, height: height ?? 1, width: width ?? 1 }; // refused before its pixels are read
  createTransform(spec).resize(depth === undefined ? one : { ...one, ...volume }, name);
}

/** Images for a thread that cannot find them itself; null for those that are in the store. */
async function imagesOf(dataset: Dataset, indices: Uint32Array, store: Store | null) {
  return Promise.all(
    Array.from(indices, async (index) => {
      if (store !== null && isStored(store, index)) return null;
      const image = await dataset.image(index);
      return { image: { ...image, data: own(image.data) }, name: dataset.imageName(index) };
    }),
  );
}

/** A view of a larger buffer is copied out, because sending it would copy the whole buffer. */
const own = (data: RawImage["data"]): RawImage["data"] =>
  data.byteLength === data.buffer.byteLength || !(data.buffer instanceof ArrayBuffer) ? data : data.slice();
