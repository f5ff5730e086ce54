/** @file Dividing images into parts with the classes' shares kept: image by image, or whole groups at a time. */
import type { Random } from "../common/random.js";

/** What is divided: the images, their classes, and their groups where known. */
export interface Population {
  readonly indices: Uint32Array;
  readonly labels: Uint32Array;
  readonly classes: number;
  /** By index into the data set; null: every image is its own group. */
  readonly groups: readonly string[] | null;
}

/**
 * Divides the images into `shares.length` parts, each with about its share of every class; groups stay whole.
 *
 * @param shares wanted share of each part; they add up to 1
 * @returns the parts, each in ascending order; together all images, none twice
 */
export function stratify(population: Population, shares: readonly number[], random: Random): Uint32Array[] {
  const partOf =
    population.groups === null
      ? byImage(population, shares, random)
      : byGroup(population, population.groups, shares, random);
  const sorted = Uint32Array.from(population.indices).sort();
  return shares.map((_, part) => sorted.filter((i) => partOf.get(i) === part));
}

/**
 * Each class is shuffled and cut at the shares, rounded down; what is left goes to the parts that are owed the most, counting
 * what earlier classes left. So no class misses its share by a whole image, and the parts' sizes balance.
 */
function byImage(
  { indices, labels, classes }: Population,
  shares: readonly number[],
  random: Random,
): Map<number, number> {
  const partOf = new Map<number, number>();
  const sorted = Uint32Array.from(indices).sort();
  const owed = new Float64Array(shares.length);
  for (let c = 0; c < classes; c++) {
    const members = sorted.filter((i) => labels[i] === c);
    const order = random.permutation(members.length);
    const take = shares.map((share) => Math.floor(share * members.length + 1e-9));
    for (const [p, share] of shares.entries()) owed[p]! += share * members.length - take[p]!; // one per part
    const spare = members.length - take.reduce((a, b) => a + b, 0);
    const byDebt = Array.from(shares.keys()).sort((a, b) => owed[b]! - owed[a]! || a - b); // parts
    for (const p of byDebt.slice(0, spare)) {
      take[p]!++;
      owed[p]!--;
    }
    let at = 0;
    for (const [p, n] of take.entries()) {
      for (let k = 0; k < n; k++) partOf.set(members[order[at++]!]!, p); // at < members.length
    }
  }
  return partOf;
}

/** Attempts with other orders; the best counts. */
const attempts = 12;

/**
 * Groups go one by one, the largest first, to where they disturb the shares least; then single moves improve the result
 * until none helps. The measure is Σ over classes and parts of (share of the class there − wanted share)², and a part
 * without a class that has groups enough for all parts costs 1.
 */
function byGroup(
  { indices, labels, classes }: Population,
  groups: readonly string[],
  shares: readonly number[],
  random: Random,
): Map<number, number> {
  const names = [...new Set(Array.from(indices, (i) => groups[i] ?? ""))].sort((a, b) => (a < b ? -1 : a > b ? 1 : 0));
  const numberOf = new Map(names.map((name, g) => [name, g]));
  const counts = names.map(() => new Float64Array(classes));
  const totals = new Float64Array(classes);
  for (const i of indices) {
    const label = labels[i] ?? 0;
    counts[numberOf.get(groups[i] ?? "") ?? 0]![label]! += 1; // every group has a number; labels are below classes
    totals[label]! += 1;
  }
  const groupsOf = Float64Array.from(totals, (_, c) => counts.filter((n) => (n[c] ?? 0) > 0).length);
  const parts = shares.length;

  const search = (): { cost: number; assignment: Int32Array } => {
    const held = Array.from({ length: parts }, () => new Float64Array(classes));
    const assignment = new Int32Array(names.length).fill(-1);
    const partCost = (p: number): number => {
      let cost = 0;
      for (let c = 0; c < classes; c++) {
        if (totals[c] === 0) continue;
        const share = held[p]![c]! / totals[c]!; // p < parts, c < classes
        cost += (share - shares[p]!) ** 2 + (share === 0 && groupsOf[c]! >= parts ? 1 : 0);
      }
      return cost;
    };
    const add = (g: number, p: number, sign: number) => {
      for (let c = 0; c < classes; c++) held[p]![c]! += sign * counts[g]![c]!;
    };
    /** Change of the measure when group g joins (+1) or leaves (−1) part p. */
    const change = (g: number, p: number, sign: number): number => {
      const before = partCost(p);
      add(g, p, sign);
      const after = partCost(p);
      add(g, p, -sign);
      return after - before;
    };
    const tie = random.permutation(names.length);
    const size = (g: number) => counts[g]!.reduce((a, b) => a + b, 0);
    const order = Array.from(names.keys()).sort((a, b) => size(b) - size(a) || tie[a]! - tie[b]!);
    // Half of the attempts begin in the order of size, half in any order.
    if (random.below(2) === 1) order.sort((a, b) => tie[a]! - tie[b]!);
    for (const g of order) {
      let best = 0;
      let bestChange = Number.POSITIVE_INFINITY;
      for (let p = 0; p < parts; p++) {
        const d = change(g, p, 1);
        if (d < bestChange - 1e-12) [best, bestChange] = [p, d];
      }
      add(g, best, 1);
      assignment[g] = best;
    }
    for (let sweep = 0, moved = true; moved && sweep < 20; sweep++) {
      moved = false;
      for (const g of order) {
        const from = assignment[g]!; // assigned above
        const leaving = change(g, from, -1);
        for (let p = 0; p < parts; p++) {
          if (p === from || leaving + change(g, p, 1) > -1e-12) continue;
          add(g, from, -1);
          add(g, p, 1);
          assignment[g] = p;
          moved = true;
          break;
        }
      }
    }
    return { cost: held.reduce((sum, _, p) => sum + partCost(p), 0), assignment };
  };

  let best = search();
  for (let k = 1; k < attempts; k++) {
    const next = search();
    if (next.cost < best.cost - 1e-12) best = next;
  }
  return new Map(Array.from(indices, (i) => [i, best.assignment[numberOf.get(groups[i] ?? "") ?? 0] ?? 0]));
}
