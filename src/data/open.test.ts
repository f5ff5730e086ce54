import { copyFileSync, existsSync, mkdirSync, mkdtempSync, readFileSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { zipSync } from "fflate";
import { beforeAll, describe, expect, test } from "vitest";
import { nodePlatform } from "../platform/node/index.js";
import { openDataset } from "./open.js";
import { table } from "./open.testing.js";

const platform = nodePlatform;
const fixture = (name: string) => `fixtures/datasets/${name}.pkl`;
const folder = mkdtempSync(join(tmpdir(), "metalr-"));

describe("the released layout", () => {
  test("five folds of (X, y), with the released classes", async () => {
    const d = await openDataset(fixture("pocus_five_folds"), { platform });
    expect(d).toMatchObject({
      name: "pocus_five_folds.pkl",
      count: 19,
      classes: ["covid19", "pneumonia", "regular"],
      groups: null,
      imageShape: { channels: 3, height: 4, width: 5, type: "uint8" },
      notes: ["classes are named as in the released POCUS data: covid19, pneumonia, regular"],
    });
    expect(table(d)).toEqual([
      [2, 1, 1],
      [2, 1, 1],
      [1, 1, 1],
      [2, 1, 1],
      [2, 1, 1],
    ]);
    expect(d.division.kind === "folds" && [...d.division.folds[2]!]).toEqual([8, 9, 10]); // five folds
    expect(d.imageName(9)).toBe("fold 3, frame 1");
    // Image 1 of fold 3 begins after 60 pixels; its fold's pixels begin at 14.
    const image = await d.image(9);
    expect(image).toMatchObject({ channels: 3, height: 4, width: 5 });
    expect([...image.data.subarray(0, 3)]).toEqual([74, 75, 76]);
    await d.close();
  });

  test.each(["five_folds_protocol_0", "five_folds_lists", "object_arrays"])("%s reads the same", async (name) => {
    const d = await openDataset(fixture(name), { platform });
    const reference = await openDataset(fixture("pocus_five_folds"), { platform });
    expect(d.classes).toEqual(["0", "1", "2"]); // its name does not say that it is the released data
    expect([d.count, d.labels, d.division, d.fingerprint]).toEqual([
      19,
      reference.labels,
      reference.division,
      reference.fingerprint,
    ]);
  });

  test("folds of equal size that NumPy made into one array", async () => {
    const d = await openDataset(fixture("folds_of_equal_size"), { platform });
    expect(table(d)).toEqual([
      [1, 2],
      [2, 1],
    ]);
  });

  test("one array without folds", async () => {
    const d = await openDataset(fixture("one_array"), { platform, classes: ["sick", "well"] });
    expect([d.division, d.classes, d.imageName(3)]).toEqual([{ kind: "none" }, ["sick", "well"], "image 3"]);
  });

  test("in a zip, and in parts of one", async () => {
    const zip = zipSync({
      "pocus_five_folds.pkl": readFileSync(fixture("pocus_five_folds")),
      "__MACOSX/._x": new Uint8Array(1),
    });
    writeFileSync(join(folder, "data.zip"), zip);
    const third = Math.ceil(zip.length / 3);
    for (let part = 0; part < 3; part++) {
      writeFileSync(join(folder, `data.zip.00${part + 1}`), zip.subarray(part * third, (part + 1) * third));
    }
    const reference = await openDataset(fixture("pocus_five_folds"), { platform });
    for (const name of ["data.zip", "data.zip.001"]) {
      const d = await openDataset(join(folder, name), { platform });
      expect([d.name, d.fingerprint, d.classes]).toEqual([name, reference.fingerprint, reference.classes]);
    }
  });
});

describe("what a pickle may not hold", () => {
  const cases: [name: string, message: string][] = [
    [
      "not_a_pair",
      ": the pickle does not hold images and labels\n  expected (X, y): a list of arrays [n,3,H,W], one for each fold, and a list of labels\n  got      a dictionary of 1",
    ],
    [
      "folds_differ",
      ": X and y differ in their number of folds\n  expected as many arrays of labels as arrays of images, at least one\n  got      X is a list of 2, y is a list of 1",
    ],
    [
      "labels_differ",
      ": y[1]: numbers of images and labels differ\n  expected 4 labels, one for each image\n  got      3 labels",
    ],
    [
      "list_of_images",
      ": X[0]: is not an array of images\n  expected a NumPy array [n,3,H,W]\n  got      a list of 4\n  hint     stack images of one size with numpy.stack before saving",
    ],
    [
      "label_outside",
      ": fold 2, frame 3: label is outside the classes\n  expected 0 to 7 (there are 8 images)\n  got      99",
    ],
    [
      "label_negative",
      ": y[1]: label is not a class number\n  expected whole numbers from 0\n  got      -1 for image 1",
    ],
    [
      "label_fraction",
      ": y[1]: label is not a class number\n  expected whole numbers from 0\n  got      0.5 for image 1",
    ],
    ["empty_fold", ": X[1]: has no images\n  expected at least one image\n  got      [0,3,4,5]"],
    ["one_class", ': all images have the same label\n  expected at least two classes\n  got      class "0" 8 times'],
    [
      "other_channels",
      ": X[1]: images differ in kind from those of the first part\n  expected [4,3,4,5]\n  got      [4,1,4,5]",
    ],
    [
      "nan_pixel",
      ": X: pixel is not a finite number\n  got      NaN in image 2\n  hint     remove the image or repair its pixels",
    ],
  ];
  test.each(cases)("%s", async (name, message) => {
    await expect(openDataset(fixture(name), { platform })).rejects.toThrow(
      expect.objectContaining({ code: "data", message: fixture(name) + message }),
    );
  });

  test("labels outside the classes that the caller names", async () => {
    await expect(openDataset(fixture("pocus_five_folds"), { platform, classes: ["a", "b"] })).rejects.toThrow(
      "fixtures/datasets/pocus_five_folds.pkl: fold 1, frame 2: label is outside the classes\n  expected 0 to 1 (a, b)\n  got      2",
    );
  });
});

describe("other files", () => {
  beforeAll(() => {
    writeFileSync(join(folder, "notes.txt"), "hello there");
    writeFileSync(join(folder, "empty.pkl"), "");
    writeFileSync(join(folder, "images.zip"), zipSync({ "a/1.png": new Uint8Array(9), "b/2.png": new Uint8Array(9) }));
    writeFileSync(join(folder, "cut.pkl"), readFileSync(fixture("pocus_five_folds")).subarray(0, 700));
  });

  test.each<[string, string]>([
    ["missing.pkl", ": does not exist\n  hint     check the path"],
    [
      "empty.pkl",
      ": is empty\n  expected a file with content\n  got      0 bytes\n  hint     copy or download it again",
    ],
    [
      "notes.txt",
      ": is not a data set that is read here\n  expected a pickle of (X, y), .npz, a zip of these, a folder of images or DICOM files, or a CSV with path,label\n  got      text",
    ],
    [
      "images.zip",
      ": the zip does not hold one data set\n  expected one pickle, or the arrays of an .npz\n  got      2 files: a/1.png, b/2.png\n  hint     unpack archives of images and give the folder",
    ],
  ])("%s", async (name, message) => {
    await expect(openDataset(join(folder, name), { platform })).rejects.toThrow(
      expect.objectContaining({ message: join(folder, name) + message }),
    );
  });

  test("a truncated pickle is an error of the file", async () => {
    await expect(openDataset(join(folder, "cut.pkl"), { platform })).rejects.toThrow(
      expect.objectContaining({ code: "file" }),
    );
  });
});

const data = "../shared/data";
describe.skipIf(!existsSync(data))("real files (skipped without ../shared/data)", () => {
  test("DICOM files in class folders", async () => {
    for (const [name, file] of [
      ["a/1", "CT_small.dcm"],
      ["a/readme.txt", "reference.jsonl"],
      ["b/2", "MR_small_implicit.dcm"],
    ] as const) {
      mkdirSync(dirname(join(folder, "dicom", name)), { recursive: true });
      copyFileSync(`${data}/dicom/${file}`, join(folder, "dicom", name));
    }
    const d = await openDataset(join(folder, "dicom"), { platform });
    expect([d.count, d.classes, [...d.labels]]).toEqual([2, ["a", "b"], [0, 1]]);
    expect(await d.image(0)).toMatchObject({ channels: 1, height: 128, width: 128 });
  });

  test("POCUS, from split zip parts", async () => {
    const d = await openDataset(`${data}/pocus/pocus_data_all.zip.001`, {
      platform,
      groupsFile: `${data}/pocus/attribution.csv.gz`,
    });
    expect([d.count, d.classes]).toEqual([1721, ["covid19", "pneumonia", "regular"]]);
    expect(table(d)).toEqual([
      [69, 71, 208],
      [63, 71, 209],
      [64, 71, 209],
      [63, 72, 208],
      [63, 71, 209],
    ]);
    expect(new Set(d.groups).size).toBe(62);
  });

  test.each([
    [
      "breastmnist",
      1,
      [
        [147, 399],
        [21, 57],
        [42, 114],
      ],
    ],
    [
      "retinamnist",
      3,
      [
        [486, 128, 206, 194, 66],
        [54, 12, 28, 20, 6],
        [174, 46, 92, 68, 20],
      ],
    ],
    [
      "adrenalmnist3d",
      1,
      [
        [929, 259],
        [76, 22],
        [229, 69],
      ],
    ],
  ])("%s", async (name, channels, counts) => {
    const d = await openDataset(`${data}/medmnist/${name}.npz`, { platform });
    expect(table(d)).toEqual(counts);
    expect(d.imageShape).toMatchObject({ channels, height: 28, width: 28 });
    expect(d.imageShape.depth).toBe(name.endsWith("3d") ? 28 : undefined);
  });
});
