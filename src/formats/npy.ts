/** @file NumPy's .npy files: one array, any numeric dtype, byte order and memory order. */

import { InternalError } from "../common/errors.js";
import type { Tensor } from "../common/tensor.js";

/** Versions 1 to 3. C order comes out; float16 is widened to float32. May be a view of `bytes`. @throws {FileError} */
export function decodeNpy(_bytes: Uint8Array, _name: string): Tensor {
  throw new InternalError("decodeNpy is not written yet");
}

/** Version 1.0, little-endian, C order: readable by np.load. */
export function encodeNpy(_tensor: Tensor): Uint8Array {
  throw new InternalError("encodeNpy is not written yet");
}
