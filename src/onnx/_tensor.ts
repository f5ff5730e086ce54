/** @file Tensors of an ONNX file: dims, element type and where the bytes are, checked before memory is taken. */
import { isFieldSet } from "@bufbuild/protobuf";
import { FileError } from "../common/errors.js";
import { type DType, formatShape, type Shape, type Tensor } from "../common/tensor.js";
import type { ByteSource } from "../platform/types.js";
import { BFLOAT16, dtypeFromOnnx, FLOAT16, onnxTypeName, storedBytes } from "./dtype.js";
import { type TensorProto, TensorProtoSchema } from "./onnx_pb.js";

/** Opens a file that lies beside the model; `location` is relative and stays inside the model's folder. */
export type ExternalData = (location: string) => Promise<ByteSource>;

interface Layout {
  readonly shape: Shape;
  readonly count: number;
  readonly dtype: DType;
  /** TensorProto.DataType, which tells half precision from single. */
  readonly stored: number;
  /** Bytes of the raw data. */
  readonly bytes: number;
}

/** Where a tensor is, for messages: `model.onnx: initializer "conv1.weight"`. */
const at = (file: string, what: string) => `${file}: ${what}`;

function layoutOf(t: TensorProto, file: string, what: string): Layout {
  const stored = t.dataType;
  const dtype = dtypeFromOnnx(stored);
  if (dtype === undefined) {
    throw new FileError(at(file, what), {
      problem: "element type is not supported",
      expected: "a float, integer or bool type",
      got: onnxTypeName(stored),
    });
  }
  const shape = t.dims.map(Number);
  const count = shape.reduce((n, d) => n * d, 1);
  const bytes = count * storedBytes(stored);
  if (shape.some((d) => d < 0) || !Number.isSafeInteger(bytes)) {
    throw new FileError(at(file, what), { problem: "impossible shape", got: formatShape(shape) });
  }
  return { shape, count, dtype, stored, bytes };
}

const wrongLength = (file: string, what: string, l: Layout, unit: string, expected: number, got: number) =>
  new FileError(at(file, what), {
    problem: "data does not fill the shape",
    expected: `${expected} ${unit} (${l.dtype} ${formatShape(l.shape)})`,
    got: String(got),
  });

/** float16 bits to a number (IEEE 754 binary16). */
function fromFloat16(bits: number): number {
  const sign = bits & 0x8000 ? -1 : 1;
  const exponent = (bits >> 10) & 31;
  const fraction = bits & 1023;
  if (exponent === 0) return sign * fraction * 2 ** -24;
  if (exponent === 31) return fraction === 0 ? sign * Infinity : Number.NaN;
  return sign * (1 + fraction / 1024) * 2 ** (exponent - 15);
}

function widen(bits: ArrayLike<number>, stored: number): Float32Array {
  if (stored === FLOAT16) return Float32Array.from(bits, (b) => fromFloat16(b & 0xffff));
  return new Float32Array(Uint32Array.from(bits, (b) => b << 16).buffer); // bfloat16 is the upper half of a float32
}

/** A typed array over raw little-endian bytes: a view where the offset is aligned, else a copy. */
function fromRaw(raw: Uint8Array, l: Layout): Tensor {
  const { dtype, shape } = l;
  const aligned = (size: number): [ArrayBufferLike, number, number] => {
    const b = raw.byteOffset % size === 0 ? raw : new Uint8Array(raw); // not slice(): that of a Buffer shares its memory
    return [b.buffer, b.byteOffset, l.count];
  };
  if (l.stored === FLOAT16 || l.stored === BFLOAT16) {
    return { dtype: "float32", shape, data: widen(new Uint16Array(...aligned(2)), l.stored) };
  }
  switch (dtype) {
    case "float32":
      return { dtype, shape, data: new Float32Array(...aligned(4)) };
    case "float64":
      return { dtype, shape, data: new Float64Array(...aligned(8)) };
    case "int8":
      return { dtype, shape, data: new Int8Array(...aligned(1)) };
    case "int16":
      return { dtype, shape, data: new Int16Array(...aligned(2)) };
    case "int32":
      return { dtype, shape, data: new Int32Array(...aligned(4)) };
    case "int64":
      return { dtype, shape, data: new BigInt64Array(...aligned(8)) };
    case "uint8":
      return { dtype, shape, data: new Uint8Array(...aligned(1)) };
    case "uint16":
      return { dtype, shape, data: new Uint16Array(...aligned(2)) };
    case "uint32":
      return { dtype, shape, data: new Uint32Array(...aligned(4)) };
    case "uint64":
      return { dtype, shape, data: new BigUint64Array(...aligned(8)) };
    case "bool":
      return { dtype, shape, data: raw.map((b) => (b === 0 ? 0 : 1)) };
  }
}

/** The typed fields of TensorProto: which one holds a type is ONNX's rule (small integers and halves share int32_data). */
function fromFields(t: TensorProto, l: Layout, file: string, what: string): Tensor {
  const { shape, dtype } = l;
  const checked = <T>(values: readonly T[]): readonly T[] => {
    if (values.length !== l.count) throw wrongLength(file, what, l, "values", l.count, values.length);
    return values;
  };
  if (l.stored === FLOAT16 || l.stored === BFLOAT16) {
    return { dtype: "float32", shape, data: widen(checked(t.int32Data), l.stored) };
  }
  switch (dtype) {
    case "float32":
      return { dtype, shape, data: Float32Array.from(checked(t.floatData)) };
    case "float64":
      return { dtype, shape, data: Float64Array.from(checked(t.doubleData)) };
    case "int8":
      return { dtype, shape, data: Int8Array.from(checked(t.int32Data)) };
    case "int16":
      return { dtype, shape, data: Int16Array.from(checked(t.int32Data)) };
    case "int32":
      return { dtype, shape, data: Int32Array.from(checked(t.int32Data)) };
    case "int64":
      return { dtype, shape, data: BigInt64Array.from(checked(t.int64Data)) };
    case "uint8":
      return { dtype, shape, data: Uint8Array.from(checked(t.int32Data)) };
    case "uint16":
      return { dtype, shape, data: Uint16Array.from(checked(t.int32Data)) };
    case "uint32":
      return { dtype, shape, data: Uint32Array.from(checked(t.uint64Data), Number) };
    case "uint64":
      return { dtype, shape, data: BigUint64Array.from(checked(t.uint64Data)) };
    case "bool":
      return { dtype, shape, data: Uint8Array.from(checked(t.int32Data), (v) => (v === 0 ? 0 : 1)) };
  }
}

/**
 * A tensor whose bytes are in the file (external data are brought in by `loadExternal` before).
 *
 * @param file name of the model file, `what` the thing in it, both for messages
 * @throws {FileError} unknown element type, negative or overflowing shape, data of another length than the shape asks
 */
export function tensorFromProto(t: TensorProto, file: string, what: string): Tensor {
  const l = layoutOf(t, file, what);
  if (!isFieldSet(t, TensorProtoSchema.field.rawData)) return fromFields(t, l, file, what);
  if (t.rawData.length !== l.bytes) throw wrongLength(file, what, l, "bytes", l.bytes, t.rawData.length);
  return fromRaw(t.rawData, l);
}

/** Opens each external file once, and closes all at the end. */
export class ExternalFiles {
  private readonly open = new Map<string, ByteSource>();

  constructor(
    private readonly file: string,
    private readonly source: ExternalData | undefined,
  ) {}

  /**
   * Puts the tensor's external bytes into its raw data.
   *
   * @throws {FileError} a location outside the model's folder, a range outside the file, a length that is not the shape's
   */
  async load(t: TensorProto, what: string): Promise<void> {
    const where = at(this.file, what);
    const entries = new Map(t.externalData.map((e) => [e.key, e.value]));
    const location = entries.get("location") ?? "";
    const parts = location.split(/[/\\]/);
    if (
      location === "" ||
      parts[0] === "" ||
      /^[a-z]:/i.test(location) ||
      parts.includes("..") ||
      location.includes("\0")
    ) {
      throw new FileError(where, {
        problem: "external data lie outside the model's folder",
        expected: "a path relative to the model",
        got: JSON.stringify(location),
      });
    }
    const l = layoutOf(t, this.file, what);
    const source = await this.sourceOf(location, where);
    const number = (key: string, otherwise: number): number => {
      const text = entries.get(key);
      if (text === undefined || text === "") return otherwise;
      return /^\d+$/.test(text) && Number.isSafeInteger(Number(text)) ? Number(text) : Number.NaN;
    };
    const offset = number("offset", 0);
    const length = number("length", l.bytes);
    if (!(offset + length <= source.size)) {
      throw new FileError(where, {
        problem: `external data end beyond "${location}"`,
        expected: `offset and length within ${source.size} bytes`,
        got: `offset ${entries.get("offset") ?? 0}, length ${entries.get("length") ?? l.bytes}`,
      });
    }
    if (length !== l.bytes) throw wrongLength(this.file, what, l, "bytes", l.bytes, length);
    t.rawData = await source.read(offset, length);
    t.dataLocation = 0;
  }

  async close(): Promise<void> {
    for (const source of this.open.values()) await source.close();
    this.open.clear();
  }

  private async sourceOf(location: string, where: string): Promise<ByteSource> {
    const known = this.open.get(location);
    if (known !== undefined) return known;
    if (this.source === undefined) {
      throw new FileError(where, {
        problem: "weights are in another file",
        expected: `"${location}" beside the model`,
        hint: "open the model by its path, or save it with its weights inside",
      });
    }
    const source = await this.source(location).catch((cause: unknown) => {
      throw new FileError(where, {
        problem: `weights are in "${location}", which cannot be opened`,
        expected: "a file beside the model",
        hint: "copy it into the folder of the model, under this name",
        cause,
      });
    });
    this.open.set(location, source);
    return source;
  }
}
