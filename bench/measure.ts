/** @file Measuring: contenders take turns, round by round, so that what disturbs the machine disturbs all of them. */
import type { Contender, StepKind } from "./protocol.js";

export interface Timing {
  readonly medianMs: number;
  readonly minMs: number;
  readonly maxMs: number;
  /** Every measured step in order. */
  readonly samplesMs: readonly number[];
}

/** Middle of the sorted values, the mean of the middle two for an even count. @param values at least one */
export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const half = sorted.length >> 1;
  // Both indices are inside: there is at least one value, and the second is used for even counts only.
  return sorted.length % 2 === 1 ? sorted[half]! : (sorted[half - 1]! + sorted[half]!) / 2;
}

/** @param samplesMs at least one */
export const timing = (samplesMs: readonly number[]): Timing => ({
  medianMs: median(samplesMs),
  minMs: Math.min(...samplesMs),
  maxMs: Math.max(...samplesMs),
  samplesMs,
});

export interface Turn {
  readonly contender: Pick<Contender, "step">;
  readonly kind: StepKind;
}

/** Threads that just finished keep spinning for some milliseconds, on the cores of the next one. */
const settle = () => new Promise((resolve) => setTimeout(resolve, 50));

/**
 * Runs every turn `warmup` times, then `rounds` times with the order rotated by one each round.
 * @returns one timing for each turn, in the order given
 */
export async function interleave(turns: readonly Turn[], rounds: number, warmup = 1): Promise<Timing[]> {
  const samples: number[][] = turns.map(() => []);
  for (let round = -warmup; round < rounds; round++) {
    for (let i = 0; i < turns.length; i++) {
      const at = (i + Math.max(round, 0)) % turns.length;
      const { contender, kind } = turns[at]!; // a remainder of its length
      await settle();
      const ms = await contender.step(kind);
      if (round >= 0) samples[at]!.push(ms);
    }
  }
  return samples.map(timing);
}

export interface Line {
  readonly slope: number;
  readonly intercept: number;
  /** Largest distance of a point from the line, as a share of the line's value there. */
  readonly worstResidual: number;
  /** Share of the variance that the line explains. */
  readonly r2: number;
}

/**
 * Line through (x, y) that minimises the relative residuals Σ ((y − a − b·x) / y)², since small workloads count as much as
 * large ones. @param points at least two with different x, y > 0
 */
export function fitLine(points: readonly (readonly [x: number, y: number])[]): Line {
  let [s, sx, sxx, sy, sxy] = [0, 0, 0, 0, 0];
  for (const [x, y] of points) {
    const w = 1 / y ** 2;
    s += w;
    sx += w * x;
    sxx += w * x * x;
    sy += w * y;
    sxy += w * x * y;
  }
  const slope = (s * sxy - sx * sy) / (s * sxx - sx * sx);
  const intercept = (sy - slope * sx) / s;
  const at = (x: number) => intercept + slope * x;
  const mean = points.reduce((sum, [, y]) => sum + y, 0) / points.length;
  const around = (of: (x: number) => number) => points.reduce((sum, [x, y]) => sum + (y - of(x)) ** 2, 0);
  return {
    slope,
    intercept,
    worstResidual: Math.max(...points.map(([x, y]) => Math.abs(y - at(x)) / at(x))),
    r2: 1 - around(at) / around(() => mean),
  };
}
