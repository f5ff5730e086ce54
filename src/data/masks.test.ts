import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import sharp from "sharp";
import { afterAll, describe, expect, test } from "vitest";
import { messageOf } from "../formats/messages.testing.js";
import { encodeGreyPng } from "../formats/png.js";
import { nodePlatform } from "../platform/node/index.js";
import { openDataset } from "./open.js";

const root = mkdtempSync(join(tmpdir(), "metalr-masks-"));
afterAll(() => rmSync(root, { recursive: true }));
let count = 0;

/** A new folder with these files. */
function make(files: Readonly<Record<string, Uint8Array>>): string {
  const folder = join(root, `set${++count}`);
  for (const [name, content] of Object.entries(files)) {
    mkdirSync(dirname(join(folder, name)), { recursive: true });
    writeFileSync(join(folder, name), content);
  }
  return folder;
}
const open = (folder: string) => openDataset(folder, { platform: nodePlatform });
/** 3 × 2 pixels. */
const grey = (...pixels: number[]) =>
  encodeGreyPng(
    Uint8Array.from({ length: 6 }, (_, i) => pixels[i] ?? 0),
    3,
    2,
  );
const image = grey(10, 20, 30, 40, 50, 60);

describe("pictures and masks", () => {
  test("of the same names are images whose pixels have classes, as volumes of depth 1", async () => {
    const data = await open(
      make({
        "images/b.png": image,
        "images/a.png": image,
        "masks/a_mask.png": grey(0, 1, 2),
        "masks/b.png": grey(0, 1),
      }),
    );
    expect(data).toMatchObject({ count: 2, classes: ["background", "1", "2"], notes: [] });
    expect(data.segmentation?.shapes[0]).toEqual([1, 2, 3]);
    expect(data.imageName(0)).toBe("a");
    expect(await data.segmentation?.volume(0)).toEqual({
      channels: 1,
      depth: 1,
      height: 2,
      width: 3,
      data: Float32Array.of(10, 20, 30, 40, 50, 60),
    });
    expect((await data.segmentation?.label(0))?.data).toEqual(Uint8Array.of(0, 1, 2, 0, 0, 0));
  });

  test("masks of 0 and 255 are two classes, and that is said", async () => {
    const data = await open(make({ "images/a.png": image, "masks/a.png": grey(0, 255) }));
    expect([data.classes, data.notes]).toEqual([
      ["background", "1"],
      ["masks have the values 0 and 255: 255 is class 1"],
    ]);
    expect((await data.segmentation?.label(0))?.data).toEqual(Uint8Array.of(0, 1, 0, 0, 0, 0));
  });
});

const small = encodeGreyPng(Uint8Array.of(0, 1), 2, 1);
test.each([
  [
    "a picture without a mask",
    { "images/a.png": image, "images/b.png": image, "masks/a.png": grey(1) },
    "/masks: pictures and masks do not go together\n  expected a mask of the same name for every picture\n  got      pictures without a mask: 1 (b)",
  ],
  [
    "only background",
    { "images/a.png": image, "masks/a.png": grey(0) },
    "/masks: every mask is background only\n  expected 0 to 1\n  got      0",
  ],
  [
    "values that count nothing",
    { "images/a.png": image, "masks/a.png": grey(0, 85, 170) },
    "/masks: has values that are no numbers of classes\n  expected 0, 1, 2, …, or 0 and 255 alone\n  got      0, 85, 170",
  ],
])("%s is refused", async (_, files, message) => {
  const folder = make(files);
  expect(await messageOf(() => open(folder))).toBe(`${folder}${message}`);
});

test("a mask of another size is refused when its picture is read", async () => {
  const folder = make({ "images/a.png": image, "masks/a.png": small });
  const data = await open(folder);
  expect(await messageOf(() => data.segmentation?.volume(0))).toBe(
    `${folder}/images/a.png: has another size than its mask\n  expected 1×2\n  got      2×3`,
  );
});

test("a mask in colours is refused", async () => {
  const colours = await sharp(Uint8Array.of(255, 0, 0, 0, 0, 0), { raw: { width: 2, height: 1, channels: 3 } })
    .png()
    .toBuffer();
  const folder = make({ "images/a.png": image, "masks/a.png": colours });
  expect(await messageOf(() => open(folder))).toBe(
    `${folder}/masks/a.png: is a mask in colours, and which colour is which class is not known\n  expected one grey value a class: 0 the background, 1, 2, …`,
  );
});
