/** @file Where things lie in a run folder, and the safetensors files in it. */
import { FileError } from "../common/errors.js";
import type { Tensor } from "../common/tensor.js";
import { encodeSafetensors, readSafetensors, type Safetensors } from "../formats/safetensors.js";
import type { FileSystem } from "../platform/types.js";

/** Names inside a run folder. */
export const runFiles = {
  info: "run.json",
  events: "events.jsonl",
  /** {pid, host} of the process that records the run, while it does. */
  writer: "writer.json",
  checkpoints: "checkpoints",
  predictions: "predictions",
  tensorBoard: "tb",
  report: "report.html",
} as const;

/** Beside the fold folders of a cross-validation. */
export const summaryFile = "summary.json";

/** Joins with "/", which every platform's `FileSystem` takes. */
export const join = (folder: string, name: string): string =>
  folder === "" ? name : `${folder.replace(/\/+$/, "")}/${name}`;

/** Writes tensors so that the old file stays whole until the new one is. @throws {FileError} no space, not writable */
export async function writeTensors(
  files: FileSystem,
  path: string,
  tensors: ReadonlyMap<string, Tensor>,
  metadata: Readonly<Record<string, string>> = {},
): Promise<void> {
  await files.writeAtomic(path, encodeSafetensors(tensors, metadata));
}

/** @throws {FileError} missing, truncated, of another kind */
export async function readTensors(files: FileSystem, path: string): Promise<Safetensors> {
  const source = await files.open(path);
  try {
    return await readSafetensors(source);
  } finally {
    await source.close();
  }
}

/** A name that stays inside its folder. @throws {FileError} */
export function checkName(name: string, folder: string): string {
  if (/^[\w][\w.-]*$/.test(name)) return name;
  throw new FileError(folder, {
    problem: "a file of a run has a name that is not allowed",
    expected: "letters, digits, dots, hyphens and underscores",
    got: JSON.stringify(name),
  });
}
