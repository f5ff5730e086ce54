/** @file The bytes of a pickle, read in order: numbers, lines, counted blocks and text; every end is checked. */
import { FileError } from "../common/errors.js";
import { formatCount } from "./bytes.js";

/** Text above this length stays bytes: NumPy writes whole arrays as text in protocols 0 to 2, longer than a string can be. */
const LONG_TEXT = 2 ** 16;
/** Digits of a number written as text, as Python's own limit. */
const MAX_DIGITS = 4300;
/** Bytes of a whole number. */
const MAX_LONG = 1024;

type TextEncoding = "utf-8" | "latin1" | "raw-unicode-escape";

/** Text too long to make a string of; what stands for bytes is turned into them without a detour. */
export class LongText {
  constructor(
    readonly bytes: Uint8Array,
    readonly encoding: TextEncoding,
  ) {}

  /** One byte per character; null where a character is above U+00FF. */
  toLatin1(): Uint8Array | null {
    if (this.encoding === "latin1") return this.bytes;
    const source = this.bytes;
    const out = new Uint8Array(source.length);
    let length = 0;
    for (let i = 0; i < source.length; i++) {
      let code = source[i]!; // i is inside
      if (this.encoding === "utf-8" && code >= 0x80) {
        const next = source[++i] ?? 0;
        if ((code & 0xfc) !== 0xc0 || (next & 0xc0) !== 0x80) return null; // lead bytes C0 … C3 reach U+00FF
        code = ((code & 3) << 6) | (next & 0x3f);
      } else if (this.encoding === "raw-unicode-escape" && code === 0x5c && source[i + 1] === 0x75) {
        code = Number.parseInt(String.fromCharCode(...source.subarray(i + 2, i + 6)), 16);
        if (!(code <= 0xff)) return null; // NaN, too
        i += 5;
      }
      out[length++] = code;
    }
    return out.subarray(0, length);
  }

  toString(): string {
    return decodeText(this.bytes, this.encoding);
  }
}

function decodeText(bytes: Uint8Array, encoding: TextEncoding): string {
  if (encoding === "utf-8") return new TextDecoder("utf-8", { ignoreBOM: true }).decode(bytes);
  let text = "";
  for (let i = 0; i < bytes.length; i += 8192) text += String.fromCharCode(...bytes.subarray(i, i + 8192));
  if (encoding === "latin1") return text;
  return text.replace(/\\u([0-9a-fA-F]{4})|\\U([0-9a-fA-F]{8})/g, (all, short?: string, long?: string) => {
    const code = Number.parseInt(short ?? long ?? "", 16);
    return code <= 0x10ffff ? String.fromCodePoint(code) : all;
  });
}

export class PickleReader {
  private readonly view: DataView;
  at: number;

  constructor(
    private readonly bytes: Uint8Array,
    readonly name: string,
    start: number,
  ) {
    this.view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    this.at = start;
  }

  /** @param problem as a clause; the byte is added */
  damaged(problem: string, at = this.at): FileError {
    return new FileError(this.name, {
      problem: `the pickle is damaged: ${problem}`,
      got: `this at byte ${formatCount(at)}`,
      hint: "copy or download the file again",
    });
  }

  private take(count: number): number {
    const start = this.at;
    if (count > this.bytes.length - start) {
      throw new FileError(this.name, {
        problem: "the pickle is truncated",
        expected: `${formatCount(count)} more bytes from byte ${formatCount(start)}`,
        got: formatCount(this.bytes.length - start),
        hint: "copy or download the file again",
      });
    }
    this.at = start + count;
    return start;
  }

  u8 = () => this.view.getUint8(this.take(1));
  u16 = () => this.view.getUint16(this.take(2), true);
  i32 = () => this.view.getInt32(this.take(4), true);
  u32 = () => this.view.getUint32(this.take(4), true);
  f64 = () => this.view.getFloat64(this.take(8), false); // the only big-endian one
  /** Beyond 2^53 inexact, and far beyond any file. */
  u64 = () => Number(this.view.getBigUint64(this.take(8), true));

  /** A view, not a copy. */
  block(count: number): Uint8Array {
    const start = this.take(count);
    return this.bytes.subarray(start, start + count);
  }

  /** A string, or LongText from 64 KiB on. */
  text(bytes: Uint8Array, encoding: TextEncoding): string | LongText {
    return bytes.length > LONG_TEXT ? new LongText(bytes, encoding) : decodeText(bytes, encoding);
  }

  /** Bytes up to the line feed, without it. */
  lineBytes(): Uint8Array {
    const end = this.bytes.indexOf(0x0a, this.at);
    if (end < 0) this.take(this.bytes.length - this.at + 1); // throws: one byte more than there is
    const line = this.bytes.subarray(this.at, end);
    this.at = end + 1;
    return line;
  }

  /** A short line: a name or a number. */
  line(): string {
    const start = this.at;
    const bytes = this.lineBytes();
    if (bytes.length > MAX_DIGITS) throw this.damaged("a name or number is too long", start);
    return decodeText(bytes, "utf-8");
  }

  /** Decimal digits. */
  index(): number {
    const start = this.at;
    const text = this.line();
    if (!/^\d{1,15}$/.test(text)) throw this.damaged("a memo index is not a number", start);
    return Number(text);
  }

  integer(text: string): number | bigint {
    if (!/^\s*[+-]?\d+\s*$/.test(text)) throw this.damaged("a whole number is not one");
    return small(BigInt(text.trim().replace(/^\+/, "")));
  }

  float(text: string): number {
    const word = text.trim().toLowerCase();
    const special = { nan: Number.NaN, inf: Number.POSITIVE_INFINITY, "-inf": Number.NEGATIVE_INFINITY }[word];
    if (special !== undefined) return special;
    const value = Number(word === "" ? "x" : word);
    if (Number.isNaN(value)) throw this.damaged("a number is not one");
    return value;
  }

  /** Two's complement, little-endian. */
  long(count: number): number | bigint {
    if (count > MAX_LONG) throw this.damaged("a whole number is too long");
    const bytes = this.block(count);
    let value = 0n;
    for (let i = count - 1; i >= 0; i--) value = (value << 8n) | BigInt(bytes[i]!); // i < count
    return small(count === 0 ? 0n : BigInt.asIntN(8 * count, value));
  }

  /** Python's repr of a byte string, as protocol 0 writes it: quotes and escapes. */
  quoted(): string | LongText {
    const start = this.at;
    const line = this.lineBytes();
    const quote = line[0];
    if (line.length < 2 || (quote !== 0x27 && quote !== 0x22) || line[line.length - 1] !== quote) {
      throw this.damaged("a string lacks its quotes", start);
    }
    const out = new Uint8Array(line.length);
    let length = 0;
    for (let i = 1; i < line.length - 1; i++) {
      let code = line[i]!; // inside
      if (code === 0x5c) {
        const next = String.fromCharCode(line[++i] ?? 0);
        if (next === "x") {
          code = Number.parseInt(String.fromCharCode(...line.subarray(i + 1, i + 3)), 16);
          if (Number.isNaN(code)) throw this.damaged("a string has a broken escape", start);
          i += 2;
        } else code = { n: 10, r: 13, t: 9, "0": 0 }[next] ?? next.charCodeAt(0);
      }
      out[length++] = code;
    }
    return this.text(out.subarray(0, length), "latin1");
  }
}

/** A number where it is exact. */
const small = (value: bigint): number | bigint => (BigInt.asIntN(54, value) === value ? Number(value) : value);
