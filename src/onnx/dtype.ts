/** @file ONNX's numbers for element types and attribute types, and how they map onto our dtypes. */
import type { DType } from "../common/tensor.js";
import { onnxTypeOf } from "../ops/lowering.js";

export { onnxTypeOf };

/** Half-precision types have no array in JavaScript: they are widened to float32 when they are read. */
export const FLOAT16 = 10;
export const BFLOAT16 = 16;

const dtypeOfOnnx: ReadonlyMap<number, DType> = new Map([
  // The keys of onnxTypeOf are exactly the dtypes; Object.entries widens them to string.
  ...Object.entries(onnxTypeOf).map(([dtype, code]) => [code, dtype as DType] as const),
  [FLOAT16, "float32"],
  [BFLOAT16, "float32"],
]);

/** Our dtype for a TensorProto.DataType, undefined for strings, complex, 8-bit floats and whatever comes later. */
export const dtypeFromOnnx = (code: number): DType | undefined => dtypeOfOnnx.get(code);

/** Bytes of one element in a file, which for half precision is not that of our dtype. */
export const storedBytes = (code: number): number => {
  if (code === FLOAT16 || code === BFLOAT16) return 2;
  if (code === 11 || code === 7 || code === 13) return 8;
  if (code === 1 || code === 6 || code === 12) return 4;
  return code === 4 || code === 5 ? 2 : 1;
};

const names = [
  "undefined", "float32", "uint8", "int8", "uint16", "int16", "int32", "int64", "string", "bool", "float16", "float64",
  "uint32", "uint64", "complex64", "complex128", "bfloat16", "float8e4m3fn", "float8e4m3fnuz", "float8e5m2",
  "float8e5m2fnuz", "uint4", "int4", "float4e2m1",
]; // biome-ignore format: a table by index

/** Name of a TensorProto.DataType for messages: "string (8)". */
export const onnxTypeName = (code: number): string => `${names[code] ?? "unknown"} (${code})`;

/** AttributeProto.AttributeType. */
export const attributeTypes = {
  float: 1,
  int: 2,
  string: 3,
  tensor: 4,
  graph: 5,
  floats: 6,
  ints: 7,
  strings: 8,
} as const;

/** The newest and oldest op sets of ai.onnx that are read. */
export const supportedOpsets = { min: 11, max: 21 } as const;
