/** @file What a PyTorch pickle is made of before its numbers are read: storages by key, and tensors that are views of them. */
import { FileError } from "../common/errors.js";
import { formatCount, printable } from "../formats/bytes.js";
import { bytesOf, checkedSize, type StoredType } from "../formats/numbers.js";
import { Built, type Construct, GlobalName, type PickleValue } from "../formats/pickle.js";
import { numpyGlobals } from "../formats/pickle-numpy.js";

const damaged = (problem: string, name: string, got?: string) =>
  new FileError(name, {
    problem: `the checkpoint is damaged: ${problem}`,
    ...(got === undefined ? {} : { got }),
    hint: "copy or download it again",
  });

/** Refuses the state that only classes of a program would set. */
abstract class Plain extends Built {
  setState(_state: PickleValue, name: string): void {
    throw damaged("a state is set on a tensor", name);
  }
}

/** A window of a storage, in elements. */
export class Storage extends Plain {
  constructor(
    readonly key: string,
    /** null where only bytes are known and the tensor says what they are. */
    readonly type: StoredType | null,
    /** Of the whole storage. */
    readonly elements: number,
    readonly start = 0,
    readonly length = elements,
  ) {
    super();
  }
}

/** A view of a storage; every index that it can reach is inside. */
export class PendingTensor extends Plain {
  constructor(
    readonly storage: Storage,
    readonly type: StoredType,
    /** Into the whole storage, in elements. */
    readonly offset: number,
    readonly shape: readonly number[],
    readonly strides: readonly number[],
  ) {
    super();
  }
}

const isCount = (value: unknown): value is number =>
  typeof value === "number" && Number.isSafeInteger(value) && value >= 0;

function view(
  storage: PickleValue | undefined,
  offset: unknown,
  shape: unknown,
  strides: unknown,
  name: string,
  dtype?: StoredType,
) {
  const type = dtype ?? (storage instanceof Storage ? storage.type : null);
  if (!(storage instanceof Storage) || type === null) throw damaged("a tensor has no storage", name);
  const plain = Array.isArray(shape) && Array.isArray(strides) && shape.length === strides.length;
  if (!plain || !isCount(offset) || !strides.every(isCount))
    throw damaged("a tensor has no shape, offset or strides", name);
  const count = checkedSize(shape, name);
  const dims = shape as number[]; // checkedSize has seen whole numbers only
  const reach = count === 0 ? 0 : offset + dims.reduce((sum, n, axis) => sum + (n - 1) * (strides[axis] ?? 0), 1);
  // A storage that only knows its bytes counts those.
  const available = storage.type === null ? Math.floor(storage.length / bytesOf(type)) : storage.length;
  if (reach > available) {
    throw damaged(
      "a tensor reaches beyond its storage",
      name,
      `${formatCount(reach)} elements of ${formatCount(available)} (shape [${dims.join(",")}], strides [${strides.join(",")}], offset ${offset})`,
    );
  }
  return new PendingTensor(storage, type, storage.start + offset, dims, strides);
}

/** Element types by the names of PyTorch's storage classes. */
const storageTypes: Readonly<Record<string, StoredType | null>> = {
  FloatStorage: "float32",
  DoubleStorage: "float64",
  HalfStorage: "float16",
  BFloat16Storage: "bfloat16",
  LongStorage: "int64",
  IntStorage: "int32",
  ShortStorage: "int16",
  CharStorage: "int8",
  ByteStorage: "uint8",
  BoolStorage: "bool",
  UntypedStorage: null,
};

const dtypes: Readonly<Record<string, StoredType>> = {
  float32: "float32",
  float: "float32",
  float64: "float64",
  double: "float64",
  float16: "float16",
  half: "float16",
  bfloat16: "bfloat16",
  int64: "int64",
  int32: "int32",
  int16: "int16",
  int8: "int8",
  uint8: "uint8",
  uint16: "uint16",
  uint32: "uint32",
  uint64: "uint64",
  bool: "bool",
};

const first: Construct = ([value], name) => {
  if (value === undefined) throw damaged("a parameter holds no tensor", name);
  return value;
};

/** Version 1 has four arguments, version 2 adds flags for training, which do not matter here. */
const rebuildTensor: Construct = ([storage, offset, shape, strides], name) =>
  view(storage, offset, shape, strides, name);

/** Version 3 names the element type, for those that have no storage class. */
const rebuildTensor3: Construct = ([storage, offset, shape, strides, , , dtype], name) => {
  const type = dtype instanceof GlobalName ? dtypes[dtype.name.replace(/^torch\./, "")] : undefined;
  if (type === undefined) throw damaged("a tensor has no element type", name);
  return view(storage, offset, shape, strides, name, type);
};

/** (function, class, its arguments, attributes): what the class adds is not part of the numbers. */
const rebuildFromType: Construct = ([rebuild, , args], name) => {
  if (!(rebuild instanceof GlobalName) || rebuild.construct === null || !Array.isArray(args)) {
    throw damaged("a tensor is made of nothing", name);
  }
  return rebuild.construct(args, name);
};

/** An object of plain attributes, as argparse makes it: people keep their options beside the weights. */
class Attributes extends Built {
  setState(): void {}
}

const list: Construct = ([items = []], name) => {
  if (!Array.isArray(items)) throw damaged("a size is not a list", name);
  return items;
};

export const torchGlobals: ReadonlyMap<string, Construct | null> = new Map<string, Construct | null>([
  ...numpyGlobals,
  ["torch._utils._rebuild_tensor", rebuildTensor],
  ["torch._utils._rebuild_tensor_v2", rebuildTensor],
  ["torch._utils._rebuild_tensor_v3", rebuildTensor3],
  ["torch._utils._rebuild_parameter", first],
  ["torch._utils._rebuild_parameter_with_state", first],
  ["torch._tensor._rebuild_from_type_v2", rebuildFromType],
  ["torch.nn.parameter.Parameter", first],
  ["torch.nn.parameter.Buffer", first],
  ["torch.Tensor", null],
  ["torch.Size", list],
  ["torch.device", first],
  ["argparse.Namespace", () => new Attributes()],
  ...Object.keys(dtypes).map((dtype): [string, null] => [`torch.${dtype}`, null]),
  ...Object.keys(storageTypes).flatMap((storage): [string, null][] =>
    ["torch", "torch.cuda", "torch.storage"].map((module) => [`${module}.${storage}`, null]),
  ),
]);

/**
 * Persistent ids: ("storage", class, key, device, elements), in legacy files with (key, offset, length) of a view as a sixth.
 *
 * @throws {FileError} a storage class that is not read
 */
export function persistentStorage(id: PickleValue, name: string): Storage {
  const [kind, type, key, , elements, window] = Array.isArray(id) ? id : [];
  const className = type instanceof GlobalName ? (type.name.split(".").pop() ?? "") : "";
  if (kind !== "storage" || !Object.hasOwn(storageTypes, className) || typeof key !== "string" || !isCount(elements)) {
    throw damaged("a storage is not one", name);
  }
  const element = storageTypes[className] ?? null;
  if (!Array.isArray(window)) return new Storage(key, element, elements);
  const [, start, length] = window;
  if (!isCount(start) || !isCount(length) || start + length > elements) {
    throw damaged("a view reaches beyond its storage", name);
  }
  return new Storage(key, element, elements, start, length);
}

const wholeModelHint = "load it where it was made and save its weights alone: torch.save(model.state_dict(), path)";

/** What to do about a name that is not allowed: a class of a model is the usual case. */
export function refusalHint(refused: string): string | undefined {
  const dangerous = /^(os|posix|nt|sys|subprocess|builtins|__builtin__|importlib|socket|shutil|runpy|code|pty)\b/;
  if (dangerous.test(refused)) return undefined;
  return `if the file holds a whole model (${printable(refused)} may be part of it), ${wholeModelHint}`;
}
