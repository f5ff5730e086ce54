/** @file The safetensors format: a JSON header and raw little-endian tensors. */

import { InternalError } from "../common/errors.js";
import type { Tensor } from "../common/tensor.js";
import type { ByteSource } from "../platform/types.js";

export interface Safetensors {
  readonly tensors: Map<string, Tensor>;
  readonly metadata: Readonly<Record<string, string>>;
}

/** F16 and BF16 are widened to float32. @throws {FileError} a header that does not hold together, an unknown dtype */
export async function readSafetensors(_source: ByteSource): Promise<Safetensors> {
  throw new InternalError("readSafetensors is not written yet");
}

/** Deterministic: sorted by size of element (largest first, so that all are aligned), then by name. */
export function encodeSafetensors(
  _tensors: ReadonlyMap<string, Tensor>,
  _metadata?: Readonly<Record<string, string>>,
): Uint8Array {
  throw new InternalError("encodeSafetensors is not written yet");
}
