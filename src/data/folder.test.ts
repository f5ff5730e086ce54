import { mkdirSync, mkdtempSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import sharp from "sharp";
import { beforeAll, describe, expect, test } from "vitest";
import { nodePlatform } from "../platform/node/index.js";
import { openDataset } from "./open.js";

const platform = nodePlatform;
const root = mkdtempSync(join(tmpdir(), "metalr-"));
let count = 0;
let png: Uint8Array;
let colour: Uint8Array;
beforeAll(async () => {
  const grey = Uint8Array.of(1, 2, 3, 4, 5, 6);
  png = await sharp(grey, { raw: { width: 3, height: 2, channels: 1 } })
    .toColourspace("b-w")
    .png()
    .toBuffer();
  const rgb = Uint8Array.of(1, 2, 3, 4, 5, 6);
  colour = await sharp(rgb, { raw: { width: 2, height: 1, channels: 3 } })
    .png()
    .toBuffer();
});

/** A new folder with these files; null content is the grey picture. */
function make(files: Record<string, string | Uint8Array | null>): string {
  const folder = join(root, `set${++count}`);
  mkdirSync(folder);
  for (const [name, content] of Object.entries(files)) {
    mkdirSync(dirname(join(folder, name)), { recursive: true });
    writeFileSync(join(folder, name), content ?? png);
  }
  return folder;
}

const open = (folder: string, classes?: string[]) => openDataset(folder, { platform, ...(classes && { classes }) });

test("a folder and its labels in a file elsewhere", async () => {
  const folder = make({ "a/1.png": null, "a/2.png": null, "b/3.png": null });
  const table = make({ "labels.csv": "path,label,group\na/1.png,sick,p1\nb/3.png,well,p2\n" });
  const data = await openDataset(folder, { platform, labelsFile: join(table, "labels.csv") });
  expect([data.count, data.classes, data.groups]).toEqual([2, ["sick", "well"], ["p1", "p2"]]);
  expect(data.imageName(1)).toBe("b/3.png");
});

describe("folders", () => {
  test("one for each class, pictures inside in folders of their own, hidden files ignored", async () => {
    const d = await open(
      make({
        "well/b.png": null,
        "well/p1/a.png": null,
        "sick/1.png": colour,
        "sick/.hidden.png": "",
        ".DS_Store": "x",
        "__MACOSX/well/b.png": "x",
        "sick/notes.txt": "x",
        "empty/readme.md": "x",
      }),
    );
    expect(d.classes).toEqual(["sick", "well"]);
    expect([d.imageName(0), d.imageName(1), d.imageName(2)]).toEqual(["sick/1.png", "well/b.png", "well/p1/a.png"]);
    expect([...d.labels]).toEqual([0, 1, 1]);
    expect(d.imageShape).toEqual({ channels: 3, height: null, width: null, type: "uint8" });
    expect(d.notes).toEqual([
      "files that are not used: empty/readme.md, sick/notes.txt",
      "folders without images: empty",
    ]);
    expect(await d.image(0)).toEqual({ channels: 3, height: 1, width: 2, data: Uint8Array.of(1, 4, 2, 5, 3, 6) });
    expect(await d.image(1)).toEqual({ channels: 1, height: 2, width: 3, data: Uint8Array.of(1, 2, 3, 4, 5, 6) });
    expect(d.pixels).toMatchObject({ kind: "files" });
  });

  test("a picture without an ending is known by its content", async () => {
    const d = await open(make({ "a/IM0001": null, "a/other": "text", "b/1.png": null }));
    expect([d.count, d.imageName(0)]).toEqual([2, "a/IM0001"]);
  });

  test("numbers as class names are in their order", async () => {
    const d = await open(make({ "10/1.png": null, "9/1.png": null, "0/1.png": null }));
    expect(d.classes).toEqual(["0", "9", "10"]);
  });

  test("classes in the caller's order", async () => {
    const d = await open(make({ "a/1.png": null, "b/1.png": null }), ["b", "a"]);
    expect([d.classes, [...d.labels]]).toEqual([
      ["b", "a"],
      [1, 0],
    ]);
  });

  test("train, val and test with class folders in them", async () => {
    const d = await open(
      make({
        "train/a/1.png": null,
        "train/b/1.png": null,
        "Val/a/1.png": null,
        "test/b/1.png": null,
        "test/b/2.png": null,
      }),
    );
    expect(d.division).toEqual({
      kind: "official",
      validation: Uint32Array.of(0),
      test: Uint32Array.of(1, 2),
      train: Uint32Array.of(3, 4),
    });
    expect(d.imageName(0)).toBe("Val/a/1.png");
  });

  test("fold folders", async () => {
    const d = await open(make({ "fold_10/a/1.png": null, "fold_2/b/1.png": null, "fold_2/a/2.png": null }));
    expect(d.division).toEqual({ kind: "folds", folds: [Uint32Array.of(1, 2), Uint32Array.of(0)] });
  });

  test("the fingerprint is of names, sizes, labels and division", async () => {
    const first = await open(make({ "a/1.png": null, "b/1.png": null }));
    const same = await open(make({ "a/1.png": null, "b/1.png": null }));
    const renamed = await open(make({ "a/1.png": null, "b/2.png": null }));
    const other = await open(make({ "a/1.png": null, "b/1.png": colour }));
    expect(same.fingerprint).toBe(first.fingerprint);
    expect(new Set([first, renamed, other].map((d) => d.fingerprint)).size).toBe(3);
  });
});

describe("tables", () => {
  test("a CSV in the folder, with folds and groups", async () => {
    const folder = make({
      "labels.csv": 'path,label,fold,group\nx/1.png,sick,0,p1\n"x/2,3.png",well,1,p2\n.\\y\\4.png,well,0,p1\n',
      "x/1.png": null,
      "x/2,3.png": null,
      "y/4.png": null,
    });
    const d = await open(folder);
    expect(d).toMatchObject({ classes: ["sick", "well"], groups: ["p1", "p2", "p1"], count: 3 });
    expect(d.division).toEqual({ kind: "folds", folds: [Uint32Array.of(0, 2), Uint32Array.of(1)] });
    expect(d.imageName(2)).toBe("y/4.png");
    expect(await d.image(2)).toMatchObject({ width: 3 });
  });

  test("a CSV on its own, with official parts, semicolons and a byte-order mark", async () => {
    const folder = make({
      "all.csv": "\uFEFFImage;Split;Class\r\n1.png;train;0\r\n2.png;train;1\r\n3.png;TEST;1\r\n",
      "1.png": null,
      "2.png": null,
      "3.png": null,
    });
    const d = await open(join(folder, "all.csv"));
    expect(d.name).toBe("all.csv");
    expect(d.division).toEqual({
      kind: "official",
      train: Uint32Array.of(0, 1),
      validation: null,
      test: Uint32Array.of(2),
    });
  });

  test("a CSV about something else is a file that is not used", async () => {
    const d = await open(make({ "scanner.csv": "date,gain\n1,2\n", "a/1.png": null, "b/1.png": null }));
    expect(d.notes).toEqual(["files that are not used: scanner.csv"]);
  });

  const table = (csv: string) => make({ "t.csv": csv, "1.png": null, "2.png": null });
  test.each<[string, string]>([
    [
      "path,label\n1.png,a\n2.png\n",
      " line 3: has another number of cells than the header\n  expected 2 cells\n  got      1 cells",
    ],
    ["path,label\n1.png,a\n1.png,b\n", " line 3: names the same image as line 2"],
    ["path,label\n1.png,a\n2.png,\n", ' line 3: column "label" is empty'],
    ['path,label\n"1.png,a\n', " line 2: a quote is not closed"],
    ["path,label\n", ": has no rows under its header"],
    [
      "path,label,split\n1.png,a,train\n2.png,b,holdout\n",
      ' line 3: column "split" has an unknown name\n  expected train, val or test',
    ],
    [
      "path,label,split,fold\n1.png,a,train,1\n",
      ": divides the images in two ways at once\n  expected a column split or a column fold\n  got      both",
    ],
    [
      "path,label\n1.png,a\n2.png,a\n",
      ': all images have the same label\n  expected at least two classes\n  got      class "a" 2 times',
    ],
  ])("%j", async (csv, message) => {
    const path = join(table(csv), "t.csv");
    await expect(open(path)).rejects.toThrow(expect.objectContaining({ code: "data", message: path + message }));
  });

  test("an image that is not there", async () => {
    const folder = table("path,label\n1.png,a\nno.png,b\n");
    await expect(open(folder)).rejects.toThrow(`${folder}/no.png: does not exist\n  hint     check the path`);
  });
});

describe("refusals", () => {
  test("a damaged picture is named", async () => {
    const folder = make({ "a/1.png": null, "b/2.png": "not a picture" });
    await expect(open(folder)).rejects.toThrow(
      `${folder}/b/2.png: is not a readable image\n  expected PNG, JPEG, WebP, TIFF, BMP or GIF\n  got      text`,
    );
  });

  test("no pictures", async () => {
    const folder = make({ "a/notes.txt": "x", "readme.md": "y" });
    await expect(open(folder)).rejects.toThrow(
      [
        `${folder}: holds no labelled images`,
        "  expected a folder for each class with images in it, or train/, val/, test/ with such folders, or a CSV with path,label",
        "  got      files that are not used: a/notes.txt, readme.md; folders without images: a",
      ].join("\n"),
    );
  });

  test("one class only", async () => {
    const folder = make({ "a/1.png": null, "a/2.png": null });
    await expect(open(folder)).rejects.toThrow(
      `${folder}: all images have the same label\n  expected at least two classes\n  got      class "a" 2 times`,
    );
  });

  test("a class that the caller did not name", async () => {
    const folder = make({ "a/1.png": null, "b/2.png": null, "c/3.png": null });
    await expect(open(folder, ["a", "b"])).rejects.toThrow(
      `${folder}: c/3.png: label is outside the classes\n  expected a, b\n  got      c`,
    );
  });

  test("two tables of labels", async () => {
    const csv = "path,label\n1.png,a\n";
    const folder = make({ "1.csv": csv, "2.csv": csv, "1.png": null });
    await expect(open(folder)).rejects.toThrow(
      `${folder}: holds several tables of labels\n  got      1.csv, 2.csv\n  hint     give the table that you mean instead of the folder`,
    );
  });

  test("the validation images twice", async () => {
    const folder = make({ "train/a/1.png": null, "val/a/1.png": null, "valid/b/1.png": null });
    await expect(open(folder)).rejects.toThrow(
      `${folder}: holds the validation images twice\n  got      train, val, valid`,
    );
  });
});
