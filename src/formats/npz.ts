/** @file NumPy's .npz files: named arrays in a zip, read one at a time. */
import { zipSync } from "fflate";
import { FileError } from "../common/errors.js";
import type { Tensor } from "../common/tensor.js";
import type { ByteSource, Platform } from "../platform/types.js";
import { printable } from "./bytes.js";
import { decodeNpy, encodeNpy } from "./npy.js";
import { openZip } from "./zip.js";

export interface Npz {
  readonly name: string;
  /** Without ".npy", in the order of the file. */
  readonly names: readonly string[];
  has(name: string): boolean;
  /** @throws {FileError} no such array (those that are there are named), damaged, not numbers */
  read(name: string): Promise<Tensor>;
  close(): Promise<void>;
}

/** @throws {FileError} not a zip, or one without arrays */
export async function openNpz(source: ByteSource, platform: Pick<Platform, "inflate">): Promise<Npz> {
  const zip = await openZip(source, platform.inflate);
  const members = new Map(
    zip.entries.filter((e) => e.name.endsWith(".npy")).map((e) => [e.name.slice(0, -".npy".length), e]),
  );
  if (members.size === 0) {
    throw new FileError(source.name, {
      problem: "is a zip archive without NumPy arrays",
      expected: "members named *.npy",
      got: listed(zip.entries.map((e) => e.name)),
    });
  }
  return {
    name: source.name,
    names: [...members.keys()],
    has: (name) => members.has(name),
    async read(name) {
      const entry = members.get(name);
      if (entry === undefined) {
        throw new FileError(source.name, {
          problem: `has no array "${printable(name)}"`,
          got: listed([...members.keys()]),
        });
      }
      return decodeNpy(await zip.read(entry), `${source.name} (${printable(entry.name)})`);
    },
    close: () => zip.close(),
  };
}

/**
 * The arrays of a file, all of them or those named.
 * @throws {FileError} missing, not an .npz, an array that is not there
 */
export async function readNpz(
  path: string,
  platform: Pick<Platform, "files" | "inflate">,
  names?: readonly string[],
): Promise<Map<string, Tensor>> {
  const source = await platform.files.open(path);
  try {
    const npz = await openNpz(source, platform);
    const arrays = new Map<string, Tensor>();
    for (const name of names ?? npz.names) arrays.set(name, await npz.read(name));
    return arrays;
  } finally {
    await source.close();
  }
}

/** "a, b, c and 12 more" */
function listed(names: readonly string[]): string {
  if (names.length === 0) return "nothing";
  const shown = names.slice(0, 8).map(printable).join(", ");
  return names.length > 8 ? `${shown} and ${names.length - 8} more` : shown;
}

/** A file that np.load reads. Deterministic: the same tensors give the same bytes. Below 4 GiB. */
export function writeNpz(tensors: ReadonlyMap<string, Tensor>, options: { compress?: boolean } = {}): Uint8Array {
  const level = options.compress === true ? 6 : 0;
  const mtime = new Date(1980, 0, 1); // fflate takes the local calendar's date, zip's first
  const members: Record<string, [Uint8Array, { level: 0 | 6; mtime: Date }]> = {};
  for (const [name, tensor] of tensors) members[`${name}.npy`] = [encodeNpy(tensor), { level, mtime }];
  return zipSync(members);
}
