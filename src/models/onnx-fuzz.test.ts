/** @file Damaged copies of real files: the reader and the importer end in a model or in an error of ours, whatever the bytes. */
import { readFileSync } from "node:fs";
import { fromBinary, toBinary } from "@bufbuild/protobuf";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { MetalrError } from "../common/errors.js";
import { decodeOnnx } from "../onnx/decode.js";
import { type GraphProto, ModelProtoSchema } from "../onnx/onnx_pb.js";
import { modelFromOnnx } from "./onnx.js";

const bytesOf = (name: string) => new Uint8Array(readFileSync(`fixtures/zoo/${name}/model.onnx`));

/** Opens bytes as a network to train; null, or what is wrong with how it failed. */
async function open(bytes: Uint8Array): Promise<string | null> {
  try {
    modelFromOnnx(await decodeOnnx(bytes, "m.onnx"), { name: "m.onnx" });
    return null;
  } catch (e) {
    if (e instanceof MetalrError && e.code !== "internal") return null;
    return e instanceof Error ? `${e.name}: ${e.message}\n${e.stack}` : String(e);
  }
}

describe.each(["vit-tiny", "upsample-mixed", "unet3d"])("%s", { timeout: 60_000 }, (name) => {
  const bytes = bytesOf(name);
  const proto = fromBinary(ModelProtoSchema, bytes);

  test("bytes changed, cut or repeated", async () => {
    // Structure is at the beginning and between the weights; half of the hits go there.
    const place = fc.oneof(fc.nat(Math.min(4000, bytes.length - 1)), fc.nat(bytes.length - 1));
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.tuple(place, fc.nat(255)), { minLength: 1, maxLength: 8 }),
        fc.option(place),
        async (hits, end) => {
          const damaged = bytes.slice(0, end ?? bytes.length);
          for (const [i, b] of hits) if (i < damaged.length) damaged[i] = b;
          expect(await open(damaged)).toBe(null);
        },
      ),
      { seed: 11, numRuns: 40 },
    );
  });

  test("attributes, shapes, names and numbers changed inside a whole file", async () => {
    const big = fc.constantFrom(-1n, 0n, 1n, 3n, 7n, 65_537n, 2n ** 31n, 2n ** 62n, -(2n ** 40n));
    const mutation = fc.record({
      node: fc.nat(10_000),
      kind: fc.constantFrom("ints", "int", "drop", "swap", "op", "dims", "image", "constant"),
      value: big,
      other: fc.nat(10_000),
    });
    await fc.assert(
      fc.asyncProperty(fc.array(mutation, { minLength: 1, maxLength: 3 }), async (mutations) => {
        const copy = fromBinary(ModelProtoSchema, toBinary(ModelProtoSchema, proto));
        const g = copy.graph!; // the files have graphs
        for (const m of mutations) mutate(g, m);
        expect(await open(toBinary(ModelProtoSchema, copy))).toBe(null);
      }),
      { seed: 32, numRuns: 250 },
    );
  });
});

function mutate(g: GraphProto, m: { node: number; kind: string; value: bigint; other: number }): void {
  const node = g.node[m.node % g.node.length]!; // of a list that is not empty, as the next ones
  const other = g.node[m.other % g.node.length]!;
  const attribute = node.attribute[m.other % Math.max(1, node.attribute.length)];
  const tensor = g.initializer[m.node % g.initializer.length]!;
  switch (m.kind) {
    case "ints":
      if (attribute) attribute.ints = attribute.ints.map(() => m.value);
      break;
    case "int":
      if (attribute) attribute.i = m.value;
      break;
    case "drop":
      node.input.pop();
      break;
    case "swap":
      if (node.input.length > 0) node.input[m.other % node.input.length] = other.input[0] ?? "";
      break;
    case "op":
      node.opType = other.opType;
      break;
    case "dims":
      tensor.dims = tensor.dims.map((d, i) => (i === m.other % tensor.dims.length ? m.value : d));
      break;
    case "image": {
      const dims = g.input[0]?.type?.tensorType?.shape?.dim ?? [];
      const dim = dims[m.other % Math.max(1, dims.length)];
      if (dim) dim.value = { case: "dimValue", value: m.value };
      break;
    }
    case "constant": {
      const raw = attribute?.t?.rawData;
      if (attribute?.t && raw && raw.length === 8)
        attribute.t.rawData = new Uint8Array(BigInt64Array.of(m.value).buffer);
      break;
    }
  }
}
