import { existsSync, readFileSync } from "node:fs";
import fc from "fast-check";
import { gzipSync } from "fflate";
import { describe, expect, test } from "vitest";
import { MetalrError } from "../../common/errors.js";
import { messageOf } from "../../formats/messages.testing.js";
import { nodePlatform } from "../../platform/node/index.js";
import { type Craft, craftNifti } from "./crafted.testing.js";
import { describeNifti, readNifti } from "./read.js";

const read = (bytes: Uint8Array, name = "volume.nii") => readNifti(bytes, name, nodePlatform);
const crafted = (c: Craft) => read(craftNifti(c));

const folder = "../shared/data/nifti";
const here = existsSync(`${folder}/reference.jsonl`);
interface Row {
  file: string;
  kind: string;
  shape: number[];
  stored: string;
  endian: string;
  zooms: number[];
  axcodes: string;
  slope: number;
  inter: number;
  min: number;
  max: number;
  sum: number;
}
const rows: Row[] = here
  ? readFileSync(`${folder}/reference.jsonl`, "utf8")
      .trim()
      .split("\n")
      .map((line) => JSON.parse(line) as Row) // its own form
  : [];
const dtypes: Record<string, string> = { ">i2": "int16", ">f4": "float32" };

describe.skipIf(!here)("as nibabel (skipped without ../shared/data)", () => {
  test.each(rows)("$file", async (row) => {
    const bytes = new Uint8Array(readFileSync(`${folder}/${row.file}`));
    const volume = await read(bytes, row.file);
    expect({
      kind: `Nifti${volume.version}Image`,
      shape: volume.shape,
      stored: volume.dtype,
      endian: volume.littleEndian ? "<" : ">",
      zooms: volume.zooms,
      axcodes: volume.axes,
      slope: volume.slope,
      inter: volume.intercept,
    }).toEqual({
      kind: row.kind,
      shape: row.shape,
      stored: dtypes[row.stored] ?? row.stored,
      endian: row.endian,
      zooms: row.zooms,
      axcodes: row.axcodes,
      slope: row.slope,
      inter: row.inter,
    });
    let [min, max, sum] = [Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY, 0];
    for (const stored of volume.raw) {
      const value = Number(stored) * volume.slope + volume.intercept;
      if (Number.isNaN(value)) continue; // outside of what was resampled; the reference leaves them out, too
      min = Math.min(min, value);
      max = Math.max(max, value);
      sum += value;
    }
    expect([min, max]).toEqual([row.min, row.max]);
    expect(sum / row.sum).toBeCloseTo(1, 12); // numpy sums in pairs
    const scaled = volume.scaled();
    expect(scaled.reduce((m, v) => (v > m ? v : m), Number.NEGATIVE_INFINITY)).toBe(Math.fround(row.max));
    const { data, ...description } = volume.volume(volume.volumes - 1);
    const [width, height, depth] = row.shape;
    expect(description).toEqual({ channels: 1, width, height, depth });
    expect(data).toEqual(scaled.subarray(scaled.length - data.length));
    expect(describeNifti(bytes.subarray(0, 8192), bytes.length, row.file).shape).toEqual(row.shape);
  });

  test("a voxel and the affine of nibabel's examples", async () => {
    const functional = await read(new Uint8Array(readFileSync(`${folder}/nibabel_functional.nii`)));
    expect(functional.scaled()[1 + 17 * (2 + 21 * 1)]).toBe(Math.fround(3524.096440434456)); // get_fdata()[1, 2, 1, 0]
    expect(functional.affine).toEqual([-4, 0, 0, 32, 0, 4, 0, -40, 0, 0, 8, 0, 0, 0, 0, 1]);
  });

  test.each([
    ["nibabel_nifti1.hdr", "n+1", 344, "ni1"],
    ["nibabel_nifti2.hdr", "n+2", 4, "ni2"],
  ])("%s, a head without its voxels, is refused", async (file, wanted, at, got) => {
    const message = await messageOf(() => read(new Uint8Array(readFileSync(`${folder}/${file}`)), file));
    if (message.includes("shorter")) expect(message).toContain(`${file}: is shorter than dim and vox_offset say`);
    else
      expect(message).toBe(`${file}: is one half of a .hdr/.img pair, which is not read
  expected magic "${wanted}" at byte ${at}
  got      "${got}"
  hint     join them into one .nii file, for example with nibabel: nib.save(nib.load(hdr), 'volume.nii.gz')`);
  });
});

describe("voxels", () => {
  const dtypesAll = [
    "uint8",
    "int8",
    "int16",
    "uint16",
    "int32",
    "uint32",
    "float32",
    "float64",
    "int64",
    "uint64",
  ] as const;
  describe.each(dtypesAll)("%s", (dtype) => {
    test.each([
      [1, true],
      [1, false],
      [2, true],
      [2, false],
    ] as const)("NIfTI-%i, little-endian %s: the same values, packed or not", async (version, littleEndian) => {
      const bytes = craftNifti({ version, littleEndian, dtype, shape: [3, 2], values: [0, 1, 2, 100, 101, 102] });
      for (const file of [bytes, gzipSync(bytes), Uint8Array.from([9, ...bytes]).subarray(1)]) {
        const volume = await read(file);
        expect(volume.dtype).toBe(dtype);
        expect([...volume.raw].map(Number)).toEqual([0, 1, 2, 100, 101, 102]);
      }
    });
  });

  test("x runs fastest: [2, 3, 4] is 4 slices of 3 rows of 2", async () => {
    const volume = await crafted({});
    expect(volume.volume()).toMatchObject({ channels: 1, depth: 4, height: 3, width: 2 });
    expect(volume.raw[1 + 2 * (2 + 3 * 3)]).toBe(23);
  });

  test("several gzip members are one file", async () => {
    const bytes = craftNifti({});
    const members = Uint8Array.from([...gzipSync(bytes.subarray(0, 360)), ...gzipSync(bytes.subarray(360))]);
    expect((await read(members)).raw).toEqual(Int16Array.from({ length: 24 }, (_, i) => i));
  });

  test.each([
    [2, 10, [10, 12, 14]],
    [0, 10, [0, 1, 2]],
    [Number.NaN, 10, [0, 1, 2]],
    [1, -5, [-5, -4, -3]],
  ])("slope %d and intercept %d, as nibabel", async (slope, intercept, values) => {
    const volume = await crafted({ slope, intercept, shape: [3, 1, 1] });
    expect([...volume.scaled()]).toEqual(values);
    expect([...volume.raw]).toEqual([0, 1, 2]);
  });

  test("four axes are several volumes", async () => {
    const volume = await crafted({ shape: [2, 1, 1, 3] });
    expect(volume.volumes).toBe(3);
    expect([...volume.volume(2).data]).toEqual([4, 5]);
    expect(await messageOf(() => volume.volume(3))).toBe(
      "volume.nii: has no such volume\n  expected 0 to 2\n  got      3",
    );
  });
});

describe("space", () => {
  test.each([
    [0, 2],
    [1, 2000],
    [2, 2],
    [3, 0.002],
  ])("unit %i: pixdim 2 is %d mm", async (units, mm) => {
    expect((await crafted({ units, pixdim: [1, 2, 2, 2] })).spacingMm[0]).toBeCloseTo(mm, 9);
  });

  // The affines are nibabel's get_best_affine for the same fields.
  test("without sform and qform the middle of the volume is at 0, and x runs to the left", async () => {
    const volume = await crafted({ shape: [4, 5, 6], pixdim: [1, 2, 3, 4] });
    expect(volume.affine).toEqual([-2, 0, 0, 3, 0, 3, 0, -6, 0, 0, 4, -10, 0, 0, 0, 1]);
    expect(volume.axes).toBe("LAS");
  });

  test("a quaternion, with the last axis reversed by pixdim[0]", async () => {
    const c = { pixdim: [-1, 2, 3, 4], qform: [1, 0, 0, Math.SQRT1_2, 10, -5, 7] };
    const volume = await crafted(c);
    const expected = [0, -3, 0, 10, 2, 0, 0, -5, 0, 0, -4, 7, 0, 0, 0, 1];
    for (const [i, value] of expected.entries()) expect(volume.affine[i]).toBeCloseTo(value, 6);
    expect(volume.axes).toBe("ALI");
  });

  test("sform goes before qform", async () => {
    const sform = [1, 1, 0, 0, 5, 0, 1, 0, 6, 0, 0, 1, 7];
    const volume = await crafted({ sform, qform: [4, 0, 0, 1, 0, 0, 0], version: 2 });
    expect(volume.affine).toEqual([1, 0, 0, 5, 0, 1, 0, 6, 0, 0, 1, 7, 0, 0, 0, 1]);
    expect(volume.axes).toBe("RAS");
  });
});

describe("what makes no sense is refused by the field's name", () => {
  test.each([
    [{ axes: 9 }, "dim[0] is not a number of axes\n  expected 1 to 7\n  got      9"],
    [{ axes: 0 }, "dim[0] is not a number of axes\n  expected 1 to 7\n  got      0"],
    [{ shape: [2, 0, 4] }, "dim[2] is not the length of an axis\n  expected at least 1\n  got      0"],
    [{ shape: [2, -3, 4] }, "dim[2] is not the length of an axis\n  expected at least 1\n  got      -3"],
    [
      { datatype: 128 },
      `datatype is not one that is read
  expected whole or real numbers: 2, 4, 8, 16, 64, 256, 512, 768, 1024 or 1280
  got      128 (RGB24)`,
    ],
    [
      { datatype: 77 },
      `datatype is not one that is read
  expected whole or real numbers: 2, 4, 8, 16, 64, 256, 512, 768, 1024 or 1280
  got      77`,
    ],
    [{ voxOffset: 100 }, "vox_offset lies inside the head\n  expected at least 352\n  got      100"],
    [{ voxOffset: Number.NaN }, "vox_offset lies inside the head\n  expected at least 352\n  got      NaN"],
    [{ slope: 2, intercept: Number.NaN }, "scl_inter is not a number, but scl_slope is\n  got      NaN"],
    [
      { qform: [1, 1, 1, 1, 0, 0, 0] },
      "quatern_b, quatern_c, quatern_d are no rotation\n  expected squares that sum to at most 1\n  got      3",
    ],
    [{ pixdim: [1, Number.NaN, 1, 1] }, "pixdim[1] is not a number\n  got      NaN"],
    [
      { shape: [32767, 32767, 32767, 32767, 32767, 32767, 32767] },
      `is shorter than dim and vox_offset say
  expected 81,120,000,000,000 bytes`,
    ],
    [{ version: 2, shape: [2 ** 40, 2 ** 40] }, "is shorter than dim and vox_offset say"],
    [
      { magic: "ni1\0" },
      `is one half of a .hdr/.img pair, which is not read
  expected magic "n+1" at byte 344
  got      "ni1"
  hint     join them into one .nii file, for example with nibabel: nib.save(nib.load(hdr), 'volume.nii.gz')`,
    ],
    [
      { magic: "\0\0\0\0" },
      `is an ANALYZE file, or its magic is damaged
  expected magic "n+1" at byte 344
  got      something else
  hint     join them into one .nii file, for example with nibabel: nib.save(nib.load(hdr), 'volume.nii.gz')`,
    ],
  ] as [Craft, string][])("%o", async (c, message) => {
    const got = await messageOf(() => crafted(c));
    if (message.startsWith("is shorter")) expect(got).toContain("volume.nii: is shorter than dim and vox_offset say");
    else expect(got).toBe(`volume.nii: ${message}`);
  });

  test("a truncated file", async () => {
    expect(await messageOf(() => read(craftNifti({}).subarray(0, 390)))).toBe(
      `volume.nii: is shorter than dim and vox_offset say
  expected 48 bytes of voxels ([2,3,4], int16) from byte 352
  got      at most 38
  hint     the file is truncated or damaged; copy or download it again`,
    );
    expect(await messageOf(() => read(new Uint8Array(100)))).toBe(
      `volume.nii: is not a NIfTI file
  expected sizeof_hdr 348 (NIfTI-1) or 540 (NIfTI-2) in the first 4 bytes
  got      100 bytes in all`,
    );
  });

  test("a packed file whose head asks for more than its bytes can ever give: no memory is taken", async () => {
    const bytes = gzipSync(craftNifti({ shape: [30000, 30000, 300], values: [1] }));
    expect(await messageOf(() => read(bytes))).toMatch(
      /^volume\.nii: is shorter than dim and vox_offset say\n {2}expected 540,000,000,000 bytes/,
    );
  });

  test("a packed file that unpacks to more than its head asks for", async () => {
    const bytes = gzipSync(Uint8Array.from([...craftNifti({}), ...new Uint8Array(2_000_000)]));
    expect(await messageOf(() => read(bytes))).toMatch(/^volume\.nii: expands to more than is allowed/);
  });
});

test("changed files are read, or refused in our words", { timeout: 60_000 }, async () => {
  const plain = [craftNifti({}), craftNifti({ version: 2, littleEndian: false, qform: [1, 0, 0, 0.5, 0, 0, 0] })];
  const files = [...plain, ...plain.map((bytes) => gzipSync(bytes))];
  const damage = fc.record({
    file: fc.nat(files.length - 1),
    changes: fc.array(fc.tuple(fc.nat(599), fc.nat(255)), { maxLength: 4 }),
    cut: fc.oneof({ weight: 3, arbitrary: fc.constant(100_000) }, fc.nat(600)),
  });
  await fc.assert(
    fc.asyncProperty(damage, async ({ file, changes, cut }) => {
      const bytes = new Uint8Array(files[file] ?? []);
      for (const [at, value] of changes) bytes[at % bytes.length] = value;
      try {
        const volume = await read(bytes.subarray(0, cut));
        expect(volume.volume().data.length * volume.volumes).toBe(volume.scaled().length);
      } catch (error) {
        if (!(error instanceof MetalrError)) throw error;
      }
    }),
    { seed: 7, numRuns: 1500 },
  );
});
