/** @file Ways in which a checkpoint's names can be a network's: the same behind a prefix, renumbered stages, or the order alone. */
import { type Shape, sameShape } from "../common/tensor.js";
import { isRunning } from "./describe.js";

/** A name with a shape, of the network or of the checkpoint. */
export interface Named {
  readonly name: string;
  readonly shape: Shape;
}

/** The network without its head: what a checkpoint has to fit. */
export interface Backbone {
  readonly parameters: readonly Named[];
  readonly buffers: readonly Named[];
}

/** Name in the network → name in the checkpoint. */
export type Mapping = Map<string, string>;

/** Prefixes of training programs; of two networks in one file the earlier one here is meant. */
const known = [
  "",
  "module.",
  "model.",
  "backbone.",
  "encoder.",
  "encoder_q.",
  "base_encoder.",
  "student.",
  "teacher.",
  "encoder_k.",
];

/** Order of preference between prefixes that fit equally well: the words that they end in, then their length. */
function preference(prefix: string): number {
  const at = known.findIndex((word) => word !== "" && prefix.endsWith(word));
  return prefix === "" ? 0 : at < 0 ? known.length : at;
}

/**
 * The prefix P for which the most of the backbone's parameters exist as P + name with the same shape.
 *
 * @returns null where no name of the network ends a name of the checkpoint
 */
export function byPrefix(
  backbone: Backbone,
  checkpoint: readonly Named[],
): { prefix: string; fits: number; named: number } | null {
  const wanted = new Map(backbone.parameters.map((p) => [p.name, p.shape]));
  const counts = new Map<string, { fits: number; named: number }>();
  for (const { name, shape } of checkpoint) {
    for (let cut = 0; cut >= 0; cut = name.indexOf(".", cut) + 1 || -1) {
      const own = wanted.get(name.slice(cut));
      if (own === undefined) continue;
      const prefix = name.slice(0, cut);
      const count = counts.get(prefix) ?? { fits: 0, named: 0 };
      count.named++;
      if (sameShape(own, shape)) count.fits++;
      counts.set(prefix, count);
    }
  }
  const best = [...counts].sort(
    ([a, x], [b, y]) => y.fits - x.fits || y.named - x.named || preference(a) - preference(b) || a.length - b.length,
  )[0];
  return best === undefined ? null : { prefix: best[0], ...best[1] };
}

/** Parts of names up to the first dot, in the order in which they appear, each with what follows the dot. */
function partsOf(named: readonly Named[], prefix: string): Map<string, Map<string, Named>> {
  const parts = new Map<string, Map<string, Named>>();
  for (const item of named) {
    if (!item.name.startsWith(prefix)) continue;
    const rest = item.name.slice(prefix.length);
    const dot = rest.indexOf(".");
    if (dot < 0) continue;
    const part = parts.get(rest.slice(0, dot)) ?? new Map<string, Named>();
    part.set(rest.slice(dot + 1), item);
    parts.set(rest.slice(0, dot), part);
  }
  return parts;
}

const sameParts = (a: Map<string, Named>, b: Map<string, Named>): boolean =>
  a.size === b.size &&
  [...a].every(([rest, { shape }]) => {
    const other = b.get(rest);
    return other !== undefined && sameShape(shape, other.shape);
  });

/**
 * "features.0, features.1, features.4, …" of an nn.Sequential made of a network's children: its numbered parts, in the order of the
 * numbers, against the network's parts in their order; what is inside a part must agree in names and shapes.
 *
 * @returns null unless every part of the backbone finds its own
 */
export function byStages(
  backbone: Backbone,
  checkpoint: readonly Named[],
): { mapping: Mapping; prefix: string } | null {
  const own = [...partsOf([...backbone.parameters, ...backbone.buffers], "").values()];
  const prefixes = new Set<string>();
  for (const { name } of checkpoint) {
    const match = /^((?:.*?\.)?)\d+\./.exec(name);
    if (match?.[1] !== undefined) prefixes.add(match[1]);
  }
  for (const prefix of prefixes) {
    const numbered = [...partsOf(checkpoint, prefix)]
      .filter(([part]) => /^\d+$/.test(part))
      .sort(([a], [b]) => Number(a) - Number(b))
      .map(([, items]) => items);
    const mapping: Mapping = new Map();
    let next = 0;
    const complete = own.every((part) => {
      while (next < numbered.length && !sameParts(part, numbered[next]!)) next++; // next < length
      const found = numbered[next++];
      if (found === undefined) return false;
      for (const [rest, { name }] of part) mapping.set(name, found.get(rest)?.name ?? name); // sameParts has seen `rest`
      return true;
    });
    if (complete && own.length > 1) return { mapping, prefix };
  }
  return null;
}

/**
 * As the released loader: tensor by tensor in the order of the file, whatever their names. Every parameter of the backbone must
 * have its partner's shape; running statistics are paired among themselves, and may be missing altogether.
 *
 * @returns the mapping, or the first pair that differs
 */
export function byOrder(
  backbone: Backbone,
  checkpoint: readonly Named[],
): { mapping: Mapping } | { own: Named; other: Named | undefined } {
  const mapping: Mapping = new Map();
  const pair = (own: readonly Named[], others: readonly Named[]) => {
    for (const [i, item] of own.entries()) {
      const other = others[i];
      if (other === undefined || !sameShape(item.shape, other.shape)) return { own: item, other };
      mapping.set(item.name, other.name);
    }
    return null;
  };
  const statistics = checkpoint.filter((t) => isRunning(t.name));
  const different =
    pair(
      backbone.parameters,
      checkpoint.filter((t) => !isRunning(t.name)),
    ) ?? (statistics.length > 0 ? pair(backbone.buffers, statistics) : null);
  return different ?? { mapping };
}
