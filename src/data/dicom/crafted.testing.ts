/** @file For tests: writes small DICOM files element by element. */
import { deflateSync } from "fflate";
import { representations } from "./_elements.js";
import { tags } from "./_tags.js";

type Value = Uint8Array | string | number | readonly number[] | readonly Items[] | Fragments;
/** Items of a sequence: keyword → value. */
export type Items = Readonly<Record<string, Value>>;
export interface Fragments {
  readonly fragments: readonly Uint8Array[];
  /** Offsets of the basic offset table. */
  readonly offsets?: readonly number[];
}

const numbers: Readonly<Record<string, number>> = {
  ...tags,
  PatientName: 0x00100010,
  PatientBirthDate: 0x00100030,
  StudyDate: 0x00080020,
  PrivateOther: 0x00090010,
};
const kinds: Readonly<Record<string, string>> = {
  TransferSyntaxUID: "UI",
  SOPInstanceUID: "UI",
  StudyInstanceUID: "UI",
  PatientName: "PN",
  PatientID: "LO",
  PatientBirthDate: "DA",
  StudyDate: "DA",
  Modality: "CS",
  PhotometricInterpretation: "CS",
  VOILUTFunction: "CS",
  NumberOfFrames: "IS",
  PixelSpacing: "DS",
  WindowCenter: "DS",
  WindowWidth: "DS",
  RescaleSlope: "DS",
  RescaleIntercept: "DS",
  PixelData: "OW",
  FloatPixelData: "OF",
  DoubleFloatPixelData: "OD",
  ExtendedOffsetTable: "OV",
  ExtendedOffsetTableLengths: "OV",
  LUTData: "OW",
};
const vrOf = (keyword: string, value: Value): string =>
  kinds[keyword] ??
  (/Sequence$/.test(keyword)
    ? "SQ"
    : /LookupTableData$/.test(keyword)
      ? "OW"
      : value instanceof Uint8Array
        ? "UN"
        : "US");

const isFragments = (value: Value): value is Fragments => typeof value === "object" && "fragments" in value;
const isItems = (value: Value): value is readonly Items[] => Array.isArray(value) && typeof value[0] === "object";

export interface Writing {
  readonly explicit: boolean;
  readonly littleEndian: boolean;
  /** Sequences and their items end with delimiters instead of having lengths. */
  readonly openSequences?: boolean;
}

class Writer {
  readonly bytes: number[] = [];
  constructor(readonly how: Writing) {}
  u16(value: number): void {
    const pair = [value & 255, (value >> 8) & 255];
    this.bytes.push(...(this.how.littleEndian ? pair : pair.reverse()));
  }
  u32(value: number): void {
    const four = [value & 255, (value >>> 8) & 255, (value >>> 16) & 255, value >>> 24];
    this.bytes.push(...(this.how.littleEndian ? four : four.reverse()));
  }
  tag(tag: number): void {
    this.u16(tag >>> 16);
    this.u16(tag & 0xffff);
  }
  value(value: Value): number[] {
    if (value instanceof Uint8Array) return [...value];
    if (typeof value === "string") {
      const text = [...value].map((c) => c.charCodeAt(0));
      return text.length % 2 === 0 ? text : [...text, 32];
    }
    const inner = new Writer(this.how);
    if (isItems(value)) {
      for (const item of value) {
        const content = write(item, this.how);
        inner.tag(tags.Item);
        inner.u32(this.how.openSequences ? 0xffffffff : content.length);
        inner.bytes.push(...content);
        if (this.how.openSequences) {
          inner.tag(tags.ItemDelimitationItem);
          inner.u32(0);
        }
      }
    } else for (const n of [value].flat() as number[]) inner.u16(n); // neither bytes, text, items nor fragments
    return inner.bytes;
  }
  element(keyword: string, value: Value): void {
    const tag = numbers[keyword] ?? Number(keyword);
    const vr = vrOf(keyword, value);
    if (!representations.has(vr)) throw new Error(vr);
    const long = ["OW", "OF", "OD", "OV", "SQ", "UN"].includes(vr);
    const open = isFragments(value) || (this.how.openSequences === true && vr === "SQ");
    const content = isFragments(value) ? fragmentBytes(value) : this.value(value);
    this.tag(tag);
    if (this.how.explicit) {
      this.bytes.push(vr.charCodeAt(0), vr.charCodeAt(1));
      if (long) this.u16(0);
      else this.u16(content.length);
    }
    if (!this.how.explicit || long) this.u32(open ? 0xffffffff : content.length);
    for (const byte of content) this.bytes.push(byte);
    if (open) {
      this.tag(tags.SequenceDelimitationItem);
      this.u32(0);
    }
  }
}

function fragmentBytes({ fragments, offsets = [] }: Fragments): number[] {
  const w = new Writer({ explicit: true, littleEndian: true });
  w.tag(tags.Item);
  w.u32(4 * offsets.length);
  for (const offset of offsets) w.u32(offset);
  for (const fragment of fragments) {
    w.tag(tags.Item);
    w.u32(fragment.length);
    w.bytes.push(...fragment);
  }
  return w.bytes;
}

const write = (items: Items, how: Writing): number[] => {
  const w = new Writer(how);
  const order = (keyword: string): number => numbers[keyword] ?? Number(keyword);
  for (const [keyword, value] of Object.entries(items).sort(([a], [b]) => order(a) - order(b)))
    w.element(keyword, value);
  return w.bytes;
};

const explicitLittle = "1.2.840.10008.1.2.1";

/** A 2 × 3 image of 16 bits, [0, 1, 2, 3, 4, 5], whose patient has a name, an id and dates. */
export const plain: Items = {
  SOPInstanceUID: "1.2.3.4.5",
  StudyDate: "20240229",
  Modality: "CT",
  PatientName: "Doe^Jane",
  PatientID: "MRN-4711",
  PatientBirthDate: "19330401",
  StudyInstanceUID: "1.2.3.4",
  SamplesPerPixel: 1,
  PhotometricInterpretation: "MONOCHROME2",
  Rows: 2,
  Columns: 3,
  BitsAllocated: 16,
  BitsStored: 16,
  HighBit: 15,
  PixelRepresentation: 0,
  PixelData: Uint8Array.of(0, 0, 1, 0, 2, 0, 3, 0, 4, 0, 5, 0),
};

/**
 * The bytes of a file with preamble and file meta information.
 * @param changes on `plain`; undefined leaves an element out
 */
export function craft(
  changes: Readonly<Record<string, Value | undefined>> = {},
  options: { syntax?: string; writing?: Partial<Writing>; meta?: boolean; preamble?: boolean } = {},
): Uint8Array {
  const syntax = options.syntax ?? explicitLittle;
  const how: Writing = {
    explicit: syntax !== "1.2.840.10008.1.2",
    littleEndian: syntax !== "1.2.840.10008.1.2.2",
    ...options.writing,
  };
  const items: Record<string, Value> = {};
  for (const [keyword, value] of Object.entries({ ...plain, ...changes })) {
    if (value !== undefined) items[keyword] = value;
  }
  const content = Uint8Array.from(write(items, how));
  const meta = new Writer({ explicit: true, littleEndian: true });
  meta.element("TransferSyntaxUID", syntax);
  return Uint8Array.from([
    ...(options.preamble === false || options.meta === false ? [] : [...new Uint8Array(128), 0x44, 0x49, 0x43, 0x4d]),
    ...(options.meta === false ? [] : meta.bytes),
    ...(syntax === "1.2.840.10008.1.2.1.99" ? deflateSync(content) : content),
  ]);
}
