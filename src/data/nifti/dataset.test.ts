import { existsSync } from "node:fs";
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, test } from "vitest";
import { messageOf } from "../../formats/messages.testing.js";
import { nodePlatform } from "../../platform/node/index.js";
import { openDataset } from "../open.js";
import { planSplits } from "../splits.js";
import { craftNifti } from "./crafted.testing.js";

const roots: string[] = [];
afterAll(() => Promise.all(roots.map((root) => rm(root, { recursive: true }))));

/** A folder with these files, by path. */
async function folder(files: Readonly<Record<string, Uint8Array | string>>): Promise<string> {
  const root = await mkdtemp(join(tmpdir(), "volumes-"));
  roots.push(root);
  for (const [path, content] of Object.entries(files)) {
    await mkdir(join(root, path, ".."), { recursive: true });
    await writeFile(join(root, path), content);
  }
  return root;
}
const label = (...values: number[]) =>
  craftNifti({ dtype: "uint8", values: Array.from({ length: 24 }, (_, i) => values[i] ?? 0) });
const open = (root: string) => openDataset(root, { platform: nodePlatform });

describe("a folder with images and labels", () => {
  test("is a data set whose voxels have classes; as many as the largest label says", async () => {
    const root = await folder({
      "images/b.nii": craftNifti({ slope: 2 }),
      "images/a.nii": craftNifti(),
      "labels/a.nii": label(0, 1),
      "labels/b.nii": label(3),
    });
    const data = await open(root);
    expect(data).toMatchObject({
      count: 2,
      classes: ["background", "1", "2", "3"],
      imageShape: { channels: 1, depth: 4, height: 3, width: 2 },
      division: { kind: "none" },
    });
    expect(data.imageName(1)).toBe("b");
    expect(data.segmentation?.shapes).toEqual([
      [4, 3, 2],
      [4, 3, 2],
    ]);
    expect((await data.segmentation?.volume(1))?.data.slice(0, 3)).toEqual(Float32Array.of(0, 2, 4));
    expect((await data.segmentation?.label(0))?.data.slice(0, 3)).toEqual(Uint8Array.of(0, 1, 0));
  });

  test("takes the names of dataset.json, the Decathlon's and nnU-Net's", async () => {
    const files = {
      "imagesTr/a_0000.nii": craftNifti(),
      "labelsTr/a.nii": label(1, 2),
    };
    const decathlon = { labels: { "0": "background", "1": "liver", "2": "tumour" } };
    const nnUNet = { labels: { background: 0, liver: 1, tumour: 2 } };
    for (const json of [decathlon, nnUNet]) {
      const data = await open(await folder({ ...files, "dataset.json": JSON.stringify(json) }));
      expect(data.classes).toEqual(["background", "liver", "tumour"]);
    }
    const broken = await open(await folder({ ...files, "dataset.json": "{" }));
    expect(broken.classes).toEqual(["background", "1", "2"]);
  });

  test("is divided like images of one kind", async () => {
    const files: Record<string, Uint8Array> = {};
    for (const name of "abcdefghij") {
      files[`images/${name}.nii`] = craftNifti();
      files[`labels/${name}.nii`] = label(1);
    }
    const data = await open(await folder(files));
    const [split] = planSplits(data, { select: "validation", metaData: "train", seed: 1, testShare: 0.2 });
    expect([split?.test.length, split?.validation.length, split?.train.length]).toEqual([2, 2, 6]);
    expect(split?.notes).toEqual([]);
  });

  test("the fingerprint knows a label of another size and another name", async () => {
    const files = { "images/a.nii": craftNifti(), "labels/a.nii": label(1) };
    const prints = [];
    for (const more of [
      {},
      { "images/b.nii": craftNifti(), "labels/b.nii": label(1) },
      { "dataset.json": '{"labels":{"0":"x","1":"y"}}' },
    ]) {
      prints.push((await open(await folder({ ...files, ...more }))).fingerprint);
    }
    expect(new Set(prints).size).toBe(3);
    expect((await open(await folder(files))).fingerprint).toBe(prints[0]);
  });
});

test.each([
  [
    {
      "images/a.nii": craftNifti(),
      "images/b.nii": craftNifti({ shape: [2, 3, 4, 2] }),
      "labels/a.nii": label(1),
      "labels/b.nii": label(1),
    },
    "volumes differ in their channels\n  got      1, 2",
  ],
  [{ "images/a.nii": craftNifti(), "labels/a.nii": label(0) }, "every label volume is background only"],
])("what makes no sense is refused (%#)", async (files, message) => {
  const root = await folder(files);
  expect(await messageOf(() => open(root))).toBe(`${root}: ${message}`);
});

const hippocampus = new URL("../../../../shared/data/hippocampus", import.meta.url).pathname;
test.skipIf(!existsSync(hippocampus))(
  "the hippocampus volumes (where they are): 65 pairs of three classes",
  async () => {
    const data = await open(hippocampus);
    expect([data.count, data.classes]).toEqual([65, ["background", "1", "2"]]);
  },
);
