/** @file PyTorch's two file formats: the zip of torch ≥ 1.6 and the legacy stream of pickles and storages. */
import { FileError } from "../common/errors.js";
import type { Tensor } from "../common/tensor.js";
import { formatCount, printable, readAll } from "../formats/bytes.js";
import { bytesOf } from "../formats/numbers.js";
import { type PickleOptions, type PickleValue, readPickle } from "../formats/pickle.js";
import type { ZipArchive, ZipEntry } from "../formats/zip.js";
import type { ByteSource } from "../platform/types.js";
import { findState } from "./_state-dict.js";
import { readTensors, type StorageReader } from "./_torch-tensors.js";
import { persistentStorage, refusalHint, type Storage, torchGlobals } from "./_torch-values.js";

export interface TorchState {
  readonly tensors: Map<string, Tensor>;
  readonly notes: string[];
}

const optionsFor = (name: string): PickleOptions => ({
  name,
  globals: torchGlobals,
  persistent: (id) => persistentStorage(id, name),
  hint: refusalHint,
});

/** The pickle of a PyTorch zip, "NAME/data.pkl". */
export const torchRoot = (zip: ZipArchive): ZipEntry | undefined =>
  zip.entries.find((e) => /^[^/]+\/data\.pkl$/.test(e.name)) ?? zip.find("data.pkl");

/** Storages are members "NAME/data/KEY". @throws {FileError} TorchScript, big-endian, damaged */
export async function readTorchZip(zip: ZipArchive, root: ZipEntry, size: number): Promise<TorchState> {
  const folder = root.name.slice(0, -"data.pkl".length);
  if (zip.find(`${folder}constants.pkl`) !== undefined) {
    throw new FileError(zip.name, {
      problem: "is a TorchScript archive, which holds program code",
      expected: "a state dict: names and tensors",
      hint: "load it with torch.jit.load and save its weights: torch.save(model.state_dict(), path)",
    });
  }
  const order = zip.find(`${folder}byteorder`);
  const byteOrder = order === undefined ? "little" : String.fromCharCode(...(await zip.read(order)).subarray(0, 10));
  if (byteOrder !== "little") {
    throw new FileError(zip.name, { problem: "has another byte order", expected: "little", got: printable(byteOrder) });
  }
  const { value } = readPickle(await zip.read(root), optionsFor(zip.name));
  const readStorage = async ({ key }: Storage, length: number) => {
    const entry = zip.find(`${folder}data/${key}`);
    if (entry === undefined || entry.size !== length) {
      throw new FileError(zip.name, {
        problem: `storage ${printable(key)} is ${entry === undefined ? "missing" : "of another length than its tensors say"}`,
        ...(entry === undefined ? {} : { expected: `${formatCount(length)} bytes`, got: formatCount(entry.size) }),
        hint: "copy or download it again",
      });
    }
    return zip.read(entry);
  };
  return finish(value, readStorage, { name: zip.name, size });
}

/** Little-endian bytes of 0x1950a86a20f9469cfc6c, which a legacy file pickles first. */
const MAGIC = [0x6c, 0xfc, 0x9c, 0x46, 0xf9, 0x20, 0x6a, 0xa8, 0x50, 0x19];
const MAGIC_NUMBER = 0x1950a86a20f9469cfc6cn;

/** @param head the first bytes of a file, 32 at least */
export function isTorchLegacy(head: Uint8Array): boolean {
  for (let at = 0; at < 20; at++) if (MAGIC.every((b, i) => head[at + i] === b)) return true;
  return false;
}

/**
 * Pickles of the magic number, the protocol version (1001), facts of the machine, the object and the list of storage keys;
 * then for each key the number of its elements (int64) and the elements.
 */
export async function readTorchLegacy(source: ByteSource): Promise<TorchState> {
  const { name } = source;
  const bytes = await readAll(source);
  const storages = new Map<string, Storage>();
  let at = 0;
  const next = (): PickleValue => {
    const persistent = (id: PickleValue) => {
      const storage = persistentStorage(id, name);
      storages.set(storage.key, storage);
      return storage;
    };
    const { value, end } = readPickle(bytes, { ...optionsFor(name), persistent, start: at });
    at = end;
    return value;
  };
  if (next() !== MAGIC_NUMBER) throw damaged(name, "its first number is not PyTorch's");
  if (next() !== 1001) throw damaged(name, "its version is not 1001");
  const system = next();
  if (!(system instanceof Map) || system.get("little_endian") !== true) {
    throw new FileError(name, { problem: "has another byte order", expected: "little", got: "big" });
  }
  const value = next();
  const keys = next();
  if (!Array.isArray(keys)) throw damaged(name, "the list of its storages is missing");
  const starts = new Map<string, number>();
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  for (const key of keys) {
    const storage = typeof key === "string" ? storages.get(key) : undefined;
    if (storage === undefined) throw damaged(name, "it lists a storage that belongs to no tensor");
    const length = storage.elements * bytesOf(storage.type ?? "uint8");
    if (at + 8 + length > bytes.length) {
      throw damaged(name, "it is truncated", {
        expected: `${formatCount(8 + length)} bytes from byte ${formatCount(at)}`,
        got: `a file of ${formatCount(bytes.length)} bytes`,
      });
    }
    if (Number(view.getBigInt64(at, true)) !== storage.elements) {
      throw damaged(name, `storage ${printable(storage.key)} has another length than its tensors say`);
    }
    starts.set(storage.key, at + 8);
    at += 8 + length;
  }
  const readStorage = async ({ key }: Storage, length: number) => {
    const start = starts.get(key);
    if (start === undefined) throw damaged(name, `storage ${printable(key)} is missing`);
    return bytes.slice(start, start + length); // a copy, so that no tensor keeps the whole file in memory
  };
  return finish(value, readStorage, source);
}

async function finish(
  value: PickleValue,
  read: StorageReader,
  file: { name: string; size: number },
): Promise<TorchState> {
  const { pending, arrays, notes } = findState(value, file.name);
  const tensors = await readTensors(pending, read, file);
  for (const [name, array] of arrays) tensors.set(name, array);
  return { tensors, notes };
}

function damaged(name: string, problem: string, facts: { expected?: string; got?: string } = {}): FileError {
  return new FileError(name, {
    problem: `the checkpoint is damaged: ${problem}`,
    ...facts,
    hint: "copy or download it again",
  });
}
