/** @file Values of DICOM elements, checked; messages name tag and keyword and never repeat text that could be a patient's. */
import { DataError } from "../../common/errors.js";
import type { Element, Elements } from "./_elements.js";
import { describeTag } from "./_tags.js";

const longestText = 65536;

/** Reads values of one data set; `bytes` is what the elements' offsets count in. */
export class Values {
  private readonly view: DataView;

  constructor(
    readonly file: string,
    readonly bytes: Uint8Array,
    readonly littleEndian: boolean,
  ) {
    this.view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  }

  private refuse(
    tag: number,
    problem: string,
    facts: { expected?: string; got?: string; hint?: string } = {},
  ): DataError {
    return new DataError(this.file, { problem: `${describeTag(tag)} ${problem}`, ...facts });
  }

  /** Text of an element, without padding; null where it is absent or empty. Bytes are taken as Latin-1. */
  text(elements: Elements, tag: number): string | null {
    const element = elements.get(tag);
    if (element === undefined || element.length === null || element.length === 0) return null;
    if (element.length > longestText) {
      throw this.refuse(tag, "is too long", { expected: `at most ${longestText} bytes`, got: String(element.length) });
    }
    let text = "";
    for (const byte of this.value(element)) text += String.fromCharCode(byte);
    const trimmed = text.replace(/^[ \0]+|[ \0]+$/g, "");
    return trimmed === "" ? null : trimmed;
  }

  /** The bytes of a value. */
  value(element: Element): Uint8Array {
    return this.bytes.subarray(element.offset, element.offset + (element.length ?? 0));
  }

  /** Unsigned integer of value representation US (or UL); null where absent or empty. */
  unsigned(elements: Elements, tag: number): number | null {
    const element = elements.get(tag);
    if (element === undefined || element.length === null || element.length === 0) return null;
    if (element.length === 2) return this.view.getUint16(element.offset, this.littleEndian);
    if (element.length === 4) return this.view.getUint32(element.offset, this.littleEndian);
    throw this.refuse(tag, "has the wrong length", { expected: "2 bytes (US)", got: String(element.length) });
  }

  /** @throws {DataError} "(0028,0010) Rows is missing" */
  requiredUnsigned(elements: Elements, tag: number): number {
    const value = this.unsigned(elements, tag);
    if (value === null) throw this.refuse(tag, elements.has(tag) ? "is empty" : "is missing");
    return value;
  }

  /** 16-bit words, for look-up tables and their descriptors; `signed` as the pixels are. */
  words(elements: Elements, tag: number, signed = false): number[] | null {
    const element = elements.get(tag);
    if (element === undefined || element.length === null) return null;
    if (element.length % 2 !== 0 || element.length > 4 * longestText) {
      throw this.refuse(tag, "has the wrong length", { expected: "16-bit words", got: `${element.length} bytes` });
    }
    return Array.from({ length: element.length / 2 }, (_, i) => {
      const at = element.offset + 2 * i;
      return signed ? this.view.getInt16(at, this.littleEndian) : this.view.getUint16(at, this.littleEndian);
    });
  }

  /** Numbers of value representation DS or IS, separated by backslashes; null where absent or empty. */
  decimals(elements: Elements, tag: number): number[] | null {
    const text = this.text(elements, tag);
    if (text === null) return null;
    return text.split("\\").map((part) => {
      const trimmed = part.trim();
      if (!/^[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?$/.test(trimmed) || !Number.isFinite(Number(trimmed))) {
        throw this.refuse(tag, "is not a number", { got: `${part.length} characters that are something else` });
      }
      return Number(trimmed);
    });
  }

  /** Whole number of value representation IS, at least 0; null where absent or empty. */
  whole(elements: Elements, tag: number): number | null {
    const text = this.text(elements, tag);
    if (text === null) return null;
    if (!/^\+?\d{1,9}$/.test(text)) {
      throw this.refuse(tag, "is not a whole number", { got: `${text.length} characters that are something else` });
    }
    return Number(text);
  }
}
