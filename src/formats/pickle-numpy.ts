/** @file NumPy's part of the pickle format: arrays, scalars and dtypes as tensors and plain values. */

import { InternalError } from "../common/errors.js";
import type { Tensor } from "../common/tensor.js";

/**
 * A pickle's content as plain data: lists and tuples are arrays, dictionaries are Maps, sets are Sets, bytes are Uint8Array.
 * Numeric ndarrays are tensors in C order (float16 widened to float32); object and string ndarrays are nested arrays by their shape.
 * NumPy scalars are numbers (bigint beyond 2^53).
 */
export type PlainValue =
  | null
  | boolean
  | number
  | bigint
  | string
  | Uint8Array
  | Tensor
  | readonly PlainValue[]
  | ReadonlyMap<PlainValue, PlainValue>
  | ReadonlySet<PlainValue>;

/** Protocols 0 to 5, NumPy 1 and 2. Tensors may be views of `bytes`. @throws {FileError} damaged, truncated, a refused global */
export function readNumpyPickle(_bytes: Uint8Array, _name: string): PlainValue {
  throw new InternalError("readNumpyPickle is not written yet");
}

export function isTensor(value: PlainValue): value is Tensor {
  return typeof value === "object" && value !== null && "dtype" in value;
}
