/** @file DICOM data sets: where each element lies in the bytes (PS3.5 §7); no value is read here. */
import { FileError } from "../../common/errors.js";
import type { Encoding } from "./_syntaxes.js";
import { describeTag, tags } from "./_tags.js";

export interface Element {
  /** group · 65536 + element. */
  readonly tag: number;
  /** Two letters; null in implicit data sets. */
  readonly vr: string | null;
  /** Of the value, in the bytes that were parsed. */
  readonly offset: number;
  /** Of the value in bytes; null where the file leaves it open: compressed pixels. */
  readonly length: number | null;
  /** Items of the sequences that the reader follows; null for every other element. */
  readonly items: readonly Elements[] | null;
}

export type Elements = ReadonlyMap<number, Element>;

/** The bytes of a file from its start; the rest may still be on the disk. */
export interface Loaded {
  readonly name: string;
  readonly bytes: Uint8Array;
  /** Of the whole file; `bytes` may be shorter. */
  readonly size: number;
}

/** Thrown where parsing needs bytes that are in the file but not loaded yet; never seen by users. */
export class MoreBytesNeeded extends Error {
  readonly upTo: number;
  constructor(upTo: number) {
    super(`bytes up to ${upTo} are needed`);
    this.upTo = upTo;
  }
}

const undefinedLength = 0xffffffff;
const deepest = 32;

/** Value representations whose length has four bytes after two reserved ones (PS3.5, table 7.1-1). */
const longForm = new Set(["OB", "OD", "OF", "OL", "OV", "OW", "SQ", "SV", "UC", "UN", "UR", "UT", "UV"]);
const shortForm = "AE AS AT CS DA DS DT FD FL IS LO LT PN SH SL SS ST TM UI UL US".split(" ");
export const representations: ReadonlySet<string> = new Set([...longForm, ...shortForm]);

const followed: ReadonlySet<number> = new Set<number>([
  tags.ModalityLUTSequence,
  tags.VOILUTSequence,
  tags.PixelMeasuresSequence,
  tags.FrameVOILUTSequence,
  tags.PixelValueTransformationSequence,
  tags.SharedFunctionalGroupsSequence,
  tags.PerFrameFunctionalGroupsSequence,
]);

const isPixels = (tag: number): boolean =>
  tag === tags.PixelData || tag === tags.FloatPixelData || tag === tags.DoubleFloatPixelData;

/** Walks the elements of one file; `position` moves forward only, so the time is linear in the bytes. */
class Walker {
  position: number;
  private readonly view: DataView;

  constructor(
    private readonly file: Loaded,
    position: number,
    private readonly littleEndian: boolean,
  ) {
    this.position = position;
    this.view = new DataView(file.bytes.buffer, file.bytes.byteOffset, file.bytes.byteLength);
  }

  /** @throws {FileError} when the next `count` bytes end beyond `end` */
  private need(count: number, end: number, what: string): void {
    const upTo = this.position + count;
    if (upTo > end) {
      throw new FileError(this.file.name, {
        problem:
          end < this.file.size ? `${what} ends beyond the sequence that holds it` : `the file ends inside ${what}`,
        expected: `${count} bytes from byte ${this.position}`,
        got: `${Math.max(0, end - this.position)}`,
      });
    }
    if (upTo > this.file.bytes.length) throw new MoreBytesNeeded(upTo);
  }

  private tag(): number {
    const group = this.view.getUint16(this.position, this.littleEndian);
    return group * 65536 + this.view.getUint16(this.position + 2, this.littleEndian);
  }

  /** Moves to the value of the next element. */
  private head(explicit: boolean, end: number): { tag: number; vr: string | null; length: number } {
    this.need(8, end, "the head of an element");
    const tag = this.tag();
    // Items and delimiters have no value representation in any encoding.
    if (!explicit || tag >>> 16 === 0xfffe) {
      const length = this.view.getUint32(this.position + 4, this.littleEndian);
      this.position += 8;
      return { tag, vr: null, length };
    }
    const vr = String.fromCharCode(this.view.getUint8(this.position + 4), this.view.getUint8(this.position + 5));
    if (!/^[A-Z]{2}$/.test(vr)) {
      throw new FileError(this.file.name, {
        problem: `${describeTag(tag)} has no value representation`,
        expected: `two capital letters at byte ${this.position + 4}`,
        hint: "the file is damaged, or its transfer syntax is not the one that it names",
      });
    }
    if (!longForm.has(vr)) {
      const length = this.view.getUint16(this.position + 6, this.littleEndian);
      this.position += 8;
      return { tag, vr, length };
    }
    this.need(12, end, describeTag(tag));
    const length = this.view.getUint32(this.position + 8, this.littleEndian);
    this.position += 12;
    return { tag, vr, length };
  }

  private skip(tag: number, length: number, end: number): void {
    if (this.position + length > end) {
      throw new FileError(this.file.name, {
        problem: `${describeTag(tag)} ends beyond the ${end < this.file.size ? "sequence that holds it" : "file"}`,
        expected: `${length} bytes from byte ${this.position}`,
        got: String(end - this.position),
      });
    }
    this.position += length;
  }

  /**
   * Elements up to `end`, up to the pixels (which come last in the standard's order), up to the item's delimiter, or
   * up to the first element outside of `group`.
   */
  elements(explicit: boolean, end: number, depth: number, group?: number): Map<number, Element> {
    if (depth > deepest) {
      throw new FileError(this.file.name, {
        problem: "sequences are nested too deeply",
        expected: `at most ${deepest} levels`,
        got: `more at byte ${this.position}`,
      });
    }
    const found = new Map<number, Element>();
    while (this.position < end) {
      if (group !== undefined) {
        this.need(4, end, "the tag of an element");
        if (this.tag() >>> 16 !== group) return found;
      }
      const { tag, vr, length } = this.head(explicit, end);
      if (tag === tags.ItemDelimitationItem && depth > 0) return found;
      const offset = this.position;
      if (depth === 0 && isPixels(tag)) {
        const open = length === undefinedLength;
        if (!open) this.skip(tag, length, end);
        found.set(tag, { tag, vr, offset, length: open ? null : length, items: null });
        return found;
      }
      let items: Elements[] | null = null;
      // An element of unknown representation and length is an implicit sequence (PS3.5 §6.2.2, note 4).
      if (length === undefinedLength) items = this.items(explicit && vr !== "UN", end, depth, tag);
      else if (followed.has(tag)) items = this.items(explicit && vr !== "UN", offset + length, depth, tag, end);
      else this.skip(tag, length, end);
      found.set(tag, {
        tag,
        vr,
        offset,
        length: length === undefinedLength ? this.position - offset : length,
        items: followed.has(tag) ? items : null,
      });
    }
    return found;
  }

  /** Items up to the delimiter, or up to `end` where the sequence has a length (`container` is then the end of what holds it). */
  private items(explicit: boolean, end: number, depth: number, sequence: number, container?: number): Elements[] {
    if (container !== undefined && end > container) this.skip(sequence, end - this.position, container);
    const items: Elements[] = [];
    while (container === undefined || this.position < end) {
      const { tag, length } = this.head(false, end);
      if (tag === tags.SequenceDelimitationItem) return items;
      if (tag !== tags.Item) {
        throw new FileError(this.file.name, {
          problem: `${describeTag(sequence)} holds something other than items`,
          expected: `${describeTag(tags.Item)} at byte ${this.position - 8}`,
          got: describeTag(tag),
        });
      }
      const open = length === undefinedLength;
      if (followed.has(sequence) || open) {
        if (!open && this.position + length > end) this.skip(tag, length, end);
        items.push(this.elements(explicit, open ? end : this.position + length, depth + 1));
      } else this.skip(tag, length, end);
    }
    return items;
  }
}

/** Elements of a data set that starts at `position`, up to and with its pixels. @throws {FileError} naming tag and byte */
export function parseElements(file: Loaded, position: number, encoding: Encoding): Elements {
  return new Walker(file, position, encoding.littleEndian).elements(encoding.explicit, file.size, 0);
}

/** File meta information, group 0002, always explicit and little-endian (PS3.10 §7.1), and where it ends. */
export function parseMeta(file: Loaded, position: number): { elements: Elements; end: number } {
  const walker = new Walker(file, position, true);
  const elements = walker.elements(true, file.size, 0, 0x0002);
  return { elements, end: walker.position };
}
