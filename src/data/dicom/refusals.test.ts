import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { MetalrError } from "../../common/errors.js";
import { messageOf, outcomeOf } from "../../formats/messages.testing.js";
import { nodePlatform } from "../../platform/node/index.js";
import { codecsOf } from "./codecs.js";
import { craft } from "./crafted.testing.js";
import { encoded } from "./encoded.testing.js";
import { readDicom } from "./read.js";

const codecs = codecsOf(nodePlatform);
const options = codecs === undefined ? {} : { codecs };

async function readAll(bytes: Uint8Array): Promise<string[]> {
  const image = await readDicom(bytes, "scan.dcm", options);
  for (let frame = 0; frame < Math.min(image.frames, 3); frame++) {
    await image.stored(frame);
    const { data } = await image.image(frame);
    if (data.length === 0) throw new Error("an image without pixels");
  }
  return [...image.notes];
}

const words = (...values: number[]): Uint8Array => new Uint8Array(Uint16Array.from(values).buffer);
const rle = { syntax: "1.2.840.10008.1.2.5" };
const jpeg = { syntax: "1.2.840.10008.1.2.4.50" };
const fragment = (...bytes: number[]) => ({ fragments: [Uint8Array.from(bytes)] });

describe("a file that cannot be right is refused, with tag and keyword", () => {
  test.each([
    [craft({ Rows: undefined }), "(0028,0010) Rows is missing"],
    [craft({ Columns: new Uint8Array(0) }), "(0028,0011) Columns is empty"],
    [craft({ Rows: 0 }), "(0028,0010) Rows has a value that is not read\n  expected 1 to 65535\n  got      0"],
    [
      craft({ Columns: Uint8Array.of(1) }),
      "(0028,0011) Columns has the wrong length\n  expected 2 bytes (US)\n  got      1",
    ],
    [
      craft({ BitsAllocated: 12 }),
      "(0028,0100) BitsAllocated has a value that is not read\n  expected 1 or 8 or 16 or 32\n  got      12",
    ],
    [
      craft({ BitsStored: 17 }),
      "(0028,0101) BitsStored does not fit (0028,0100) BitsAllocated\n  expected 1 to 16\n  got      17",
    ],
    [
      craft({ HighBit: 3 }),
      "(0028,0102) HighBit does not fit (0028,0101) BitsStored\n  expected 15 to 15\n  got      3",
    ],
    [
      craft({ PixelRepresentation: 2 }),
      "(0028,0103) PixelRepresentation has a value that is not read\n  expected 0 or 1\n  got      2",
    ],
    [
      craft({ SamplesPerPixel: 3 }),
      "(0028,0002) SamplesPerPixel has a value that is not read\n  expected 1\n  got      3",
    ],
    [craft({ PhotometricInterpretation: undefined }), "(0028,0004) PhotometricInterpretation is missing"],
    [
      craft({ PhotometricInterpretation: "HSV" }),
      `(0028,0004) PhotometricInterpretation is not one that is read
  expected MONOCHROME1, MONOCHROME2, PALETTE COLOR, RGB, YBR_FULL, YBR_FULL_422, YBR_ICT, YBR_RCT
  got      HSV`,
    ],
    [
      craft({ NumberOfFrames: "3" }),
      "(7FE0,0010) PixelData is too short\n  expected 36 bytes (3 × 2 × 3 × 1, 16 bits each)\n  got      12",
    ],
    [
      craft({ NumberOfFrames: "999999999" }),
      "(7FE0,0010) PixelData is too short\n  expected 11999999988 bytes (999999999 × 2 × 3 × 1, 16 bits each)\n  got      12",
    ],
    [
      craft({ NumberOfFrames: "1e3" }),
      "(0028,0008) NumberOfFrames is not a whole number\n  got      3 characters that are something else",
    ],
    [
      craft({ Rows: 65535, Columns: 65535 }),
      "one frame is too large\n  expected at most 134217728 bytes\n  got      8589672450 ((0028,0010) Rows 65535, (0028,0011) Columns 65535)",
    ],
    [
      craft({ PixelData: undefined }),
      "(7FE0,0010) PixelData is missing\n  hint     reports, plans and structure sets hold no image; truncated files have lost theirs",
    ],
    [
      craft({}, { syntax: "1.2.840.10008.1.2.4.102" }),
      `(0002,0010) TransferSyntaxUID names an encoding that is not read
  got      MPEG-4 AVC/H.264 High Profile / Level 4.1 (1.2.840.10008.1.2.4.102)
  hint     convert the file to Explicit VR Little Endian, for example with dcmdjpeg or gdcmconv --raw`,
    ],
    [
      craft({}, { syntax: "1.2.840.10008.1.2.77" }),
      `(0002,0010) TransferSyntaxUID is unknown
  expected a transfer syntax of PS3.6, table A-1
  got      an unregistered one (1.2.840.10008.1.2.77)
  hint     convert the file to Explicit VR Little Endian, for example with dcmdjpeg or gdcmconv --raw`,
    ],
    [
      craft({ PixelData: fragment(1, 2) }),
      `(7FE0,0010) PixelData is compressed, but its transfer syntax is not
  hint     the file is damaged, or its transfer syntax is not the one that it names`,
    ],
    [
      craft({}, rle),
      `(7FE0,0010) PixelData is not compressed, but its transfer syntax is
  hint     the file is damaged, or its transfer syntax is not the one that it names`,
    ],
    [craft({ PixelData: { fragments: [] } }, rle), "(7FE0,0010) PixelData is empty"],
    [
      craft({ NumberOfFrames: "2", PixelData: fragment(1, 2) }, rle),
      "(0028,0008) NumberOfFrames does not fit the compressed pixels\n  expected 2 frames\n  got      1 fragments",
    ],
    [
      craft({ PixelData: fragment(...words(3, ...new Array<number>(40).fill(0))) }, rle),
      "an RLE frame has the wrong number of segments\n  expected 2 (1 samples of 2 bytes)\n  got      3",
    ],
    [
      craft({ PixelData: fragment(1, 2, 3, 4) }, jpeg),
      "a compressed frame is damaged\n  expected JPEG markers up to the first scan\n  got      4 other bytes",
    ],
    [
      craft(
        { PixelData: fragment(0xff, 0xd8, 0xff, 0xc0, 0, 11, 8, 0, 9, 0, 3, 1, 1, 0x11, 0, 0xff, 0xda, 0, 8, 1) },
        jpeg,
      ),
      "(0028,0010) Rows does not agree with the compressed frame\n  expected 2, as in the header\n  got      9",
    ],
    [
      craft(
        { PixelData: fragment(0xff, 0xd8, 0xff, 0xc0, 0, 11, 8, 0, 2, 0, 3, 1, 1, 0x11, 0, 0xff, 0xda, 0, 8, 1) },
        jpeg,
      ),
      `a compressed frame of (7FE0,0010) PixelData cannot be decoded
  hint     the file is damaged, or needs more memory than the decoder has`,
    ],
    [
      craft({}, { meta: false }).subarray(0, 58),
      "(0010,0010) PatientName ends beyond the file\n  expected 8 bytes from byte 52\n  got      6",
    ],
    [
      craft({}, { meta: false }).subarray(0, 64),
      "the file ends inside the head of an element\n  expected 8 bytes from byte 60\n  got      4",
    ],
    [
      new Uint8Array(0),
      'the file is empty\n  expected "DICM" at byte 128, or a data element of group 0002 or 0008 at byte 0\n  got      0 other bytes',
    ],
  ])("%#", async (bytes, message) => {
    expect(await messageOf(() => readAll(bytes))).toBe(`scan.dcm: ${message}`);
  });

  test("compressed pixels where the platform has no decoder", async () => {
    const { bytes } = encoded[0];
    expect(await messageOf(async () => (await readDicom(bytes, "scan.dcm")).stored(0))).toBe(
      `scan.dcm: the pixels are compressed and this platform has no decoder for them
  hint     give readDicom the bytes of dcmjs-codecs/build/dcmjs-native-codecs.wasm, or convert the file to Explicit VR Little Endian`,
    );
  });

  test("compressed pixels without a word on how", async () => {
    expect(await messageOf(() => readAll(craft({ PixelData: fragment(1, 2) }, { meta: false })))).toBe(
      `scan.dcm: (0002,0010) TransferSyntaxUID is missing, and the pixels are compressed
  hint     the file does not say how; export it again with its file meta information`,
    );
  });
});

const secret = /Doe|Jane|MRN|4711|1933|2024/;

describe("a patient's data are in no message", () => {
  const text = "Doe^Jane 4711";
  const everywhere = [
    "SOPInstanceUID",
    "Modality",
    "PhotometricInterpretation",
    "NumberOfFrames",
    "PixelSpacing",
    "WindowCenter",
    "WindowWidth",
    "RescaleSlope",
    "RescaleIntercept",
    "VOILUTFunction",
    "Rows",
    "BitsAllocated",
    "PixelPaddingValue",
    "RedPaletteColorLookupTableDescriptor",
  ];
  test.each(everywhere)("even where %s holds a name", async (keyword) => {
    try {
      for (const note of await readAll(
        craft({ [keyword]: text, WindowWidth: "1", ...(keyword === "WindowWidth" ? { WindowWidth: text } : {}) }),
      )) {
        expect(note).not.toMatch(secret);
      }
    } catch (error) {
      expect(error).toBeInstanceOf(MetalrError);
      expect(String(error)).not.toMatch(secret);
    }
  });

  test("nor where the transfer syntax is a name", async () => {
    const message = await messageOf(() => readAll(craft({}, { syntax: text, writing: { explicit: true } })));
    expect(message).not.toMatch(secret);
    expect(message).toContain("got      13 characters that are not a UID");
  });
});

describe("damaged files", () => {
  const files: [string, Uint8Array][] = [
    ["explicit", craft({ NumberOfFrames: "1", WindowCenter: "2", WindowWidth: "4" })],
    [
      "implicit",
      craft(
        { SharedFunctionalGroupsSequence: [{ Rows: 1 }] },
        { syntax: "1.2.840.10008.1.2", writing: { openSequences: true } },
      ),
    ],
    ["deflated", craft({}, { syntax: "1.2.840.10008.1.2.1.99" })],
    ["big-endian", craft({}, { syntax: "1.2.840.10008.1.2.2" })],
    ...encoded.map(({ name, bytes }): [string, Uint8Array] => [name, bytes]),
  ];

  test.each(files)(
    "%s: a changed file is read or refused in our words, without the patient's",
    { timeout: 60_000 },
    async (_, whole) => {
      const damage = fc.record({
        changes: fc.array(fc.tuple(fc.nat(whole.length - 129) /* the preamble means nothing */, fc.nat(255)), {
          maxLength: 4,
        }),
        length: fc.oneof({ weight: 3, arbitrary: fc.constant(whole.length) }, fc.nat(whole.length)),
      });
      await fc.assert(
        fc.asyncProperty(damage, async ({ changes, length }) => {
          const bytes = new Uint8Array(whole);
          for (const [at, value] of changes) bytes[128 + at] = value;
          try {
            await readAll(bytes.subarray(0, length));
          } catch (error) {
            if (!(error instanceof MetalrError)) throw error;
            expect(error.message).not.toMatch(secret);
          }
        }),
        { seed: 5, numRuns: 150 },
      );
    },
  );

  test("any bytes behind a head", async () => {
    const head = craft({}, { meta: true }).subarray(0, 160);
    await fc.assert(
      fc.asyncProperty(fc.uint8Array({ maxLength: 200 }), async (tail) => {
        expect(["FileError", "DataError"]).toContain(
          await outcomeOf(() => readAll(Uint8Array.from([...head, ...tail]))),
        );
      }),
      { seed: 6, numRuns: 300 },
    );
  });
});
