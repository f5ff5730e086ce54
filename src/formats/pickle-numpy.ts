/** @file NumPy's part of the pickle format: arrays, scalars and dtypes as tensors and plain values. */
import { FileError } from "../common/errors.js";
import type { Tensor } from "../common/tensor.js";
import { asBytes, badArguments, plainGlobals } from "./_pickle-globals.js";
import { checkedSize } from "./numbers.js";
import { type NumpyType, numberArray, parseNumpyType, textElements, withByteOrder } from "./numpy-dtype.js";
import { Built, type Construct, GlobalName, LongText, type PickleValue, readPickle } from "./pickle.js";
import { copyStrided, stridesOf } from "./strided.js";

/**
 * A pickle's content as plain data: lists and tuples are arrays, dictionaries are Maps, sets are Sets, bytes are Uint8Array.
 * Numeric ndarrays are tensors in C order (float16 widened to float32); object and text ndarrays are nested arrays by their
 * shape. NumPy scalars are numbers (bigint beyond 2^53).
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

/** Protocols 0 to 5, NumPy 1 and 2. Tensors may be views of `bytes`. @throws {FileError} damaged, truncated, a refused name */
export function readNumpyPickle(bytes: Uint8Array, name: string): PlainValue {
  return toPlain(readPickle(bytes, { name, globals: numpyGlobals }).value, name);
}

export function isTensor(value: PlainValue): value is Tensor {
  return typeof value === "object" && value !== null && "dtype" in value;
}

/** numpy.dtype: made of its string, then given its byte order as state. */
class PickledType extends Built {
  constructor(public type: NumpyType) {
    super();
  }

  /** (version, byte order, subtype, field names, …) */
  setState(state: PickleValue, name: string): void {
    const [, order, subtype, fields] = Array.isArray(state) ? state : [];
    if (typeof order !== "string") throw badArguments("the state of a NumPy type is not one", name);
    if (subtype != null || fields != null) {
      throw new FileError(name, {
        problem: "holds a structured NumPy array, which is not read",
        hint: "save each of its fields as an array of its own",
      });
    }
    this.type = withByteOrder(this.type, order);
  }
}

/** numpy.ndarray: made empty, then given shape, type, order and data as state. */
export class PickledArray extends Built {
  /** A tensor; or, for objects and text, the elements nested by the shape. */
  private content: Tensor | PickleValue = null;

  /** null where the elements are no numbers. */
  get tensor(): Tensor | null {
    return isTensorContent(this.content) ? this.content : null;
  }

  get elements(): Tensor | PickleValue {
    return this.content;
  }

  /** (version, shape, type, Fortran order, data); data is bytes, or a list of objects. */
  setState(state: PickleValue, name: string): void {
    const [, shape, type, fortran, data] = Array.isArray(state) && state.length === 5 ? state : [];
    this.fill(shape, type, fortran === true || fortran === 1, data, name);
  }

  fill(
    shape: PickleValue | undefined,
    type: PickleValue | undefined,
    fortran: boolean,
    data: PickleValue | undefined,
    name: string,
  ): void {
    if (!Array.isArray(shape) || !(type instanceof PickledType) || data === undefined) {
      throw badArguments("the state of a NumPy array is not one", name);
    }
    const count = checkedSize(shape, name);
    const dims = shape as number[]; // checkedSize has seen numbers only
    if (type.type.kind === "object") {
      if (!Array.isArray(data) || data.length !== count) {
        throw badArguments("a NumPy array of objects has not as many as its shape says", name);
      }
      this.content = nested(data, dims, false); // NumPy lists objects in C order, whatever the flag says
      return;
    }
    const bytes = asBytes(data);
    if (bytes === null) throw badArguments("the data of a NumPy array is not bytes", name);
    if (type.type.kind === "number") this.content = numberArray(type.type, dims, fortran, bytes, name);
    else this.content = nested(textElements(type.type, dims, bytes, name), dims, fortran);
  }
}

const isTensorContent = (content: Tensor | PickleValue): content is Tensor =>
  typeof content === "object" && content !== null && "dtype" in content;

/** Elements in memory order → arrays of arrays by the shape; the element itself for a shape of []. */
function nested(elements: PickleValue[], shape: readonly number[], fortran: boolean): PickleValue {
  const ordered =
    fortran && elements.length > 0
      ? copyStrided(new Array<PickleValue>(elements.length).fill(null), elements, 0, shape, stridesOf(shape, "F"))
      : elements;
  let rows: PickleValue[] = ordered;
  for (let axis = shape.length - 1; axis > 0; axis--) {
    const length = shape[axis]!; // axis < rank
    const outer = length === 0 ? 0 : rows.length / length;
    rows = Array.from({ length: outer }, (_, i) => rows.slice(i * length, (i + 1) * length));
  }
  return shape.length === 0 ? (rows[0] ?? null) : rows;
}

const makeType: Construct = ([descr], name) => {
  if (typeof descr !== "string") throw badArguments("a NumPy type is not named by text", name);
  return new PickledType(parseNumpyType(descr, name));
};

const makeArray: Construct = () => new PickledArray();

const reconstructArray: Construct = ([type], name) => {
  if (!(type instanceof GlobalName) || type.construct !== makeArray) {
    throw badArguments("an array is not a numpy.ndarray", name);
  }
  return new PickledArray();
};

/** Protocol 5: (bytes, type, shape, order). */
const fromBuffer: Construct = ([data, type, shape, order], name) => {
  const array = new PickledArray();
  array.fill(shape, type, order === "F", data, name);
  return array;
};

/** numpy.core.multiarray.scalar: (type, bytes) */
const makeScalar: Construct = ([type, data], name) => {
  const bytes = asBytes(data);
  if (!(type instanceof PickledType) || bytes === null) throw badArguments("a NumPy scalar is not one", name);
  if (type.type.kind === "object") throw badArguments("a NumPy scalar is an object", name);
  if (type.type.kind !== "number") return textElements(type.type, [], bytes, name)[0] ?? "";
  const {
    dtype,
    data: [value = 0],
  } = numberArray(type.type, [], false, bytes, name);
  if (dtype === "bool") return value === 1;
  return typeof value === "bigint" && BigInt.asIntN(54, value) === value ? Number(value) : value;
};

/** NumPy 1 lives in numpy.core, NumPy 2 in numpy._core. */
export const numpyGlobals: ReadonlyMap<string, Construct | null> = new Map<string, Construct | null>([
  ...plainGlobals,
  ["numpy.ndarray", makeArray],
  ["numpy.dtype", makeType],
  ...["numpy.core", "numpy._core"].flatMap((core): [string, Construct][] => [
    [`${core}.multiarray._reconstruct`, reconstructArray],
    [`${core}.multiarray.scalar`, makeScalar],
    [`${core}.numeric._frombuffer`, fromBuffer],
  ]),
]);

/** Deeper nesting than Python itself can write. */
const MAX_DEPTH = 1000;

/** Replaces what construction left behind by plain values; shared and cyclic parts are visited once. */
function toPlain(root: PickleValue, name: string): PlainValue {
  const seen = new Map<object, PlainValue>();
  const visit = (value: PickleValue | Tensor, depth: number): PlainValue => {
    if (typeof value !== "object" || value === null || value instanceof Uint8Array) return value;
    if (depth > MAX_DEPTH) throw badArguments(`values are nested more than ${MAX_DEPTH} deep`, name);
    const known = seen.get(value);
    if (known !== undefined) return known;
    if (Array.isArray(value)) {
      const out: PlainValue[] = [];
      seen.set(value, out);
      for (const item of value) out.push(visit(item, depth + 1));
      return out;
    }
    if (value instanceof Map) {
      const out = new Map<PlainValue, PlainValue>();
      seen.set(value, out);
      for (const [key, item] of value) out.set(visit(key, depth + 1), visit(item, depth + 1));
      return out;
    }
    if (value instanceof Set) {
      const out = new Set<PlainValue>();
      seen.set(value, out);
      for (const item of value) out.add(visit(item, depth + 1));
      return out;
    }
    if (value instanceof PickledArray) {
      const out = visit(value.elements, depth + 1);
      seen.set(value, out);
      return out;
    }
    if (value instanceof LongText) return value.toString();
    if (value instanceof GlobalName) return value.name;
    if (value instanceof PickledType) return value.type.kind === "number" ? value.type.type : value.type.kind;
    if (value instanceof Built) throw badArguments("a value was left unfinished", name);
    return value; // a tensor
  };
  return visit(root, 0);
}
