/** @file Segmentation through the command line: train, stop and resume, evaluate, predict, export, and what is refused. */
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { Random } from "../common/random.js";
import { craftNifti } from "../data/nifti/crafted.testing.js";
import { run } from "./host.testing.js";

const home = mkdtempSync(join(tmpdir(), "metalr-cli-segment-"));
afterAll(() => rmSync(home, { recursive: true, force: true }));
const at = (name: string) => join(home, name);

/** Ten volumes of 8 × 8 × 8 voxels with a bright block in each. */
beforeAll(() => {
  for (const part of ["images", "labels"]) mkdirSync(at(`brains/${part}`), { recursive: true });
  for (let n = 0; n < 10; n++) {
    const random = new Random(1, n);
    const [z, y, x] = [random.below(5), random.below(5), random.below(5)];
    const inside = (i: number) => {
      const [k, j, h] = [Math.floor(i / 64) - z, (Math.floor(i / 8) % 8) - y, (i % 8) - x];
      return [k, j, h].every((d) => d >= 0 && d < 4);
    };
    const shape = [8, 8, 8];
    const all = Array.from({ length: 512 }, (_, i) => i);
    const write = (part: string, bytes: Uint8Array) => writeFileSync(at(`brains/${part}/scan${n}.nii`), bytes);
    write("images", craftNifti({ shape, values: all.map((i) => (inside(i) ? 200 : 20) + random.below(20)) }));
    write("labels", craftNifti({ shape, dtype: "uint8", values: all.map((i) => Number(inside(i))) }));
  }
});

const options = ["-d", at("brains"), "-p", "none", "--width", "2", "-b", "2", "--test-share", "0.2", "--lr", "0.05"];
const finetune = [...options, "--method", "finetune", "--patches-per-volume", "3", "--loss", "dice"];

describe("metalr train on volumes", () => {
  const folder = at("run");

  test("goes from data to Dice, and the same way after a stop", async () => {
    const whole = await run(["train", ...finetune, "-e", "3", "--out", at("whole")]);
    expect(whole.err).toBe("");
    expect(whole.code).toBe(0);
    expect(whole.out).toContain("10 volumes of 8×8×8 voxels, 1 channel, 2 classes (background, 1)");
    expect(whole.out).toContain("8 layer groups, loss dice");
    expect(whole.out).toMatch(/test images, epoch \d of 3 \(chosen on validation images\): mean Dice \d\.\d{4}/);
    expect(existsSync(at("whole/lr-curves-epochs.png"))).toBe(true);

    const stop = new AbortController();
    const stopped = await run(["train", ...finetune, "-e", "3", "--out", folder], {
      whenInterrupted: () => stop.signal,
      onOutput: (text) => {
        if (text.includes("epoch 2/3")) stop.abort();
      },
    });
    expect(stopped.code).toBe(130);
    expect((await run(["train", "--resume", folder])).code).toBe(0);
    const checkpoint = (path: string) => readFileSync(join(path, "checkpoints/last.safetensors"));
    expect(checkpoint(folder).equals(checkpoint(at("whole")))).toBe(true);
  });

  test("evaluates other volumes, and writes label volumes and the network", async () => {
    const json = await run(["evaluate", at("whole"), "--json"]);
    const { runs } = JSON.parse(json.out) as { runs: { evaluation: { dice: { volumes: { name: string }[] } } }[] }; // evaluate's own
    expect(runs[0]?.evaluation.dice.volumes).toHaveLength(2);
    expect((await run(["evaluate", at("whole"), "--part", "all"])).out).toContain("Dice of 10 volumes");

    const predicted = await run(["predict", at("whole"), at("brains/images"), "-o", at("masks")]);
    expect(predicted.out.split("\n").slice(0, 1)).toEqual(["volume,1 (voxels),1 (ml)"]);
    expect(predicted.out.trimEnd().split("\n")).toHaveLength(11);
    expect(existsSync(at("masks/scan9.nii.gz"))).toBe(true);
    expect((await run(["evaluate", at("whole"), "-d", at("brains")])).code).toBe(0);
    expect((await run(["export", at("whole"), "--onnx", at("out.onnx")])).code).toBe(0);
    expect(existsSync(at("out.onnx"))).toBe(true);
    expect((await run(["predict", at("whole"), at("brains/images")])).err).toContain(
      "--out: has to name a folder: the run is a segmentation, and its label volumes go there",
    );
  });

  test("slices train the network for images; the patch has its two axes", async () => {
    const args = ["train", ...options, "--method", "metalr", "--model", "unet2d", "--patch-size", "8", "-e", "1"];
    const { out, code } = await run([...args, "--select", "last", "--out", at("slices")]);
    expect(code).toBe(0);
    expect(out).toContain("unet2d");
    const { options: stored } = JSON.parse(readFileSync(at("slices/run.json"), "utf8")) as {
      options: { transforms: { train: { size: number[] } } };
    }; // run.json's own form
    expect(stored.transforms.train.size).toEqual([8, 8]);
  });

  test("an .onnx network for volumes trains the same way", async () => {
    const { out, code, err } = await run([
      ...["train", "-d", at("brains"), "-p", "fixtures/zoo/unet3d/model.onnx", "--replace-head"],
      ...["--method", "metalr", "--test-share", "0.2", "-b", "4", "-e", "1", "--select", "last", "--out", at("onnx")],
    ]);
    expect([err, code]).toEqual(["", 0]);
    expect(out).toContain("mean Dice");
  });
});

test.each([
  [["--patch-size", "12"], "unet3d: cannot halve the image three times"],
  [["--image-size", "64"], "--image-size: has no meaning for volumes and images with a class for every voxel or pixel"],
  [
    ["--patch-size", "8x"],
    '--patch-size: must be voxels such as 64, 64x64 or 32x48x32 (depth x height x width), got "8x"',
  ],
  [["--patch-size", "8x8"], "patch size: does not fit unet3d"],
  [
    ["--model", "resnet18"],
    "resnet18: is a network for classification, and the data have a class for every pixel or voxel",
  ],
])("%j is refused", async (more, message) => {
  const folder = at(`refused-${more.join("").replace(/\W/g, "")}`);
  const { code, err } = await run(["train", ...options, "--method", "finetune", ...more, "--out", folder]);
  expect(code).toBeGreaterThan(0);
  expect(err).toContain(message);
  expect(existsSync(folder)).toBe(false);
});

test("compare says that it is for images of one class, and leaves nothing behind", async () => {
  const { code, err } = await run([
    "compare",
    "-d",
    at("brains"),
    "-p",
    "none",
    "--methods",
    "finetune",
    "--out",
    at("compare"),
  ]);
  expect(code).toBeGreaterThan(0);
  expect(err).toContain("has a class for every voxel or pixel, and compare is for images of one class yet");
  expect(existsSync(at("compare"))).toBe(false);
});
