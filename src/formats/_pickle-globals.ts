/** @file Names of Python's own library that stand for plain data. */
import { FileError } from "../common/errors.js";
import { type Construct, GlobalName, LongText, type PickleValue } from "./pickle.js";

/** A construct got arguments that make no sense. */
export const badArguments = (what: string, name: string): FileError =>
  new FileError(name, { problem: `the pickle is damaged: ${what}`, hint: "copy or download the file again" });

/** Bytes, or text that stands for bytes, one a character; null for anything else. */
export function asBytes(value: PickleValue | undefined): Uint8Array | null {
  if (value instanceof Uint8Array) return value;
  if (value instanceof LongText) return value.toLatin1();
  if (typeof value !== "string") return null;
  const out = new Uint8Array(value.length);
  for (let i = 0; i < value.length; i++) {
    const code = value.charCodeAt(i);
    if (code > 255) return null;
    out[i] = code;
  }
  return out;
}

const bytes: Construct = ([value], name) => {
  if (value === undefined) return new Uint8Array(0);
  const out = asBytes(Array.isArray(value) && value.length === 0 ? "" : value);
  if (out === null) throw badArguments("bytes are not made of bytes", name);
  return out;
};

/** Protocols 0 to 2 write bytes as _codecs.encode(text, "latin1"). */
const encode: Construct = ([text, encoding], name) => {
  const latin = encoding === "latin1" || encoding === "latin-1" || encoding === "iso-8859-1";
  const out = asBytes(text);
  if (!latin || out === null) throw badArguments("_codecs.encode is not given Latin-1 text", name);
  return out;
};

const dictionary: Construct = ([pairs = []], name) => {
  if (pairs instanceof Map) return new Map(pairs);
  const map = new Map<PickleValue, PickleValue>();
  for (const pair of Array.isArray(pairs) ? pairs : [null]) {
    const [key, value] = Array.isArray(pair) ? pair : [];
    if (key === undefined || value === undefined) throw badArguments("a dictionary is not made of pairs", name);
    map.set(key, value);
  }
  return map;
};

const set: Construct = ([items = []], name) => {
  if (!Array.isArray(items)) throw badArguments("a set is not made of a list", name);
  return new Set(items);
};

const list: Construct = ([items = []], name) => {
  if (!Array.isArray(items)) throw badArguments("a list is not made of one", name);
  return [...items];
};

/** Protocols 0 and 1 make objects of allowed classes by this. */
const reconstruct: Construct = ([target], name) => {
  if (!(target instanceof GlobalName) || target.construct === null) {
    throw badArguments("an object is made of something that is not a class", name);
  }
  return target.construct([], name);
};

const builtin: Readonly<Record<string, Construct | null>> = {
  bytes,
  bytearray: (args, name) => (args.length > 1 ? encode(args, name) : bytes(args, name)),
  set,
  frozenset: set,
  list,
  tuple: list,
  dict: dictionary,
  object: null,
};

/** "module.name" of Python 3 and 2. */
export const plainGlobals: ReadonlyMap<string, Construct | null> = new Map<string, Construct | null>([
  ...Object.entries(builtin).flatMap(([key, construct]): [string, Construct | null][] => [
    [`builtins.${key}`, construct],
    [`__builtin__.${key}`, construct],
  ]),
  ["collections.OrderedDict", dictionary],
  ["_codecs.encode", encode],
  ["copyreg._reconstructor", reconstruct],
  ["copy_reg._reconstructor", reconstruct],
]);
