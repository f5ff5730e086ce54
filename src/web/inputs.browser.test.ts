/**
 * @file What a person brings to "Private fine-tune", in a real browser: .npz, DICOM, weights as .onnx and .safetensors are trained on
 * by MetaLR in WebAssembly as on Node, and what cannot be read is refused with the words of the command line.
 */
import { cpSync, existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import type { Page } from "playwright-core";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { Random } from "../common/random.js";
import type { Tensor } from "../common/tensor.js";
import { craft } from "../data/dicom/crafted.testing.js";
import { encoded } from "../data/dicom/encoded.testing.js";
import { writeNpz } from "../formats/npz.js";
import { encodeSafetensors } from "../formats/safetensors.js";
import { createModel } from "../models/index.js";
import { decodeOnnx } from "../onnx/decode.js";
import { encodeOnnx } from "../onnx/encode.js";
import { chromiumPath } from "../studio/server/browser.testing.js";
import {
  copyRun,
  drop,
  expectSameRates,
  fill,
  finished,
  type PrivateSite,
  pick,
  privateSite,
  problemOf,
  start,
  trainOnNode,
} from "./private.testing.js";

/** A few steps; sgd, because Adam divides small gradients by their own size, rounding and all. */
const values = { maxEpoch: "1", batchSize: "8", lr: "0.004", optimizer: "sgd", seed: "5", headWarmupEpochs: "1" };

const shared = "../shared/data";
const zoo = resolve("fixtures/zoo/resnet18-narrow/model.onnx");

/** Pictures of `side` × `side` in the keys of MedMNIST: brighter by class, and never two pixels alike. */
function medmnist(side: number, parts: Readonly<Record<"train" | "val" | "test", number>>): Uint8Array {
  const tensors = new Map<string, Tensor>();
  for (const [part, count] of Object.entries(parts)) {
    const random = new Random(3, part);
    const labels = Uint8Array.from({ length: count }, (_, i) => i % 2);
    const data = Uint8Array.from(
      { length: count * side * side },
      (_, i) => 60 * (labels[Math.floor(i / side ** 2)] ?? 0) + random.below(180),
    );
    tensors.set(`${part}_images`, { dtype: "uint8", shape: [count, side, side], data });
    tensors.set(`${part}_labels`, { dtype: "uint8", shape: [count, 1], data: labels });
  }
  return writeNpz(tensors, { compress: true });
}

/** One scan of 16 bits, 20 × 20, brighter by class. */
function scan(patient: number, level: number): Uint8Array {
  const random = new Random(4, "scan", patient);
  const pixels = Uint16Array.from({ length: 400 }, () => 1000 * level + random.below(2000));
  return craft({
    PatientID: `P-${patient}`,
    SOPInstanceUID: `1.2.${patient + 1}`,
    Rows: 20,
    Columns: 20,
    PixelData: new Uint8Array(pixels.buffer),
  });
}

/** Twelve patients in three folders: ten plain scans, and in the first two folders a compressed one. */
function writeScans(folder: string): void {
  for (const [c, name] of ["covid", "healthy", "pneumonia"].entries()) {
    mkdirSync(join(folder, name), { recursive: true });
    for (let k = 0; k < 8; k++) writeFileSync(join(folder, name, `${k}.dcm`), scan(8 * c + k, c));
  }
  const grey = encoded.filter((e) => e.name.endsWith("12 bits") && !e.lossy);
  for (const [k, { bytes }] of grey.entries()) writeFileSync(join(folder, "healthy", `compressed-${k}.dcm`), bytes);
}

describe.skipIf(chromiumPath === null)("in Chromium (skipped where there is none)", { timeout: 150_000 }, () => {
  const home = mkdtempSync(join(tmpdir(), "metalr-inputs-"));
  const file = (name: string, bytes: Uint8Array): string => {
    writeFileSync(join(home, name), bytes);
    return join(home, name);
  };
  let site: PrivateSite;
  beforeAll(async () => {
    site = await privateSite(home, chromiumPath ?? ""); // skipped where it is null
  });
  afterAll(async () => {
    await site?.close();
    rmSync(home, { recursive: true, force: true });
  });

  test("a dropped .npz with weights from .safetensors: rates as on Node", async () => {
    const data = file("pneumonia.npz", medmnist(16, { train: 24, val: 8, test: 8 }));
    const network = createModel("resnet20", { classes: 2, channels: 1, width: 2, seed: 9 });
    const weights = file("before.safetensors", encodeSafetensors(network.weights));
    const page = await site.open();
    await drop(page, "images", [data]);
    await page.getByText("pneumonia.npz: 40 images, 2 classes", { exact: true }).waitFor();
    await pick(page, "weights: files", [weights]);
    await page.getByText(/tensors taken from the weights/).waitFor();
    const options = { ...values, model: "resnet20", imageSize: "16" };
    await fill(page, options);
    await start(page);
    await finished(page);
    const mine = await copyRun(page, join(home, "npz-browser"));
    const { run } = await trainOnNode(join(home, "npz-node"), options, data, weights);
    expect(run.step).toBe(3);
    await expectSameRates(mine, run.folder);
    await page.close();
  });

  test("dropped DICOM in a folder for each class, plain and compressed, with a network from .onnx: rates as on Node", async () => {
    const data = join(home, "scans");
    writeScans(data);
    const page = await site.open();
    await drop(page, "images", [data]);
    await page.getByText("scans: 29 images, 3 classes, 25 groups (patients, videos)").waitFor();
    await drop(page, "weights", [zoo]);
    await page.getByText(/layer groups/).waitFor();
    await fill(page, values);
    await start(page);
    await finished(page);
    const mine = await copyRun(page, join(home, "dicom-browser"));
    const { run } = await trainOnNode(join(home, "dicom-node"), values, data, zoo);
    expect(run.step).toBeGreaterThan(1);
    await expectSameRates(mine, run.folder);
    await page.close();
  });
  test.skipIf(!existsSync(`${shared}/medmnist`))(
    "BreastMNIST as it is, where it lies beside the checkout",
    async () => {
      const data = resolve(`${shared}/medmnist/breastmnist.npz`);
      const page = await site.open();
      await drop(page, "images", [data]);
      await page.getByText("breastmnist.npz: 780 images, 2 classes", { exact: true }).waitFor();
      const options = { ...values, model: "resnet20", width: "2", imageSize: "16", batchSize: "64" };
      await fill(page, options);
      await start(page);
      await finished(page);
      const mine = await copyRun(page, join(home, "breast-browser"));
      const { run } = await trainOnNode(join(home, "breast-node"), options, data);
      expect(run.step).toBe(9);
      await expectSameRates(mine, run.folder);
      await page.close();
    },
  );

  test.skipIf(!existsSync(`${shared}/dicom`))(
    "real DICOM of many kinds, where it lies beside the checkout",
    async () => {
      const data = join(home, "real");
      for (const [name, like] of [
        ["enhanced", /^emri_small/],
        ["plain", /^(MR_small|CT_small|JLSL_16|color-pl|SC_rgb_jpeg|image_dfl)/],
      ] as const) {
        mkdirSync(join(data, name), { recursive: true });
        for (const f of readdirSync(`${shared}/dicom`).filter((f) => like.test(f)))
          cpSync(`${shared}/dicom/${f}`, join(data, name, f));
      }
      const page = await site.open();
      await drop(page, "images", [data]);
      await page.getByText("real: 40 images, 2 classes").waitFor();
      const options = { ...values, model: "resnet20", width: "2", imageSize: "16", batchSize: "12", folds: "2" };
      await fill(page, options);
      await start(page);
      await finished(page);
      const mine = await copyRun(page, join(home, "real-browser"));
      const { run } = await trainOnNode(join(home, "real-node"), options, data);
      expect(run.step).toBe(3);
      await expectSameRates(mine, run.folder);
      await page.close();
    },
  );

  describe("what cannot be read is refused, and says why", () => {
    let page: Page;
    const whole = medmnist(16, { train: 24, val: 8, test: 8 });
    const network = createModel("resnet20", { classes: 2, channels: 1, width: 2 });
    const says = (words: string) => expect.poll(() => problemOf(page), { timeout: 20_000 }).toBe(words);
    beforeAll(async () => {
      page = await site.open();
    });
    afterAll(() => page?.close());

    test(".npz cut off, or damaged inside", async () => {
      await pick(page, "images: files", [file("cut.npz", whole.subarray(0, 3000))]);
      await says(
        "cut.npz: the zip archive is truncated: its directory, which comes last, is missing\n" +
          "  got      3,000 bytes\n  hint     copy or download the file again",
      );
      const damaged = whole.map((v, i) => (i > 1000 && i < 1100 ? v ^ 0x55 : v));
      await pick(page, "images: files", [file("damaged.npz", damaged)]);
      await says(
        "damaged.npz (train_images.npy): is damaged: its checksum is wrong\n" +
          "  expected CRC-32 f02bc08f\n  got      ac23851e\n  hint     copy or download the file again",
      );
    });

    test("text under the name of .npz", async () => {
      await pick(page, "images: files", [file("text.npz", new TextEncoder().encode("images, labels"))]);
      await says(
        "text.npz: is not a data set that is read here\n" +
          "  expected a pickle of (X, y), .npz, a zip of these, a folder of images or DICOM files, or a CSV with path,label\n" +
          "  got      text",
      );
    });

    test("one DICOM file of a folder in an encoding that is not read", async () => {
      const data = join(home, "video");
      for (const [c, name] of ["a", "b"].entries()) {
        mkdirSync(join(data, name), { recursive: true });
        writeFileSync(join(data, name, "1.dcm"), scan(c, c));
      }
      writeFileSync(
        join(data, "b", "2.dcm"),
        craft({ SOPInstanceUID: "1.2.99" }, { syntax: "1.2.840.10008.1.2.4.102" }),
      );
      await drop(page, "images", [data]);
      await says(
        "video/b/2.dcm: (0002,0010) TransferSyntaxUID names an encoding that is not read\n" +
          "  got      MPEG-4 AVC/H.264 High Profile / Level 4.1 (1.2.840.10008.1.2.4.102)\n" +
          "  hint     convert the file to Explicit VR Little Endian, for example with dcmdjpeg or gdcmconv --raw",
      );
    });

    test(".onnx without a head for classes, and weights that are cut off", async () => {
      await pick(page, "images: files", [file("two.npz", whole)]);
      await page.getByText("two.npz: 40 images, 2 classes", { exact: true }).waitFor();
      const model = await decodeOnnx(readFileSync(zoo), zoo);
      const nodes = model.graph.nodes.filter((n) => n.opType !== "Gemm");
      const features = nodes.at(-1)?.outputs[0] ?? "";
      const outputs = [{ name: features, dtype: "float32", shape: null }] as const;
      const headless = encodeOnnx({ ...model, graph: { ...model.graph, nodes, outputs } });
      await drop(page, "weights", [file("features.onnx", headless)]);
      await says(
        "features.onnx: the model has another number of classes\n  expected 2 (the data)\n  got      64\n" +
          "  hint     --replace-head makes the last layer again for the classes of the data",
      );
      await page.evaluate("for (const d of document.querySelectorAll('details')) d.open = true");
      await page.locator("#option-replaceHead").check();
      await says(
        "features.onnx: the last layer cannot be made again for other classes\n" +
          '  expected one that is read for "/Flatten_output_0" alone\n' +
          "  got      layers that the rest of the network needs as they are\n" +
          "  hint     export the network with a last layer of its own, such as torch.nn.Linear(64, 2)",
      );
      await page.locator("#option-replaceHead").uncheck();
      await drop(page, "weights", [file("cut.onnx", readFileSync(zoo).subarray(0, 5000))]);
      await says("cut.onnx: not an ONNX model, or only a part of one\n  got      5000 bytes that do not decode");
      const weights = encodeSafetensors(network.weights);
      await drop(page, "weights", [file("cut.safetensors", weights.subarray(0, weights.length - 4))]);
      await says(
        "cut.safetensors: is truncated\n  expected 18,224 bytes of data\n  got      18,220\n" +
          "  hint     copy or download it again",
      );
    });
  });
});
