import { describe, expect, test } from "vitest";
import { messageOf } from "../../formats/messages.testing.js";
import { craft, type Items } from "./crafted.testing.js";
import { type ImageOptions, readDicom } from "./read.js";

const words = (...values: number[]): Uint8Array => new Uint8Array(Uint16Array.from(values).buffer);
const image = async (changes: Parameters<typeof craft>[0], options: ImageOptions = {}, frame = 0) =>
  (await readDicom(craft(changes), "scan.dcm")).image(frame, options);
const levels = async (changes: Parameters<typeof craft>[0], options: ImageOptions = {}, frame = 0) => [
  ...(await image(changes, options, frame)).data,
];
const bytes8 = { BitsAllocated: 8, BitsStored: 8, HighBit: 7 };
const hu = { RescaleSlope: "2", RescaleIntercept: "-1000" };

describe("grey images", () => {
  test("8 bits without a window stay as they are", async () => {
    expect(await image({ ...bytes8, PixelData: Uint8Array.of(0, 1, 2, 100, 254, 255) })).toEqual({
      channels: 1,
      height: 2,
      width: 3,
      data: Uint8Array.of(0, 1, 2, 100, 254, 255),
    });
  });

  test("more bits without a window reach from the smallest to the largest value", async () => {
    expect(await levels({ PixelData: words(100, 200, 300, 100, 100, 100) })).toEqual([0, 32768, 65535, 0, 0, 0]);
    expect(await levels({ PixelData: words(7, 7, 7, 7, 7, 7) })).toEqual([0, 0, 0, 0, 0, 0]);
  });

  test("pixels that are padding do not count", async () => {
    const padded = { PixelPaddingValue: 0, PixelData: words(0, 100, 200, 300, 100, 100) };
    expect(await levels(padded)).toEqual([0, 0, 32768, 65535, 0, 0]);
    const range = {
      PixelPaddingValue: 400,
      PixelPaddingRangeLimit: 500,
      PixelData: words(100, 300, 200, 300, 450, 500),
    };
    expect(await levels(range)).toEqual([0, 65535, 32768, 65535, 65535, 65535]);
  });

  test("black where white is stored (MONOCHROME1)", async () => {
    const inverted = {
      PhotometricInterpretation: "MONOCHROME1",
      ...bytes8,
      PixelData: Uint8Array.of(0, 1, 2, 100, 254, 255),
    };
    expect(await levels(inverted)).toEqual([255, 254, 253, 155, 1, 0]);
  });

  test("values are rescaled: slope 2 with intercept 0, intercept with slope 1, and both", async () => {
    const none = { window: "none" } as const;
    expect(await levels({ RescaleSlope: "2" }, none)).toEqual([0, 2, 4, 6, 8, 10]);
    expect(await levels({ RescaleIntercept: "-1024" }, none)).toEqual([-1024, -1023, -1022, -1021, -1020, -1019]);
    expect((await image(hu, none)).data).toEqual(Float32Array.of(-1000, -998, -996, -994, -992, -990));
  });

  test("the linear window of PS3.3 §C.11.2.1.2.1: center 2048, width 4096 maps 0 … 4095 to all levels", async () => {
    const window = { WindowCenter: "2048", WindowWidth: "4096", PixelData: words(0, 1, 2047, 2048, 4095, 60000) };
    expect(await levels(window, { bits: 8 })).toEqual([0, 0, 127, 128, 255, 255]);
    // Width 100 around 2: (x − 1.5) / 99 + 0.5
    const levels100 = [0, 1, 2, 3, 4, 5].map((x) => Math.round(((x - 1.5) / 99 + 0.5) * 65535));
    expect(await levels({}, { window: { center: 2, width: 100 } })).toEqual(levels100);
    expect(await levels({}, { window: { center: 3, width: 1 } })).toEqual([0, 0, 0, 65535, 65535, 65535]);
  });

  test("LINEAR_EXACT and SIGMOID windows", async () => {
    const window = { WindowCenter: "2", WindowWidth: "4" };
    expect(await levels({ ...window, VOILUTFunction: "LINEAR_EXACT" }, { bits: 8 })).toEqual([
      0, 64, 128, 191, 255, 255,
    ]);
    const sigmoid = [0, 1, 2, 3, 4, 5].map((x) => Math.round(255 / (1 + Math.exp(2 - x))));
    expect(await levels({ ...window, VOILUTFunction: "SIGMOID" }, { bits: 8 })).toEqual(sigmoid);
  });

  test("the file's windows are presets, the first one is taken without being asked for", async () => {
    const two = { ...hu, WindowCenter: "-995\\0", WindowWidth: "11\\1 " };
    const file = await readDicom(craft(two), "scan.dcm");
    expect(file.windows()).toEqual([
      { center: -995, width: 11 },
      { center: 0, width: 1 },
    ]);
    expect([...(await file.image(0, { bits: 8 })).data]).toEqual([13, 64, 115, 166, 217, 255]);
    expect(await levels(two, { window: { preset: 1 } })).toEqual([0, 0, 0, 0, 0, 0]);
    expect(await levels(two, { window: "full", bits: 8 })).toEqual([0, 51, 102, 153, 204, 255]);
  });

  test("percentiles as numpy's, linear between neighbours", async () => {
    const values = { PixelData: words(0, 10, 20, 30, 40, 50) }; // 10 % lies at 5, 90 % at 45
    expect(await levels(values, { window: { percentiles: [10, 90] }, bits: 8 })).toEqual([0, 32, 96, 159, 223, 255]);
  });

  test("a VOI look-up table goes before a window", async () => {
    const lut: Items = { LUTDescriptor: [3, 1, 8], LUTData: words(0, 100, 255) };
    const both = { VOILUTSequence: [lut], WindowCenter: "2", WindowWidth: "2" };
    expect(await levels(both, { bits: 8 })).toEqual([0, 0, 100, 255, 255, 255]);
  });

  test("a modality look-up table replaces the rescale", async () => {
    const lut: Items = { LUTDescriptor: [4, 0, 16], LUTData: words(1000, 2000, 3000, 4000) };
    expect(await levels({ ModalityLUTSequence: [lut] }, { window: "none" })).toEqual([
      1000, 2000, 3000, 4000, 4000, 4000,
    ]);
  });

  test("bits above those stored are overlays, and the sign is the highest stored bit", async () => {
    const twelve = { BitsStored: 12, HighBit: 11, PixelData: words(0xf001, 0x0fff, 0x1800, 0, 0, 0) };
    expect(await levels(twelve, { window: "none" })).toEqual([1, 4095, 2048, 0, 0, 0]);
    expect(await levels({ ...twelve, PixelRepresentation: 1 }, { window: "none" })).toEqual([1, -1, -2048, 0, 0, 0]);
  });

  test("each frame of an enhanced file has its own rescale and window, else the shared one", async () => {
    const rules = (slope: string): Items => ({
      PixelValueTransformationSequence: [{ RescaleSlope: slope, RescaleIntercept: "0" }],
    });
    const enhanced = {
      NumberOfFrames: "2",
      Rows: 1,
      SharedFunctionalGroupsSequence: [{ FrameVOILUTSequence: [{ WindowCenter: "2", WindowWidth: "4" }] }],
      PerFrameFunctionalGroupsSequence: [rules("1"), rules("10")],
    };
    expect(await levels(enhanced, { window: "none" }, 0)).toEqual([0, 1, 2]);
    expect(await levels(enhanced, { window: "none" }, 1)).toEqual([30, 40, 50]);
    expect(await levels(enhanced, { bits: 8 }, 0)).toEqual([0, 85, 170]);
  });
});

describe("colours", () => {
  const palette = (bits: number, ...entries: number[]) => {
    const one = (colour: string, shift: number) => ({
      [`${colour}PaletteColorLookupTableDescriptor`]: [entries.length, 1, bits],
      [`${colour}PaletteColorLookupTableData`]: words(
        ...entries.map((e) => (bits === 16 ? (e + shift) << 8 : e + shift)),
      ),
    });
    return { PhotometricInterpretation: "PALETTE COLOR", ...one("Red", 0), ...one("Green", 1), ...one("Blue", 2) };
  };

  test.each([8, 16])("palettes with entries of %i bits; indices beyond the ends take the ends", async (bits) => {
    expect(await image(palette(bits, 10, 20, 30))).toEqual({
      channels: 3,
      height: 2,
      width: 3,
      data: Uint8Array.of(10, 10, 20, 30, 30, 30, 11, 11, 21, 31, 31, 31, 12, 12, 22, 32, 32, 32),
    });
  });

  test("segmented palettes: discrete, linear, and again (PS3.3 §C.7.9.2)", async () => {
    const data = words(0, 1, 10, 1, 2, 30, 2, 1, 0, 0); // 10; 20, 30; the first segment again: 10
    const one = (colour: string) => ({
      [`${colour}PaletteColorLookupTableDescriptor`]: [4, 0, 8],
      [`Segmented${colour}PaletteColorLookupTableData`]: data,
    });
    const segmented = { PhotometricInterpretation: "PALETTE COLOR", ...one("Red"), ...one("Green"), ...one("Blue") };
    expect((await levels(segmented)).slice(0, 6)).toEqual([10, 20, 30, 10, 10, 10]);
  });

  const colour = { SamplesPerPixel: 3, Rows: 1, Columns: 1 };
  test("RGB becomes planar", async () => {
    const rgb = { ...colour, ...bytes8, Columns: 2, PhotometricInterpretation: "RGB" };
    expect(await levels({ ...rgb, PixelData: Uint8Array.of(1, 2, 3, 4, 5, 6) })).toEqual([1, 4, 2, 5, 3, 6]);
  });

  test("RGB of 12 bits reaches from 0 to 65535", async () => {
    const rgb = {
      ...colour,
      BitsStored: 12,
      HighBit: 11,
      PhotometricInterpretation: "RGB",
      PixelData: words(0, 2048, 4095),
    };
    expect(await levels(rgb)).toEqual([0, 32776, 65535]);
  });

  test.each([
    ["white", [255, 128, 128], [255, 255, 255]],
    ["red", [76, 85, 255], [254, 0, 0]],
    ["green", [150, 44, 21], [0, 255, 1]],
    ["blue", [29, 255, 107], [0, 0, 254]],
  ])("YBR_FULL: %s", async (_, ybr, rgb) => {
    const changes = {
      ...colour,
      ...bytes8,
      PhotometricInterpretation: "YBR_FULL",
      PixelData: Uint8Array.from([...ybr, 0]),
    };
    expect(await levels(changes)).toEqual(rgb);
  });
});

describe("what cannot be shown", () => {
  test.each([
    [{ RescaleSlope: "0" }, {}, "scan.dcm: (0028,1053) RescaleSlope is 0"],
    [
      { WindowCenter: "40\\50", WindowWidth: "400" },
      {},
      `scan.dcm: (0028,1051) WindowWidth does not fit (0028,1050) WindowCenter
  expected 2 values
  got      1`,
    ],
    [
      { WindowCenter: "40", WindowWidth: "0" },
      {},
      `scan.dcm: (0028,1051) WindowWidth is too small
  expected at least 1
  got      0
  hint     ask for another window: { center, width }, { percentiles } or "full"`,
    ],
    [
      { WindowCenter: "Jane", WindowWidth: "1" },
      {},
      `scan.dcm: (0028,1050) WindowCenter is not a number
  got      4 characters that are something else`,
    ],
    [
      { VOILUTFunction: "DOE", WindowCenter: "1", WindowWidth: "1" },
      {},
      `scan.dcm: (0028,1056) VOILUTFunction is unknown
  expected LINEAR, LINEAR_EXACT or SIGMOID
  got      3 other characters`,
    ],
    [
      { VOILUTSequence: [{ LUTDescriptor: [300, 0, 8], LUTData: words(1, 2) }] },
      {},
      `scan.dcm: (0028,3006) LUTData does not fill its look-up table
  expected 300 entries of 8 bits
  got      4 bytes`,
    ],
    [
      { PhotometricInterpretation: "PALETTE COLOR" },
      {},
      `scan.dcm: (0028,1101) RedPaletteColorLookupTableDescriptor is not a descriptor of a look-up table
  expected 3 values
  got      nothing`,
    ],
    [
      { WindowCenter: "40", WindowWidth: "400" },
      { window: { preset: 1 } },
      `scan.dcm: the window that was asked for is not in the file
  expected 0 to 0
  got      preset 1`,
    ],
    [
      {},
      { window: { percentiles: [5, 5] } },
      "percentiles: are out of order\n  expected 0 ≤ low < high ≤ 100\n  got      5, 5",
    ],
    [
      {},
      { window: { center: 0, width: 0 } },
      "window: makes no sense\n  expected a center and a width of at least 1\n  got      center 0, width 0",
    ],
  ] as const)("%o, %o", async (changes, options, message) => {
    expect(await messageOf(() => image(changes, options))).toBe(message);
  });

  test("a frame that is not there", async () => {
    expect(await messageOf(() => image({}, {}, 1))).toBe(
      "scan.dcm: has no such frame\n  expected 0 to 0\n  got      1",
    );
  });
});
