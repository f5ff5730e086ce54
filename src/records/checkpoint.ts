/** @file Checkpoints: a snapshot of a training as tensors and text, and back, checked. */
import { z } from "zod/mini";
import { FileError } from "../common/errors.js";
import type { FloatTensor, Tensor } from "../common/tensor.js";
import type { Split } from "../data/types.js";
import type { Safetensors } from "../formats/safetensors.js";
import type { FileSystem } from "../platform/types.js";
import type { Best, Snapshot } from "../training/options.js";
import type { EpochEvent } from "../training/types.js";
import { join, readTensors, runFiles } from "./files.js";
import { inWords, parseEvent } from "./schema.js";

/** Name of the checkpoint that a run continues from. */
export const lastCheckpoint = "last";

const FORMAT = "metalr-checkpoint";
const VERSION = "1";

/**
 * The content of a checkpoint file. Tensors: "state/model/NAME", "state/<slot>/NAME", "state/lr", and "best/NAME" for the weights of the
 * best epoch so far; "split/PART" for the indices of the run's images. Metadata: format, version, progress, history (epoch events), best (epoch), identity. Times are
 * written as 0: the same run gives the same bytes.
 */
export function encodeSnapshot(snapshot: Snapshot, split: Split): Safetensors {
  const tensors = new Map<string, Tensor>();
  for (const part of ["train", "meta", "validation", "test"] as const) {
    tensors.set(`split/${part}`, { dtype: "uint32", shape: [split[part].length], data: split[part] });
  }
  for (const [name, t] of snapshot.state) tensors.set(`state/${name}`, t);
  for (const [name, t] of snapshot.best?.weights ?? []) tensors.set(`best/${name}`, t);
  return {
    tensors,
    metadata: {
      format: FORMAT,
      version: VERSION,
      progress: JSON.stringify(snapshot.progress),
      history: JSON.stringify(snapshot.history.map((e) => ({ ...e, elapsedMs: 0 }))),
      best: JSON.stringify(snapshot.best && { epoch: snapshot.best.epoch, evaluation: snapshot.best.evaluation }),
      identity: snapshot.identity,
    },
  };
}

const count = z.int().check(z.nonnegative());
const progressSchema = z.object({
  step: count,
  epoch: count,
  stepInEpoch: count,
  sums: z.object({ loss: z.number(), correct: count, images: count, voxels: z.exactOptional(z.array(count)) }),
});
const historySchema = z.array(z.record(z.string(), z.unknown()));
const bestSchema = z.nullable(z.object({ epoch: count, evaluation: z.record(z.string(), z.unknown()) }));

/** @throws {FileError} not a checkpoint, of another version, damaged */
function decodeSnapshot({ tensors, metadata }: Safetensors, path: string): Snapshot {
  if (metadata["format"] !== FORMAT || metadata["version"] !== VERSION) {
    throw new FileError(path, {
      problem: "is not a checkpoint of this version",
      expected: `${FORMAT} ${VERSION}`,
      got: metadata["format"] === FORMAT ? `${FORMAT} ${metadata["version"]}` : "a safetensors file of something else",
    });
  }
  const progress = parse(progressSchema, metadata, "progress", path);
  const history = parse(historySchema, metadata, "history", path).map((e) => epochEvent(e, path));
  const best = parse(bestSchema, metadata, "best", path);
  const state = new Map<string, Tensor>();
  const weights = new Map<string, FloatTensor>();
  for (const [name, t] of tensors) {
    if (name.startsWith("state/")) state.set(name.slice("state/".length), t);
    else if (name.startsWith("best/") && t.dtype === "float32") weights.set(name.slice("best/".length), t);
  }
  return {
    progress,
    state,
    history,
    best: best && bestOf(best, weights, path),
    identity: metadata["identity"] ?? "",
  };
}

export interface RunCheckpoint {
  readonly snapshot: Snapshot;
  /** Indices of the run's images by part: "train", "meta", "validation", "test". */
  readonly parts: Readonly<Record<string, Uint32Array>>;
}

/** The checkpoint of a run folder; null where none was written yet. @throws {FileError} damaged */
export async function readRunCheckpoint(files: FileSystem, folder: string): Promise<RunCheckpoint | null> {
  const path = join(folder, `${runFiles.checkpoints}/${lastCheckpoint}.safetensors`);
  if ((await files.kind(path)) === "missing") return null;
  const file = await readTensors(files, path);
  const parts: Record<string, Uint32Array> = {};
  for (const [name, t] of file.tensors) {
    if (name.startsWith("split/") && t.dtype === "uint32") parts[name.slice("split/".length)] = t.data;
  }
  return { snapshot: decodeSnapshot(file, path), parts };
}

/** Parameters and buffers of a training state, by their names in the model; averaged ones where the state has averages. */
export function modelWeights(state: Snapshot["state"]): Map<string, FloatTensor> {
  const weights = new Map<string, FloatTensor>();
  for (const kind of ["model/", "average/"]) {
    for (const [name, t] of state) {
      if (name.startsWith(kind) && t.dtype === "float32") weights.set(name.slice(kind.length), t);
    }
  }
  return weights;
}

function bestOf(
  { epoch, evaluation }: { epoch: number; evaluation: Record<string, unknown> },
  weights: ReadonlyMap<string, FloatTensor>,
  path: string,
): Best {
  // Events know the form of an evaluation: this one is read as that of an epoch.
  const { validation } = epochEvent(
    { type: "epoch", epoch, step: 0, trainLoss: 0, trainAccuracy: 0, lr: [], elapsedMs: 0, validation: evaluation },
    path,
  );
  if (!validation || weights.size === 0) throw damaged(path, "best", "its weights are missing");
  return { epoch, evaluation: validation, weights };
}

function epochEvent(value: Record<string, unknown>, path: string): EpochEvent {
  const parsed = parseEvent(JSON.stringify(value));
  if ("damage" in parsed) throw damaged(path, "history", parsed.damage);
  if (parsed.event.type !== "epoch") throw damaged(path, "history", `an event "${parsed.event.type}"`);
  return parsed.event;
}

function parse<T>(schema: z.ZodMiniType<T>, metadata: Readonly<Record<string, string>>, key: string, path: string): T {
  let value: unknown;
  try {
    value = JSON.parse(metadata[key] ?? "");
  } catch (cause) {
    throw damaged(path, key, "not JSON", cause);
  }
  const result = schema.safeParse(value, inWords);
  if (result.success) return result.data;
  throw damaged(path, key, result.error.issues[0]?.message ?? "of another form");
}

const damaged = (path: string, key: string, got: string, cause?: unknown): FileError =>
  new FileError(path, { problem: `is a damaged checkpoint: "${key}" cannot be read`, got, cause });
