/** @file Dice per class: how well two label volumes agree. */
import type { SegmentationFigures, VolumeDice } from "./types.js";

/** Mean over volumes of each class's Dice, volumes without the class left out; null where no volume has it. */
export function meanDice(volumes: readonly (readonly (number | null)[])[]): (number | null)[] {
  const classes = Math.max(0, ...volumes.map((v) => v.length));
  return Array.from({ length: classes }, (_, c) => {
    const present = volumes.map((v) => v[c] ?? null).filter((d) => d !== null);
    return present.length === 0 ? null : present.reduce((sum, d) => sum + d, 0) / present.length;
  });
}

/**
 * Dice of each class: 2·|P ∩ T| / (|P| + |T|); 1 is full agreement. null where the class occurs in neither.
 *
 * @param counts of voxels, at [truth · classes + predicted]
 * @param classes background included
 * @see Dice, Ecology 26 (1945)
 */
export function diceOf(counts: ArrayLike<number>, classes: number): (number | null)[] {
  return Array.from({ length: classes }, (_, c) => {
    let size = 0;
    for (let other = 0; other < classes; other++) {
      size += (counts[c * classes + other] ?? 0) + (counts[other * classes + c] ?? 0);
    }
    return size === 0 ? null : (2 * (counts[c * classes + c] ?? 0)) / size;
  });
}

/** Mean of those that are known; NaN where none is. */
const meanOf = (values: readonly (number | null)[]): number => {
  const known = values.filter((v) => v !== null);
  return known.reduce((sum, v) => sum + v, 0) / known.length;
};

/** Mean over the classes but the background. */
export const foregroundMean = (dice: readonly (number | null)[]): number => meanOf(dice.slice(1));

/** Figures of volumes: every class's mean over the volumes that have it, and the mean of these over the foreground. */
export function figuresOf(volumes: readonly VolumeDice[], classes: number): SegmentationFigures {
  const perClass = meanDice(volumes.map((v) => v.dice.slice(0, classes)));
  return { mean: foregroundMean(perClass), perClass, volumes };
}
