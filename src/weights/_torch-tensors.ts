/** @file Views of PyTorch storages made into tensors. */
import { FileError } from "../common/errors.js";
import { sizeOf, type Tensor } from "../common/tensor.js";
import { formatCount, printable } from "../formats/bytes.js";
import { bytesOf, decodeElements } from "../formats/numbers.js";
import { copyStrided, isContiguous } from "../formats/strided.js";
import type { PendingTensor, Storage } from "./_torch-values.js";

/** Bytes of a whole storage, by its key. */
export type StorageReader = (storage: Storage, bytes: number) => Promise<Uint8Array>;

/** Room that a file may ask for: its own size several times over (an expanded view repeats elements), and a little. */
const budgetFor = (fileSize: number) => 2 ** 26 + 8 * fileSize;

/** @returns tensors in C order, none sharing memory with another. @throws {FileError} */
export async function readTensors(
  pending: ReadonlyMap<string, PendingTensor>,
  read: StorageReader,
  file: { readonly name: string; readonly size: number },
): Promise<Map<string, Tensor>> {
  const uses = new Map<string, number>();
  for (const { storage } of pending.values()) uses.set(storage.key, (uses.get(storage.key) ?? 0) + 1);
  const storages = new Map<string, Uint8Array>();
  let budget = budgetFor(file.size);
  const spend = (bytes: number, what: string) => {
    budget -= bytes;
    if (budget >= 0) return;
    throw new FileError(file.name, {
      problem: "its tensors take far more memory than the file is long",
      expected: `at most ${formatCount(budgetFor(file.size))} bytes in all`,
      got: `more, at ${what}`,
    });
  };

  const tensors = new Map<string, Tensor>();
  for (const [name, view] of pending) {
    const { storage, type, shape, strides, offset } = view;
    const width = bytesOf(type);
    let bytes = storages.get(storage.key);
    if (bytes === undefined) {
      const length = storage.elements * (storage.type === null ? 1 : bytesOf(storage.type));
      spend(length, `storage ${printable(storage.key)}`);
      bytes = await read(storage, length);
      storages.set(storage.key, bytes);
    }
    const count = sizeOf(shape);
    spend(count * width, `"${printable(name)}"`);
    const reach = count === 0 ? 0 : 1 + shape.reduce((sum, n, axis) => sum + (n - 1) * (strides[axis] ?? 0), 0);
    const end = (offset + reach) * width;
    if (end > bytes.length) {
      throw new FileError(file.name, {
        problem: `"${printable(name)}" reaches beyond its storage`,
        expected: `${formatCount(end)} bytes`,
        got: formatCount(bytes.length),
      });
    }
    const shared = (uses.get(storage.key) ?? 0) > 1;
    const window = count === 0 ? bytes.subarray(0, 0) : bytes.subarray(offset * width, end);
    const contiguous = isContiguous(shape, strides);
    const { dtype, data } = decodeElements(type, true, contiguous && shared ? new Uint8Array(window) : window);
    const own =
      contiguous || count === 0
        ? data
        : copyStrided(
            decodeElements(dtype, true, new Uint8Array(count * bytesOf(dtype))).data,
            data,
            0,
            shape,
            strides,
          );
    tensors.set(name, { dtype, shape, data: own } as Tensor); // decodeElements pairs dtype and data
    if (!shared) storages.delete(storage.key);
  }
  return tensors;
}
