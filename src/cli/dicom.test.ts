/** @file DICOM files through the command line: labels, windows, and no word of a patient anywhere in what is written. */
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { craft } from "../data/dicom/crafted.testing.js";
import { type Outcome, run } from "./host.testing.js";

const home = mkdtempSync(join(tmpdir(), "metalr-dicom-"));
afterAll(() => rmSync(home, { recursive: true, force: true }));
const at = (name: string) => join(home, name);

/** What belongs to patients, and in no case into what is written: names, ids, dates, UIDs. */
const secrets = ["Doe^", "Jane-", "Vermeer", "MRN-47", "19330401", "20240229", "1.2.826.0.1.77"];

/** 24 images of 8×8, 12 bits, six patients; class b is brighter by 500 of the 1000 … 2000 that matter. */
function writeScans(folder: string): void {
  mkdirSync(at(folder));
  const rows = ["SOPInstanceUID,label,split"];
  for (let i = 0; i < 24; i++) {
    const level = 1200 + (i % 2) * 500;
    const pixels = new Uint8Array(2 * 64);
    for (let p = 0; p < 64; p++) {
      const value = level + ((p * 7 + i * 13) % 100);
      pixels[2 * p] = value & 255;
      pixels[2 * p + 1] = value >> 8;
    }
    const patient = Math.floor(i / 4);
    const uid = `1.2.826.0.1.77.${i}`;
    const bytes = craft({
      SOPInstanceUID: uid,
      PatientName: `Doe^Jane-${patient}^Vermeer`,
      PatientID: `MRN-47${patient}`,
      Rows: 8,
      Columns: 8,
      BitsStored: 12,
      HighBit: 11,
      PixelData: pixels,
    });
    writeFileSync(join(at(folder), `scan-${i}.dcm`), bytes);
    rows.push(`${uid},${i % 2 === 0 ? "a" : "b"},${patient < 4 ? "train" : patient === 4 ? "val" : "test"}`);
  }
  writeFileSync(at(`${folder}.csv`), `${rows.join("\n")}\n`);
}

/** Every file below a folder. */
const filesBelow = (folder: string): string[] =>
  readdirSync(folder, { withFileTypes: true }).flatMap((e) =>
    e.isDirectory() ? filesBelow(join(folder, e.name)) : [join(folder, e.name)],
  );

/** Where a text is in the bytes of a file, also as UTF-16. */
const holds = (file: string, text: string): boolean => {
  const bytes = readFileSync(file);
  return bytes.includes(text) || bytes.includes(Buffer.from(text, "utf16le"));
};

const common = ["-p", "none", "--model", "resnet20", "--image-size", "8", "-e", "1", "-b", "8", "--threads", "1"];

describe("a folder of DICOM files with a table of labels", () => {
  let trained: Outcome;
  const out = at("run");
  beforeAll(async () => {
    writeScans("scans");
    writeFileSync(at("salt.txt"), "a word of the hospital's own\n");
    trained = await run([
      "train",
      ...["-d", at("scans"), "--labels-file", at("scans.csv"), "--window", "1500,1000", "--salt-file", at("salt.txt")],
      ...common,
      ...["--out", out],
    ]);
  }, 120_000);

  test("is trained on, by the SOPInstanceUIDs of the table and through the window", () => {
    expect([trained.code, trained.err]).toEqual([0, ""]);
    expect(trained.out).toMatch(/^data {6}scans: 24 grey images 8×8, 2 classes \(a 12, b 12\), 6 groups\n/);
    const info = JSON.parse(readFileSync(join(out, "run.json"), "utf8")) as { data: { parts: unknown } };
    expect(info.data.parts).toEqual({ train: 16, meta: 16, validation: 4, test: 4 });
  });

  test("evaluate and predict see the same grey values", async () => {
    const evaluated = await run(["evaluate", out, "--threads", "1"]);
    expect([evaluated.code, evaluated.err]).toEqual([0, ""]);
    const predicted = await run(["predict", out, at("scans"), "--threads", "1"]);
    expect([predicted.code, predicted.err]).toEqual([0, ""]);
    expect(predicted.out).toMatch(/^image,predicted,a,b\nscan-0\.dcm,[ab],/);
    expect(predicted.out.trimEnd().split("\n").length).toBe(25);
  }, 60_000);

  test("no patient's name, id or date, and no UID, is in the output, in any file of the run, or in an export", async () => {
    const exported = await run(["export", out, "--onnx", at("model.onnx")]);
    const inspected = await run(["inspect", at("scans"), out]);
    const evaluated = await run(["evaluate", out, "--json", "--threads", "1"]);
    const predicted = await run(["predict", out, at("scans"), "-o", at("predicted.csv"), "--threads", "1"]);
    const said = [trained, exported, inspected, evaluated, predicted].flatMap(({ out: o, err }) => [o, err]).join("\n");
    const files = [...filesBelow(out), at("model.onnx"), at("predicted.csv")];
    expect(files.length).toBeGreaterThan(10);
    for (const secret of secrets) {
      expect(said).not.toContain(secret);
      expect(files.filter((file) => holds(file, secret))).toEqual([]);
      // The test can fail: the scans themselves do hold it.
      expect(filesBelow(at("scans")).some((file) => holds(file, secret))).toBe(true);
    }
  }, 60_000);

  test("nor is the salt, or a pseudonym made with it", () => {
    for (const file of filesBelow(out)) {
      expect(holds(file, "a word of the hospital's own")).toBe(false);
      if (/\.(json|jsonl|html|svg)$/.test(file)) {
        const hex = readFileSync(file, "utf8").match(/\b[0-9a-f]{32}\b/g);
        expect(hex, file).toBeNull();
      }
    }
  });
});

describe("messages about what does not fit", () => {
  test("a damaged file is named with tag and keyword, and no content of it", async () => {
    mkdirSync(at("broken/a"), { recursive: true });
    mkdirSync(at("broken/b"), { recursive: true });
    writeFileSync(at("broken/a/1.dcm"), craft());
    writeFileSync(at("broken/b/2.dcm"), craft({ BitsAllocated: 13 }));
    const { code, out, err } = await run(["train", "-d", at("broken"), ...common, "--out", at("never")]);
    expect(code).toBe(1);
    expect(err).toContain("(0028,0100) BitsAllocated");
    for (const secret of ["Doe", "Jane", "MRN-4711", "19330401", "20240229"]) expect(out + err).not.toContain(secret);
    expect(existsSync(at("never"))).toBe(false);
  });

  test("a window, labels and a salt for other data are refused", async () => {
    const data = "fixtures/datasets/pocus_five_folds.pkl";
    for (const [flag, value, words] of [
      ["--window", "40,400", "a window (--window)"],
      ["--labels-file", "x.csv", "a labels file (--labels-file)"],
      ["--salt-file", "package.json", "a salt (--salt-file)"],
    ] as const) {
      const { code, err } = await run(["train", "-d", data, flag, value, ...common, "--out", at("never")]);
      expect([code, err]).toEqual([
        2,
        `${data}: is neither a folder nor DICOM files: ${words} has no meaning\n  hint     leave it out\n`,
      ]);
    }
    expect((await run(["train", "-d", data, "--window", "lung"])).err).toContain("--window: is no window\n");
  });
});

const real = "../shared/data/dicom";
test.skipIf(!existsSync(real))("real files by path and window (skipped without ../shared/data)", async () => {
  writeFileSync(at("real.csv"), "path,label\nCT_small.dcm,ct\nMR_small_RLE.dcm,mr\nMR_small_jp2klossless.dcm,mr\n");
  mkdirSync(at("real"));
  for (const file of ["CT_small.dcm", "MR_small_RLE.dcm", "MR_small_jp2klossless.dcm"]) {
    writeFileSync(join(at("real"), file), readFileSync(join(real, file)));
  }
  const { openDataset } = await import("../index.js");
  const options = { labelsFile: at("real.csv") };
  const [plain, narrow] = [
    await openDataset(at("real"), options),
    await openDataset(at("real"), { ...options, window: { percentiles: [5, 95] } }),
  ];
  expect([plain.count, plain.classes]).toEqual([3, ["ct", "mr"]]);
  const ends = async (d: typeof plain) => {
    const { data } = await d.image(0);
    return [data.filter((v) => v === 0).length, data.filter((v) => v === 65535).length];
  };
  // 5 % of 128×128 on either side: 819; ties at the ends add some.
  for (const n of await ends(narrow)) expect(n).toBeGreaterThan(800);
  expect(await ends(narrow)).not.toEqual(await ends(plain));
  expect(narrow.fingerprint).not.toBe(plain.fingerprint);
});
