/** @file Reads one DICOM file: its description, the stored pixels, and images ready for a network. */
import { UsageError } from "../../common/errors.js";
import type { RawImage } from "../types.js";
import { colourToRgb, paletteToRgb } from "./_colour.js";
import type { Elements } from "./_elements.js";
import { type DicomFile, openFile } from "./_file.js";
import { locateFrames } from "./_frames.js";
import { displayFunction, readGreyRules, rescale, type WindowOption, type WindowPreset } from "./_grey.js";
import { type PixelHeader, readPixelHeader } from "./_header.js";
import { readPalette } from "./_lut.js";
import { pseudonym } from "./_pseudonym.js";
import { noCodecs, readStored, type StoredFrame, type StoredSource } from "./_stored.js";
import { tags } from "./_tags.js";
import type { Values } from "./_values.js";
import type { Codecs } from "./codecs.js";

export { looksLikeDicom } from "./_file.js";
export type { WindowOption, WindowPreset } from "./_grey.js";
export type { StoredFrame } from "./_stored.js";

export interface DicomOptions {
  /** Decoders, asked for at the first frame of JPEG, JPEG-LS or JPEG 2000; see `codecsOf`. */
  codecs?: () => Promise<Codecs>;
  /** Mixed into the pseudonyms; default "metalr". The same salt gives the same pseudonyms. */
  salt?: string;
}

export interface ImageOptions {
  /** Default "file". Colours and palettes have no window. */
  window?: WindowOption;
  /** Of a grey result; default 8 where the file stores at most 8 bits, else 16. Full range: white is 255 or 65535. */
  bits?: 8 | 16;
}

/** What a file says about itself; nothing in it belongs to the patient. */
export interface DicomDescription extends Omit<PixelHeader, "highBit" | "planar" | "format" | "pixels"> {
  readonly name: string;
  readonly transferSyntax: { readonly uid: string; readonly name: string };
  /** "CT", "US", …; null where the file does not say it. */
  readonly modality: string | null;
  /** Distance of rows and of columns; null where the file does not say it. */
  readonly spacingMm: readonly [number, number] | null;
  /** Of images: 3 for colours and palettes, else 1. */
  readonly channels: 1 | 3;
  /** Pseudonym of PatientID, else of StudyInstanceUID; null where both are missing or empty. */
  readonly group: string | null;
  readonly groupedBy: "PatientID" | "StudyInstanceUID" | null;
  /** Pseudonym of SOPInstanceUID; null where it is missing. */
  readonly sopInstanceUid: string | null;
  /** What was assumed or repaired. */
  readonly notes: readonly string[];
}

export interface DicomImage extends DicomDescription {
  /** The file's windows for `{ preset }`; none for colours. */
  windows(frame?: number): readonly WindowPreset[];
  /** The array in the file, as pydicom's `pixel_array`: before rescale, window and colour conversion. */
  stored(frame: number): Promise<StoredFrame>;
  /** Rescaled, windowed, inverted where black is white (MONOCHROME1), in RGB where there are colours. */
  image(frame: number, options?: ImageOptions): Promise<RawImage>;
}

const modalities = /^[A-Z]{2,16}$/;

/** A file whose description was read. */
export interface Described {
  readonly description: DicomDescription;
  readonly header: PixelHeader;
  readonly elements: Elements;
  readonly values: Values;
  readonly syntax: StoredSource["syntax"];
}

function spacingOf(values: Values, elements: Elements): readonly [number, number] | null {
  const shared = elements.get(tags.SharedFunctionalGroupsSequence)?.items?.[0];
  const measures = shared?.get(tags.PixelMeasuresSequence)?.items?.[0];
  const [row, column] = values.decimals(measures ?? elements, tags.PixelSpacing) ?? [];
  return row !== undefined && column !== undefined && row > 0 && column > 0 ? [row, column] : null;
}

/** The description of an opened file; its head up to the pixels is enough. */
export async function describeDicom(opened: DicomFile, notes: string[], salt: string): Promise<Described> {
  const { syntax, elements, values } = opened;
  const header = readPixelHeader(values, elements, notes);
  const patient = values.text(elements, tags.PatientID);
  const study = values.text(elements, tags.StudyInstanceUID);
  const uid = values.text(elements, tags.SOPInstanceUID);
  const modality = values.text(elements, tags.Modality);
  let group: string | null = null;
  if (patient !== null) group = await pseudonym("patient", patient, salt);
  else if (study !== null) group = await pseudonym("study", study, salt);
  const description: DicomDescription = {
    name: values.file,
    transferSyntax: { uid: syntax.uid, name: syntax.name },
    frames: header.frames,
    rows: header.rows,
    columns: header.columns,
    samplesPerPixel: header.samplesPerPixel,
    bitsAllocated: header.bitsAllocated,
    bitsStored: header.bitsStored,
    pixelRepresentation: header.pixelRepresentation,
    photometric: header.photometric,
    modality: modality !== null && modalities.test(modality) ? modality : null,
    spacingMm: spacingOf(values, elements),
    channels: header.photometric.startsWith("MONOCHROME") ? 1 : 3,
    group,
    groupedBy: patient !== null ? "PatientID" : study !== null ? "StudyInstanceUID" : null,
    sopInstanceUid: uid === null ? null : await pseudonym("image", uid, salt),
    notes,
  };
  return { description, header, elements, values, syntax };
}

function greyImage(opened: Described, stored: StoredFrame, frame: number, options: ImageOptions): RawImage {
  const { header: h, values, elements } = opened;
  const rules = readGreyRules(values, elements, h, frame);
  const rescaled = rescale(stored, h, rules);
  const option = options.window ?? "file";
  const shape = { channels: 1, height: h.rows, width: h.columns };
  if (option === "none") return { ...shape, data: Float32Array.from(rescaled.values) };
  const display = displayFunction(option, rules, h, rescaled, values.file);
  const bits = options.bits ?? (h.format === "integer" && h.bitsStored <= 8 ? 8 : 16);
  const data = bits === 8 ? new Uint8Array(h.rows * h.columns) : new Uint16Array(h.rows * h.columns);
  const white = 2 ** bits - 1;
  const inverted = h.photometric === "MONOCHROME1";
  for (let i = 0; i < data.length; i++) {
    const bright = display(rescaled.values[i]!); // one value a pixel
    const level = Math.round(Math.min(Math.max(bright, 0), 1) * white); // NaN becomes 0 in the array
    data[i] = inverted ? white - level : level;
  }
  return { ...shape, data };
}

/**
 * Reads a DICOM file: any transfer syntax of `syntaxes.ts`, with or without file meta information.
 *
 * @param bytes the whole file; not copied, so it must not change
 * @param name for messages: the path as the user wrote it
 * @throws {FileError | DataError} naming tag and keyword: "(0028,0100) BitsAllocated …"; never a value of the patient
 */
export async function readDicom(bytes: Uint8Array, name: string, options: DicomOptions = {}): Promise<DicomImage> {
  const notes: string[] = [];
  const file = openFile({ name, bytes, size: bytes.length }, notes);
  const opened = await describeDicom(file, notes, options.salt ?? "metalr");
  const { header, values, elements, syntax, description } = opened;
  const source: StoredSource = {
    file: name,
    header,
    syntax,
    frames: locateFrames(values, elements, header, syntax.codec, notes),
    codecs: () => {
      if (options.codecs === undefined) throw noCodecs(name);
      return options.codecs();
    },
  };
  const stored = async (frame: number): Promise<StoredFrame> => {
    if (!Number.isInteger(frame) || frame < 0 || frame >= header.frames) {
      throw new UsageError(name, {
        problem: "has no such frame",
        expected: `0 to ${header.frames - 1}`,
        got: `${frame}`,
      });
    }
    return readStored(source, frame);
  };
  return {
    ...description,
    windows: (frame = 0) => (description.channels === 1 ? readGreyRules(values, elements, header, frame).presets : []),
    stored,
    async image(frame, imageOptions = {}) {
      const pixels = await stored(frame);
      if (header.photometric === "PALETTE COLOR") {
        return paletteToRgb(pixels, header, readPalette(values, elements, header.pixelRepresentation === 1));
      }
      if (header.samplesPerPixel === 3) return colourToRgb(pixels, header, name);
      return greyImage(opened, pixels, frame, imageOptions);
    },
  };
}
