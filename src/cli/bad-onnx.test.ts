/** @file Everything that can be wrong with an .onnx file given to `metalr train`: one clear message, exit code 1, nothing written. */
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fromBinary, toBinary } from "@bufbuild/protobuf";
import { afterAll, describe, expect, test } from "vitest";
import type { Tensor } from "../common/tensor.js";
import { writeNpz } from "../formats/npz.js";
import { type ModelProto, ModelProtoSchema, type NodeProto } from "../onnx/onnx_pb.js";
import { run } from "./host.testing.js";

const folder = mkdtempSync(join(tmpdir(), "metalr-bad-onnx-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));
const at = (name: string) => join(folder, name);

const uint8 = (shape: number[], f: (i: number) => number): Tensor => ({
  dtype: "uint8",
  shape,
  data: Uint8Array.from({ length: shape.reduce((n, d) => n * d, 1) }, (_, i) => f(i)),
});
function data(name: string, shape: number[], classes: number): void {
  const parts = ["train", "val", "test"].flatMap((part): [string, Tensor][] => [
    [`${part}_images`, uint8([12, ...shape], (i) => (i * 7) % 251)],
    [`${part}_labels`, uint8([12, 1], (i) => i % classes)],
  ]);
  writeFileSync(at(name), writeNpz(new Map(parts)));
}
data("grey.npz", [16, 16], 3);
data("two.npz", [16, 16], 2);
data("colour.npz", [16, 16, 3], 3);
data("volumes.npz", [8, 8, 8], 3);

const network = new Uint8Array(readFileSync("fixtures/zoo/mobilenetv2-narrow/model.onnx"));
const changed = (change: (g: NonNullable<ModelProto["graph"]>, p: ModelProto) => void): Uint8Array => {
  const p = fromBinary(ModelProtoSchema, network);
  change(p.graph!, p); // the file has a graph
  return toBinary(ModelProtoSchema, p);
};
const first = (nodes: readonly NodeProto[], op: string): NodeProto => nodes.find((n) => n.opType === op)!; // there are such nodes
/** Sets one size of the image. */
const dimension = (g: NonNullable<ModelProto["graph"]>, axis: number, value: bigint): void => {
  const d = g.input[0]!.type!.tensorType!.shape!.dim[axis]!; // the image's type is in the file
  d.value = { case: "dimValue", value };
};
const outside = (location: string, more: Readonly<Record<string, string>> = {}) =>
  changed((g) => {
    const t = g.initializer[0]!; // the first convolution's
    const entries = Object.entries({ location, ...more });
    t.dataLocation = 1;
    t.externalData = entries.map(([key, value]) => ({ $typeName: "metalr.onnx.StringStringEntryProto", key, value }));
  });

let runs = 0;
async function refusal(bytes: Uint8Array, images = "grey.npz"): Promise<string> {
  writeFileSync(at("m.onnx"), bytes);
  const out = at(`run-${++runs}`);
  const argv = ["train", "-d", at(images), "-p", at("m.onnx"), "-e", "1", "-b", "4", "--workers", "0", "--out", out];
  const { code, out: said, err } = await run(argv);
  expect({ code, said }).toEqual({ code: 1, said: "" });
  expect(existsSync(out)).toBe(false);
  return err.trimEnd().replaceAll(`${folder}/`, "");
}

const conv = "/features/features.0/features.0.0/Conv";
const clip = "/features/features.0/features.0.2/Clip";
const weight = 'm.onnx: initializer "features.0.0.weight"';

describe("the file", () => {
  test.each<[string, Uint8Array, string]>([
    [
      "truncated",
      network.subarray(0, 100_000),
      "m.onnx: not an ONNX model, or only a part of one\n  got      100000 bytes that do not decode",
    ],
    [
      "without an initializer that a node reads",
      changed((g) => void g.initializer.shift()),
      `m.onnx: Conv "${conv}": an input is missing\n  expected "features.0.0.weight" as an input of the graph, an initializer or the output of a node\n  got      nothing of that name`,
    ],
    [
      "of a newer op set",
      changed((_, p) => void Object.assign(p.opsetImport[0]!, { version: 99n })),
      "m.onnx: op set is not supported\n  expected ai.onnx 11 to 21\n  got      ai.onnx 99\n  hint     export the model again with opset_version=17",
    ],
    [
      "with an operator of another domain",
      changed((g, p) => {
        p.opsetImport.push({ ...p.opsetImport[0]!, domain: "com.acme", version: 1n });
        Object.assign(first(g.node, "Clip"), { opType: "Magic", domain: "com.acme" });
      }),
      `m.onnx: Magic "${clip}": the operator is not supported\n  got      com.acme Magic\n  hint     docs/OPERATORS.md lists those that are`,
    ],
    [
      "with an operator that has no gradient before the loss",
      changed((g) => {
        const n = first(g.node, "Clip");
        Object.assign(n, { opType: "Round", input: n.input.slice(0, 1) });
      }),
      `m.onnx: Round "${clip}": has no gradient by its input "x", which a parameter reaches\n  hint     freeze the layers before it, or replace the op`,
    ],
    [
      "with weights outside its folder",
      outside("../secret"),
      `${weight}: external data lie outside the model's folder\n  expected a path relative to the model\n  got      "../secret"`,
    ],
    [
      "with weights in a file that is not there",
      outside("weights.bin"),
      `${weight}: weights are in "weights.bin", which cannot be opened\n  expected a file beside the model\n  hint     copy it into the folder of the model, under this name`,
    ],
    [
      "with weights beyond the end of their file",
      outside("grey.npz", { offset: "99999999", length: "432" }),
      `${weight}: external data end beyond "grey.npz"\n  expected offset and length within ${readFileSync(at("grey.npz")).length} bytes\n  got      offset 99999999, length 432`,
    ],
    [
      "with weights of another length",
      outside("grey.npz", { offset: "0", length: "400" }),
      `${weight}: data does not fill the shape\n  expected 432 bytes (float32 [4,3,3,3])\n  got      400`,
    ],
    [
      "that claims terabytes of weights",
      changed((g) => void Object.assign(g.initializer[0]!, { dims: [2n ** 40n, 3n, 3n, 3n] })),
      `${weight}: data does not fill the shape\n  expected 118747255799808 bytes (float32 [1099511627776,3,3,3])\n  got      432`,
    ],
    [
      "that claims an image of terabytes",
      changed((g) => dimension(g, 2, 2n ** 31n)),
      'm.onnx: input "x": images of this size are not supported\n  expected at most 268435456 numbers an image\n  got      [3,2147483648,64]',
    ],
    [
      "whose padding asks for terabytes",
      changed((g) => {
        const pads = first(g.node, "Conv").attribute.find((a) => a.name === "pads")!; // the exporter writes it
        pads.ints = [2n ** 20n, 2n ** 20n, 2n ** 20n, 2n ** 20n];
      }),
      `m.onnx: Conv "${conv}": its result is too large\n  expected at most 4294967296 numbers\n  got      [2,4,1048607,1048607]`,
    ],
    [
      "whose channels differ from its first weight's",
      changed((g) => dimension(g, 1, 5n)),
      `m.onnx: Conv "${conv}": input has the wrong number of channels\n  expected 3 (weight [4,3,3,3], group 1)\n  got      5 (input [2,5,64,64])`,
    ],
  ])("%s", async (_, bytes, message) => {
    expect(await refusal(bytes)).toBe(message);
  });

  test("whose nodes wait for each other", async () => {
    const cyclic = changed((g) => {
      g.node[0]!.input[0] = g.node[5]!.output[0]!; // the network has more nodes
    });
    expect(await refusal(cyclic)).toMatch(
      /^m\.onnx: graph "torch_jit": nodes wait for each other in a circle\n {2}got {6}\S/,
    );
  });
});

describe("the data", () => {
  test("volumes for a network of images", async () => {
    expect(await refusal(network, "volumes.npz")).toBe(
      "volumes.npz: holds volumes, and networks for classification take images\n  expected images [n,H,W] or [n,3,H,W]\n  got      volumes of depth 8\n  hint     cut the volumes into slices and save these as images",
    );
  });
  test("fewer classes than the network", async () => {
    expect(await refusal(network, "two.npz")).toBe(
      "m.onnx: the model has another number of classes\n  expected 2 (the data)\n  got      3\n  hint     --replace-head makes the last layer again for the classes of the data",
    );
  });
  test("channels that the network cannot take", async () => {
    const five = changed((g) => {
      Object.assign(g.initializer[0]!, { dims: [4n, 5n, 3n, 3n], rawData: new Uint8Array(4 * 5 * 9 * 4) });
      dimension(g, 1, 5n);
    });
    expect(await refusal(five, "colour.npz")).toBe(
      "colour.npz: has channels that the network cannot take\n  expected 1 or 5 channels (m.onnx)\n  got      3 channels",
    );
  });
});
