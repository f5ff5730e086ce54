import { existsSync } from "node:fs";
import { gzipSync } from "node:zlib";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { tensor } from "../common/tensor.js";
import { memorySource } from "../formats/bytes.js";
import { nodePlatform } from "../platform/node/index.js";
import { datasetFromArrays } from "./arrays.js";
import { parseCsv } from "./csv.js";
import { groupedBy, withGroups } from "./groups.js";
import { openDataset } from "./open.js";
import type { Dataset } from "./types.js";

const part = (what: string, ...labels: number[]) => ({
  what,
  imagesName: "x",
  labelsName: "y",
  images: tensor("uint8", [labels.length, 1, 2], new Uint8Array(2 * labels.length)),
  labels,
});
const base = { path: "d", classes: ["sick", "well"], groups: null, notes: [] };
const folds = (): Promise<Dataset> =>
  datasetFromArrays({ ...base, parts: [part("fold 1", 0, 1), part("fold 2", 1, 0)], division: "folds" });

const apply = async (dataset: Dataset, csv: string): Promise<Dataset> =>
  withGroups(dataset, memorySource("g.csv", new TextEncoder().encode(csv)), nodePlatform);

describe("groups from a table", () => {
  const rows = "fold,index,class,group\n0,0,sick,a\n0,1,well,a\n1,0,well,b\n1,1,sick,c\n";

  test("by fold and index, counted from 0", async () => {
    expect((await apply(await folds(), rows)).groups).toEqual(["a", "a", "b", "c"]);
  });

  test("folds counted from 1, rows in any order", async () => {
    const csv = "group,index,fold\nc,1,2\na,0,1\nb,0,2\na,1,1\n";
    expect((await apply(await folds(), csv)).groups).toEqual(["a", "a", "b", "c"]);
  });

  test("gzipped", async () => {
    const source = memorySource("g.csv.gz", new Uint8Array(gzipSync(rows)));
    expect((await withGroups(await folds(), source, nodePlatform)).groups).toEqual(["a", "a", "b", "c"]);
  });

  test("by index alone, by split and index, by path", async () => {
    const none = await datasetFromArrays({ ...base, parts: [part("", 0, 1, 1)], division: "none" });
    expect((await apply(none, "index,patient\n2,q\n0,p\n1,p\n")).groups).toEqual(["p", "p", "q"]);
    const official = await datasetFromArrays({
      ...base,
      parts: [part("train", 0, 1), part("test", 1)],
      division: ["train", "test"],
    });
    expect((await apply(official, "split,index,group\ntest,0,q\ntrain,0,p\ntrain,1,p\n")).groups).toEqual([
      "p",
      "p",
      "q",
    ]);
    const files = { ...none, imageName: (i: number) => `a/${i}.png` };
    expect((await apply(files, "path,group\na/1.png,q\n./a/0.png,p\na\\2.png,p\n")).groups).toEqual(["p", "q", "p"]);
  });

  test("the fingerprint stays: groups are not part of the pixels", async () => {
    const dataset = await folds();
    expect((await apply(dataset, rows)).fingerprint).toBe(dataset.fingerprint);
  });

  test.each<[string, string]>([
    [
      "fold,index\n0,0\n",
      "g.csv: has not the columns of a groups table\n  expected fold,index,group, or split,index,group, or index,group, or path,group\n  got      fold,index",
    ],
    [
      "split,index,group\ntrain,0,a\n",
      "g.csv: has not the columns of a groups table\n  expected fold,index,group, or split,index,group, or index,group, or path,group\n  got      split,index,group",
    ],
    [
      "fold,index,group\n0,0,a\n0,1,a\n1,0,b\n",
      "g.csv: does not name every image\n  expected 4 images\n  got      3; the first without a group is fold 2, frame 1",
    ],
    [
      "fold,index,group\n0,0,a\n0,2,a\n",
      "g.csv line 3: is about an image that the data do not have\n  hint     use the table that belongs to these data",
    ],
    [
      "fold,index,group\n0,0,a\n0,0,b\n",
      "g.csv line 3: is about an image that an earlier line already named\n  got      fold 1, frame 0",
    ],
    ["fold,index,group\n0,0,\n", "g.csv line 2: has no group"],
    ["fold,index,group\n0,x,a\n", 'g.csv line 2: column "index" is not a whole number'],
    [
      "fold,index,class,group\n0,0,well,a\n",
      "g.csv line 2: has another class than the data\n  expected sick (fold 1, frame 0)\n  got      well\n  hint     use the table that belongs to these data",
    ],
  ])("refused: %j", async (csv, message) => {
    await expect(apply(await folds(), csv)).rejects.toThrow(expect.objectContaining({ code: "data", message }));
  });

  const pocus = "../shared/data/pocus";
  test.skipIf(!existsSync(pocus))("POCUS: 62 groups, classes agree (skipped without ../shared/data)", async () => {
    const options = { platform: nodePlatform, groupsFile: `${pocus}/attribution.csv.gz` };
    const d = await openDataset(`${pocus}/pocus_data_all.zip.001`, options);
    expect(new Set(d.groups).size).toBe(62);
    expect(d.groups?.[0]).toBe("p134");
  });
});

describe("CSV", () => {
  test("quotes, doubled quotes, line ends in cells, trailing empty cells, blank lines", () => {
    const t = parseCsv('A,b\n"x, ""y""\nz",1\r\n\n2,\n3,"4"', "t");
    expect(t.header).toEqual(["a", "b"]);
    expect(t.rows).toEqual([
      { line: 2, cells: ['x, "y"\nz', "1"] },
      { line: 5, cells: ["2", ""] },
      { line: 6, cells: ["3", "4"] },
    ]);
  });

  test("what is written with quotes is read back", () => {
    const text = fc.string({ unit: fc.constantFrom("a", " ", ",", '"', "\n", "é") }).map((s) => s.trim());
    fc.assert(
      fc.property(fc.array(fc.tuple(text, text, text), { minLength: 1 }), (rows) => {
        const quote = (s: string) => `"${s.replaceAll('"', '""')}"`;
        const csv = ["x,y,z", ...rows.map((r) => r.map(quote).join(","))].join("\n");
        expect(parseCsv(csv, "t").rows.map((r) => r.cells)).toEqual(rows);
      }),
      { seed: 4 },
    );
  });
});

describe("groups from a function", () => {
  test("by number and name", async () => {
    const data = groupedBy(await folds(), (index, name) => `${name.split(",")[0]}/${index % 2}`);
    expect(data.groups?.[0]).toBe(`${data.imageName(0).split(",")[0]}/0`);
    expect(data.groups?.length).toBe(data.count);
  });

  test("which gives something else", async () => {
    const data = await folds();
    expect(() => groupedBy(data, (i) => (i === 1 ? "" : "a"))).toThrow(
      "the function gave no group for image 1\n  expected a text that is not empty\n  got      an empty one",
    );
    expect(() => groupedBy(data, () => undefined as unknown as string)).toThrow("got      undefined"); // JavaScript's types
  });
});
