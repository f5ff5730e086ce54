/** @file NumPy's .npz files: named arrays in a zip, read one at a time. */

import { InternalError } from "../common/errors.js";
import type { Tensor } from "../common/tensor.js";
import type { ByteSource, Platform } from "../platform/types.js";

export interface Npz {
  readonly name: string;
  /** Without ".npy", in the order of the file. */
  readonly names: readonly string[];
  has(name: string): boolean;
  /** dtype and shape without reading the data. */
  info(name: string): Promise<Pick<Tensor, "dtype" | "shape">>;
  /** @throws {FileError} no such array (the names that are there are listed), damaged */
  read(name: string): Promise<Tensor>;
  close(): Promise<void>;
}

export async function openNpz(_source: ByteSource, _platform: Pick<Platform, "inflate">): Promise<Npz> {
  throw new InternalError("openNpz is not written yet");
}

/** A file that np.load reads. Deterministic: the same tensors give the same bytes. */
export function writeNpz(_tensors: ReadonlyMap<string, Tensor>, _options?: { compress?: boolean }): Uint8Array {
  throw new InternalError("writeNpz is not written yet");
}
