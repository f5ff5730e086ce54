/** @file Networks from ONNX files through the command line: trained with a new head, exported, and run by ONNX Runtime as they lie there. */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { InferenceSession, Tensor as OrtTensor } from "onnxruntime-node";
import { afterAll, describe, expect, test } from "vitest";
import type { Tensor } from "../common/tensor.js";
import { writeNpz } from "../formats/npz.js";
import { decodeOnnx } from "../onnx/decode.js";
import { run } from "./host.testing.js";

const folder = mkdtempSync(join(tmpdir(), "metalr-onnx-cli-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));
const at = (name: string) => join(folder, name);

/** Grey images of the network's own size, so that nothing is resized. */
const pixel = (image: number, at: number): number => ((image % 2) * 90 + ((at * 7 + image * 13) % 97)) % 256;
function images(size: number, counts: Readonly<Record<string, number>>): Uint8Array {
  const arrays: [string, Tensor][] = [];
  for (const [part, n] of Object.entries(counts)) {
    const data = Uint8Array.from({ length: n * size * size }, (_, i) =>
      pixel(Math.floor(i / (size * size)), i % (size * size)),
    );
    arrays.push([`${part}_images`, { dtype: "uint8", shape: [n, size, size], data }]);
    arrays.push([
      `${part}_labels`,
      { dtype: "uint8", shape: [n, 1], data: Uint8Array.from({ length: n }, (_, i) => i % 2) },
    ]);
  }
  return writeNpz(new Map(arrays));
}

/** Probabilities of the images of a part, by ONNX Runtime alone; pixels as the file's own metadata say. */
async function probabilities(file: string, size: number, count: number): Promise<number[][]> {
  const bytes = readFileSync(file);
  const { metadata } = await decodeOnnx(Uint8Array.from(bytes), file);
  const { mean, std } = JSON.parse(metadata.get("normalization") ?? "{}") as { mean: number[]; std: number[] }; // as it is exported
  const channels = Number(metadata.get("channels"));
  const pixels = size * size;
  const x = Float32Array.from({ length: count * channels * pixels }, (_, i) => {
    const [image, c] = [Math.floor(i / (channels * pixels)), Math.floor(i / pixels) % channels];
    return (pixel(image, i % pixels) / 255 - (mean[c % mean.length] ?? 0)) / (std[c % std.length] ?? 1);
  });
  const session = await InferenceSession.create(bytes, { logSeverityLevel: 4, intraOpNumThreads: 1 });
  const { logits } = await session.run({ x: new OrtTensor("float32", x, [count, channels, size, size]) });
  await session.release();
  const values = Array.from(logits?.data as ArrayLike<number>); // float32 in, float32 out
  const classes = values.length / count;
  const rows = Array.from({ length: count }, (_, i) => values.slice(i * classes, (i + 1) * classes));
  return rows.map((row) => {
    const e = row.map((v) => Math.exp(v - Math.max(...row)));
    return e.map((v) => v / e.reduce((a, b) => a + b));
  });
}

describe.each([
  ["mobilenetv2-narrow", 64],
  ["vit-tiny", 32],
])("%s", { timeout: 120_000 }, (name, size) => {
  const data = at(`${name}.npz`);
  writeFileSync(data, images(size, { train: 16, val: 8, test: 6 }));
  const out = at(`run-${name}`);
  const trained = run([
    ...["train", "-d", data, "-p", `fixtures/zoo/${name}/model.onnx`, "--replace-head"],
    ...["-e", "1", "-b", "8", "--workers", "0", "--out", out],
  ]);

  test("is fine-tuned by MetaLR for two classes", async () => {
    const { code, err } = await trained;
    expect({ code, err }).toEqual({ code: 0, err: "" });
  });

  test.each([
    ["as it is", []],
    ["with batch norm folded", ["--fold-batch-norm"]],
  ])("exported %s and run by ONNX Runtime in one batch, it predicts what the run predicts", async (_, flags) => {
    await trained;
    const file = at(`${name}${flags.length}.onnx`);
    expect((await run(["export", out, "--onnx", file, ...flags])).err).toBe("");
    const { graph } = await decodeOnnx(Uint8Array.from(readFileSync(file)), file);
    expect(graph.nodes.some((n) => n.opType === "BatchNormalization")).toBe(name.startsWith("mobile") && !flags.length);
    const csv = (await run(["predict", out, data])).out;
    const rows = csv.split("\n").filter((line) => line.startsWith('"test, image'));
    const theirs = await probabilities(file, size, rows.length);
    expect(rows).toHaveLength(6);
    rows.forEach((row, i) => {
      const [predicted, ...p] = row.split('",')[1]?.split(",").map(Number) ?? [];
      expect(p).toHaveLength(2);
      p.forEach((v, k) => {
        expect(v).toBeCloseTo(theirs[i]?.[k] ?? Number.NaN, 4);
      });
      expect(predicted).toBe(theirs[i]?.indexOf(Math.max(...(theirs[i] ?? []))));
    });
  });

  test("the export is a network to train again: the same groups, and no batch norm where it was folded", async () => {
    await trained;
    const groups = async (file: string) => {
      const { out: text } = await run(["inspect", "--groups", "--json", file]);
      return (JSON.parse(text) as [{ groups: { name: string }[] }])[0].groups.map((g) => g.name); // as inspect writes it
    };
    const [plain, folded] = [at(`${name}-plain.onnx`), at(`${name}-folded.onnx`)];
    await run(["export", out, "--onnx", plain]);
    await run(["export", out, "--onnx", folded, "--fold-batch-norm"]);
    const original = await groups(`fixtures/zoo/${name}/model.onnx`);
    expect(await groups(plain)).toEqual(original);
    expect(await groups(folded)).toEqual(original);
    const again = await run([
      ...["train", "-d", data, "-p", folded, "-e", "1", "-b", "8", "--workers", "0", "--out", at(`again-${name}`)],
    ]);
    expect({ code: again.code, err: again.err }).toEqual({ code: 0, err: "" });
  });
});

test("inspect says which initializers are trained, and why", async () => {
  const { out } = await run(["inspect", "fixtures/zoo/mobilenetv2-narrow/model.onnx"]);
  expect(out.split("\n").slice(5, 12).join("\n")).toMatchInlineSnapshot(`
    "  parameters          158 tensors, 79539 numbers
        52 × weight or bias of Conv: features.0.0.weight, features.1.conv.0.0.weight, features.1.conv.1.weight, and 49 more
        104 × weight or bias of BatchNormalization: features.0.1.weight, features.0.1.bias, features.1.conv.0.1.weight, and 101 more
        2 × weight or bias of Gemm: classifier.1.weight, classifier.1.bias
      running statistics  104 tensors, 6280 numbers
        104 × running mean or variance of a BatchNormalization: features.0.1.running_mean, features.0.1.running_var, features.1.conv.0.1.running_mean, and 101 more
      constants           0 tensors, 0 numbers"
  `);
  const { out: json } = await run(["inspect", "--json", "fixtures/zoo/mobilenetv2-narrow/model.onnx"]);
  const [facts] = JSON.parse(json) as [{ initializers: unknown[] }]; // as inspect writes it
  expect(facts.initializers[0]).toEqual({
    name: "features.0.0.weight",
    role: "parameter",
    reason: "weight or bias of Conv",
    shape: [4, 3, 3, 3],
  });
});
