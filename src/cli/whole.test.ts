/** @file From data to a report through the command line: train, stop, resume, evaluate, predict, inspect, plot, export. */
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { Tensor } from "../common/tensor.js";
import { writeNpz } from "../formats/npz.js";
import { encodeGreyPng } from "../formats/png.js";
import { readSafetensors } from "../formats/safetensors.js";
import { decodeOnnx } from "../onnx/decode.js";
import { nodePlatform } from "../platform/node/index.js";
import { type Outcome, run } from "./host.testing.js";

const folder = mkdtempSync(join(tmpdir(), "metalr-whole-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));
const at = (name: string) => join(folder, name);
/** Paths and times of this machine out of a text. */
const plain = (text: string) =>
  text
    .replaceAll(`${folder}/`, "")
    .replace(/\d+(\.\d+)? s\b/g, "T s")
    .replace(/\S+ images\/s/g, "N images/s");

const weights = "fixtures/golden/resnet-w8/init.pth";
const uint8 = (shape: readonly number[], f: (i: number) => number): Tensor => ({
  dtype: "uint8",
  shape,
  data: Uint8Array.from({ length: shape.reduce((n, d) => n * d, 1) }, (_, i) => f(i)),
});
/** Images 12×12 whose brightness tells the class. */
const images = (n: number) =>
  uint8([n, 12, 12], (i) => 20 + 90 * (Math.floor(i / 144) % 3) + (((i * 2654435761) >>> 13) % 40));
const labels = (n: number) => uint8([n], (i) => i % 3);

const base = ["-p", weights, "--image-size", "12", "-b", "8", "--threads", "1"];

function writeData(): void {
  const parts = [
    ["train", 18],
    ["val", 9],
    ["test", 9],
  ] as const;
  const arrays = parts.flatMap(
    ([part, n]) =>
      [
        [`${part}_images`, images(n)],
        [`${part}_labels`, labels(n)],
      ] as const,
  );
  writeFileSync(at("official.npz"), writeNpz(new Map<string, Tensor>(arrays)));
  const folds = new Map<string, Tensor>([
    ["images", images(30)],
    ["labels", labels(30)],
    ["fold", uint8([30], (i) => Math.floor(i / 6))],
  ]);
  writeFileSync(at("folds.npz"), writeNpz(folds));
  mkdirSync(at("new patients"));
  for (const [n, name] of ["a.png", 'b, "left".png'].entries()) {
    writeFileSync(join(at("new patients"), name), encodeGreyPng(new Uint8Array(144).fill(20 + 90 * n), 12, 12));
  }
}

describe("one run", () => {
  let trained: Outcome;
  const out = at("run");
  beforeAll(async () => {
    writeData();
    trained = await run(["train", "-d", at("official.npz"), ...base, "--max_epoch", "2", "--out", out]);
  }, 300_000);

  test("train says what it does, how good it is, how the epoch was chosen, and one next step", () => {
    expect({ code: trained.code, err: trained.err }).toEqual({ code: 0, err: "" });
    const text = plain(trained.out);
    expect(text).toMatch(/^data {6}official\.npz: 36 grey images 12×12, 3 classes \(0 12, 1 12, 2 12\)\n/);
    expect(text).toContain("\nepoch 1/2  step 2/3  loss ");
    expect(text).toMatch(/\nepoch 2\/2 {2}train loss \S+, accuracy \S+ % {2}\| {2}validation loss /);
    expect(text).toMatch(/\ntruth \\ predicted +0 +1 +2\n/);
    expect(text).toMatch(/\nclass +precision +recall +images\n/);
    expect(text).toMatch(/\ntotal accuracy \d\.\d{4} \(\d of 9\), balanced \d\.\d{4}, macro AUC \d\.\d{4}, loss /);
    expect(text).toMatch(/\ntest images, epoch \d of 2 \(chosen on validation images\): accuracy /);
    expect(text.endsWith("\nNext: open run/report.html\n")).toBe(true);
    for (const file of ["run.json", "report.html", "model.onnx", "lr-curves.svg", "lr-curves.png", "tb"]) {
      expect(existsSync(join(out, file)), file).toBe(true);
    }
  });

  test("the run record has the command line and its arguments", () => {
    const info = JSON.parse(readFileSync(join(out, "run.json"), "utf8")) as Record<string, unknown>;
    expect(info["command"]).toBe(`metalr train -d ${at("official.npz")} ${base.join(" ")} --max-epoch 2 --out ${out}`);
    expect(info["versions"]).toMatchObject({ metalr: "1.2.3" });
  });

  test("evaluate finds the run's own test images, and says the same as train", async () => {
    const { code, out: text, err } = await run(["evaluate", out, "--threads", "1"]);
    expect({ code, err }).toEqual({ code: 0, err: "" });
    expect(plain(text)).toMatch(/^run, epoch \d: the test images of official\.npz\n/);
    const total = /total accuracy .*/.exec(text)?.[0] ?? "nothing";
    expect(trained.out).toContain(total);
  });

  test("evaluate --json is JSON alone", async () => {
    const { out: text } = await run(["evaluate", out, "--part", "all", "--json"]);
    expect(JSON.parse(text)).toMatchObject({
      data: "official.npz",
      classes: ["0", "1", "2"],
      runs: [{ run: out, part: "all", evaluation: { count: 36 } }],
    });
  });

  test("predict writes a row for every image, quoted as RFC 4180 says", async () => {
    const csv = at("out.csv");
    const { code, out: text, err } = await run(["predict", out, at("new patients"), "-o", csv]);
    expect({ code, text, err }).toEqual({ code: 0, text: "", err: `2 images predicted: ${csv}\n` });
    const lines = readFileSync(csv, "utf8").trimEnd().split("\n");
    expect(lines[0]).toBe("image,predicted,0,1,2");
    expect(lines).toHaveLength(3);
    expect(lines[1]).toMatch(/^[^"]*new patients\/a\.png,[012],\d\.\d{6},\d\.\d{6},\d\.\d{6}$/);
    expect(lines[2]).toMatch(/^"[^,]*new patients\/b, ""left""\.png",[012],/);
    for (const line of lines.slice(1)) {
      const sum = line
        .split(",")
        .slice(-3)
        .reduce((s, p) => s + Number(p), 0);
      expect(sum).toBeCloseTo(1, 5);
    }
  });

  test("predict prints the CSV where no file is named, also of a data set", async () => {
    const { out: text } = await run(["predict", out, at("official.npz")]);
    expect(text.split("\n")[1]).toMatch(/^"train, image 0",/);
    expect(text.trimEnd().split("\n")).toHaveLength(37);
  });

  test("inspect tells runs, data, weights, models and pictures by their content", async () => {
    const paths = [
      out,
      at("folds.npz"),
      weights,
      join(out, "model.onnx"),
      join(out, "checkpoints/last.safetensors"),
      join(out, "lr-curves.png"),
    ];
    const { code, out: json } = await run(["inspect", "--json", "--groups", ...paths]);
    expect(code).toBe(0);
    const found = JSON.parse(json) as Record<string, unknown>[];
    expect(found.map((f) => f["kind"])).toEqual(["run", "data", "weights", "onnx", "weights", "image"]);
    expect(found[0]).toMatchObject({ state: "finished", epoch: 2 });
    expect(found[1]).toMatchObject({
      images: 30,
      division: "folds",
      parts: [{ name: "fold 1", images: 6, classes: [2, 2, 2] }, {}, {}, {}, {}],
    });
    expect(found[2]).toMatchObject({ network: { architecture: "resnet18", width: 8, channels: 3, classes: 3 } });
    expect(found[2]?.["groups"]).toContainEqual(expect.objectContaining({ name: "layer4.1" }));
  });

  test("inspect in words", async () => {
    const { out: text } = await run(["inspect", at("folds.npz")]);
    expect(
      plain(text).replace(/fingerprint \w+/, "fingerprint F"),
    ).toBe(`folds.npz: a data set of 30 grey images of 12×12, uint8, 3 classes, 5 folds
  fingerprint F

part     0   1   2  images
fold 1   2   2   2       6
fold 2   2   2   2       6
fold 3   2   2   2       6
fold 4   2   2   2       6
fold 5   2   2   2       6
all     10  10  10      30
`);
  });

  test("inspect of what is nothing that is read here", async () => {
    writeFileSync(at("notes.txt"), "a, b and c");
    expect(plain((await run(["inspect", at("notes.txt")])).err)).toBe(`notes.txt: is nothing that is read here
  expected a data set (pickle, npz, zip, folder, CSV), weights (.pth, .safetensors), an ONNX model, an image, or a run folder
  got      text
`);
  });

  test("plot draws again, into one file that is named", async () => {
    const { code, out: text } = await run([
      "plot",
      out,
      "--what",
      "loss",
      "-o",
      at("pictures/figure.svg"),
      "--title",
      "Loss & more",
    ]);
    expect({ code, text }).toEqual({ code: 0, text: `${at("pictures/figure.svg")}\n` });
    expect(readFileSync(at("pictures/figure.svg"), "utf8")).toContain("Loss &amp; more");
  });

  test("export writes what other programs read", async () => {
    const [onnx, tensors, step] = [at("m.onnx"), at("m.safetensors"), at("step.onnx")];
    const { code } = await run([
      "export",
      out,
      "--onnx",
      onnx,
      "--safetensors",
      tensors,
      "--step",
      step,
      "--step-batch",
      "4",
    ]);
    expect(code).toBe(0);
    expect((await decodeOnnx(readFileSync(onnx), onnx)).graph.inputs[0]?.shape).toEqual(["N", 3, 12, 12]);
    const source = await nodePlatform.files.open(tensors);
    expect((await readSafetensors(source)).tensors.get("conv1.weight")?.shape).toEqual([8, 3, 7, 7]);
    await source.close();
    const graph = (await decodeOnnx(readFileSync(step), step)).graph;
    expect(graph.inputs.map((i) => i.name)).toEqual(expect.arrayContaining(["train/x", "validation/x", "state/lr"]));
    expect(graph.outputs.map((o) => o.name)).toEqual(expect.arrayContaining(["report/hypergradient", "next/lr"]));
  });
});

test("folds: Ctrl-C stops after the step under way, --resume goes on, the table has every fold and all pooled", {
  timeout: 300_000,
}, async () => {
  const out = at("folds");
  const stop = new AbortController();
  let tell = () => {};
  const argv = [
    "train",
    "-d",
    at("folds.npz"),
    ...base,
    "-e",
    "2",
    "--log-interval",
    "1",
    "--folds",
    "1,3-4",
    "--out",
    out,
  ];
  const stopped = await run(argv, {
    whenInterrupted: (f) => {
      tell = f;
      return stop.signal;
    },
    onOutput(text) {
      if (!/ step +1\//.test(text)) return;
      tell();
      stop.abort();
    },
  });
  expect({ code: stopped.code, err: stopped.err }).toEqual({ code: 130, err: "" });
  expect(plain(stopped.out)).toContain("Stopping after the step under way … (Ctrl-C again stops at once)\n");
  expect(plain(stopped.out)).toMatch(
    /Stopped; everything so far is kept\. Continue with:\n {2}metalr train --resume folds\n$/,
  );
  expect(existsSync(join(out, "fold-3"))).toBe(false);

  const resumed = await run(["train", "--resume", out]);
  expect({ code: resumed.code, err: resumed.err }).toEqual({ code: 0, err: "" });
  const text = plain(resumed.out);
  expect(text).toMatch(/\nfold-1 {2}continues after step \d of 6\n/);
  expect(text).toContain("\nfold-4: 18 training images, 6 validation, 6 test\n");
  expect(text).toContain("\nAll test images of 3 folds, the epoch of each fold chosen on validation images:\n");
  expect(text).toMatch(/\nfold-4: test images, epoch \d of 2 \(chosen on validation images\)\n/);
  const rows = /fold-1 +\d\/2 .*\nfold-3 +\d\/2 .*\nfold-4 +\d\/2 .*\nmean ± deviation .*\npooled /.source;
  expect(text).toMatch(new RegExp(`\nselected epoch +epoch +accuracy .*\n${rows}`));
  // The last epochs have a table of their own where they are not the ones that count.
  const alike = !/\nfold-\d +1\/2 /.test(text);
  expect(new RegExp(`\nlast epoch +epoch +accuracy .*\n${rows}`).test(text)).toBe(!alike);
  expect(text.endsWith("\nNext: open folds/report.html\n")).toBe(true);
  expect(existsSync(join(out, "summary.json"))).toBe(true);

  expect((await run(["train", "--resume", join(out, "fold-3")])).err).toBe(
    `${out}/fold-3: is one fold of a cross-validation\n  hint     continue all of it: metalr train --resume ${out}\n`,
  );
  const overview = await run(["evaluate", out]);
  expect(plain(overview.out)).toMatch(
    /\nfolds\/fold-1 +\d +6 .*\nfolds\/fold-3 +\d +6 .*\nfolds\/fold-4 +\d +6 .*\npooled +18 /,
  );
});
