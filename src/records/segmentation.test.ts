/** @file Tests of runs of segmentations: what the folder holds, evaluating it again, label volumes, the words. */
import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, test } from "vitest";
import { craftNifti } from "../data/nifti/crafted.testing.js";
import { openNiftiImage } from "../data/nifti/pairs.js";
import { readNifti } from "../data/nifti/read.js";
import { messageOf } from "../formats/messages.testing.js";
import { createModel, unet } from "../models/index.js";
import { nodePlatform } from "../platform/node/index.js";
import { nodeExecutor } from "../platform/node/onnxRuntime.js";
import { stripes, tinyTraining } from "../training/tiny.testing.js";
import { tinySegmentation } from "../training/tiny-volumes.testing.js";
import { volumeTransforms } from "../training/volume-transforms.js";
import { readRun } from "./read.js";
import { headlineOf } from "./run-record.js";
import { segmentImages } from "./segment-run.js";
import { summarise } from "./summary.js";
import { evaluationText, headlineText, summaryText } from "./text.js";
import { trainRun } from "./trainRun.js";
import { evaluateRun, openRun, predictRun } from "./use-run.js";

const home = mkdtempSync(join(tmpdir(), "metalr-segment-"));
afterAll(() => rmSync(home, { recursive: true, force: true }));
const use = { executor: nodeExecutor({ threads: 1 }), platform: nodePlatform, workers: 0 };

const tiny = tinySegmentation();
const model = { ...unet("unet3d", { classes: 3, width: 2 }), loss: "dice" } as const;
const { dataset, split } = tiny.data;
const transforms = volumeTransforms({ model, dataset, train: split.train, patch: [8, 8, 8], window: [16, 16, 16] });
const options = { ...tiny, ...use, model, transforms, epochs: 2 };

describe("a run folder", async () => {
  const run = await trainRun(join(home, "run"), options);
  const { record } = await readRun(nodePlatform.files, run.folder);

  test("holds curves over iterations and epochs, and Dice where others have accuracy", () => {
    const has = (name: string) => existsSync(join(run.folder, name));
    for (const name of ["lr-curves.svg", "lr-curves-epochs.svg", "dice.svg", "model.onnx", "report.html"]) {
      expect(has(name), name).toBe(true);
    }
    expect([has("accuracy.svg"), has("confusion.svg")]).toEqual([false, false]);
    expect(readFileSync(join(run.folder, "lr-curves-epochs.svg"), "utf8")).toContain("Epoch");
  });

  test("says the loss, and the Dice of every epoch", () => {
    expect(record.info.options["loss"]).toBe("dice");
    expect(record.epochs.map((e) => e.trainDice)).toEqual(run.history.map((e) => e.trainDice));
    expect(record.epochs[1]?.validation?.dice?.volumes.map((v) => v.name)).toEqual(["block_5", "block_6"]);
    expect(run.accuracy).toBe(record.end?.test?.dice?.mean);
  });

  test("its report has every volume with the Dice of every class, and no confusion matrix", () => {
    const report = readFileSync(join(run.folder, "report.html"), "utf8");
    for (const text of ["block_7", "block_8", "bright", "dark", "Dice of 2 volumes"]) expect(report).toContain(text);
    expect(report).not.toContain("Confusion matrix");
  });

  test("evaluated again it gives the same figures", async () => {
    const again = await evaluateRun(run.folder, dataset, use);
    expect(again.part).toBe("test");
    const { loss, ...rest } = again.evaluation;
    const { loss: then, ...before } = run.evaluation ?? again.evaluation;
    expect(rest).toEqual(before);
    expect(loss).toBeCloseTo(then, 6);
  });

  test("a finished run is read from its folder, predictions of its volumes included", async () => {
    const again = await trainRun(run.folder, { ...options, resume: true });
    expect(again.test?.predictions.toTensors()).toEqual(run.test?.predictions.toTensors());
    expect(again.accuracy).toBe(run.accuracy);
  });

  test("the words for it", () => {
    const headline = headlineOf(record);
    if (!headline?.selected?.dice) throw new Error("no headline");
    expect(headlineText(headline)).toMatch(
      /^test images, epoch \d of 2 \(chosen on validation images\): mean Dice 0\.\d{4} \(/,
    );
    const text = evaluationText(headline.selected, record.info.classes);
    expect(text).toMatch(/^class +Dice +precision +recall +voxels\nbackground /);
    expect(text).toMatch(/\nblock_7 +\d\.\d{3} +\d\.\d{3} +\d\.\d{3}\n/);
    const summary = summarise(
      "blocks",
      [{ folder: "fold-1", record, selected: null, last: null }],
      "2026-01-01T00:00:00Z",
    );
    expect(summaryText(summary)).toContain("mean Dice");
    expect(summary.pooled.selected?.dice?.mean).toBe(headline.selected.dice.mean);
  });

  test("volumes become label volumes with their geometry", async () => {
    const path = join(home, "scan.nii");
    const values = Array.from({ length: 720 }, (_, i) => i % 97);
    await writeFile(
      path,
      craftNifti({ shape: [8, 9, 10], values, pixdim: [1, 1, 2, 5], sform: [1, 1, 0, 0, -7, 0, 2, 0, 3, 0, 0, 5, 1] }),
    );
    const image = await openNiftiImage(path, nodePlatform);
    const opened = await openRun(run.folder, use);
    expect(opened.model.loss).toBe("dice");
    const results = [];
    for await (const result of segmentImages(opened, [image], use)) results.push(result);
    const [result] = results;
    if (!result) throw new Error("no result");
    const nifti = await readNifti(result.nifti, "scan.nii.gz", nodePlatform);
    expect(nifti.affine).toEqual([1, 0, 0, -7, 0, 2, 0, 3, 0, 0, 5, 1, 0, 0, 0, 1]);
    expect(Array.from(nifti.raw, Number)).toEqual([...result.labels]);
    expect(result.voxels.reduce((a, b) => a + b)).toBe(720);
    expect(result.millilitres.reduce((a, b) => a + b)).toBeCloseTo(7.2, 10);
  });

  test("images are refused where volumes are wanted, and the other way round", async () => {
    expect(await messageOf(async () => predictRun(run.folder, await stripes(4), use))).toBe(
      [
        `stripes.npz: has no classes of voxels or pixels, and ${run.folder} is a run of a segmentation`,
        "  hint     give NIfTI volumes",
      ].join("\n"),
    );
    const plain = await trainRun(join(home, "plain"), {
      ...(await tinyTraining()),
      ...use,
      model: createModel("resnet20", { classes: 2, channels: 1, width: 1 }),
      epochs: 1,
    });
    const classes = { ...dataset, classes: ["a", "b"] };
    expect(await messageOf(() => evaluateRun(plain.folder, classes, use))).toBe(
      `blocks: has a class for every voxel or pixel, and ${plain.folder} is a run of a classification`,
    );
  });
});
