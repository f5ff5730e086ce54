/** @file From stored grey values to display values: modality rescale, window, inversion (PS3.3 §C.11.1, §C.11.2). */
import { DataError, UsageError } from "../../common/errors.js";
import { percentile } from "../percentile.js";
import type { Elements } from "./_elements.js";
import type { PixelHeader } from "./_header.js";
import { type Lut, lookUp, readLut } from "./_lut.js";
import type { StoredFrame } from "./_stored.js";
import { describeTag, tags } from "./_tags.js";
import type { Values } from "./_values.js";

/** A window that the file brings along, in rescaled units (HU for CT). */
export interface WindowPreset {
  readonly center: number;
  readonly width: number;
}

/**
 * Which values become black and white:
 * - "file" (default): the file's VOI LUT, else its first window, else "full";
 * - { preset }: the file's window of that index, 0 first;
 * - { center, width }: in rescaled units;
 * - { percentiles }: of the frame's values, 0 … 100;
 * - "full": all that 8 bits and fewer can hold, the smallest to the largest value of the frame beyond that;
 * - "none": no window; float32 in rescaled units, not inverted.
 */
export type WindowOption =
  | "file"
  | "full"
  | "none"
  | { readonly preset: number }
  | WindowPreset
  | { readonly percentiles: readonly [low: number, high: number] };

export interface GreyRules {
  readonly modality: { readonly lut: Lut } | { readonly slope: number; readonly intercept: number };
  readonly voiLut: Lut | null;
  readonly presets: readonly WindowPreset[];
  readonly shape: "LINEAR" | "LINEAR_EXACT" | "SIGMOID";
  /** Stored values that are no image: outside of what the scanner saw; both ends included. */
  readonly padding: readonly [number, number] | null;
}

/** The stored value, as the header says it: without overlay bits above, with its sign (PS3.5 §8.1.1). */
export function storedValue(h: PixelHeader): (raw: number) => number {
  if (h.format !== "integer" || h.bitsStored === h.bitsAllocated) return (raw) => raw;
  const down = h.highBit + 1 - h.bitsStored;
  const up = 32 - h.bitsStored;
  return h.pixelRepresentation === 1 ? (raw) => ((raw >> down) << up) >> up : (raw) => ((raw >>> down) << up) >>> up;
}

function presetsOf(values: Values, elements: Elements): { presets: WindowPreset[]; shape: GreyRules["shape"] } {
  const centers = values.decimals(elements, tags.WindowCenter) ?? [];
  const widths = values.decimals(elements, tags.WindowWidth) ?? [];
  if (centers.length !== widths.length) {
    throw new DataError(values.file, {
      problem: `${describeTag(tags.WindowWidth)} does not fit ${describeTag(tags.WindowCenter)}`,
      expected: `${centers.length} values`,
      got: String(widths.length),
    });
  }
  const text = values.text(elements, tags.VOILUTFunction) ?? "LINEAR";
  const shape = (["LINEAR", "LINEAR_EXACT", "SIGMOID"] as const).find((s) => s === text);
  if (shape === undefined) {
    throw new DataError(values.file, {
      problem: `${describeTag(tags.VOILUTFunction)} is unknown`,
      expected: "LINEAR, LINEAR_EXACT or SIGMOID",
      got: `${text.length} other characters`,
    });
  }
  const presets = centers.map((center, i) => ({ center, width: widths[i] ?? 0 }));
  return { presets, shape };
}

/** Item 0 of a sequence inside a frame's own functional group, else the shared one, else the data set itself. */
function groupOf(elements: Elements, frame: number, sequence: number): Elements {
  const perFrame = elements.get(tags.PerFrameFunctionalGroupsSequence)?.items?.[frame];
  const shared = elements.get(tags.SharedFunctionalGroupsSequence)?.items?.[0];
  return perFrame?.get(sequence)?.items?.[0] ?? shared?.get(sequence)?.items?.[0] ?? elements;
}

/** The rules of one frame. @throws {DataError} naming tag and keyword */
export function readGreyRules(values: Values, elements: Elements, h: PixelHeader, frame: number): GreyRules {
  const signed = h.pixelRepresentation === 1;
  const transformation = groupOf(elements, frame, tags.PixelValueTransformationSequence);
  const voi = groupOf(elements, frame, tags.FrameVOILUTSequence);
  const slope = values.decimals(transformation, tags.RescaleSlope)?.[0] ?? 1;
  if (slope === 0) throw new DataError(values.file, { problem: `${describeTag(tags.RescaleSlope)} is 0` });
  const intercept = values.decimals(transformation, tags.RescaleIntercept)?.[0] ?? 0;
  const modalityItem = elements.get(tags.ModalityLUTSequence)?.items?.[0];
  const voiItem = voi.get(tags.VOILUTSequence)?.items?.[0];
  const low = paddingOf(values, elements, tags.PixelPaddingValue, signed);
  const high = paddingOf(values, elements, tags.PixelPaddingRangeLimit, signed) ?? low;
  return {
    modality: modalityItem === undefined ? { slope, intercept } : { lut: readLut(values, modalityItem, signed) },
    // Values after the modality rescale have a sign where it can make them negative.
    voiLut: voiItem === undefined ? null : readLut(values, voiItem, signed || intercept < 0),
    ...presetsOf(values, voi),
    padding: low === null || high === null ? null : [Math.min(low, high), Math.max(low, high)],
  };
}

function paddingOf(values: Values, elements: Elements, tag: number, signed: boolean): number | null {
  return values.words(elements, tag, signed)?.[0] ?? null;
}

/** Rescaled values of a frame, and which of them are padding. */
export function rescale(
  frame: StoredFrame,
  h: PixelHeader,
  rules: GreyRules,
): { values: Float64Array; padded: Uint8Array | null } {
  const value = storedValue(h);
  const { modality, padding } = rules;
  const values = new Float64Array(frame.data.length);
  const padded = padding === null ? null : new Uint8Array(values.length);
  for (let i = 0; i < values.length; i++) {
    const stored = value(frame.data[i]!); // i is below the length
    if (padded !== null && padding !== null) padded[i] = stored >= padding[0] && stored <= padding[1] ? 1 : 0;
    values[i] = "lut" in modality ? lookUp(modality.lut, stored) : stored * modality.slope + modality.intercept;
  }
  return { values, padded };
}

/** Smallest and largest value; [0, 0] where all is padding or not finite. */
function extent(values: Float64Array): readonly [number, number] {
  let low = Number.POSITIVE_INFINITY;
  let high = Number.NEGATIVE_INFINITY;
  for (const v of values) {
    if (v < low) low = v;
    if (v > high && v < Number.POSITIVE_INFINITY) high = v;
  }
  return Number.isFinite(low) && high >= low ? [low, high] : [0, 0];
}

const between = (low: number, high: number) => (x: number) => (high > low ? (x - low) / (high - low) : 0);

/** PS3.3 §C.11.2.1.2 and .3; results beyond [0, 1] are clamped by the caller. */
function windowed({ center, width }: WindowPreset, shape: GreyRules["shape"], file: string): (x: number) => number {
  if (shape === "LINEAR" ? width < 1 : width <= 0) {
    throw new DataError(file, {
      problem: `${describeTag(tags.WindowWidth)} is too small`,
      expected: shape === "LINEAR" ? "at least 1" : "above 0",
      got: String(width),
      hint: 'ask for another window: { center, width }, { percentiles } or "full"',
    });
  }
  if (shape === "SIGMOID") return (x) => 1 / (1 + Math.exp((-4 * (x - center)) / width));
  if (shape === "LINEAR_EXACT") return (x) => (x - center) / width + 0.5;
  if (width === 1) return (x) => (x <= center - 0.5 ? 0 : 1);
  return (x) => (x - (center - 0.5)) / (width - 1) + 0.5;
}

/**
 * Rescaled value → 0 (black) … 1 (white), not clamped, for the window asked for.
 * @throws {UsageError} a preset that the file does not have, a width or percentiles that make no sense
 */
export function displayFunction(
  option: Exclude<WindowOption, "none">,
  rules: GreyRules,
  h: PixelHeader,
  frame: { values: Float64Array; padded: Uint8Array | null },
  file: string,
): (x: number) => number {
  const real = (): Float64Array => {
    const { padded } = frame;
    return frame.values.filter((v, i) => Number.isFinite(v) && padded?.[i] !== 1);
  };
  if (option === "file") {
    const { voiLut, presets, shape } = rules;
    if (voiLut !== null) return (x) => lookUp(voiLut, x) / (2 ** voiLut.bits - 1);
    const [first] = presets;
    return first === undefined ? displayFunction("full", rules, h, frame, file) : windowed(first, shape, file);
  }
  if (option === "full") {
    if (h.format !== "integer" || h.bitsStored > 8 || "lut" in rules.modality) return between(...extent(real()));
    const { slope, intercept } = rules.modality;
    const low = h.pixelRepresentation === 1 ? -(2 ** (h.bitsStored - 1)) : 0;
    const ends = [low, low + 2 ** h.bitsStored - 1].map((v) => v * slope + intercept);
    return between(Math.min(...ends), Math.max(...ends));
  }
  if ("preset" in option) {
    const preset = rules.presets[option.preset];
    if (preset !== undefined) return windowed(preset, rules.shape, file);
    throw new UsageError(file, {
      problem: "the window that was asked for is not in the file",
      expected: rules.presets.length === 0 ? "no preset: the file has none" : `0 to ${rules.presets.length - 1}`,
      got: `preset ${option.preset}`,
    });
  }
  if ("percentiles" in option) {
    const [low, high] = option.percentiles;
    if (!(low >= 0 && low < high && high <= 100)) {
      throw new UsageError("percentiles", {
        problem: "are out of order",
        expected: "0 ≤ low < high ≤ 100",
        got: `${low}, ${high}`,
      });
    }
    const sorted = real().sort();
    return between(percentile(sorted, low), percentile(sorted, high));
  }
  if (!Number.isFinite(option.center) || !(option.width >= 1)) {
    throw new UsageError("window", {
      problem: "makes no sense",
      expected: "a center and a width of at least 1",
      got: `center ${option.center}, width ${option.width}`,
    });
  }
  return windowed(option, "LINEAR", file);
}
