import { gunzipSync } from "fflate";
import { describe, expect, test } from "vitest";
import { messageOf } from "../../formats/messages.testing.js";
import { nodePlatform } from "../../platform/node/index.js";
import { type Craft, craftNifti } from "./crafted.testing.js";
import { readNifti } from "./read.js";
import { encodeLabelNifti } from "./write.js";

const labels = Uint8Array.from({ length: 24 }, (_, i) => i % 3);

describe.each([
  ["NIfTI-1", { version: 1 }],
  ["NIfTI-2", { version: 2 }],
  ["big-endian NIfTI-1", { version: 1, littleEndian: false }],
  ["big-endian NIfTI-2", { version: 2, littleEndian: false }],
] as [string, Craft][])("%s", (_, craft) => {
  const image = craftNifti({
    ...craft,
    dtype: "float32",
    pixdim: [-1, 0.5, 2, 3],
    slope: 7,
    intercept: 9,
    qform: [1, 0, 1, 0, 4, 5, 6],
    sform: [2, 1, 0, 0, -3, 0, 2, 0, 4, 0, 0, 3, 5],
  });

  test("labels come back with the image's axes, voxel sizes and orientation", async () => {
    const [before, after] = [
      await readNifti(image, "image.nii", nodePlatform),
      await readNifti(encodeLabelNifti(image, labels, "image.nii"), "label.nii.gz", nodePlatform),
    ];
    const { version, littleEndian, shape, zooms, affine, axes } = before;
    expect(after).toMatchObject({
      version,
      littleEndian,
      shape,
      zooms,
      affine,
      axes,
      dtype: "uint8",
      slope: 1,
      intercept: 0,
    });
    expect(Array.from(after.raw, Number)).toEqual([...labels]);
  });

  test("texts of the image are left out: they may name somebody", () => {
    const named = image.slice();
    const at = craft.version === 2 ? 240 : 148;
    named.set(new TextEncoder().encode("DOE^JANE"), at);
    const written = gunzipSync(encodeLabelNifti(named, labels, "image.nii"));
    expect(new TextDecoder("latin1").decode(written)).not.toContain("DOE");
    expect(encodeLabelNifti(named, labels, "image.nii")).toEqual(encodeLabelNifti(image, labels, "image.nii"));
  });
});

test("channels of the image are no axis of the labels", async () => {
  const image = craftNifti({ shape: [2, 3, 4, 2] });
  const { shape } = await readNifti(encodeLabelNifti(image, labels, "a.nii"), "b.nii.gz", nodePlatform);
  expect(shape).toEqual([2, 3, 4]);
});

test("too few labels are refused", async () => {
  expect(await messageOf(() => encodeLabelNifti(craftNifti(), labels.subarray(1), "a.nii"))).toBe(
    "a.nii: labels do not fill the image\n  expected 24\n  got      23",
  );
});
