/** @file Where the blocks of a network are: scopes of modules whose branches join in the graph, and those that look alike. */
import type { ImportedTensor } from "../onnx/import.js";

/** A parameter with the module that it is counted to (made up where the file has no names). */
export interface Member extends ImportedTensor {
  /** Place in the order of the network. */
  readonly order: number;
  /** The layer makes the image smaller or larger: a new stage begins with it. */
  readonly rescales: "down" | "up" | null;
}

/** Where branches that all see the image come together. */
export interface Join {
  /** The parameters that some of the branches need and others do not, as bits by `order`. */
  readonly apart: bigint;
  /** Added, as in residual blocks; else concatenated. */
  readonly sum: boolean;
}

/** A join of branches with more layers than this is no block but the skip of a U-Net. */
export const maxLayersInBlock = 16;

export const isInside = (module: string, scope: string): boolean =>
  scope === "" || module === scope || module.startsWith(`${scope}.`);
const parentOf = (module: string): string => module.slice(0, Math.max(0, module.lastIndexOf(".")));
const lastOf = (module: string): string => module.slice(module.lastIndexOf(".") + 1);
/** "denselayer12" → "denselayer#": brothers differ in their number only. */
const pattern = (name: string): string => name.replace(/\d+/g, "#");
const isNumbered = (name: string): boolean => /\d/.test(name);

/** Longest module path that holds all of the given ones. */
export function commonScope(modules: readonly string[]): string {
  const [first = "", ...rest] = modules;
  let scope = first;
  while (scope !== "" && !rest.every((m) => isInside(m, scope))) scope = parentOf(scope);
  return scope;
}

export const membersOf = (set: bigint, members: readonly Member[]): Member[] =>
  members.filter((m) => (set >> BigInt(m.order)) & 1n);
export const layersIn = (members: readonly Member[]): number => members.filter((m) => m.layerWeight).length;

/** The tree of modules, as far as the names of the parameters tell it. */
class Modules {
  private readonly layers = new Map<string, number>();

  constructor(readonly members: readonly Member[]) {}

  inside(scope: string): Member[] {
    return this.members.filter((m) => isInside(m.module, scope));
  }

  layersOf(scope: string): number {
    let n = this.layers.get(scope);
    if (n === undefined) {
      n = layersIn(this.inside(scope));
      this.layers.set(scope, n);
    }
    return n;
  }

  /** Modules of the same parent whose names differ in their number only, itself included; those with layers. */
  brothers(scope: string): string[] {
    const parent = parentOf(scope);
    const start = parent === "" ? 0 : parent.length + 1;
    const children = this.inside(parent)
      .filter((m) => m.module !== parent)
      .map((m) => {
        const end = m.module.indexOf(".", start);
        return end < 0 ? m.module : m.module.slice(0, end);
      });
    const wanted = pattern(lastOf(scope));
    return [...new Set(children)].filter((c) => pattern(lastOf(c)) === wanted && this.layersOf(c) > 0);
  }

  /** Not too large, and without layers that enlarge the image: down and up again is the skip of a U-Net, whatever its depth. */
  mayBeBlock(scope: string): boolean {
    return this.layersOf(scope) <= maxLayersInBlock && !this.inside(scope).some((m) => m.rescales === "up");
  }

  /** Whether a brother has the same parameters inside, name by name. */
  hasTwin(scope: string): boolean {
    const names = (s: string) =>
      this.inside(s)
        .map((m) => `${m.module.slice(s.length)} ${m.name.slice(m.name.lastIndexOf(".") + 1)}`)
        .map((name) => name.replace(/\d+$/, "#"))
        .sort()
        .join();
    const own = names(scope);
    return this.brothers(scope).some((b) => b !== scope && names(b) === own);
  }
}

/** The module that a join makes a block of: the one that holds its parameters, raised to the numbered module around. */
function scopeOf(inside: readonly Member[], modules: Modules): string {
  let scope = commonScope(inside.map((m) => m.module));
  // "blocks.0.attn" is a part of "blocks.0"; a scope without any number around it stays as it is.
  let numbered = scope;
  while (numbered !== "" && !isNumbered(lastOf(numbered))) numbered = parentOf(numbered);
  if (numbered !== "" && modules.mayBeBlock(numbered)) scope = numbered;
  // A block of one layer is known by the module that holds nothing else.
  const count = (s: string) => modules.inside(s).length;
  while (layersIn(inside) === 1 && parentOf(scope) !== "" && count(parentOf(scope)) === count(scope)) {
    scope = parentOf(scope);
  }
  return scope;
}

/** Scopes of the blocks, none inside another. */
export function blockScopes(members: readonly Member[], joins: readonly Join[]): Set<string> {
  const modules = new Modules(members);
  /** Scopes of joins, and whether one of them is a sum. */
  const sums = new Map<string, boolean>();
  for (const { apart, sum } of joins) {
    const inside = membersOf(apart, members);
    if (layersIn(inside) === 0) continue;
    const scope = scopeOf(inside, modules);
    if (scope !== "" && modules.mayBeBlock(scope)) sums.set(scope, sum || (sums.get(scope) ?? false));
  }
  const joined = [...sums.keys()];
  const within = (scope: string) => joined.filter((s) => s !== scope && isInside(s, scope));
  // Of two scopes one inside the other, the inner one is the block if it has a twin beside it (a dense layer in its dense
  // block), else it is a part of the outer one; so is a concatenation in a residual block.
  const isContainer = (scope: string) =>
    within(scope).some((s) => modules.layersOf(s) > 1 && modules.hasTwin(s) && (sums.get(s) || !sums.get(scope)));
  const blocks = joined.filter((s) => !isContainer(s));
  const whole = new Set(blocks.filter((s) => !blocks.some((outer) => outer !== s && isInside(s, outer))));
  // Brothers without a join of their own (a block that changes the size has no shortcut) are blocks, too, unless they hold several.
  for (const scope of [...whole]) {
    if (!isNumbered(lastOf(scope))) continue;
    for (const b of modules.brothers(scope)) if (within(b).length < 2 && modules.mayBeBlock(b)) whole.add(b);
  }
  // So is the one block of a stage, which has no brothers: it is called as the blocks of other stages are.
  const patterns = new Set([...whole].map(pattern));
  for (const m of members) {
    for (let scope = m.module; scope !== ""; scope = parentOf(scope)) {
      if (patterns.has(pattern(scope)) && modules.layersOf(scope) > 1 && within(scope).length < 2) whole.add(scope);
    }
  }
  return new Set([...whole].filter((s) => ![...whole].some((outer) => outer !== s && isInside(s, outer))));
}
