import { createHash } from "node:crypto";
import { existsSync, readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { messageOf } from "../../formats/messages.testing.js";
import { nodePlatform } from "../../platform/node/index.js";
import { codecsOf } from "./codecs.js";
import { type DicomImage, readDicom } from "./read.js";

const folder = "../shared/data/dicom";
const here = existsSync(`${folder}/reference.jsonl`);
const codecs = codecsOf(nodePlatform);

interface Row {
  file: string;
  ts: string;
  photometric: string;
  bits: number;
  signed: number;
  spp: number;
  frames: number | string;
  decodeError?: string;
  shape?: number[];
  dtype?: string;
  min?: number;
  max?: number;
  sum?: number;
  pixelsSha256?: string;
}
const rows: Row[] = here
  ? readFileSync(`${folder}/reference.jsonl`, "utf8")
      .trim()
      .split("\n")
      .map((line) => JSON.parse(line) as Row) // its own form
  : [];
const read = (file: string): Promise<DicomImage> =>
  readDicom(new Uint8Array(readFileSync(`${folder}/${file}`)), file, codecs === undefined ? {} : { codecs });

async function figures(image: DicomImage) {
  const hash = createHash("sha256");
  let [min, max, sum, dtype] = [Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY, 0, ""];
  let shape: readonly number[] = [];
  for (let frame = 0; frame < image.frames; frame++) {
    const stored = await image.stored(frame);
    dtype = stored.dtype;
    shape = stored.shape;
    hash.update(new Uint8Array(stored.data.buffer, stored.data.byteOffset, stored.data.byteLength));
    for (const value of stored.data) {
      sum += value;
      if (value < min) min = value;
      if (value > max) max = value;
    }
  }
  const whole = image.frames > 1 ? [image.frames, ...shape] : shape;
  return { shape: whole, dtype, min, max, sum, pixelsSha256: hash.digest("hex") };
}

describe.skipIf(!here)("as pydicom 2.3 with gdcm, bit for bit, lossy ones too (skipped without ../shared/data)", () => {
  test.each(rows.filter((row) => row.decodeError === undefined))("$file", async (row) => {
    const image = await read(row.file);
    const { shape, dtype, min, max, sum, pixelsSha256 } = row;
    expect(await figures(image)).toEqual({ shape, dtype, min, max, sum, pixelsSha256 });
    expect(image).toMatchObject({
      transferSyntax: { uid: row.ts },
      photometric: row.photometric,
      bitsAllocated: row.bits,
      pixelRepresentation: row.signed,
      samplesPerPixel: row.spp,
      frames: row.frames,
    });
  });
});

describe.skipIf(!here)("files that nobody can read say what is wrong (skipped without ../shared/data)", () => {
  test.each([
    [
      "MR_truncated.dcm",
      `MR_truncated.dcm: (7FE0,0010) PixelData ends beyond the file
  expected 8192 bytes from byte 1500
  got      8130`,
    ],
    [
      "badVR.dcm",
      `badVR.dcm: (0028,0008) NumberOfFrames is not a whole number
  got      2 characters that are something else`,
    ],
    [
      "no_meta.dcm",
      `no_meta.dcm: is not a DICOM file, or one without the head that holds (0002,0010) TransferSyntaxUID
  expected "DICM" at byte 128, or a data element of group 0002 or 0008 at byte 0
  got      38871 other bytes`,
    ],
  ])("%s", async (file, message) => expect(await messageOf(() => read(file))).toBe(message));
});

/** Mean of the levels, 0 … 1; the figures are pydicom's apply_voi_lut, apply_color_lut and convert_color_space. */
describe.skipIf(!here)("images as pydicom makes them (skipped without ../shared/data)", () => {
  test.each([
    ["RG3_J2KI.dcm", 1 - 963078283 / (1023 * 1760 * 1760)],
    ["MR_small_implicit.dcm", (-15201208.816135086 / 4096 + 32768) / 65535],
    ["JPGLosslessP14SV1_1s_1f_8b.dcm", 13666615.138339922 / (255 * 768 * 1024)],
    ["OBXXXX1A_rle.dcm", 4587114240 / (65280 * 3 * 480000)],
    ["examples_palette.dcm", 4406822400 / (65280 * 3 * 280000)],
    ["SC_rgb_jpeg_dcmtk.dcm", 3832000 / (255 * 30000)],
    ["examples_ybr_color.dcm", 72512675 / (255 * 30 * 3 * 76800)],
  ])("%s", async (file, mean) => {
    const image = await read(file);
    let sum = 0;
    let count = 0;
    for (let frame = 0; frame < image.frames; frame++) {
      const { data } = await image.image(frame);
      const white = data instanceof Uint8Array ? 255 : 65535;
      for (const level of data) sum += level / white;
      count += data.length;
    }
    expect(sum / count).toBeCloseTo(mean, 3); // levels are rounded to 8 or 16 bits here, not there
  });
});
