/** @file Tests of released.ts: the published program's files, whole or as the parts of a zip. */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { nodePlatform } from "../../platform/node/index.js";
import { findReleasedData, findReleasedWeights } from "./released.js";

const { files } = nodePlatform;
const home = process.cwd();
let folder = "";
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "metalr-released-"));
  mkdirSync(join(folder, "data"));
  mkdirSync(join(folder, "pretrained"));
  process.chdir(folder);
});
afterEach(() => {
  process.chdir(home);
  rmSync(folder, { recursive: true });
});

test("nothing there", async () => {
  expect(await findReleasedData(files)).toBeNull();
  rmSync("pretrained", { recursive: true });
  expect(await findReleasedWeights(files)).toBeNull();
});

test.each(["pocus_data_all.zip", "pocus_data_all.zip.001", "pocus_data_all.pkl.zip", "pocus_data_all.pkl.zip.001"])(
  "the data as %s",
  async (name) => {
    writeFileSync(join("data", "pocus_data_all.txt"), "something else");
    writeFileSync(join("data", name), "x");
    expect(await findReleasedData(files)).toBe(`data/${name}`);
  },
);

test.each(["best_model.zip", "best_model.zip.001", "best_model.pth.001"])("the weights as %s", async (name) => {
  writeFileSync(join("pretrained", name), "x");
  expect(await findReleasedWeights(files)).toBe(`pretrained/${name}`);
});

test("the file itself counts before its parts", async () => {
  writeFileSync("data/pocus_data_all.zip.001", "x");
  writeFileSync("data/pocus_data_all.pkl", "x");
  expect(await findReleasedData(files)).toBe("data/pocus_data_all.pkl");
});
