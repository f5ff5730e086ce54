/** @file Layer groups of an imported network: one for each block, from the names of its modules and the joins of its graph. */
import type { ImportedOnnx } from "../onnx/import.js";
import {
  blockScopes,
  commonScope,
  isInside,
  type Join,
  layersIn,
  type Member,
  maxLayersInBlock,
  membersOf,
} from "./onnx-blocks.js";

export interface Grouping {
  /** In the order of the network; the last one is the head. */
  readonly groups: readonly string[];
  /** Group of every parameter, by name. */
  readonly groupOf: ReadonlyMap<string, number>;
}

/** A stretch without blocks is one group up to this many layer weights; beyond, it is divided. */
const maxLayersInOne = 3;
/**
 * For every sum or concatenation of branches that all see the image: the parameters that some branches need and others do
 * not. Of a residual block these are the block's own, for the identity has none of them.
 */
function joinsOf(imported: ImportedOnnx): Join[] {
  const bits = new Map(imported.parameters.map((p, i) => [p.name, 1n << BigInt(i)]));
  const depends = new Map<string, bigint>();
  const seesImage = new Set([imported.input.name]);
  const found: Join[] = [];
  for (const node of imported.nodes) {
    const sets = node.inputs.map((name) => depends.get(name) ?? bits.get(name) ?? 0n);
    const branches = node.inputs.flatMap((name, i) => (seesImage.has(name) ? [sets[i] ?? 0n] : []));
    if (branches.length > 1 && ["Add", "Sum", "Concat"].includes(node.opType)) {
      const apart = branches.reduce((a, b) => a | b) & ~branches.reduce((a, b) => a & b);
      if (apart !== 0n) found.push({ apart, sum: node.opType !== "Concat" });
    }
    const all = sets.reduce((a, b) => a | b, 0n);
    for (const out of node.outputs) {
      depends.set(out, all);
      if (branches.length > 0) seesImage.add(out);
    }
  }
  return found;
}

/** Weights of convolutions with a stride: down, or up for transposed ones. */
function rescaling(imported: ImportedOnnx): Map<string, "down" | "up"> {
  const names = new Map<string, "down" | "up">();
  for (const n of imported.nodes) {
    const strides = n.attributes["strides"];
    const strided = strides?.type === "ints" && strides.value.some((s) => s > 1n);
    if (strided && (n.opType === "Conv" || n.opType === "ConvTranspose")) {
      names.set(n.inputs[1] ?? "", n.opType === "Conv" ? "down" : "up");
    }
  }
  return names;
}
/** One stage at most: nothing but the first layer changes the size of the image. */
const isOneStage = (members: readonly Member[]): boolean =>
  layersIn(members) <= maxLayersInOne &&
  members.filter((m) => m.layerWeight).every((m, i) => i === 0 || m.rescales === null);

/** Files without names: blocks by their joins, smallest first, everything else by itself. */
function named(members: readonly Member[], joins: readonly Join[]): Member[] {
  const unnamed = new Set(members.filter((m) => m.module === "" && m.layerWeight).map((m) => m.order));
  if (unnamed.size <= members.filter((m) => m.layerWeight).length / 2) return [...members];
  const block = new Map<number, number>();
  let blocks = 0;
  const blockSets = joins
    .map((join) => membersOf(join.apart, members))
    .filter((inside) => layersIn(inside) > 0 && layersIn(inside) <= maxLayersInBlock)
    .sort((a, b) => a.length - b.length);
  for (const inside of blockSets) {
    const free = inside.filter((m) => !block.has(m.order));
    if (layersIn(free) === 0) continue;
    for (const m of free) block.set(m.order, blocks);
    blocks++;
  }
  // Numbered anew in the order of the network; what follows a layer weight (its bias, a norm) belongs to it.
  const number = new Map<string, number>();
  let current = "";
  return members.map((m) => {
    const own = block.get(m.order);
    if (own !== undefined) current = `block ${own}`;
    else if (m.layerWeight || current === "") current = `layer ${m.order}`;
    if (!number.has(current)) number.set(current, number.size + 1);
    const kind = current.startsWith("block") ? "block" : "layer";
    return { ...m, module: `${kind}${number.get(current)}` };
  });
}

/** Divides a stretch of layers that are in no block: by module, down to single layers where a module holds many. */
function divide(members: readonly Member[], scope: string): Member[][] {
  const parts: Member[][] = [];
  for (const child of [...new Set(members.map((m) => (m.module === scope ? scope : childAt(m.module, scope))))]) {
    const inside = members.filter((m) => (child === scope ? m.module === scope : isInside(m.module, child)));
    const layers = inside.filter((m) => m.layerWeight);
    const matrices = layers.every((m) => m.tensor.shape.length === 2);
    const whole = child === scope || layers.length <= 1 || (isOneStage(inside) && !matrices);
    if (whole) parts.push(inside);
    else parts.push(...divide(inside, child));
  }
  return parts;
}
const childAt = (module: string, scope: string): string => {
  const end = module.indexOf(".", scope === "" ? 0 : scope.length + 1);
  return end < 0 ? module : module.slice(0, end);
};

/** Every layer by itself. */
const singly = (members: readonly Member[]): Member[][] =>
  [...new Set(members.map((m) => m.module))].map((module) => members.filter((m) => m.module === module));

/** Parts without a layer weight (norms, biases, tokens) join the part before them, or at the beginning the one after. */
function attached(parts: readonly Member[][]): Member[][] {
  const result: Member[][] = [];
  let waiting: Member[] = [];
  for (const part of parts) {
    const last = result.at(-1);
    if (layersIn(part) > 0) {
      result.push([...waiting, ...part]);
      waiting = [];
    } else if (last) last.push(...part);
    else waiting.push(...part);
  }
  if (waiting.length > 0) result.push(waiting);
  return result;
}

/** The layers that make the logits, and all that comes after the last of them. */
function headOf(members: readonly Member[], weights: readonly string[]): Set<number> {
  const last = members.findLast((m) => m.layerWeight) ?? members.at(-1);
  if (last === undefined) return new Set();
  const modules = new Set(members.filter((m) => weights.includes(m.name) || m === last).map((m) => m.module));
  modules.delete("");
  return new Set(members.filter((m) => m.order >= last.order || modules.has(m.module)).map((m) => m.order));
}

/**
 * Divides the parameters into layer groups: residual and dense blocks, transformer blocks, stages of a U-Net, and what is
 * before, between and after them; plain chains of layers one by one. Never all in one.
 *
 * @param heads names of the weights that make the logits; by default the last layer's
 */
export function groupParameters(imported: ImportedOnnx, heads: readonly string[] = []): Grouping {
  const joins = joinsOf(imported);
  const strided = rescaling(imported);
  const members = named(
    imported.parameters.map((p, order) => ({ ...p, order, rescales: strided.get(p.name) ?? null })),
    joins,
  );
  const head = headOf(members, heads);
  const body = members.filter((m) => !head.has(m.order));
  const scopes = [...blockScopes(body, joins)].sort((a, b) => b.length - a.length);
  const blockOf = (m: Member) => scopes.find((s) => isInside(m.module, s)) ?? null;

  // Blocks as they are; the stretches between them divided.
  const parts: { name: string | null; members: Member[] }[] = [];
  const blocks = new Map<string, Member[]>();
  let stretch: Member[] = [];
  const flush = (inBlocks: boolean) => {
    if (stretch.length === 0) return;
    const few = inBlocks && isOneStage(stretch);
    const divided = few ? [stretch] : divide(stretch, commonScope(stretch.map((m) => m.module)));
    const pieces = !inBlocks && divided.length < 2 ? singly(stretch) : divided;
    for (const piece of pieces) parts.push({ name: null, members: piece });
    stretch = [];
  };
  for (const m of body) {
    const scope = blockOf(m);
    if (scope === null) {
      stretch.push(m);
      continue;
    }
    flush(true);
    const block = blocks.get(scope);
    if (block) block.push(m);
    else {
      const fresh = [m];
      blocks.set(scope, fresh);
      parts.push({ name: scope, members: fresh });
    }
  }
  flush(blocks.size > 0);
  return assemble(
    parts,
    members.filter((m) => head.has(m.order)),
  );
}

function assemble(parts: readonly { name: string | null; members: Member[] }[], head: readonly Member[]): Grouping {
  const names = new Map(parts.flatMap((p) => (p.name === null ? [] : [[p.members, p.name] as const])));
  const joined = attached(parts.map((p) => p.members));
  const nameOf = (part: readonly Member[]) => {
    for (const [block, name] of names) if (block.some((m) => part.includes(m))) return name;
    return null;
  };
  const all = [...parts.flatMap((p) => p.members), ...head];
  const groups: string[] = [];
  const groupOf = new Map<string, number>();
  const add = (wanted: string, part: readonly Member[]) => {
    let name = wanted;
    for (let i = 2; groups.includes(name); i++) name = `${wanted} (${i})`;
    for (const m of part) groupOf.set(m.name, groups.length);
    groups.push(name);
  };
  joined.forEach((part, i) => {
    // The module that holds all of the part, or at least its layers; not one that holds other groups as well.
    const layers = part.filter((m) => m.layerWeight);
    const scopes = [part, layers].map((list) => commonScope(list.map((m) => m.module)));
    const own = scopes.find((s) => s !== "" && !all.some((m) => isInside(m.module, s) && !part.includes(m)));
    const stem = i === 0 && names.size > 0 && own !== scopes[0] ? "stem" : null;
    const otherwise = (layers[0] ?? part[0])?.module || `group${i + 1}`;
    add(nameOf(part) ?? stem ?? own ?? otherwise, part);
  });
  add(head.findLast((m) => m.layerWeight)?.module || "head", head);
  return { groups, groupOf };
}
