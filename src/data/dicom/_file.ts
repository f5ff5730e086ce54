/** @file The outer form of a DICOM file: preamble, file meta information, transfer syntax, data set (PS3.10 §7). */
import { FileError } from "../../common/errors.js";
import { allocate } from "../../formats/bytes.js";
import { inflateRaw } from "../bounded-inflate.js";
import { type Elements, type Loaded, MoreBytesNeeded, parseElements, parseMeta, representations } from "./_elements.js";
import { syntaxes, type TransferSyntax, transferSyntax } from "./_syntaxes.js";
import { describeTag, tags } from "./_tags.js";
import { Values } from "./_values.js";

export interface DicomFile {
  readonly syntax: TransferSyntax;
  readonly elements: Elements;
  readonly values: Values;
}

/** A deflated data set may grow to this many bytes. */
const largestInflated = 2 ** 30;

const hasPrefix = (head: Uint8Array): boolean =>
  head.length >= 132 && head[128] === 0x44 && head[129] === 0x49 && head[130] === 0x43 && head[131] === 0x4d; // DICM

/** The encoding that the bytes of a first element show; null where they are none. */
function guessSyntax(bytes: Uint8Array, at: number): TransferSyntax | null {
  if (at + 8 > bytes.length) return null;
  const view = new DataView(bytes.buffer, bytes.byteOffset + at, 8);
  const vr = String.fromCharCode(view.getUint8(4), view.getUint8(5));
  const little = view.getUint16(0, true);
  if (representations.has(vr)) {
    if (little === 0x0002 || little === 0x0008) return syntaxes.explicitLittle;
    return view.getUint16(0, false) === 0x0008 ? syntaxes.explicitBig : null;
  }
  // Without a VR: group 0008, a low element, and a short even length make an implicit element.
  const plausible = little === 0x0008 && view.getUint16(2, true) <= 0x0070 && view.getUint32(4, true) <= 1024;
  return plausible && view.getUint32(4, true) % 2 === 0 ? syntaxes.implicitLittle : null;
}

/**
 * Whether a file that begins with these bytes is DICOM, with or without preamble and file meta information.
 * @param head the first 132 bytes or more
 */
export const looksLikeDicom = (head: Uint8Array): boolean => hasPrefix(head) || guessSyntax(head, 0) !== null;

/** The error for other files. */
export function notDicom(file: Loaded): FileError {
  return new FileError(file.name, {
    problem:
      file.size === 0
        ? "the file is empty"
        : `is not a DICOM file, or one without the head that holds ${describeTag(tags.TransferSyntaxUID)}`,
    expected: '"DICM" at byte 128, or a data element of group 0002 or 0008 at byte 0',
    got: `${file.size} other bytes`,
  });
}

/** Some writers forget the value representations that an explicit syntax has. */
function asWritten(file: Loaded, at: number, syntax: TransferSyntax, notes: string[]): TransferSyntax {
  if (at + 8 > file.bytes.length && file.bytes.length < file.size) throw new MoreBytesNeeded(at + 8);
  if (guessSyntax(file.bytes, at) !== syntaxes.implicitLittle) return syntax;
  notes.push("the data set has no value representations, against its transfer syntax: read as implicit");
  return { ...syntax, explicit: false };
}

/**
 * Reads all elements up to the pixels.
 *
 * @param notes takes what was assumed: a missing transfer syntax
 * @throws {FileError | DataError} not DICOM, truncated, an encoding that is not read
 * @throws {MoreBytesNeeded} when only the head of the file was loaded and that is not enough
 */
export function openFile(file: Loaded, notes: string[]): DicomFile {
  const withPreamble = hasPrefix(file.bytes);
  if (!withPreamble && guessSyntax(file.bytes, 0) === null) throw notDicom(file);
  const { elements: meta, end } = parseMeta(file, withPreamble ? 132 : 0);
  const named = new Values(file.name, file.bytes, true).text(meta, tags.TransferSyntaxUID);
  let syntax: TransferSyntax;
  if (named !== null) syntax = transferSyntax(named, file.name);
  else {
    if (end + 8 > file.bytes.length && file.bytes.length < file.size) throw new MoreBytesNeeded(end + 8);
    const guessed = guessSyntax(file.bytes, end);
    if (guessed === null) {
      throw new FileError(file.name, {
        problem: `${describeTag(tags.TransferSyntaxUID)} is missing, and the data set does not show its encoding`,
        hint: "the file is damaged",
      });
    }
    notes.push(
      `${describeTag(tags.TransferSyntaxUID)} is missing: read as ${guessed.name}, as its first element shows`,
    );
    syntax = guessed;
  }
  if (syntax.explicit && syntax.littleEndian && !syntax.deflated) syntax = asWritten(file, end, syntax, notes);
  let whole = file;
  if (syntax.deflated) {
    if (file.bytes.length < file.size) throw new MoreBytesNeeded(file.size);
    const rest = inflateRaw(file.bytes.subarray(end), largestInflated, file.name);
    const bytes = allocate(end + rest.length, file.name); // offsets go on counting behind the file meta information
    bytes.set(file.bytes.subarray(0, end));
    bytes.set(rest, end);
    whole = { name: file.name, bytes, size: bytes.length };
  }
  const elements = parseElements(whole, end, syntax);
  const pixels = elements.get(tags.PixelData);
  if (named === null && pixels !== undefined && pixels.length === null) {
    throw new FileError(file.name, {
      problem: `${describeTag(tags.TransferSyntaxUID)} is missing, and the pixels are compressed`,
      hint: "the file does not say how; export it again with its file meta information",
    });
  }
  return { syntax, elements, values: new Values(file.name, whole.bytes, syntax.littleEndian) };
}
