import { readdirSync, readFileSync } from "node:fs";
import { InferenceSession } from "onnxruntime-node";
import { describe, expect, test } from "vitest";
import { decodeOnnx } from "./decode.js";
import { describeOnnx, describeRoles } from "./describe.js";
import { encodeOnnx } from "./encode.js";
import { importOnnx } from "./import.js";

const zoo = new URL("../../fixtures/zoo/", import.meta.url);

const loads = async (bytes: Uint8Array): Promise<boolean> => {
  const session = await InferenceSession.create(bytes, { logSeverityLevel: 4 }).catch(() => null);
  await session?.release();
  return session !== null;
};

describe.each(readdirSync(zoo))("%s", (name) => {
  const bytes = new Uint8Array(readFileSync(new URL(`${name}/model.onnx`, zoo)));

  test("written again, it reads the same", async () => {
    const model = await decodeOnnx(bytes, name);
    expect(await decodeOnnx(encodeOnnx(model), name)).toEqual(model);
  });

  test("written again, ONNX Runtime loads it where it loads the original", async () => {
    expect(await loads(encodeOnnx(await decodeOnnx(bytes, name)))).toBe(await loads(bytes));
  });
});

test("a model in words", async () => {
  const model = await decodeOnnx(new Uint8Array(readFileSync(new URL("resnet18-narrow/model.onnx", zoo))), "resnet18");
  expect(describeOnnx(model)).toMatchInlineSnapshot(`
    "ONNX model by pytorch 1.13.0, op set ai.onnx 16
      input    x float32 [N,3,64,64]
      output   logits float32 [N,3]
      weights  178107 numbers in 102 tensors
      ops      69 nodes: BatchNormalization ×20, Conv ×20, Relu ×17, Add ×8, Flatten, Gemm, GlobalAveragePool, MaxPool"
  `);
});

test("roles of initializers in words", async () => {
  const model = await decodeOnnx(new Uint8Array(readFileSync(new URL("unet2d/model.onnx", zoo))), "unet2d");
  expect(describeRoles(importOnnx(model, { file: "unet2d" }))).toMatchInlineSnapshot(`
    "  parameters          46 tensors, 16797 numbers
        22 × weight or bias of Conv: down1.0.weight, down1.0.bias, down1.3.weight, and 19 more
        20 × weight or bias of BatchNormalization: down1.1.weight, down1.1.bias, down1.4.weight, and 17 more
        4 × weight or bias of ConvTranspose: up2.weight, up2.bias, up1.weight, and 1 more
      running statistics  20 tensors, 240 numbers
        20 × running mean or variance of a BatchNormalization: down1.1.running_mean, down1.1.running_var, down1.4.running_mean, and 17 more
      constants           0 tensors, 0 numbers"
  `);
});
