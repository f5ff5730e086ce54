import { describe, expect, test } from "vitest";
import { messageOf } from "../../formats/messages.testing.js";
import { craft, type plain } from "./crafted.testing.js";
import { looksLikeDicom, readDicom } from "./read.js";

const words = (...values: number[]): Uint8Array => new Uint8Array(Uint16Array.from(values).buffer);
const read = (bytes: Uint8Array) => readDicom(bytes, "scan.dcm");
const stored = async (bytes: Uint8Array, frame = 0) => [...(await (await read(bytes)).stored(frame)).data];

describe("the data set is the same, however it is written", () => {
  test.each([
    ["explicit little-endian", {}],
    ["implicit little-endian", { syntax: "1.2.840.10008.1.2" }],
    ["deflated", { syntax: "1.2.840.10008.1.2.1.99" }],
    ["without preamble", { preamble: false }],
    ["without any head, explicit", { meta: false }],
    ["without any head, implicit", { meta: false, writing: { explicit: false } }],
    ["implicit, though its head says explicit", { writing: { explicit: false } }],
  ])("%s", async (_, options) => {
    const bytes = craft({}, options);
    expect(looksLikeDicom(bytes.subarray(0, 140))).toBe(true);
    const image = await read(bytes);
    expect(image).toMatchObject({ frames: 1, rows: 2, columns: 3, samplesPerPixel: 1, bitsStored: 16, modality: "CT" });
    expect(await image.stored(0)).toEqual({ dtype: "uint16", shape: [2, 3], data: Uint16Array.of(0, 1, 2, 3, 4, 5) });
  });

  test.each([true, false])("big-endian, with a head: %s", async (meta) => {
    const big = { PixelData: Uint8Array.of(0, 0, 0, 1, 0, 2, 0, 3, 0, 4, 1, 0) };
    const writing = { littleEndian: false };
    expect(await stored(craft(big, { syntax: "1.2.840.10008.1.2.2", meta, writing }))).toEqual([0, 1, 2, 3, 4, 256]);
  });

  test("a file without its head says what was assumed", async () => {
    expect((await read(craft({}, { meta: false }))).notes).toEqual([
      "(0002,0010) TransferSyntaxUID is missing: read as Explicit VR Little Endian, as its first element shows",
    ]);
  });

  test("other files do not look like DICOM", () => {
    for (const bytes of [new Uint8Array(0), new Uint8Array(200), new TextEncoder().encode("PK\u0003\u0004 and more")]) {
      expect(looksLikeDicom(bytes)).toBe(false);
    }
  });
});

describe("stored pixels", () => {
  test("negative values, and a shape with colours", async () => {
    const signed = craft({ PixelRepresentation: 1, PixelData: words(65535, 0, 1, 2, 3, 32768) });
    expect((await (await read(signed)).stored(0)).data).toEqual(Int16Array.of(-1, 0, 1, 2, 3, -32768));
    const colours = {
      SamplesPerPixel: 3,
      PhotometricInterpretation: "RGB",
      BitsAllocated: 8,
      BitsStored: 8,
      HighBit: 7,
    };
    const rgb = { ...colours, Rows: 1, Columns: 2, PixelData: Uint8Array.of(1, 2, 3, 4, 5, 6) };
    expect(await (await read(craft(rgb))).stored(0)).toMatchObject({
      shape: [1, 2, 3],
      data: Uint8Array.of(1, 2, 3, 4, 5, 6),
    });
    expect(await stored(craft({ ...rgb, PlanarConfiguration: 1 }))).toEqual([1, 3, 5, 2, 4, 6]);
  });

  test("frames of single bits go on inside a byte, lowest bit first", async () => {
    const bits = {
      BitsAllocated: 1,
      BitsStored: 1,
      HighBit: 0,
      NumberOfFrames: "2",
      PixelData: Uint8Array.of(0b01_000111, 0b1010),
    };
    expect(await stored(craft(bits), 0)).toEqual([1, 1, 1, 0, 0, 0]);
    expect(await stored(craft(bits), 1)).toEqual([1, 0, 0, 1, 0, 1]);
  });

  test("colours of every second pixel are repeated (YBR_FULL_422)", async () => {
    const ybr = {
      SamplesPerPixel: 3,
      PhotometricInterpretation: "YBR_FULL_422",
      BitsAllocated: 8,
      BitsStored: 8,
      HighBit: 7,
    };
    expect(await stored(craft({ ...ybr, Rows: 1, Columns: 2, PixelData: Uint8Array.of(10, 20, 1, 2) }))).toEqual([
      10, 1, 2, 20, 1, 2,
    ]);
  });

  test("floating-point pixels", async () => {
    const float = new Uint8Array(Float32Array.of(0.5, -1, 2, 3, 4, 5).buffer);
    const changes = { BitsAllocated: 32, BitsStored: undefined, HighBit: undefined, PixelRepresentation: undefined };
    const bytes = craft({ ...changes, PixelData: undefined, FloatPixelData: float });
    expect((await (await read(bytes)).stored(0)).data).toEqual(Float32Array.of(0.5, -1, 2, 3, 4, 5));
  });

  const rle = "1.2.840.10008.1.2.5";
  /** Header of 64 bytes, then one literal run for each segment. */
  const segments = (...runs: number[][]): Uint8Array => {
    const packed = runs.map((run) => [run.length - 1, ...run]);
    const head = new Uint32Array(16);
    head[0] = runs.length;
    let at = 64;
    for (const [i, run] of packed.entries()) {
      head[i + 1] = at;
      at += run.length;
    }
    return Uint8Array.from([...new Uint8Array(head.buffer), ...packed.flat()]);
  };

  test("RLE: the high bytes come first", async () => {
    const frame = segments([0, 0, 0, 0, 0, 1], [0, 1, 2, 3, 4, 0]);
    expect(await stored(craft({ PixelData: { fragments: [frame] } }, { syntax: rle }))).toEqual([0, 1, 2, 3, 4, 256]);
  });

  test("RLE: runs and literals", async () => {
    const frame = segments([0], [0]);
    const packed = Uint8Array.from([...frame.subarray(0, 64), 0xfb, 0, 0xfd, 9, 1, 1, 2, 0x80]);
    new DataView(packed.buffer).setUint32(8, 66, true);
    expect(await stored(craft({ PixelData: { fragments: [packed] } }, { syntax: rle }))).toEqual([9, 9, 9, 9, 1, 2]);
  });

  const two = { NumberOfFrames: "2", BitsAllocated: 8, BitsStored: 8, HighBit: 7 };
  const [first, second] = [segments([1, 1, 1, 1, 1, 1]), segments([2, 2, 2, 2, 2, 2])];
  test.each([
    ["one fragment each", { fragments: [first, second] }],
    ["an offset table", { fragments: [first, second], offsets: [0, 79] }],
    ["fragments cut anywhere", { fragments: [first.subarray(0, 40), first.subarray(40), second], offsets: [0, 87] }],
  ])("frames are found by %s", async (_, PixelData) => {
    expect(await stored(craft({ ...two, PixelData }, { syntax: rle }), 1)).toEqual([2, 2, 2, 2, 2, 2]);
  });

  test("frames are found by an extended offset table, whose representation is OV", async () => {
    const ExtendedOffsetTable = new Uint8Array(BigUint64Array.of(0n, 87n).buffer);
    const PixelData = { fragments: [first.subarray(0, 40), first.subarray(40), second] };
    expect(await stored(craft({ ...two, ExtendedOffsetTable, PixelData }, { syntax: rle }), 1)).toEqual([
      2, 2, 2, 2, 2, 2,
    ]);
  });

  test("an offset table that points nowhere is not used, and that is said", async () => {
    const image = await read(
      craft({ ...two, PixelData: { fragments: [first, second], offsets: [0, 5] } }, { syntax: rle }),
    );
    expect(image.notes).toEqual(["the offset table of (7FE0,0010) PixelData does not fit its fragments: not used"]);
    expect([...(await image.stored(1)).data]).toEqual([2, 2, 2, 2, 2, 2]);
  });
});

describe("pseudonyms", () => {
  test("the same patient has the same one, by salt; ids themselves do not appear", async () => {
    const image = await read(craft());
    expect(image.group).toMatch(/^[0-9a-f]{32}$/);
    expect((await read(craft({ SOPInstanceUID: "1.2.9" }))).group).toBe(image.group);
    expect((await read(craft({ PatientID: "MRN-4712" }))).group).not.toBe(image.group);
    expect((await readDicom(craft(), "a", { salt: "another" })).group).not.toBe(image.group);
    expect(JSON.stringify(image)).not.toMatch(/MRN|4711|Doe|Jane|1933|2024|1\.2\.3\.4/);
  });

  test("without a patient's id the study stands for the patient", async () => {
    const image = await read(craft({ PatientID: "" }));
    expect(image.groupedBy).toBe("StudyInstanceUID");
    expect(image.group).not.toBe((await read(craft({ PatientID: "", StudyInstanceUID: "1.2" }))).group);
    expect((await read(craft({ PatientID: undefined, StudyInstanceUID: undefined }))).group).toBeNull();
  });
});

describe("sequences", () => {
  const deep = (levels: number): typeof plain =>
    levels === 0 ? { Rows: 7 } : { SharedFunctionalGroupsSequence: [deep(levels - 1)] };

  test.each([false, true])("elements inside of them are not the image's own (open: %s)", async (openSequences) => {
    const other = { PatientID: "X", Rows: 9, PixelData: words(1) };
    const bytes = craft({ "0x00082112": [other, other], VOILUTSequence: [] as never }, { writing: { openSequences } });
    expect((await read(bytes)).rows).toBe(2);
  });

  test("nesting without end is refused", async () => {
    expect(await messageOf(() => read(craft(deep(40))))).toMatch(
      /^scan\.dcm: sequences are nested too deeply\n {2}expected at most 32 levels\n {2}got {6}more at byte \d+$/,
    );
  });
});
