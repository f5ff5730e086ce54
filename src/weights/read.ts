/** @file Checkpoints of any format as named tensors; the format is told by the content, never by the name. */
import { FileError } from "../common/errors.js";
import { type Tensor, toFloat32 } from "../common/tensor.js";
import { formatCount, memorySource, printable } from "../formats/bytes.js";
import { openNpz } from "../formats/npz.js";
import { looksLikeSafetensors, readSafetensors } from "../formats/safetensors.js";
import { describeContent } from "../formats/sniff.js";
import { isZip, openFile, openZip } from "../formats/zip.js";
import type { ByteSource, Platform } from "../platform/types.js";
import { isTorchLegacy, readTorchLegacy, readTorchZip, torchRoot } from "./_torch-files.js";

export type WeightsFormat = "torch-zip" | "torch-legacy" | "safetensors" | "npz";

export interface Checkpoint {
  readonly format: WeightsFormat;
  /** By the names of the file, in its order; all numbers with fractions are float32. */
  readonly tensors: Map<string, Tensor>;
  /** Lines for the reader: what was unwrapped, left aside or converted, and tensors that hold NaN or infinity. */
  readonly notes: string[];
}

/** Endings of a checkpoint inside a plain zip, as repositories ship them. */
const ending = /\.(pth|pt|th|pkl|ckpt|bin|tar|safetensors|npz)$/i;

/**
 * Reads PyTorch's zip and legacy files, safetensors and npz, also as the one checkpoint inside a plain zip. The source stays open.
 *
 * @throws {FileError} another kind of file, truncated, damaged, a whole pickled model, a refused name
 */
export async function readWeights(source: ByteSource, platform: Pick<Platform, "inflate">): Promise<Checkpoint> {
  const { format, tensors, notes } = await readAny(source, platform, 0);
  let narrowed = 0;
  for (const [name, tensor] of tensors) {
    if (tensor.dtype !== "float64") continue;
    tensors.set(name, toFloat32(tensor));
    narrowed++;
  }
  if (narrowed > 0) notes.push(`${narrowed} tensors of float64 were made float32`);
  for (const [name, tensor] of tensors) {
    const bad = countNonFinite(tensor);
    if (bad > 0) notes.push(`"${printable(name)}" holds ${formatCount(bad)} numbers that are not finite`);
  }
  return { format, tensors, notes };
}

/** Opens a file, or the parts of a split one, and reads its weights. @throws {FileError} as `readWeights`, and missing or empty */
export async function openWeights(path: string, platform: Pick<Platform, "files" | "inflate">): Promise<Checkpoint> {
  const source = await openFile(path, platform.files);
  try {
    return await readWeights(source, platform);
  } finally {
    await source.close();
  }
}

/** NaN and infinity among the elements. */
export function countNonFinite(tensor: Tensor): number {
  if (tensor.dtype !== "float32" && tensor.dtype !== "float64") return 0;
  let count = 0;
  for (const x of tensor.data) if (!Number.isFinite(x)) count++;
  return count;
}

async function readAny(source: ByteSource, platform: Pick<Platform, "inflate">, depth: number): Promise<Checkpoint> {
  const head = await source.read(0, Math.min(source.size, 512));
  if (isZip(head)) return readZip(source, platform, depth);
  if (isTorchLegacy(head)) return { format: "torch-legacy", ...(await readTorchLegacy(source)) };
  if (looksLikeSafetensors(head, source.size)) {
    return { format: "safetensors", tensors: (await readSafetensors(source)).tensors, notes: [] };
  }
  throw new FileError(source.name, {
    problem: "is not a checkpoint",
    expected: "PyTorch (.pth, .pt, .th), safetensors or npz",
    got: describeContent(head),
    hint: "save the weights with torch.save(model.state_dict(), path)",
  });
}

async function readZip(source: ByteSource, platform: Pick<Platform, "inflate">, depth: number): Promise<Checkpoint> {
  const zip = await openZip(source, platform.inflate);
  const root = torchRoot(zip);
  if (root !== undefined) return { format: "torch-zip", ...(await readTorchZip(zip, root, source.size)) };
  if (zip.entries.some((e) => e.name.endsWith(".npy"))) {
    const npz = await openNpz(source, platform);
    const tensors = new Map<string, Tensor>();
    for (const name of npz.names) tensors.set(name, await npz.read(name));
    return { format: "npz", tensors, notes: [] };
  }
  const inner = zip.entries.filter((e) => ending.test(e.name) && !e.name.startsWith("__MACOSX/"));
  const [entry] = inner;
  if (inner.length !== 1 || entry === undefined || depth > 0) {
    throw new FileError(source.name, {
      problem: inner.length > 1 ? "holds several checkpoints" : "is a zip archive without weights",
      expected: "a PyTorch checkpoint, an npz, or one of them zipped",
      got: `${zip.entries.length} members: ${zip.entries
        .slice(0, 6)
        .map((e) => printable(e.name))
        .join(", ")}`,
      ...(inner.length > 1 ? { hint: "expand it and name one of them" } : {}),
    });
  }
  const name = `${source.name} (${printable(entry.name)})`;
  const found = await readAny(memorySource(name, await zip.read(entry)), platform, depth + 1);
  return { ...found, notes: [`read from "${printable(entry.name)}" in the archive`, ...found.notes] };
}
