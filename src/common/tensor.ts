/** @file Host tensors: plain data with a dtype and a shape, in C order. */
import { ShapeError } from "./errors.js";

export type Shape = readonly number[];

/** The arrays that hold each dtype. bool is one byte, 0 or 1. */
export interface DataOf {
  float32: Float32Array;
  float64: Float64Array;
  int8: Int8Array;
  int16: Int16Array;
  int32: Int32Array;
  int64: BigInt64Array;
  uint8: Uint8Array;
  uint16: Uint16Array;
  uint32: Uint32Array;
  uint64: BigUint64Array;
  bool: Uint8Array;
}

export type DType = keyof DataOf;

/** `data.length` is the product of `shape`; a scalar has shape []. */
export interface TensorOf<D extends DType> {
  readonly dtype: D;
  readonly shape: Shape;
  readonly data: DataOf[D];
}

export type Tensor = { [D in DType]: TensorOf<D> }[DType];
export type FloatTensor = TensorOf<"float32">;

/** Constructor of each dtype's array. */
export const arrayTypes = {
  float32: Float32Array,
  float64: Float64Array,
  int8: Int8Array,
  int16: Int16Array,
  int32: Int32Array,
  int64: BigInt64Array,
  uint8: Uint8Array,
  uint16: Uint16Array,
  uint32: Uint32Array,
  uint64: BigUint64Array,
  bool: Uint8Array,
} as const;

export const bytesPerElement = (dtype: DType): number => arrayTypes[dtype].BYTES_PER_ELEMENT;

/** Number of elements of a shape; 1 for a scalar. */
export const sizeOf = (shape: Shape): number => shape.reduce((n, d) => n * d, 1);

export const formatShape = (shape: Shape): string => `[${shape.join(",")}]`;

export const sameShape = (a: Shape, b: Shape): boolean => a.length === b.length && a.every((d, i) => d === b[i]);

/** A checked tensor. @throws {ShapeError} when the data's length is not the product of the shape */
export function tensor<D extends DType>(dtype: D, shape: Shape, data: DataOf[D]): TensorOf<D> {
  if (data.length !== sizeOf(shape)) {
    throw new ShapeError("tensor", {
      problem: "data does not fill the shape",
      expected: `${sizeOf(shape)} elements for ${formatShape(shape)}`,
      got: String(data.length),
    });
  }
  return { dtype, shape, data };
}

export const float32 = (shape: Shape, data: Float32Array | readonly number[]): FloatTensor =>
  tensor("float32", shape, data instanceof Float32Array ? data : Float32Array.from(data));

export const int64 = (shape: Shape, data: readonly number[]): TensorOf<"int64"> =>
  tensor("int64", shape, BigInt64Array.from(data, BigInt));

/** A new tensor of zeros. */
export function zeros<D extends DType>(dtype: D, shape: Shape): TensorOf<D> {
  // The constructor of dtype D makes exactly DataOf[D]; TypeScript cannot follow the lookup.
  return { dtype, shape, data: new arrayTypes[dtype](sizeOf(shape)) as DataOf[D] };
}

/** A float32 copy of any numeric tensor (int64 loses precision beyond 2^53). */
export function toFloat32(t: Tensor): FloatTensor {
  if (t.dtype === "float32") return t;
  const data = new Float32Array(t.data.length);
  for (let i = 0; i < data.length; i++) data[i] = Number(t.data[i]);
  return { dtype: "float32", shape: t.shape, data };
}
