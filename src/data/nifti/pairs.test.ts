import { existsSync } from "node:fs";
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { gzipSync } from "fflate";
import { afterAll, describe, expect, test } from "vitest";
import { messageOf } from "../../formats/messages.testing.js";
import { nodePlatform } from "../../platform/node/index.js";
import { type Craft, craftNifti } from "./crafted.testing.js";
import { type NiftiPairOptions, openNiftiPairs } from "./pairs.js";

const roots: string[] = [];
afterAll(() => Promise.all(roots.map((root) => rm(root, { recursive: true }))));

/** Folders images/ and labels/ with these files. */
async function folders(images: Readonly<Record<string, Uint8Array>>, labels: Readonly<Record<string, Uint8Array>>) {
  const root = await mkdtemp(join(tmpdir(), "nifti-"));
  roots.push(root);
  for (const [folder, files] of Object.entries({ images, labels })) {
    await mkdir(join(root, folder));
    for (const [name, bytes] of Object.entries(files)) await writeFile(join(root, folder, name), bytes);
  }
  return root;
}
const open = (root: string, options?: NiftiPairOptions) =>
  openNiftiPairs(join(root, "images"), join(root, "labels"), nodePlatform, options);
const label = (c: Craft = {}) => craftNifti({ dtype: "uint8", values: new Array<number>(24).fill(1), ...c });

describe("pairs", () => {
  test("go together by name, packed or not, and are read when asked for", async () => {
    const root = await folders(
      {
        "b.nii.gz": gzipSync(craftNifti({ slope: 2, intercept: 1, pixdim: [1, 3, 4, 5] })),
        "a_0000.nii": craftNifti({}),
      },
      { "a.nii.gz": gzipSync(label()), "b.nii": label(), ".hidden.nii": label() },
    );
    const pairs = await open(root, { classes: 2 });
    expect(pairs.map((p) => p.name)).toEqual(["a", "b"]);
    expect(pairs[1]).toMatchObject({ shape: [4, 3, 2], spacingMm: [5, 4, 3], channels: 1 });
    const image = await pairs[1]?.image();
    expect(image).toMatchObject({ channels: 1, depth: 4, height: 3, width: 2 });
    expect(image?.data.slice(0, 3)).toEqual(Float32Array.of(1, 3, 5));
    expect(await pairs[1]?.label()).toEqual({ depth: 4, height: 3, width: 2, data: new Uint8Array(24).fill(1) });
  });

  test("a fourth axis of the image is its channels", async () => {
    const [pair] = await open(
      await folders({ "a.nii": craftNifti({ shape: [2, 3, 4, 2] }) }, { "a.nii": label({ shape: [2, 3, 4, 1] }) }),
    );
    expect(pair).toMatchObject({ channels: 2, shape: [4, 3, 2] });
    expect((await pair?.image())?.data[24]).toBe(24);
  });

  test.each([
    [
      { "a.nii": craftNifti({}) },
      { "b.nii": label() },
      `/labels: images and labels do not go together
  expected a label of the same name for every image
  got      images without a label: 1 (a); labels without an image: 1 (b)`,
    ],
    [
      { "a.nii": craftNifti({}) },
      { "a.nii": label({ shape: [3, 2, 4] }) },
      `/labels/a.nii: label and image differ in shape
  expected [2,3,4], as ROOT/images/a.nii
  got      [3,2,4]`,
    ],
    [
      { "a.nii": craftNifti({}), "a.nii.gz": gzipSync(craftNifti({})) },
      { "a.nii": label() },
      `/images: holds the same volume twice
  got      ROOT/images/a.nii, a.nii.gz`,
    ],
    [{ "a.txt": label() }, { "a.nii": label() }, "/images: holds no NIfTI volumes\n  expected .nii or .nii.gz files"],
    [
      { "a.nii": craftNifti({ shape: [2, 3, 2, 1, 2] }) },
      { "a.nii": label() },
      "/images/a.nii: has too many axes\n  expected x, y, z and channels\n  got      [2,3,2,1,2]",
    ],
  ])("%#", async (images, labels, message) => {
    const root = await folders(images, labels as Record<string, Uint8Array>);
    expect((await messageOf(() => open(root))).replace(root, "").replaceAll(root, "ROOT")).toBe(message);
  });

  test.each([
    [{ values: [0, 1, 2] }, "label outside the classes\n  expected 0 to 1\n  got      2 at voxel 0,1,0"],
    [{ values: [0, -1], dtype: "int16" }, "label outside the classes\n  expected 0 to 1\n  got      -1 at voxel 1,0,0"],
    [
      { values: [0, 1, 1, 0.5], dtype: "float32" },
      "label that is not whole\n  expected 0 to 1\n  got      0.5 at voxel 1,1,0",
    ],
    [
      { values: [0, Number.NaN], dtype: "float32" },
      "label that is not whole\n  expected 0 to 1\n  got      NaN at voxel 1,0,0",
    ],
  ] as [Craft, string][])("labels %o are refused", async (c, message) => {
    const values = [...(c.values ?? []), ...new Array<number>(24 - (c.values?.length ?? 0)).fill(0)];
    const root = await folders({ "a.nii": craftNifti({}) }, { "a.nii": label({ ...c, values }) });
    const [pair] = await open(root, { classes: 2 });
    expect((await messageOf(() => pair?.label())).replace(root, "")).toBe(`/labels/a.nii: has a ${message}`);
  });

  test("values that are not numbers are refused", async () => {
    const values = [...new Array<number>(20).fill(1), Number.NaN, 1, Number.NaN, 1];
    const root = await folders({ "a.nii": craftNifti({ dtype: "float32", values }) }, { "a.nii": label() });
    const [pair] = await open(root);
    expect((await messageOf(() => pair?.image())).replace(root, "")).toBe(
      `/images/a.nii: has values that are not numbers
  got      NaN at voxel 0,1,3, and 1 more
  hint     set them to 0 (the background), for example with numpy.nan_to_num`,
    );
  });
});

const hippocampus = "../shared/data/hippocampus";
test.skipIf(!existsSync(hippocampus))(
  "the hippocampus set: 65 pairs of three classes (skipped without ../shared/data)",
  async () => {
    const pairs = await openNiftiPairs(`${hippocampus}/images`, `${hippocampus}/labels`, nodePlatform, { classes: 3 });
    expect(pairs).toHaveLength(65);
    expect(pairs[0]).toMatchObject({ name: "hippocampus_001", shape: [35, 51, 35], spacingMm: [1, 1, 1], channels: 1 });
    const counts = [0, 0, 0];
    for (const pair of pairs) for (const c of (await pair.label()).data) counts[c] = (counts[c] ?? 0) + 1;
    expect(counts.every((n) => n > 0)).toBe(true);
    expect((await pairs[0]?.image())?.data).toHaveLength(35 * 51 * 35);
  },
);
