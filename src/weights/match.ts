/** @file A checkpoint's tensors onto a network's parameters: by name, behind a prefix, by stages or by order, every leftover named. */
import { WeightsError } from "../common/errors.js";
import { type FloatTensor, formatShape, type Shape, sameShape, type Tensor } from "../common/tensor.js";
import { formatCount, printable } from "../formats/bytes.js";
import { type Backbone, byOrder, byPrefix, byStages, type Mapping, type Named } from "./_mapping.js";
import { countNonFinite } from "./read.js";

/** What matching needs to know of a model. */
export interface WeightTarget {
  readonly name: string;
  readonly parameters: readonly { readonly name: string; readonly shape: Shape; readonly group: number }[];
  readonly buffers: readonly Named[];
  /** Group of the classifier. */
  readonly headGroup: number;
}

export interface MatchOptions {
  /** For messages: the checkpoint's file. Default "weights". */
  readonly source?: string;
  /** "keep" (default) takes the classifier where its shapes fit; "drop" leaves it as initialised. */
  readonly head?: "keep" | "drop";
}

export interface WeightMatch {
  /** By the model's names; float32 with the model's shapes. */
  readonly matched: Map<string, { readonly from: string; readonly tensor: FloatTensor }>;
  /** Parameters and buffers of the model that stay as initialised, in the model's order. */
  readonly unmatched: string[];
  /** Tensors of the checkpoint that were not used; counters of batches are not mentioned. */
  readonly skipped: { readonly name: string; readonly reason: string }[];
  /** For the reader: "by name", 'by name, behind "module."', 'by order and shape'. */
  readonly how: string;
}

/** Names of classifiers in other people's networks. */
const heads = ["fc", "linear", "classifier", "head", "last_linear", "output", "logits"];

/**
 * Tries, in this order: the same names, the same names behind one prefix ("module.", "encoder_q.", …), a Sequential of the
 * network's stages ("features.N…"), and the order and shapes alone. A classifier with another number of classes is left out.
 *
 * @throws {WeightsError} fewer than three quarters of the backbone's parameters fit; a tensor that would be used holds NaN or infinity
 */
export function matchWeights(
  tensors: ReadonlyMap<string, Tensor>,
  model: WeightTarget,
  options: MatchOptions = {},
): WeightMatch {
  const source = options.source ?? "weights";
  const reasons = new Map<string, string>();
  const usable: Named[] = [];
  for (const [name, { dtype, shape }] of tensors) {
    if (/(^|\.)num_batches_tracked$/.test(name)) continue;
    if (dtype === "float32") usable.push({ name, shape });
    else reasons.set(name, `${dtype}, not float32`);
  }
  const inHead = model.parameters.filter((p) => p.group === model.headGroup);
  // A network of one layer is all backbone: there is nothing else to know it by.
  const headNames = new Set(inHead.length === model.parameters.length ? [] : inHead.map((p) => p.name));
  const backbone: Backbone = {
    parameters: model.parameters.filter((p) => !headNames.has(p.name)),
    buffers: model.buffers,
  };
  const { mapping, how, prefix } = choose(backbone, usable, model, source);

  const shapes = new Map(usable.map((t) => [t.name, t.shape]));
  const own = [...model.parameters.filter((p) => !headNames.has(p.name)), ...model.buffers];
  for (const { name, shape } of own) {
    const from = mapping.get(name);
    const found = from === undefined ? undefined : shapes.get(from);
    if (from === undefined || found === undefined || sameShape(found, shape)) continue;
    mapping.delete(name);
    reasons.set(from, `shape ${formatShape(found)}, ${model.name} has ${formatShape(shape)} (${name})`);
  }
  if (prefix !== null) {
    const head = model.parameters.filter((p) => headNames.has(p.name));
    addHead(mapping, reasons, head, prefix, shapes, model.name, options.head ?? "keep");
  }

  const matched = take(mapping, tensors, model, source);
  const used = new Set([...matched.values()].map((m) => m.from));
  const leftover =
    prefix === null
      ? `left over after the backbone of ${model.name} (a projection head or classifier)`
      : `${model.name} has nothing of that name`;
  const skipped = [...tensors.keys()]
    .filter((name) => !used.has(name) && !/(^|\.)num_batches_tracked$/.test(name))
    .map((name) => ({ name, reason: reasons.get(name) ?? leftover }));
  const unmatched = [...model.parameters, ...model.buffers].map((p) => p.name).filter((name) => !matched.has(name));
  return { matched, unmatched, skipped, how };
}

/** `prefix` is null where names mean nothing, so that a classifier cannot be told from a projection head. */
interface Choice {
  readonly mapping: Mapping;
  readonly how: string;
  readonly prefix: string | null;
}

function choose(backbone: Backbone, usable: readonly Named[], model: WeightTarget, source: string): Choice {
  const total = backbone.parameters.length;
  const named = byPrefix(backbone, usable);
  const byName = (prefix: string): Choice => {
    const present = new Set(usable.map((t) => t.name));
    const all = [...backbone.parameters, ...backbone.buffers].map((p) => p.name);
    return {
      mapping: new Map(all.filter((n) => present.has(prefix + n)).map((n) => [n, prefix + n])),
      how: prefix === "" ? "by name" : `by name, behind "${printable(prefix)}"`,
      prefix,
    };
  };
  if (named !== null && named.fits === total) return byName(named.prefix);
  const stages = byStages(backbone, usable);
  if (stages !== null) {
    return {
      mapping: stages.mapping,
      how: `by order and shape, "${printable(stages.prefix)}N" read as the stages of ${model.name}`,
      prefix: null,
    };
  }
  const order = byOrder(backbone, usable);
  if ("mapping" in order) return { mapping: order.mapping, how: "by order and shape", prefix: null };
  if (named !== null && 4 * named.fits >= 3 * total) return byName(named.prefix);
  throw unfit(backbone, usable, model, source, named, order);
}

function unfit(
  backbone: Backbone,
  usable: readonly Named[],
  model: WeightTarget,
  source: string,
  named: ReturnType<typeof byPrefix>,
  order: { own: Named; other: Named | undefined },
): WeightsError {
  const total = backbone.parameters.length;
  let pair = order;
  if (named !== null && 2 * named.named >= total) {
    const shapes = new Map(usable.map((t) => [t.name, t.shape]));
    for (const own of backbone.parameters) {
      const name = named.prefix + own.name;
      const shape = shapes.get(name);
      if (shape === undefined || sameShape(shape, own.shape)) continue;
      pair = { own, other: { name, shape } };
      break;
    }
  }
  const { own, other } = pair;
  const got =
    other === undefined
      ? "nothing in its place"
      : `"${printable(other.name)}" ${formatShape(other.shape)} in its place`;
  return new WeightsError(source, {
    problem: `the weights do not fit ${model.name}: ${named?.fits ?? 0} of the ${total} parameters before its last layer have their name and shape`,
    expected: `"${own.name}" ${formatShape(own.shape)}`,
    got,
    hint: "choose the network that they belong to with --model; `metalr inspect FILE` lists names and shapes",
  });
}

/** The classifier: under its own name, or as the one layer of another classifier's name whose shapes fit. */
function addHead(
  mapping: Mapping,
  reasons: Map<string, string>,
  head: readonly Named[],
  prefix: string,
  shapes: ReadonlyMap<string, Shape>,
  model: string,
  wish: "keep" | "drop",
): void {
  const taken = new Set(mapping.values());
  const sources = [head.map((p) => prefix + p.name)];
  const [weight, bias] = head;
  if (head.length === 2 && weight?.name.endsWith(".weight") && bias?.name.endsWith(".bias")) {
    for (const word of heads) sources.push([`${prefix}${word}.weight`, `${prefix}${word}.bias`]);
  }
  for (const names of sources) {
    const found = names.map((name) => (taken.has(name) ? undefined : shapes.get(name)));
    if (!found.some((shape) => shape !== undefined)) continue;
    const fits = found.every((shape, i) => shape !== undefined && sameShape(shape, head[i]?.shape ?? []));
    if (fits && wish === "keep") {
      for (const [i, name] of names.entries()) mapping.set(head[i]?.name ?? name, name); // one name for each
      return;
    }
    const classes = (shape: Shape | undefined) => `${formatCount(shape?.[0] ?? 0)} classes`;
    const reason = fits
      ? "the classifier starts anew, as asked"
      : `a classifier of ${classes(found[0])}, ${model} has ${classes(weight?.shape)}`;
    for (const [i, name] of names.entries()) if (found[i] !== undefined) reasons.set(name, reason);
    return;
  }
}

function take(
  mapping: Mapping,
  tensors: ReadonlyMap<string, Tensor>,
  model: WeightTarget,
  source: string,
): WeightMatch["matched"] {
  const matched: WeightMatch["matched"] = new Map();
  for (const { name } of [...model.parameters, ...model.buffers]) {
    const from = mapping.get(name);
    const tensor = from === undefined ? undefined : tensors.get(from);
    if (from === undefined || tensor?.dtype !== "float32") continue;
    const bad = countNonFinite(tensor);
    if (bad > 0) {
      throw new WeightsError(source, {
        problem: `"${printable(from)}" holds numbers that are not finite`,
        expected: `${formatCount(tensor.data.length)} finite numbers`,
        got: `${formatCount(bad)} of them NaN or infinite`,
        hint: "the training that wrote it has diverged; take an earlier checkpoint",
      });
    }
    matched.set(name, { from, tensor });
  }
  return matched;
}
