/** @file Transfer syntaxes: how a DICOM data set and its pixels are encoded (PS3.5 §10, PS3.6 table A-1). */
import { DataError } from "../../common/errors.js";
import { describeTag, tags } from "./_tags.js";

/** How the pixels of one frame are compressed; "none" is one array of samples. */
export type PixelCodec = "none" | "rle" | "jpeg" | "jpeg-ls" | "jpeg-2000" | "htj2k";

/** How the elements of a data set are written. */
export interface Encoding {
  /** Each element names its value representation. */
  readonly explicit: boolean;
  readonly littleEndian: boolean;
}

export interface TransferSyntax extends Encoding {
  readonly uid: string;
  readonly name: string;
  /** The data set after the file meta information is one raw DEFLATE stream. */
  readonly deflated: boolean;
  readonly codec: PixelCodec;
}

const little = { explicit: true, littleEndian: true, deflated: false } as const;

const entry = (uid: string, name: string, codec: PixelCodec, encoding: Partial<TransferSyntax> = {}) =>
  [uid, { ...little, uid, name, codec, ...encoding }] as const;

const known: ReadonlyMap<string, TransferSyntax> = new Map([
  entry("1.2.840.10008.1.2", "Implicit VR Little Endian", "none", { explicit: false }),
  entry("1.2.840.10008.1.2.1", "Explicit VR Little Endian", "none"),
  entry("1.2.840.10008.1.2.1.99", "Deflated Explicit VR Little Endian", "none", { deflated: true }),
  entry("1.2.840.10008.1.2.2", "Explicit VR Big Endian", "none", { littleEndian: false }),
  entry("1.2.840.10008.1.2.5", "RLE Lossless", "rle"),
  entry("1.2.840.10008.1.2.4.50", "JPEG Baseline (Process 1)", "jpeg"),
  entry("1.2.840.10008.1.2.4.51", "JPEG Extended (Process 2 and 4)", "jpeg"),
  entry("1.2.840.10008.1.2.4.57", "JPEG Lossless, Non-Hierarchical (Process 14)", "jpeg"),
  entry("1.2.840.10008.1.2.4.70", "JPEG Lossless, First-Order Prediction (Process 14, Selection Value 1)", "jpeg"),
  entry("1.2.840.10008.1.2.4.80", "JPEG-LS Lossless", "jpeg-ls"),
  entry("1.2.840.10008.1.2.4.81", "JPEG-LS Lossy (Near-Lossless)", "jpeg-ls"),
  entry("1.2.840.10008.1.2.4.90", "JPEG 2000 (Lossless Only)", "jpeg-2000"),
  entry("1.2.840.10008.1.2.4.91", "JPEG 2000", "jpeg-2000"),
  entry("1.2.840.10008.1.2.4.201", "High-Throughput JPEG 2000 (Lossless Only)", "htj2k"),
  entry("1.2.840.10008.1.2.4.202", "High-Throughput JPEG 2000 with RPCL (Lossless Only)", "htj2k"),
  entry("1.2.840.10008.1.2.4.203", "High-Throughput JPEG 2000", "htj2k"),
]);

/** Registered, but not read: the error can say what it is. */
const refused: ReadonlyMap<string, string> = new Map([
  ["1.2.840.10008.1.2.4.92", "JPEG 2000 Part 2 Multi-component (Lossless Only)"],
  ["1.2.840.10008.1.2.4.93", "JPEG 2000 Part 2 Multi-component"],
  ["1.2.840.10008.1.2.4.94", "JPIP Referenced"],
  ["1.2.840.10008.1.2.4.95", "JPIP Referenced Deflate"],
  ["1.2.840.10008.1.2.4.100", "MPEG2 Main Profile / Main Level"],
  ["1.2.840.10008.1.2.4.100.1", "Fragmentable MPEG2 Main Profile / Main Level"],
  ["1.2.840.10008.1.2.4.101", "MPEG2 Main Profile / High Level"],
  ["1.2.840.10008.1.2.4.101.1", "Fragmentable MPEG2 Main Profile / High Level"],
  ["1.2.840.10008.1.2.4.102", "MPEG-4 AVC/H.264 High Profile / Level 4.1"],
  ["1.2.840.10008.1.2.4.102.1", "Fragmentable MPEG-4 AVC/H.264 High Profile / Level 4.1"],
  ["1.2.840.10008.1.2.4.103", "MPEG-4 AVC/H.264 BD-compatible High Profile / Level 4.1"],
  ["1.2.840.10008.1.2.4.103.1", "Fragmentable MPEG-4 AVC/H.264 BD-compatible High Profile / Level 4.1"],
  ["1.2.840.10008.1.2.4.104", "MPEG-4 AVC/H.264 High Profile / Level 4.2 for 2D Video"],
  ["1.2.840.10008.1.2.4.104.1", "Fragmentable MPEG-4 AVC/H.264 High Profile / Level 4.2 for 2D Video"],
  ["1.2.840.10008.1.2.4.105", "MPEG-4 AVC/H.264 High Profile / Level 4.2 for 3D Video"],
  ["1.2.840.10008.1.2.4.105.1", "Fragmentable MPEG-4 AVC/H.264 High Profile / Level 4.2 for 3D Video"],
  ["1.2.840.10008.1.2.4.106", "MPEG-4 AVC/H.264 Stereo High Profile / Level 4.2"],
  ["1.2.840.10008.1.2.4.106.1", "Fragmentable MPEG-4 AVC/H.264 Stereo High Profile / Level 4.2"],
  ["1.2.840.10008.1.2.4.107", "HEVC/H.265 Main Profile / Level 5.1"],
  ["1.2.840.10008.1.2.4.108", "HEVC/H.265 Main 10 Profile / Level 5.1"],
  ["1.2.840.10008.1.2.4.110", "JPEG XL Lossless"],
  ["1.2.840.10008.1.2.4.111", "JPEG XL JPEG Recompression"],
  ["1.2.840.10008.1.2.4.112", "JPEG XL"],
  ["1.2.840.10008.1.2.8.1", "Deflated Image Frame Compression"],
]);

const hint = "convert the file to Explicit VR Little Endian, for example with dcmdjpeg or gdcmconv --raw";

/**
 * The transfer syntax with this UID.
 * @throws {DataError} naming the UID, and the name where it is a registered one; text that is no UID is not repeated
 */
export function transferSyntax(uid: string, file: string): TransferSyntax {
  const found = known.get(uid);
  if (found !== undefined) return found;
  const registered = refused.get(uid);
  if (registered !== undefined) {
    throw new DataError(file, {
      problem: `${describeTag(tags.TransferSyntaxUID)} names an encoding that is not read`,
      got: `${registered} (${uid})`,
      hint,
    });
  }
  const isUid = /^1\.[23](\.\d{1,9}){1,12}$/.test(uid); // ISO's two arcs that organisations have; other text stays unsaid
  throw new DataError(file, {
    problem: `${describeTag(tags.TransferSyntaxUID)} is unknown`,
    expected: "a transfer syntax of PS3.6, table A-1",
    got: isUid ? `an unregistered one (${uid})` : `${uid.length} characters that are not a UID`,
    hint,
  });
}

/** By UID; for readers of files without file meta information. */
export const syntaxes = {
  implicitLittle: known.get("1.2.840.10008.1.2")!, // entries of the table above
  explicitLittle: known.get("1.2.840.10008.1.2.1")!,
  explicitBig: known.get("1.2.840.10008.1.2.2")!,
} as const;
