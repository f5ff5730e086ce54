/** @file The state dict inside whatever was saved around it: names and tensors, flat. */
import { FileError } from "../common/errors.js";
import type { Tensor } from "../common/tensor.js";
import { printable } from "../formats/bytes.js";
import type { PickleValue } from "../formats/pickle.js";
import { PickledArray } from "../formats/pickle-numpy.js";
import { PendingTensor } from "./_torch-values.js";

/** Keys under which training programs keep the weights, in the order of preference. */
const wrappers = [
  "state_dict",
  "model_state_dict",
  "model_state",
  "model",
  "net_state_dict",
  "net",
  "network",
  "weights",
  "params",
  "module",
  "backbone",
  "encoder",
  "teacher",
  "student",
  "ema",
  "state",
];

/** Not part of the network. */
const asides = /optim|sched|scaler|^(amp|args|config|hyper_parameters|callbacks|loops)$/i;

const MAX_DEPTH = 8;

export interface FoundState {
  readonly pending: Map<string, PendingTensor>;
  /** Arrays of NumPy that stand among the tensors. */
  readonly arrays: Map<string, Tensor>;
  readonly notes: string[];
}

type Leaf = PendingTensor | Tensor;

function leafOf(value: PickleValue): Leaf | null {
  if (value instanceof PendingTensor) return value;
  return value instanceof PickledArray ? value.tensor : null;
}

function holdsTensors(value: PickleValue | undefined, depth = 0): value is Map<PickleValue, PickleValue> {
  if (!(value instanceof Map) || depth > MAX_DEPTH) return false;
  for (const item of value.values()) if (leafOf(item) !== null || holdsTensors(item, depth + 1)) return true;
  return false;
}

/** @throws {FileError} no tensors, or tensors without names */
export function findState(root: PickleValue, name: string): FoundState {
  const notes: string[] = [];
  if (root instanceof PendingTensor || Array.isArray(root)) {
    throw new FileError(name, {
      problem: root instanceof PendingTensor ? "holds a single tensor" : "holds a list",
      expected: "a state dict: names and tensors",
      hint: "save the weights with torch.save(model.state_dict(), path)",
    });
  }
  let dict: PickleValue = root;
  const path: string[] = [];
  while (dict instanceof Map && path.length < MAX_DEPTH) {
    const holder: Map<PickleValue, PickleValue> = dict;
    const key = wrappers.find((k) => holdsTensors(holder.get(k)));
    // A dictionary of tensors with, say, a part named "encoder" beside them is no wrapper.
    const tensorsBeside = [...holder.values()].filter((v) => leafOf(v) !== null).length;
    if (key === undefined || tensorsBeside > 2) break;
    path.push(key);
    const others = [...holder.keys()].filter((k) => k !== key).map((k) => printable(String(k)));
    if (others.length > 0)
      notes.push(`left aside: ${others.slice(0, 12).join(", ")}${others.length > 12 ? ", …" : ""}`);
    dict = holder.get(key) ?? null;
  }
  if (path.length > 0) notes.unshift(`weights taken from "${path.join('"."')}"`);

  const found: FoundState = { pending: new Map(), arrays: new Map(), notes };
  const seen = new Set<PickleValue>();
  const flatten = (value: PickleValue, prefix: string, depth: number): void => {
    if (!(value instanceof Map) || depth > MAX_DEPTH || seen.has(value)) return;
    seen.add(value);
    for (const [key, item] of value) {
      if (typeof key !== "string") continue;
      const leaf = leafOf(item);
      if (leaf instanceof PendingTensor) found.pending.set(prefix + key, leaf);
      else if (leaf !== null) found.arrays.set(prefix + key, leaf);
      else if (!asides.test(key)) flatten(item, `${prefix}${key}.`, depth + 1);
    }
  };
  flatten(dict, "", 0);
  if (found.pending.size + found.arrays.size === 0) {
    const keys = root instanceof Map ? [...root.keys()].map((k) => printable(String(k))) : [];
    throw new FileError(name, {
      problem: "holds no weights",
      expected: "a state dict: names and tensors",
      got: keys.length === 0 ? "nothing of that kind" : `a dictionary of ${keys.slice(0, 12).join(", ")}`,
      hint: "save the weights with torch.save(model.state_dict(), path)",
    });
  }
  return found;
}
