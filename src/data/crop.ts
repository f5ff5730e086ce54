/** @file Where a random resized crop cuts: torchvision's `RandomResizedCrop.get_params`, from our own random numbers. */
import type { Random } from "../common/random.js";
import type { CropRanges } from "./types.js";

/** A rectangle in pixels. */
export interface Crop {
  readonly top: number;
  readonly left: number;
  readonly height: number;
  readonly width: number;
}

/** Python's round: halves go to the even neighbour. */
function roundHalfEven(x: number): number {
  const down = Math.floor(x);
  const rest = x - down;
  if (rest < 0.5 || (rest === 0.5 && down % 2 === 0)) return down;
  return down + 1;
}

/**
 * Ten tries at an area uniform in `scale` and an aspect ratio log-uniform in `ratio`; when none fits, the largest
 * central crop whose ratio lies in the range.
 *
 * @see torchvision 0.14 transforms.RandomResizedCrop.get_params
 */
export function randomCrop(height: number, width: number, ranges: CropRanges, random: Random): Crop {
  const [lowRatio, highRatio] = ranges.ratio;
  for (let attempt = 0; attempt < 10; attempt++) {
    const area = height * width * random.between(ranges.scale[0], ranges.scale[1]);
    const ratio = Math.exp(random.between(Math.log(lowRatio), Math.log(highRatio)));
    const w = roundHalfEven(Math.sqrt(area * ratio));
    const h = roundHalfEven(Math.sqrt(area / ratio));
    if (w > 0 && w <= width && h > 0 && h <= height) {
      return { top: random.below(height - h + 1), left: random.below(width - w + 1), height: h, width: w };
    }
  }
  return centralCrop(height, width, ranges);
}

/** What remains when ten random crops were larger than the image. */
export function centralCrop(height: number, width: number, ranges: CropRanges): Crop {
  const [lowRatio, highRatio] = ranges.ratio;
  const ratio = width / height;
  const w = ratio > highRatio ? roundHalfEven(height * highRatio) : width;
  const h = ratio < lowRatio ? roundHalfEven(width / lowRatio) : height;
  return { top: Math.floor((height - h) / 2), left: Math.floor((width - w) / 2), height: h, width: w };
}
