/** @file What makes batches, in a thread or in the calling one: load, resize (once), crop, flip, normalise. */
import { InternalError } from "../common/errors.js";
import { Random } from "../common/random.js";
import type { ThreadHandler } from "../platform/types.js";
import { type Decoding, decodeFile } from "./decode.js";
import { imageOfBlocks } from "./pixels.js";
import { fromStore, intoStore, type Store } from "./store.js";
import { createTransform, type ResizedImage, type Transform } from "./transforms.js";
import type { PixelSource, RawImage, TransformSpec } from "./types.js";

/** One data set under one transform. */
export interface OpenMessage {
  readonly type: "open";
  readonly id: number;
  readonly spec: TransformSpec;
  readonly seed: number;
  /** null: the images come with each batch. */
  readonly pixels: PixelSource | null;
  readonly store: Store | null;
}

export interface BatchMessage {
  readonly type: "batch";
  readonly id: number;
  readonly indices: Uint32Array;
  /** Epoch of each image, for its random numbers; one for all as a number. */
  readonly epoch: number | Uint32Array;
  /** Images and their names where `pixels` is null; null for an image that is in the store. */
  readonly images: readonly ({ readonly image: RawImage; readonly name: string } | null)[] | null;
}

export interface CloseMessage {
  readonly type: "close";
  readonly id: number;
}

/** float32 [n, channels, height, width]. */
export interface BatchReply {
  readonly x: Float32Array<ArrayBuffer>;
}

interface Opened {
  readonly message: OpenMessage;
  readonly transform: Transform;
  /** Memory for one resized image, used again and again where nothing is kept. */
  spare: Uint8Array | Float32Array | undefined;
}

/** Files that are read and decoded ahead of the one whose turn it is. */
const lookAhead = 8;

/** Runs in every thread; `ThreadModule` of the platform. */
export function createHandler(platform: Decoding | undefined): ThreadHandler {
  const opened = new Map<number, Opened>();
  return async (message) => {
    // The messages are ours: preparer.ts sends nothing else.
    const request = message as OpenMessage | BatchMessage | CloseMessage;
    if (request.type === "open") {
      opened.set(request.id, { message: request, transform: createTransform(request.spec), spare: undefined });
      return { value: null, transfer: [] };
    }
    if (request.type === "close") {
      opened.delete(request.id);
      return { value: null, transfer: [] };
    }
    const source = opened.get(request.id);
    if (source === undefined) throw new InternalError(`batch of source ${request.id}, which is not open`);
    const x = await prepareBatch(source, request, platform);
    return { value: { x } satisfies BatchReply, transfer: [x.buffer] };
  };
}

async function prepareBatch(
  source: Opened,
  request: BatchMessage,
  platform: Decoding | undefined,
): Promise<Float32Array<ArrayBuffer>> {
  const { transform, message } = source;
  const { indices, epoch } = request;
  const x = new Float32Array(indices.length * transform.length);
  const files = message.pixels?.kind === "files" ? decodeAhead(indices, message, platform) : null;
  for (const [n, index] of indices.entries()) {
    const found = stored(source, index);
    const decoded = files === null ? null : await files(n);
    const image =
      found ?? keep(source, index, decoded ?? rawImage(message.pixels, request, n), nameOf(request, message, n));
    const at = typeof epoch === "number" ? epoch : (epoch[n] ?? 0);
    const draw =
      message.spec.augment === null
        ? { crop: null, flip: false }
        : transform.draw(new Random(message.seed, "augment", at, index));
    transform.finish(image, draw, x, n * transform.length);
  }
  return x;
}

function stored({ message }: Opened, index: number): ResizedImage | null {
  if (message.store === null) return null;
  return fromStore(message.store, index, message.spec.size[0] * message.spec.size[1]);
}

/** Resizes, and puts the result where all threads find it. */
function keep(source: Opened, index: number, raw: RawImage, name: string): ResizedImage {
  const image = source.transform.resize(raw, name, source.spare);
  source.spare = image.data;
  if (source.message.store !== null) intoStore(source.message.store, index, image);
  return image;
}

/** An image from memory, or one that came with the request. */
function rawImage(pixels: PixelSource | null, { indices, images }: BatchMessage, n: number): RawImage {
  const index = indices[n] ?? -1; // n is below the length
  if (pixels?.kind === "blocks") return imageOfBlocks(pixels.blocks, index);
  const sent = images?.[n];
  if (sent === undefined || sent === null) throw new InternalError(`image ${index} was neither sent nor stored`);
  return sent.image;
}

const nameOf = ({ indices, images }: BatchMessage, { pixels }: OpenMessage, n: number): string => {
  const index = indices[n] ?? -1;
  return images?.[n]?.name ?? (pixels?.kind === "files" ? pixels.paths[index] : undefined) ?? `image ${index}`;
};

/** Decodes the files of a batch a few ahead; what the store has is not read. The answer for n drops what was before it. */
function decodeAhead(
  indices: Uint32Array,
  { pixels, store, spec }: OpenMessage,
  platform: Decoding | undefined,
): (n: number) => Promise<RawImage | null> {
  const paths = pixels?.kind === "files" ? pixels.paths : [];
  const plane = spec.size[0] * spec.size[1];
  const running = new Map<number, Promise<RawImage>>();
  let started = 0;
  return async (n) => {
    for (; started < Math.min(indices.length, n + lookAhead); started++) {
      const index = indices[started] ?? -1; // below the length
      if (store !== null && fromStore(store, index, plane) !== null) continue;
      if (platform === undefined) throw new InternalError("files need a platform to read them");
      const image = decodeFile(paths[index] ?? "", platform);
      image.catch(() => {}); // told when its turn comes; until then it is not unhandled
      running.set(started, image);
    }
    const image = running.get(n);
    running.delete(n);
    return image === undefined ? null : image;
  };
}
