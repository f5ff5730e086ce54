import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { create, toBinary } from "@bufbuild/protobuf";
import { afterAll, describe, expect, test } from "vitest";
import { ModelProtoSchema } from "../onnx/onnx_pb.js";
import { nodePlatform } from "../platform/node/index.js";
import { openOnnxModel } from "./open-onnx.js";

const folder = mkdtempSync(join(tmpdir(), "metalr-onnx-"));
afterAll(() => rmSync(folder, { recursive: true }));

/** One linear layer on the mean of the image, its weight [3, 2] in another file. */
const bytes = (entries: Readonly<Record<string, string>>): Uint8Array =>
  toBinary(
    ModelProtoSchema,
    create(ModelProtoSchema, {
      irVersion: 8n,
      opsetImport: [{ version: 17n }],
      graph: {
        name: "g",
        node: [
          { name: "pool", opType: "GlobalAveragePool", input: ["x"], output: ["p"] },
          { name: "flat", opType: "Flatten", input: ["p"], output: ["f"] },
          {
            name: "fc",
            opType: "Gemm",
            input: ["f", "fc.weight"],
            output: ["y"],
            attribute: [{ name: "transB", type: 2, i: 1n }],
          },
        ],
        input: [
          {
            name: "x",
            type: {
              tensorType: {
                elemType: 1,
                shape: {
                  dim: [
                    { value: { case: "dimParam", value: "N" } },
                    { value: { case: "dimValue", value: 2n } },
                    { value: { case: "dimParam", value: "H" } },
                    { value: { case: "dimParam", value: "W" } },
                  ],
                },
              },
            },
          },
        ],
        output: [{ name: "y" }],
        initializer: [
          {
            name: "fc.weight",
            dims: [3n, 2n],
            dataType: 1,
            dataLocation: 1,
            externalData: Object.entries(entries).map(([key, value]) => ({ key, value })),
          },
        ],
      },
    }),
  );

describe("a model file", () => {
  const path = (name: string) => join(folder, name);
  writeFileSync(path("m.data"), new Uint8Array(Float32Array.of(9, 1, 2, 3, 4, 5, 6).buffer));

  test("is opened with the weights beside it, for images of any size", async () => {
    writeFileSync(path("m.onnx"), bytes({ location: "m.data", offset: "4", length: "24" }));
    const model = await openOnnxModel(path("m.onnx"), { platform: nodePlatform });
    expect(model.weights.get("fc.weight")?.data).toEqual(Float32Array.of(1, 2, 3, 4, 5, 6));
    expect(model.input).toEqual({ channels: 2, size: null, dimensions: 2 });
    expect([model.task, model.classes, model.groups]).toEqual(["classification", 3, ["fc"]]);
  });

  test("with a size bound at open takes that one", async () => {
    writeFileSync(path("s.onnx"), bytes({ location: "m.data", offset: "4" }));
    expect((await openOnnxModel(path("s.onnx"), { platform: nodePlatform, size: [8, 16] })).input.size).toEqual([
      8, 16,
    ]);
  });

  test("whose weights end beyond the file beside it is refused", async () => {
    writeFileSync(path("b.onnx"), bytes({ location: "m.data", offset: "8" }));
    await expect(openOnnxModel(path("b.onnx"), { platform: nodePlatform })).rejects.toThrow(
      `${path("b.onnx")}: initializer "fc.weight": external data end beyond "m.data"\n  expected offset and length within 28 bytes\n  got      offset 8, length 24`,
    );
  });
});
