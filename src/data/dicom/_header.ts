/** @file What a DICOM file says about its pixels (PS3.3 §C.7.6.3), checked before any memory is taken. */
import { DataError } from "../../common/errors.js";
import type { Element, Elements } from "./_elements.js";
import { describeTag, tags } from "./_tags.js";
import type { Values } from "./_values.js";

const photometrics = [
  "MONOCHROME1",
  "MONOCHROME2",
  "PALETTE COLOR",
  "RGB",
  "YBR_FULL",
  "YBR_FULL_422",
  "YBR_ICT",
  "YBR_RCT",
] as const;
export type Photometric = (typeof photometrics)[number];

/** Registered, but nobody writes them any more. */
const refusedPhotometrics = ["ARGB", "CMYK", "HSV", "XYB", "YBR_PARTIAL_420", "YBR_PARTIAL_422"];

export interface PixelHeader {
  readonly frames: number;
  readonly rows: number;
  readonly columns: number;
  readonly samplesPerPixel: 1 | 3;
  /** 1, 8, 16 or 32; 32 and 64 for floating point. */
  readonly bitsAllocated: number;
  readonly bitsStored: number;
  readonly highBit: number;
  /** 1: two's complement. */
  readonly pixelRepresentation: 0 | 1;
  readonly photometric: Photometric;
  /** Samples of one colour lie together: R R R … G G G … B B B … */
  readonly planar: boolean;
  readonly format: "integer" | "float32" | "float64";
  /** Where the pixels are. */
  readonly pixels: Element;
}

/** Largest frame that is decoded, in bytes: 8192 × 8192 of 16 bits. The decoders have 256 MiB for all they do. */
const largestFrameBytes = 2 ** 27;

/** Bytes of one frame once it is an array of whole bytes per sample. */
export const frameBytes = (h: PixelHeader): number =>
  h.rows * h.columns * h.samplesPerPixel * Math.max(1, h.bitsAllocated / 8);

function choose<T extends number>(file: string, tag: number, value: number, allowed: readonly T[]): T {
  const found = allowed.find((v) => v === value);
  if (found !== undefined) return found;
  throw new DataError(file, {
    problem: `${describeTag(tag)} has a value that is not read`,
    expected: allowed.join(" or "),
    got: String(value),
  });
}

function photometricOf(values: Values, elements: Elements): Photometric {
  const tag = tags.PhotometricInterpretation;
  const text = values.text(elements, tag);
  const found = photometrics.find((p) => p === text);
  if (found !== undefined) return found;
  if (text === null) throw new DataError(values.file, { problem: `${describeTag(tag)} is missing` });
  throw new DataError(values.file, {
    problem: `${describeTag(tag)} is not one that is read`,
    expected: photometrics.join(", "),
    got: refusedPhotometrics.includes(text) ? text : `${text.length} characters that are something else`,
  });
}

const pixelTags = [
  [tags.PixelData, "integer"],
  [tags.FloatPixelData, "float32"],
  [tags.DoubleFloatPixelData, "float64"],
] as const;

/** Reports, plans and directories have none. */
export const hasPixels = (elements: Elements): boolean => pixelTags.some(([tag]) => elements.has(tag));

function pixelElement(file: string, elements: Elements): { element: Element; format: PixelHeader["format"] } {
  for (const [tag, format] of pixelTags) {
    const element = elements.get(tag);
    if (element !== undefined) return { element, format };
  }
  throw new DataError(file, {
    problem: `${describeTag(tags.PixelData)} is missing`,
    hint: "reports, plans and structure sets hold no image; truncated files have lost theirs",
  });
}

/**
 * The pixel description of a data set.
 * @throws {DataError} naming tag and keyword of what is missing or wrong
 */
export function readPixelHeader(values: Values, elements: Elements, notes: string[]): PixelHeader {
  const { file } = values;
  const { element: pixels, format } = pixelElement(file, elements);
  const rows = values.requiredUnsigned(elements, tags.Rows);
  const columns = values.requiredUnsigned(elements, tags.Columns);
  for (const [tag, value] of [
    [tags.Rows, rows],
    [tags.Columns, columns],
  ] as const) {
    if (value >= 1 && value <= 65535) continue;
    throw new DataError(file, {
      problem: `${describeTag(tag)} has a value that is not read`,
      expected: "1 to 65535",
      got: String(value),
    });
  }
  const photometric = photometricOf(values, elements);
  const wanted = photometric.startsWith("MONOCHROME") || photometric === "PALETTE COLOR" ? 1 : 3;
  const samplesPerPixel = choose(file, tags.SamplesPerPixel, values.requiredUnsigned(elements, tags.SamplesPerPixel), [
    wanted,
  ]);
  const allocated = values.requiredUnsigned(elements, tags.BitsAllocated);
  const sizes = { integer: [1, 8, 16, 32], float32: [32], float64: [64] }[format];
  const bitsAllocated = choose(file, tags.BitsAllocated, allocated, samplesPerPixel === 3 ? sizes.slice(1) : sizes);
  const stored = values.unsigned(elements, tags.BitsStored);
  if (stored === null && format === "integer") {
    notes.push(`${describeTag(tags.BitsStored)} is missing: taken as ${bitsAllocated}`);
  }
  const bitsStored = stored ?? bitsAllocated;
  if (bitsStored === 0 || bitsStored > bitsAllocated) {
    throw new DataError(file, {
      problem: `${describeTag(tags.BitsStored)} does not fit ${describeTag(tags.BitsAllocated)}`,
      expected: `1 to ${bitsAllocated}`,
      got: String(bitsStored),
    });
  }
  const highBit = values.unsigned(elements, tags.HighBit) ?? bitsStored - 1;
  if (highBit < bitsStored - 1 || highBit >= bitsAllocated) {
    throw new DataError(file, {
      problem: `${describeTag(tags.HighBit)} does not fit ${describeTag(tags.BitsStored)}`,
      expected: `${bitsStored - 1} to ${bitsAllocated - 1}`,
      got: String(highBit),
    });
  }
  const representation =
    format === "integer" ? values.requiredUnsigned(elements, tags.PixelRepresentation) : 1; /* floats have a sign */
  const pixelRepresentation = choose(file, tags.PixelRepresentation, representation, [0, 1]);
  const planar =
    samplesPerPixel === 3 &&
    choose(file, tags.PlanarConfiguration, values.unsigned(elements, tags.PlanarConfiguration) ?? 0, [0, 1]) === 1;
  const counted = values.whole(elements, tags.NumberOfFrames);
  if (counted === 0) notes.push(`${describeTag(tags.NumberOfFrames)} is 0: taken as 1`);
  const header: PixelHeader = {
    frames: counted === null || counted === 0 ? 1 : counted,
    rows,
    columns,
    samplesPerPixel,
    bitsAllocated,
    bitsStored,
    highBit,
    pixelRepresentation,
    photometric,
    planar,
    format,
    pixels,
  };
  if (frameBytes(header) > largestFrameBytes) {
    throw new DataError(file, {
      problem: "one frame is too large",
      expected: `at most ${largestFrameBytes} bytes`,
      got: `${frameBytes(header)} (${describeTag(tags.Rows)} ${rows}, ${describeTag(tags.Columns)} ${columns})`,
    });
  }
  return header;
}
