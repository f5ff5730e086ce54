import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { afterAll, describe, expect, test } from "vitest";
import { messageOf } from "../../formats/messages.testing.js";
import { nodePlatform } from "../../platform/node/index.js";
import { craft, type Fragments } from "./crafted.testing.js";
import { encoded } from "./encoded.testing.js";
import { type DicomDatasetOptions, openDicomDataset } from "./open.js";

const roots: string[] = [];
afterAll(() => Promise.all(roots.map((root) => rm(root, { recursive: true }))));

/** A folder with these files. */
async function folder(files: Readonly<Record<string, Uint8Array | string>>): Promise<string> {
  const root = await mkdtemp(join(tmpdir(), "dicom-"));
  roots.push(root);
  for (const [name, content] of Object.entries(files)) {
    await mkdir(dirname(join(root, name)), { recursive: true });
    await writeFile(join(root, name), content);
  }
  return root;
}
const open = (root: string, options?: DicomDatasetOptions) => openDicomDataset(root, nodePlatform, options);
const names = (d: { count: number; imageName(i: number): string }) =>
  Array.from({ length: d.count }, (_, i) => d.imageName(i));

const bytes8 = { BitsAllocated: 8, BitsStored: 8, HighBit: 7 };
const scan = (patient: string, uid: string, level: number) =>
  craft({ ...bytes8, PatientID: patient, SOPInstanceUID: uid, PixelData: new Uint8Array(6).fill(level) });
const four = {
  "covid/a/1.dcm": scan("P-1", "1.2.1", 10),
  "covid/a/2.dcm": scan("P-1", "1.2.2", 20),
  "healthy/3.dcm": scan("P-2", "1.2.3", 30),
  "healthy/4": scan("P-3", "1.2.4", 40),
};

describe("a folder for each class", () => {
  test("becomes a data set: classes by folder, groups by patient, images on demand", async () => {
    const root = await folder({ ...four, "readme.txt": "hello", "healthy/.DS_Store": "x", "healthy/empty.log": "" });
    const data = await open(root);
    expect(data).toMatchObject({
      count: 4,
      classes: ["covid", "healthy"],
      labels: Uint32Array.of(0, 0, 1, 1),
      division: { kind: "none" },
      imageShape: { channels: 1, height: 2, width: 3, type: "uint8" },
      notes: ["files that are not used: healthy/empty.log, readme.txt"],
    });
    expect(names(data)).toEqual(["covid/a/1.dcm", "covid/a/2.dcm", "healthy/3.dcm", "healthy/4"]);
    const [a, b, c, d] = data.groups ?? [];
    expect(a).toMatch(/^[0-9a-f]{32}$/);
    expect([b === a, c === a, d === c]).toEqual([true, false, false]);
    expect(await data.image(2)).toEqual({ channels: 1, height: 2, width: 3, data: new Uint8Array(6).fill(30) });
    expect(await messageOf(() => data.image(4))).toContain("has no such image\n  expected 0 to 3\n  got      4");
    await data.close();
  });

  test("the same files give the same groups and fingerprint, another label another fingerprint", async () => {
    const [one, two, moved] = await Promise.all([
      folder(four).then(open),
      folder(four).then(open),
      folder({ ...four, "covid/4": four["healthy/4"], "healthy/4": scan("P-1", "1.2.9", 0) }).then(open),
    ]);
    expect(two.groups).toEqual(one.groups);
    expect(two.fingerprint).toBe(one.fingerprint);
    expect(moved.fingerprint).not.toBe(one.fingerprint);
  });

  test("other files, other pseudonyms; a given salt makes them comparable", async () => {
    const roots = await Promise.all([folder(four), folder({ ...four, "covid/a/0.dcm": scan("P-1", "1.2.5", 5) })]);
    const [one, two] = await Promise.all(roots.map((root) => open(root)));
    expect(two?.groups?.[1]).not.toBe(one?.groups?.[0]);
    const [salted, alike] = await Promise.all(roots.map((root) => open(root, { salt: "ours" })));
    expect(alike?.groups?.[1]).toBe(salted?.groups?.[0]);
  });

  test("train, val and test folders are the official division", async () => {
    const data = await open(
      await folder({
        "train/x/1": four["covid/a/1.dcm"],
        "train/y/2": four["covid/a/2.dcm"],
        "val/x/3": four["healthy/3.dcm"],
        "test/y/4": four["healthy/4"],
      }),
    );
    expect(data.classes).toEqual(["x", "y"]);
    expect(data.division).toEqual({
      kind: "official",
      test: Uint32Array.of(0),
      train: Uint32Array.of(1, 2),
      validation: Uint32Array.of(3),
    });
  });
});

describe("frames", () => {
  const frames = {
    ...bytes8,
    NumberOfFrames: "3",
    PixelData: Uint8Array.from({ length: 18 }, (_, i) => Math.floor(i / 6)),
  };

  test("are images of one group", async () => {
    const data = await open(await folder({ "a/video.dcm": craft(frames), "b/1.dcm": scan("P-1", "1.2.1", 9) }));
    expect(names(data)).toEqual(["a/video.dcm, frame 0", "a/video.dcm, frame 1", "a/video.dcm, frame 2", "b/1.dcm"]);
    expect(data.labels).toEqual(Uint32Array.of(0, 0, 0, 1));
    expect(new Set(data.groups?.slice(0, 3)).size).toBe(1);
    expect((await data.image(2)).data).toEqual(new Uint8Array(6).fill(2));
  });

  test("a count that the file cannot hold is refused before anything is counted out", async () => {
    const PixelData: Fragments = { fragments: [new Uint8Array(70)] };
    const root = await folder({
      "a/1.dcm": craft({ NumberOfFrames: "999999999", PixelData }, { syntax: "1.2.840.10008.1.2.5" }),
    });
    expect(await messageOf(() => open(root))).toMatch(
      /1\.dcm: \(0028,0008\) NumberOfFrames does not fit the compressed pixels\n {2}expected at most \d+ \(each frame has an item of 8 bytes\)\n {2}got {6}999999999$/,
    );
  });
});

describe("a table of labels", () => {
  test("keyed by SOPInstanceUID; images without a row are left out, rows without an image counted", async () => {
    const labels = "SOPInstanceUID,diagnosis\n1.2.4,sick\n1.2.1,well\n1.2.3,sick\n9.9.9,well\n";
    const data = await open(await folder({ ...four, "labels.csv": labels }));
    expect(names(data)).toEqual(["healthy/4", "covid/a/1.dcm", "healthy/3.dcm"]);
    expect(data.classes).toEqual(["sick", "well"]);
    expect(data.labels).toEqual(Uint32Array.of(0, 1, 0));
    expect(data.notes).toEqual([
      "1 rows of the labels are about files that are not there",
      "1 of 4 DICOM images have no label: left out",
    ]);
  });

  test("keyed by path or by the file's name, with its own groups and division", async () => {
    const rows = [
      "path,label,group,split",
      "1.dcm,0,g1,train",
      "healthy\\3.dcm,1,g2,train",
      "./covid/a/2.dcm,1,g3,test",
    ];
    const root = await folder(four);
    const labelsFile = join(await folder({ "own.csv": `${rows.join("\n")}\n` }), "own.csv");
    const data = await open(root, { labelsFile });
    expect(names(data)).toEqual(["covid/a/1.dcm", "healthy/3.dcm", "covid/a/2.dcm"]);
    expect(data.groups).toEqual(["g1", "g2", "g3"]);
    expect(data.division).toMatchObject({ kind: "official", train: Uint32Array.of(0, 1), test: Uint32Array.of(2) });
  });

  test("messages name lines, never cells", async () => {
    const root = await folder(four);
    const table = async (text: string) => join(await folder({ "own.csv": text }), "own.csv");
    const message = async (text: string) => {
      const labelsFile = await table(text);
      return (await messageOf(() => open(root, { labelsFile }))).replace(labelsFile, "own.csv");
    };
    expect(await message("patient,label\nDoe^Jane,1\n")).toBe(
      `own.csv: has not the columns of a table of DICOM files
  expected SOPInstanceUID,label or path,label, and perhaps split or fold, and group
  got      patient,label`,
    );
    expect(await message("path,label\nDoe^Jane.dcm,1\n")).toBe(
      `own.csv: names none of the DICOM files
  expected their SOPInstanceUID, or their paths inside the folder
  got      1 rows about other files`,
    );
    expect(await message("path,label\n1.dcm,0\n3.dcm,1\ncovid/a/1.dcm,1\n")).toBe(
      "own.csv line 4: names the same image as line 2",
    );
  });
});

describe("mixed folders", () => {
  test("colours make every image one of three channels, and sizes may differ", async () => {
    const rgb = {
      SamplesPerPixel: 3,
      PhotometricInterpretation: "RGB",
      ...bytes8,
      Rows: 1,
      Columns: 1,
      PixelData: Uint8Array.of(1, 2, 3, 0),
    };
    const data = await open(await folder({ "a/1": craft(rgb), "b/2": scan("P", "1.2.2", 7) }));
    expect(data.imageShape).toEqual({ channels: 3, height: null, width: null, type: "uint8" });
    expect((await data.image(0)).data).toEqual(Uint8Array.of(1, 2, 3));
    expect(await data.image(1)).toEqual({ channels: 3, height: 2, width: 3, data: new Uint8Array(18).fill(7) });
  });

  test("compressed files, and a window for all", async () => {
    const [{ bytes }] = encoded;
    const root = await folder({ "a/1.dcm": bytes, "b/2.dcm": craft({}) });
    const data = await open(root, { image: { window: { center: 2000, width: 4000 }, bits: 8 } });
    expect(data.imageShape.type).toBe("uint8");
    expect((await data.image(0)).data).toHaveLength(143);
    expect((await open(root)).imageShape.type).toBe("uint16");
  });

  test("reports hold no image; patients who are not named are grouped by study", async () => {
    const data = await open(
      await folder({
        "a/report.dcm": craft({ PixelData: undefined }),
        "a/1.dcm": craft({ PatientID: "" }),
        "b/2.dcm": craft({ PatientID: undefined, StudyInstanceUID: undefined }),
        "b/3.dcm": craft({}, { meta: false }),
      }),
    );
    expect(data.notes).toEqual([
      "DICOM files without an image: a/report.dcm",
      "1 of 3 files: (0002,0010) TransferSyntaxUID is missing: read as Explicit VR Little Endian, as its first element shows",
      "1 of 3 files have no (0010,0020) PatientID: their groups are studies",
      "1 of 3 files name neither a patient nor a study: each is a group of its own",
    ]);
    expect(data.groups?.[1]).toBe("file b/2.dcm");
    expect(new Set(data.groups).size).toBe(3);
  });

  test("nothing of the patient is in what the set says about itself", async () => {
    const data = await open(await folder({ "a/1": craft({}), "b/2": craft({ SOPInstanceUID: "1.2.9" }) }));
    expect(JSON.stringify([data, names(data)])).not.toMatch(/MRN|4711|Doe|Jane|1933|2024|1\.2\.3\.4/);
  });
});

describe("folders that make no data set", () => {
  test.each([
    [{ "notes.txt": "x" }, {}, ": holds no DICOM images\n  got      0 DICOM files without pixels, 1 other files"],
    [
      { "1.dcm": craft() },
      {},
      `: holds no labelled images
  expected a folder for each class, train/, val/, test/ with such folders, or a CSV with SOPInstanceUID,label or path,label
  got      1.dcm, which lies in no class's folder`,
    ],
    [
      { "a/1.dcm": craft(), "a/2.dcm": craft() },
      {},
      ': all images have the same label\n  expected at least two classes\n  got      class "a" 2 times',
    ],
    [
      { "a/1.dcm": craft(), "b/2.dcm": "DICM?" },
      {},
      `/b/2.dcm: is not a DICOM file, or one without the head that holds (0002,0010) TransferSyntaxUID
  expected "DICM" at byte 128, or a data element of group 0002 or 0008 at byte 0
  got      5 other bytes`,
    ],
    [
      { "a/1.dcm": craft(), "b/2": craft().subarray(0, -2) },
      {},
      `/b/2: (7FE0,0010) PixelData ends beyond the file\n  expected 12 bytes from byte ${craft().length - 12}\n  got      10`,
    ],
    [
      { "a/1.dcm": craft(), "b/2": craft() },
      { classes: ["a", "c"] },
      ": b/2: label is outside the classes\n  expected a, c\n  got      b",
    ],
    [
      { "x.csv": "uid,label\n1,2", "y.csv": "path;class\n1;2", "z.csv": "name,age\n1,2", "a/1": craft() },
      {},
      ": holds several tables of labels\n  got      x.csv, y.csv\n  hint     name the one that you mean as labelsFile",
    ],
  ] as [Record<string, Uint8Array | string>, DicomDatasetOptions, string][])("%#", async (files, options, message) => {
    const root = await folder(files);
    expect((await messageOf(() => open(root, options))).replace(root, "")).toBe(message);
  });

  test("what cannot be read is left out when that is asked for", async () => {
    const data = await open(await folder({ ...four, "healthy/5.dcm": craft().subarray(0, 300) }), {
      unreadable: "skip",
    });
    expect(data.count).toBe(4);
    expect(data.notes).toEqual(["files that cannot be read and are left out: healthy/5.dcm"]);
  });

  test("files without labels can be opened for predictions", async () => {
    const root = await folder({ "1.dcm": craft() });
    for (const path of [root, join(root, "1.dcm")]) {
      const data = await open(path, { unlabelled: true });
      expect(data).toMatchObject({ count: 1, classes: ["unlabelled"], labels: Uint32Array.of(0) });
      expect(names(data)).toEqual(["1.dcm"]);
    }
  });
});

test("a head longer than the first read is read on", async () => {
  const long = craft({ "0x00091001": new Uint8Array(200_000), PrivateOther: new Uint8Array(70_000) });
  const data = await open(await folder({ "a/1": long, "b/2": craft() }));
  expect(data.imageShape).toMatchObject({ height: 2, width: 3 });
});
