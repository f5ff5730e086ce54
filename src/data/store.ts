/** @file Resized images in memory that all threads share: what is the same in every epoch is done once. */
import { type PixelArray, pixelView, sharedMemory } from "./pixels.js";
import type { ResizedImage } from "./transforms.js";
import type { Dataset, TransformSpec } from "./types.js";

/** One slot for each image, the first `slots` of the data set; plain data, so that a thread can be given it. */
export interface Store {
  readonly pixels: SharedArrayBuffer | ArrayBuffer;
  /** Int32 for each slot: 0 empty, 1 being written, else 2 + 4·channels + white's number. */
  readonly states: SharedArrayBuffer | ArrayBuffer;
  readonly slots: number;
  readonly slotBytes: number;
}

const whites = [255, 65535, 1] as const;
const whiteNumber = (white: number): number => (white === 255 ? 0 : white === 65535 ? 1 : 2);
const empty = 0;
const writing = 1;

/** Elements of a slot and their size. */
function slotOf(
  { imageShape }: Dataset,
  { size, channels, colorToGrey }: TransformSpec,
): { length: number; bytes: number } {
  const stored = imageShape.channels === 1 || (channels === 1 && colorToGrey !== undefined) ? 1 : channels;
  return { length: stored * size[0] * size[1], bytes: imageShape.type === "uint8" ? 1 : 4 };
}

/** Two transforms with the same key resize alike. */
export const storeKey = ({ size, channels, colorToGrey }: TransformSpec): string =>
  `${size.join("×")} ${channels} ${colorToGrey ?? ""}`;

/** Bytes that a store for all images takes. */
export function storeBytes(dataset: Dataset, spec: TransformSpec): number {
  const { length, bytes } = slotOf(dataset, spec);
  return dataset.count * (slotBytes(length * bytes) + 4);
}

/** Slots begin at multiples of 4 bytes, for float pixels. */
const slotBytes = (bytes: number): number => Math.ceil(bytes / 4) * 4;

/** A store for as many images as fit into `maxBytes`; null where none does. The system gives the memory only as it is written. */
export function makeStore(dataset: Dataset, spec: TransformSpec, maxBytes: number): Store | null {
  const { length, bytes } = slotOf(dataset, spec);
  const size = slotBytes(length * bytes);
  const slots = Math.min(dataset.count, Math.floor(maxBytes / (size + 4)));
  if (slots === 0) return null;
  try {
    return { pixels: sharedMemory(slots * size), states: sharedMemory(slots * 4), slots, slotBytes: size };
  } catch (error) {
    if (error instanceof RangeError) return null; // no such piece of memory: then without
    throw error;
  }
}

/** The resized image, where some thread has put it. A view: not to be written. */
export function fromStore(store: Store, index: number, plane: number): ResizedImage | null {
  if (index >= store.slots) return null;
  const state = Atomics.load(new Int32Array(store.states), index);
  if (state < 2) return null;
  const channels = (state - 2) >> 2;
  const white = whites[(state - 2) & 3] ?? 1;
  const type = white === 255 ? "uint8" : "float32";
  return {
    channels,
    white,
    data: floatOrBytes(pixelView(type, store.pixels, index * store.slotBytes, channels * plane)),
  };
}

/** Type "uint8" gives bytes, "float32" floats; 16-bit pixels are floats once resized. */
const floatOrBytes = (data: PixelArray): Uint8Array | Float32Array =>
  data instanceof Uint16Array ? Float32Array.from(data) : data;

/** True where the image is there already. */
export const isStored = (store: Store, index: number): boolean =>
  index < store.slots && Atomics.load(new Int32Array(store.states), index) >= 2;

/** Keeps an image for all threads. One thread writes, others that come at the same time go on without; an image larger than a slot is not kept. */
export function intoStore(store: Store, index: number, image: ResizedImage): void {
  const { data, channels, white } = image;
  if (index >= store.slots || data.byteLength > store.slotBytes) return;
  const states = new Int32Array(store.states);
  if (Atomics.compareExchange(states, index, empty, writing) !== empty) return;
  new Uint8Array(store.pixels, index * store.slotBytes, data.byteLength).set(
    new Uint8Array(data.buffer, data.byteOffset, data.byteLength),
  );
  Atomics.store(states, index, 2 + 4 * channels + whiteNumber(white));
}
