/** @file Everything that can be wrong with what a user gives to `metalr train`: one clear message, exit code 1 or 2, nothing half-written. */
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, test } from "vitest";
import { FileError } from "../common/errors.js";
import type { Tensor } from "../common/tensor.js";
import { writeNpz } from "../formats/npz.js";
import { encodeGreyPng } from "../formats/png.js";
import { encodeSafetensors, readSafetensors } from "../formats/safetensors.js";
import { nodePlatform } from "../platform/node/index.js";
import type { FileSystem } from "../platform/types.js";
import { openWeights } from "../weights/index.js";
import { type Outcome, run } from "./host.testing.js";

const folder = mkdtempSync(join(tmpdir(), "metalr-bad-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));
const at = (name: string) => join(folder, name);
const put = (name: string, content: string | Uint8Array): string => {
  writeFileSync(at(name), content);
  return at(name);
};

const golden = "fixtures/golden/resnet-w8/init.pth";
const uint8 = (shape: number[], f: (i: number) => number): Tensor => ({
  dtype: "uint8",
  shape,
  data: Uint8Array.from({ length: shape.reduce((n, d) => n * d, 1) }, (_, i) => f(i)),
});

/** 24 + 12 + 12 images of three classes that differ in brightness. */
function images(changes: Record<string, Tensor> = {}): Map<string, Tensor> {
  const arrays: Record<string, Tensor> = {};
  for (const [part, n] of [
    ["train", 24],
    ["val", 12],
    ["test", 12],
  ] as const) {
    arrays[`${part}_images`] = uint8([n, 16, 16], (i) => (80 * (Math.floor(i / 256) % 3) + ((i * 7) % 60)) % 256);
    arrays[`${part}_labels`] = uint8([n, 1], (i) => i % 3);
  }
  return new Map(Object.entries({ ...arrays, ...changes }));
}
const good = put("good.npz", writeNpz(images()));

const ascii = (text: string): number[] => [...text].map((c) => c.charCodeAt(0));

let runs = 0;
/** Trains two epochs of a narrow network; `out` must not exist afterwards unless something was trained. */
async function train(...argv: string[]): Promise<Outcome & { readonly out: string; readonly folder: string }> {
  const out = at(`run-${++runs}`);
  const base = ["-p", golden, "-e", "2", "-b", "8", "--image-size", "16", "--log-interval", "99"];
  return { ...(await run(["train", ...base, "--out", out, ...argv])), folder: out };
}

/** Everything that a refused command leaves behind: its message alone. */
async function refusal(...argv: string[]): Promise<string> {
  const { code, out, err, folder: written } = await train(...argv);
  expect({ code, out }).toEqual({ code: 1, out: "" });
  expect(err).not.toMatch(/\n\s+at /); // no stack trace
  expect(existsSync(written)).toBe(false);
  return err.trimEnd().replaceAll(`${folder}/`, "");
}

/** A zip with one stored member whose directory says, in zip64 fields, that it is `size` bytes large. */
function zip64(name: string, size: bigint): Uint8Array {
  const bytes: number[] = [];
  const put2 = (...values: number[]) => values.forEach((n) => void bytes.push(n & 255, n >> 8));
  const put4 = (...values: number[]) =>
    values.forEach((n) => void bytes.push(n & 255, (n >>> 8) & 255, (n >>> 16) & 255, n >>> 24));
  const put8 = (n: bigint) => put4(Number(n & 0xffffffffn), Number(n >> 32n));
  const text = ascii(name);
  put4(0x04034b50);
  put2(45, 0, 0, 0, 0);
  put4(0, 5, 5);
  put2(text.length, 0);
  bytes.push(...text, ...ascii("hello"));
  const directory = bytes.length;
  put4(0x02014b50);
  put2(45, 45, 0, 0, 0, 0);
  put4(0, 0xffffffff, 0xffffffff);
  put2(text.length, 20, 0, 0, 0);
  put4(0, 0);
  bytes.push(...text);
  put2(1, 16);
  put8(size); // in full
  put8(5n); // stored
  const length = bytes.length - directory;
  put4(0x06054b50);
  put2(0, 0, 1, 1);
  put4(length, directory);
  put2(0);
  return Uint8Array.from(bytes);
}

describe("data", () => {
  test("a file that is missing", async () => {
    expect(await refusal("-d", at("nothing.npz"))).toBe("nothing.npz: does not exist\n  hint     check the path");
  });

  test("an empty file", async () => {
    expect(await refusal("-d", put("empty.npz", ""))).toBe(
      "empty.npz: is empty\n  expected a file with content\n  got      0 bytes\n  hint     copy or download it again",
    );
  });

  test("a truncated file", async () => {
    expect(await refusal("-d", put("cut.npz", readFileSync(good).subarray(0, 5000)))).toMatchInlineSnapshot(`
      "cut.npz: the zip archive is truncated: its directory, which comes last, is missing
        got      5,000 bytes
        hint     copy or download the file again"
    `);
  });

  test("a file of another kind", async () => {
    expect(await refusal("-d", put("scan.npz", encodeGreyPng(new Uint8Array(4), 2, 2)))).toBe(
      `scan.npz: is not a data set that is read here
  expected a pickle of (X, y), .npz, a zip of these, a folder of images or DICOM files, or a CSV with path,label
  got      a PNG image`,
    );
  });

  test("images of a shape that makes no sense", async () => {
    const wrong = put("shape.npz", writeNpz(images({ train_images: uint8([24, 16], () => 0) })));
    expect(await refusal("-d", wrong)).toMatchInlineSnapshot(`
      "shape.npz: train_images: images have the wrong shape
        expected [n,H,W], [n,H,W,3], [n,3,H,W], or volumes [n,D,H,W]
        got      [24,16]"
    `);
  });

  test("more images than labels", async () => {
    const wrong = put("count.npz", writeNpz(images({ train_labels: uint8([23], (i) => i % 3) })));
    expect(await refusal("-d", wrong)).toMatchInlineSnapshot(`
      "count.npz: train_labels: numbers of images and labels differ
        expected 24 labels, one for each image
        got      23 labels"
    `);
  });

  test("labels outside the classes", async () => {
    const wrong = put("labels.npz", writeNpz(images({ train_labels: uint8([24], (i) => (i === 7 ? 200 : i % 3)) })));
    expect(await refusal("-d", wrong)).toMatchInlineSnapshot(`
      "labels.npz: train, image 7: label is outside the classes
        expected 0 to 47 (there are 48 images)
        got      200"
    `);
  });

  test("pixels that are not numbers", async () => {
    const data = new Float32Array(24 * 256).fill(0.5);
    data[3 * 256 + 9] = Number.NaN;
    const wrong = put("nan.npz", writeNpz(images({ train_images: { dtype: "float32", shape: [24, 16, 16], data } })));
    expect(await refusal("-d", wrong)).toMatchInlineSnapshot(`
      "nan.npz: train_images: pixel is not a finite number
        got      NaN in image 3
        hint     remove the image or repair its pixels"
    `);
  });

  test("a pickle that names a forbidden global", async () => {
    const wrong = put("evil.pkl", Uint8Array.from([0x80, 2, ...ascii("cposix\nsystem\n(S'id'\ntR.")]));
    expect(await refusal("-d", wrong)).toMatchInlineSnapshot(`
      "evil.pkl: refused "posix.system"
        expected a pickle of plain data: arrays, lists, dictionaries, numbers and text
        got      one that asks for this name at byte 16
        hint     do not load it in Python either unless you trust where it comes from"
    `);
  });

  test("a zip that claims a terabyte", async () => {
    expect(await refusal("-d", put("bomb.zip", zip64("data.pkl", 2n ** 40n)))).toMatchInlineSnapshot(`
      "bomb.zip (data.pkl): claims to be larger than it can be
        expected at most 5 bytes from 5 stored ones
        got      1,099,511,627,776 bytes"
    `);
  });

  test("a missing part of a split zip", async () => {
    put("parts.zip.001", readFileSync(good).subarray(0, 4000));
    put("parts.zip.003", readFileSync(good).subarray(8000));
    expect(await refusal("-d", at("parts.zip.001"))).toMatchInlineSnapshot(`
      "parts.zip.001: part parts.zip.002 is missing
        expected parts.zip.001 to parts.zip.003 in one folder
        got      2 of 3 parts
        hint     copy or download the missing part into the same folder"
    `);
  });

  test("volumes", async () => {
    const wrong = put(
      "volumes.npz",
      writeNpz(
        new Map([
          ["train_images", uint8([6, 8, 8, 8], (i) => i % 250)],
          ["train_labels", uint8([6], (i) => i % 2)],
        ]),
      ),
    );
    expect(await refusal("-d", wrong)).toBe(
      `volumes.npz: holds volumes, and networks for classification take images
  expected images [n,H,W] or [n,3,H,W]
  got      volumes of depth 8
  hint     cut the volumes into slices and save these as images`,
    );
  });
});

describe("weights", () => {
  test("of another network", async () => {
    expect(await refusal("-d", good, "--model", "resnet34")).toMatchInlineSnapshot(`
      "fixtures/golden/resnet-w8/init.pth: the weights do not fit resnet34: 60 of the 108 parameters before its last layer have their name and shape
        expected "layer1.2.conv1.weight" [8,8,3,3]
        got      "layer2.0.conv1.weight" [16,8,3,3] in its place
        hint     choose the network that they belong to with --model; \`metalr inspect FILE\` lists names and shapes"
    `);
  });

  test("of another kind of file", async () => {
    expect(await refusal("-d", good, "-p", good.replace("good.npz", "scan.npz"))).toBe(
      `scan.npz: is not a checkpoint
  expected PyTorch (.pth, .pt, .th), safetensors or npz
  got      a PNG image
  hint     save the weights with torch.save(model.state_dict(), path)`,
    );
  });

  test("truncated", async () => {
    expect(
      await refusal("-d", good, "-p", put("cut.pth", readFileSync(golden).subarray(0, 90_000))),
    ).toMatchInlineSnapshot(`
      "cut.pth: the zip archive is truncated: its directory, which comes last, is missing
        got      90,000 bytes
        hint     copy or download the file again"
    `);
  });

  test("a pickle that names a forbidden global", async () => {
    // Before version 1.6 torch.save wrote a number, its version, and facts of the system; then the object.
    const magic = [0x80, 2, 0x8a, 10, 0x6c, 0xfc, 0x9c, 0x46, 0xf9, 0x20, 0x6a, 0xa8, 0x50, 0x19, 0x2e];
    const version = [0x80, 2, 0x4d, 0xe9, 3, 0x2e];
    const system = [0x80, 2, ...ascii("}(X\r\0\0\0little_endian"), 0x88, ...ascii("u.")];
    const evil = [0x80, 2, ...ascii("cposix\nsystem\n(S'id'\ntR.")];
    const legacy = put("evil.pth", Uint8Array.from([...magic, ...version, ...system, ...evil]));
    expect(await refusal("-d", good, "-p", legacy)).toMatchInlineSnapshot(`
      "evil.pth: refused "posix.system"
        expected a pickle of plain data: arrays, lists, dictionaries, numbers and text
        got      one that asks for this name at byte 62
        hint     do not load it in Python either unless you trust where it comes from"
    `);
  });

  test("that hold NaN", async () => {
    const { tensors } = await openWeights(golden, nodePlatform);
    const bad = new Map(tensors);
    const conv1 = tensors.get("conv1.weight");
    if (conv1?.dtype !== "float32") throw new Error("the golden network begins with conv1");
    bad.set("conv1.weight", { ...conv1, data: conv1.data.map((v, i) => (i === 5 ? Number.NaN : v)) });
    for (const [name, t] of bad) if (t.dtype === "int64") bad.delete(name);
    expect(await refusal("-d", good, "-p", put("nan.safetensors", encodeSafetensors(bad)))).toMatchInlineSnapshot(`
      "nan.safetensors: "conv1.weight" holds numbers that are not finite
        expected 1,176 finite numbers
        got      1 of them NaN or infinite
        hint     the training that wrote it has diverged; take an earlier checkpoint"
    `);
  });
});

describe("options", () => {
  test.each([
    [["-b", "0"], "--batch-size: must be a whole number ≥ 1, got 0"],
    [["--batch_size=0"], "--batch-size: must be a whole number ≥ 1, got 0"],
    [["-e", "0"], "--max-epoch: must be a whole number ≥ 1, got 0"],
    [["--lr", "-1"], "--lr: must be a number > 0, got -1"],
    [["--hyper_lr", "nan"], "--hyper-lr: must be a number ≥ 0, got nan"],
    [
      ["--model", "vgg"],
      "--model: must be one of resnet18, resnet34, resnet50, resnet20, resnet32, resnet44, resnet56, unet2d, unet3d, got vgg",
    ],
    [["--image-size", "4"], "--image-size: must be pixels from 8 to 4096, such as 64 or 96x128, got 4"],
    [["--mean", "0.5"], "--std: is missing: mean and deviation belong together"],
    [
      ["--mean", "0.5,0.5", "--std", "1,1"],
      "--mean and --std: must have one number, or one for each channel of the network's input\n  expected 1 or 3 (resnet18)\n  got      2",
    ],
    [
      ["--method", "finetune", "--hyper-lr", "0.2"],
      "--hyper-lr: has no meaning with --method finetune\n  hint     leave one of them out",
    ],
    [
      ["--optimizer", "sgd", "--adam-eps", "0.1"],
      "--adam-eps: has no meaning with --optimizer sgd\n  hint     leave one of them out",
    ],
    [["--folds", "2"], "--folds: the data are one run without folds\n  hint     leave --folds out to run everything"],
    [
      ["--resume", at("run-x"), "--lr", "0.1"],
      "--lr: has no meaning with --resume: the run goes on with the options it was started with\n  hint     only --device, --executor, --threads, --workers, --log-interval, --data, --pretrained-path may be given beside it",
    ],
  ])("%j", async (argv, message) => {
    const base = argv.includes("--resume") ? [] : ["-d", good, "-p", golden, "--out", at("usage")];
    expect(await run(["train", ...base, ...argv])).toEqual({ code: 2, out: "", err: `${message}\n` });
    expect(existsSync(at("usage"))).toBe(false);
  });
});

describe("while it trains", { timeout: 300_000 }, () => {
  test("a learning rate that makes the loss NaN", async () => {
    const {
      code,
      err,
      folder: written,
    } = await train("-d", good, "--method", "finetune", "--optimizer", "sgd", "--lr", "1e30");
    expect({ code, err }).toMatchInlineSnapshot(`
      {
        "code": 1,
        "err": "step 2 (epoch 1): the training loss is not a finite number
        got      NaN
        hint     use a smaller --lr; the last checkpoint is whole and can be resumed
      ",
      }
    `);
    expect(existsSync(join(written, "model.onnx"))).toBe(false);
  });

  test("no space left on the device: the checkpoint before stays whole, and the run goes on from it", async () => {
    const out = at("full");
    const full: FileSystem = {
      ...nodePlatform.files,
      async writeAtomic(path, bytes) {
        if (path.endsWith("last.safetensors") && existsSync(path)) {
          throw new FileError(path, {
            problem: "cannot be written: no space left on the device",
            hint: "free some space; files that were there before are unchanged",
          });
        }
        return nodePlatform.files.writeAtomic(path, bytes);
      },
    };
    const argv = ["train", "-d", good, "-p", golden, "-e", "2", "-b", "8", "--image-size", "16", "--out", out];
    const { code, err } = await run(argv, { platform: { ...nodePlatform, files: full } });
    expect({ code, err }).toEqual({
      code: 1,
      err: `${out}/checkpoints/last.safetensors: cannot be written: no space left on the device\n  hint     free some space; files that were there before are unchanged\n`,
    });
    const source = await nodePlatform.files.open(`${out}/checkpoints/last.safetensors`);
    expect((await readSafetensors(source)).metadata["progress"]).toContain('"epoch":1');
    await source.close();
    const resumed = await run(["train", "--resume", out]);
    expect({ code: resumed.code, err: resumed.err }).toEqual({ code: 0, err: "" });
    expect(resumed.out).toMatch(/continues after step 3 of 6/);
    expect(existsSync(join(out, "report.html"))).toBe(true);
  });

  test("a folder that already holds a run", async () => {
    const out = at("twice");
    const argv = ["train", "-d", good, "-p", golden, "-e", "1", "-b", "8", "--image-size", "16", "--out", out];
    expect((await run(argv)).code).toBe(0);
    const before = readFileSync(join(out, "events.jsonl"), "utf8");
    expect((await run(argv)).err).toBe(
      `${out}: already holds a run\n  hint     continue it with --resume, or choose another folder with --out\n`,
    );
    expect(readFileSync(join(out, "events.jsonl"), "utf8")).toBe(before);
  });
});

test("files where the released program has its own, and none there", async () => {
  const here = process.cwd();
  process.chdir(folder);
  try {
    expect(await run(["train"])).toEqual({
      code: 1,
      out: "",
      err: `data/pocus_data_all.pkl: does not exist, and -d names no other data
  expected data/pocus_data_all.pkl, .zip or .zip.001, as the repository of the paper (arXiv:2206.01408) has it
  hint     get the data from there, or give your own with -d PATH, or run metalr demo, which needs none
`,
    });
  } finally {
    process.chdir(here);
  }
});
