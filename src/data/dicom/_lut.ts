/** @file Look-up tables: of modality, of VOI, and of palettes, segmented ones too (PS3.3 §C.7.9.2, §C.11). */
import { DataError } from "../../common/errors.js";
import type { Elements } from "./_elements.js";
import { describeTag, tags } from "./_tags.js";
import type { Values } from "./_values.js";

export interface Lut {
  /** Input value that takes the first entry; below it the first entry holds, beyond the table the last. */
  readonly first: number;
  /** Bits of one entry: 8 … 16. */
  readonly bits: number;
  readonly entries: Uint16Array;
}

export const lookUp = (lut: Lut, value: number): number =>
  lut.entries[Math.min(Math.max(Math.round(value) - lut.first, 0), lut.entries.length - 1)]!; // clamped, never empty

/** Number of entries (0 means 65536), first input value, bits of an entry. */
function descriptor(values: Values, elements: Elements, tag: number, signed: boolean): [number, number, number] {
  const unsigned = values.words(elements, tag);
  const asPixels = values.words(elements, tag, signed);
  if (unsigned === null || asPixels === null || unsigned.length !== 3) {
    throw new DataError(values.file, {
      problem: `${describeTag(tag)} is not a descriptor of a look-up table`,
      expected: "3 values",
      got: unsigned === null ? "nothing" : String(unsigned.length),
    });
  }
  const [count, , bits] = unsigned as [number, number, number]; // three, as just counted
  if (bits < 8 || bits > 16) {
    throw new DataError(values.file, {
      problem: `${describeTag(tag)} has a size of entries that is not read`,
      expected: "8 to 16 bits",
      got: String(bits),
    });
  }
  return [count === 0 ? 65536 : count, asPixels[1] ?? 0, bits];
}

/** Entries of `count`; 8-bit ones may lie two in a word. */
function plainEntries(values: Values, elements: Elements, tag: number, count: number, bits: number): Uint16Array {
  const element = elements.get(tag);
  const length = element?.length ?? 0;
  if (element !== undefined && bits === 8 && length >= count && length < 2 * count) {
    return Uint16Array.from(values.value(element).subarray(0, count));
  }
  const words = length <= 131072 ? values.words(elements, tag) : null;
  if (words === null || words.length < count) {
    throw new DataError(values.file, {
      problem: `${describeTag(tag)} does not fill its look-up table`,
      expected: `${count} entries of ${bits} bits`,
      got: `${length} bytes`,
    });
  }
  return Uint16Array.from(words.slice(0, count));
}

/** Segments: 0 discrete, 1 linear, 2 indirect to earlier ones (PS3.3 §C.7.9.2.1). */
function segmentedEntries(values: Values, elements: Elements, tag: number, count: number): Uint16Array {
  const words = values.words(elements, tag) ?? [];
  const out = new Uint16Array(count);
  let filled = 0;
  const refuse = (): DataError =>
    new DataError(values.file, {
      problem: `${describeTag(tag)} is damaged`,
      expected: `${count} entries`,
      got: `${filled}`,
    });
  const expand = (from: number, segments: number, nested: boolean): void => {
    let at = from;
    for (let s = 0; s < segments && at < words.length && filled < count; s++) {
      const kind = words[at] ?? -1;
      const length = words[at + 1] ?? 0;
      if (kind === 0 && at + 2 + length <= words.length) {
        for (let i = 0; i < length && filled < count; i++) out[filled++] = words[at + 2 + i] ?? 0;
        at += 2 + length;
      } else if (kind === 1 && filled > 0 && length > 0 && at + 3 <= words.length) {
        const start = out[filled - 1] ?? 0;
        const end = words[at + 2] ?? 0;
        for (let i = 1; i <= length && filled < count; i++) {
          out[filled++] = Math.round(start + ((end - start) * i) / length);
        }
        at += 3;
      } else if (kind === 2 && !nested && at + 4 <= words.length) {
        const offset = (words[at + 2] ?? 0) + (words[at + 3] ?? 0) * 65536; // in words, least significant first
        expand(offset, length, true);
        at += 4;
      } else throw refuse();
    }
  };
  expand(0, Number.POSITIVE_INFINITY, false);
  if (filled < count) throw refuse();
  return out;
}

/** LUT of a modality or VOI sequence's item. @throws {DataError} naming the tag */
export function readLut(values: Values, item: Elements, signed: boolean): Lut {
  const [count, first, bits] = descriptor(values, item, tags.LUTDescriptor, signed);
  return { first, bits, entries: plainEntries(values, item, tags.LUTData, count, bits) };
}

/** Red, green and blue. @throws {DataError} naming the tag of what is missing or damaged */
export function readPalette(values: Values, elements: Elements, signed: boolean): readonly [Lut, Lut, Lut] {
  const one = (descriptorTag: number, dataTag: number, segmentedTag: number): Lut => {
    const [count, first, bits] = descriptor(values, elements, descriptorTag, signed);
    const segmented = !elements.has(dataTag) && elements.has(segmentedTag);
    const entries = segmented
      ? segmentedEntries(values, elements, segmentedTag, count)
      : plainEntries(values, elements, dataTag, count, bits);
    return { first, bits, entries };
  };
  return [
    one(
      tags.RedPaletteColorLookupTableDescriptor,
      tags.RedPaletteColorLookupTableData,
      tags.SegmentedRedPaletteColorLookupTableData,
    ),
    one(
      tags.GreenPaletteColorLookupTableDescriptor,
      tags.GreenPaletteColorLookupTableData,
      tags.SegmentedGreenPaletteColorLookupTableData,
    ),
    one(
      tags.BluePaletteColorLookupTableDescriptor,
      tags.BluePaletteColorLookupTableData,
      tags.SegmentedBluePaletteColorLookupTableData,
    ),
  ];
}
