import { readdirSync } from "node:fs";
import { describe, expect, test } from "vitest";
import type { Tensor } from "../common/tensor.js";
import { openNpz } from "../formats/npz.js";
import { openOnnxModel } from "../models/open-onnx.js";
import { nodePlatform } from "../platform/node/index.js";
import { findNative } from "../platform/node/onednn.js";
import { nodeExecutor } from "../platform/node/onnxRuntime.js";
import { nativeExecutor } from "../runtime/onednn.js";
import { gradCheck } from "./gradcheck.js";

const zoo = new URL("../../fixtures/zoo/", import.meta.url).pathname;

async function readAll(path: string): Promise<Map<string, Tensor>> {
  const file = await openNpz(await nodePlatform.files.open(path), nodePlatform);
  const arrays = new Map<string, Tensor>();
  for (const name of file.names) arrays.set(name, await file.read(name));
  await file.close();
  return arrays;
}

// The tolerances are those of the project's goals; PyTorch's own float32 stays below 2.5e-4 in the gradients.
const found = findNative();
const onnxRuntime = nodeExecutor({ threads: 1 });
// Without the native module its networks are not run at all: their names would be all that the report shows.
const executors = {
  "ONNX Runtime": onnxRuntime,
  ...("module" in found && { oneDNN: nativeExecutor(found.module, { threads: 2, other: onnxRuntime }) }),
};
test.skipIf("module" in found)(`oneDNN (skipped: ${"missing" in found ? found.missing : ""})`, () => {});

const networks = Object.entries(executors).flatMap(([engine, executor]) =>
  readdirSync(zoo).map((name) => [name, engine, executor] as const),
);
describe.each(networks)("%s against PyTorch in float64, on %s", async (name, _, executor) => {
  const model = await openOnnxModel(`${zoo}${name}/model.onnx`, { platform: nodePlatform });
  const check = await gradCheck(model, await readAll(`${zoo}${name}/reference.npz`), executor);

  test("every parameter is found, and nothing else", () => expect(check.unmatched).toEqual([]));
  test("training loss within 1e-5", () => expect(check.lossError).toBeLessThan(1e-5));
  test("evaluation logits within 1e-4", () => expect(check.evalLogits.maxAbsError).toBeLessThan(1e-4));
  test("every gradient within 1e-3", () => {
    const worst = check.gradients[check.worst]?.relError;
    expect(worst, check.worst).toBeLessThan(1e-3);
  });
  test("statistics that the export moved are moved back", () => {
    expect(check.evalLogits.statistics).toBe(model.buffers.length > 0 ? "before export" : "file");
  });
});

test("a reference without gradients or logits says what is missing", async () => {
  const model = await openOnnxModel(`${zoo}vit-tiny/model.onnx`, { platform: nodePlatform });
  await expect(gradCheck(model, new Map(), nodeExecutor({ threads: 1 }))).rejects.toThrow(
    'reference: has no array "x"\n  expected x, y, eval_logits, train_loss and grad/NAME',
  );
});
