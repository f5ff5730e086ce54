/** @file Places the buffers of a program in one arena: two share memory when no instruction needs both. */
import { bytesOf, type Instruction, type Region } from "./program.js";

const UNIT = 64;
const unitsOf = (b: Region) => Math.max(1, Math.ceil((b.size * bytesOf(b.dtype)) / UNIT));

/**
 * Sets `at` of every arena buffer. Greedy by size: the largest first, each at the lowest place that is free while it lives.
 * @returns bytes of the arena
 */
export function placeBuffers(instructions: readonly Instruction[]): number {
  const life = new Map<Region, { from: number; to: number }>();
  instructions.forEach(({ reads, writes }, i) => {
    for (const b of [...writes, ...reads]) {
      if (b.space !== "arena") continue;
      const known = life.get(b);
      if (known) known.to = i;
      else life.set(b, { from: i, to: i });
    }
  });
  const order = [...life].sort(([a], [b]) => unitsOf(b) - unitsOf(a));
  const placed: { from: number; to: number; begin: number; end: number }[] = [];
  let top = 0;
  for (const [buffer, { from, to }] of order) {
    const size = unitsOf(buffer);
    let at = 0;
    // `placed` is kept in order of `begin`: the first gap that is wide enough wins.
    for (const p of placed) {
      if (p.from > to || p.to < from) continue;
      if (p.begin >= at + size) break;
      at = Math.max(at, p.end);
    }
    buffer.at = at;
    const entry = { from, to, begin: at, end: at + size };
    let low = 0;
    let high = placed.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (placed[middle]!.begin < at)
        low = middle + 1; // middle < length
      else high = middle;
    }
    placed.splice(low, 0, entry);
    top = Math.max(top, entry.end);
  }
  return top * UNIT;
}

/** Places constants one after another. @returns their bytes */
export function placeConstants(constants: ReadonlyMap<Region, Uint8Array>): Uint8Array {
  let units = 0;
  for (const b of constants.keys()) {
    b.at = units;
    units += unitsOf(b);
  }
  const bytes = new Uint8Array(units * UNIT);
  for (const [b, data] of constants) bytes.set(data, b.at * UNIT);
  return bytes;
}
