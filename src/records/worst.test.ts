/** @file Facts of the worst images: their order, their probabilities, and predictions that are none. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { afterEach, beforeEach, expect, test } from "vitest";
import type { Tensor } from "../common/tensor.js";
import { nodeFiles } from "../platform/node/files.js";
import { join, writeTensors } from "./files.js";
import { worstImages } from "./worst.js";

let folder: string;
beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), "metalr-worst-"));
  await nodeFiles.makeFolder(join(folder, "predictions"));
});
afterEach(() => rmSync(folder, { recursive: true }));

/** Writes logits [n, 2] with labels, and the indices 10, 20, 30 … */
async function write(
  name: string,
  rows: readonly (readonly [number, number])[],
  labels: readonly number[],
  about = {},
) {
  const tensors = new Map<string, Tensor>([
    ["logits", { dtype: "float32", shape: [rows.length, 2], data: Float32Array.from(rows.flat()) }],
    ["labels", { dtype: "uint32", shape: [rows.length], data: Uint32Array.from(labels) }],
    ["indices", { dtype: "uint32", shape: [rows.length], data: Uint32Array.from(labels, (_, i) => 10 * (i + 1)) }],
  ]);
  await writeTensors(nodeFiles, join(folder, `predictions/${name}.safetensors`), tensors, about);
}

const ln3 = Math.log(3);

test("the least probability of the true class comes first", async () => {
  await write(
    "epoch",
    [
      [ln3, 0], // p = 3/4 for class 0, which is true
      [0, ln3], // p = 1/4 for class 0, which is true
      [0, 2 * ln3], // p = 1/10 for class 0, which is true
      [0, 2 * ln3], // the same for class 1, which is true
    ],
    [0, 0, 0, 1],
    { part: "validation", epoch: "3" },
  );
  const worst = await worstImages(nodeFiles, folder, 3);
  expect(worst).toMatchObject({ part: "validation", epoch: 3, count: 4, wrong: 2 });
  expect(worst?.images.map((i) => i.index)).toEqual([30, 20, 10]);
  expect(worst?.images[0]).toMatchObject({ truth: 0, predicted: 1 });
  expect(worst?.images[0]?.probabilities[0]).toBeCloseTo(0.1, 6);
  expect(worst?.images[1]?.probabilities[1]).toBeCloseTo(0.75, 6);
});

test("after the end they are the test images of the selected epoch", async () => {
  await write("epoch", [[0, 1]], [0], { part: "validation", epoch: "9" });
  await write("selected", [[2, 1]], [1], { part: "test", epoch: "4" });
  expect(await worstImages(nodeFiles, folder)).toMatchObject({ part: "test", epoch: 4, count: 1, wrong: 1 });
});

test("a logit that is no number is the worst of all", async () => {
  await write(
    "epoch",
    [
      [0, 9],
      [Number.NaN, 0],
    ],
    [0, 1],
  );
  const worst = await worstImages(nodeFiles, folder);
  expect(worst?.images.map((i) => i.index)).toEqual([20, 10]);
  expect(worst).toMatchObject({ part: "test", epoch: null, wrong: 2 });
});

test("nothing, or another form: null", async () => {
  expect(await worstImages(nodeFiles, folder)).toBeNull();
  await write("epoch", [[0, 1]], [7]);
  expect(await worstImages(nodeFiles, folder)).toBeNull();
});
