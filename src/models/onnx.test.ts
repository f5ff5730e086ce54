import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { float32, sizeOf, type Tensor } from "../common/tensor.js";
import { compilePortable } from "../compile/compile.js";
import { input, makeGraph } from "../graph/build.js";
import { decodeOnnx } from "../onnx/decode.js";
import type { OnnxModel } from "../onnx/model.js";
import { nodeExecutor } from "../platform/node/onnxRuntime.js";
import { modelFromOnnx, modelFromOnnxConfig } from "./onnx.js";
import type { Model } from "./types.js";

const zoo = new URL("../../fixtures/zoo/", import.meta.url).pathname;
const open = (name: string): Promise<OnnxModel> =>
  decodeOnnx(new Uint8Array(readFileSync(`${zoo}${name}/model.onnx`)), name);
const executor = nodeExecutor({ threads: 1 });

const message = (f: () => unknown): string => {
  try {
    f();
  } catch (e) {
    return e instanceof Error ? e.message : String(e);
  }
  return "no error";
};

/** Inputs of a graph for all parameters and buffers. */
const placeholders = (model: Model) => new Map([...model.weights].map(([n, t]) => [n, input(n, "float32", t.shape)]));

async function evaluate(model: Model, x: Tensor): Promise<Tensor | undefined> {
  const image = input("x", "float32", x.shape);
  const values = placeholders(model);
  // A model asks for its own parameters and buffers only.
  const { logits } = model.forward((n) => values.get(n)!, image, { batchNorm: "running" });
  const graph = makeGraph("test", new Map([["x", image], ...values]), new Map([["logits", logits]]));
  const program = await executor.load(compilePortable(graph));
  const results = await program.run({ ...Object.fromEntries(model.weights), x });
  await program.close();
  return results["logits"];
}

const floats = (t: Tensor | undefined): Float32Array => (t?.dtype === "float32" ? t.data : new Float32Array(0));
const largest = (a: Float32Array) => a.reduce((m, v) => Math.max(m, Math.abs(v)), 0);

describe("layer groups", () => {
  test.each([
    ["resnet18-narrow", "stem layer1.0 layer1.1 layer2.0 layer2.1 layer3.0 layer3.1 layer4.0 layer4.1 fc"],
    [
      "vgg11bn-narrow",
      "features.0 features.4 features.8 features.11 features.15 features.18 classifier.0 classifier.3",
    ],
    ["vit-tiny", "stem encoder.layers.encoder_layer_0 encoder.layers.encoder_layer_1 heads.head"],
    [
      "densenet-small",
      [
        "stem",
        ...[1, 2, 3].flatMap((b) =>
          [1, 2].map((l) => `features.denseblock${b}.denselayer${l}`).concat(`features.transition${b}`),
        ),
        "features.denseblock4.denselayer1 features.denseblock4.denselayer2 classifier",
      ].join(" "),
    ],
    ["mobilenetv2-narrow", [...Array.from({ length: 19 }, (_, i) => `features.${i}`), "classifier.1"].join(" ")],
    ["unet2d", "down1 down2 mid up2 dec2 up1 dec1 out"],
    ["unet3d", "down1 down2 mid up2 dec2 up1 dec1 out"],
    ["upsample-mixed", "a b gate c"],
  ])("%s", async (name, groups) => {
    const model = modelFromOnnx(await open(name), { name });
    expect(model.groups.join(" ")).toBe(groups);
    expect(model.headGroup).toBe(model.groups.length - 1);
    for (const [i, group] of model.groups.entries()) {
      expect(
        model.parameters.some((p) => p.group === i),
        group,
      ).toBe(true);
    }
  });

  test("norms go with the layer before them", async () => {
    const model = modelFromOnnx(await open("upsample-mixed"), { name: "m" });
    expect(model.parameters.filter((p) => p.group === 0).map((p) => p.name)).toEqual([
      "a.weight",
      "a.bias",
      "g.weight",
      "g.bias",
    ]);
  });

  test("a file without any names is divided at its joins", async () => {
    const model = await open("resnet18-narrow");
    const numbers = new Map([...model.graph.initializers.keys()].map((n, i) => [n, String(i + 1)]));
    const nameless: OnnxModel = {
      ...model,
      graph: {
        ...model.graph,
        initializers: new Map([...model.graph.initializers].map(([n, t]) => [numbers.get(n) ?? n, t])),
        nodes: model.graph.nodes.map((n) => ({ ...n, name: "", inputs: n.inputs.map((i) => numbers.get(i) ?? i) })),
      },
    };
    expect(modelFromOnnx(nameless, { name: "m" }).groups.join(" ")).toBe(
      "layer1 block2 block3 block4 block5 block6 block7 block8 block9 layer10",
    );
  });
});

describe("the head", () => {
  const shapes = (model: Model, names: readonly string[]) => names.map((n) => [...(model.weights.get(n)?.shape ?? [])]);
  test.each([
    ["resnet18-narrow", ["fc.weight", "fc.bias"], [[7, 64], [7]]],
    ["vit-tiny", ["heads.head.weight", "heads.head.bias"], [[7, 32], [7]]],
    ["unet3d", ["out.weight", "out.bias"], [[7, 4, 1, 1, 1], [7]]],
    ["upsample-mixed", ["c.weight", "c.bias"], [[7, 24, 3, 3], [7]]],
  ])("of %s is made again for 7 classes, and nothing else", async (name, parameters, wanted) => {
    const file = await open(name);
    const [old, model] = [modelFromOnnx(file, { name }), modelFromOnnx(file, { name, classes: 7, replaceHead: true })];
    expect(model.classes).toBe(7);
    expect(shapes(model, parameters)).toEqual(wanted);
    for (const [n, t] of model.weights) if (!parameters.includes(n)) expect(t).toBe(old.weights.get(n));
  });

  test("its weights are uniform within ±1/√inputs, and the same for the same seed", async () => {
    const file = await open("resnet18-narrow");
    const weight = (seed: number) =>
      floats(modelFromOnnx(file, { name: "m", classes: 7, replaceHead: true, seed }).weights.get("fc.weight"));
    expect(largest(weight(1))).toBeLessThan(1 / 8);
    expect(largest(weight(1))).toBeGreaterThan(0.9 / 8);
    expect(weight(1)).toEqual(weight(1));
    expect(weight(1)).not.toEqual(weight(2));
  });

  test("a residual network without its head has none that could be made again", async () => {
    const { graph, ...rest } = await open("resnet18-narrow");
    const nodes = graph.nodes.filter((n) => n.opType !== "Gemm");
    const outputs = [{ name: nodes.at(-1)?.outputs[0] ?? "", dtype: "float32", shape: null }] as const;
    const features = { ...rest, graph: { ...graph, nodes, outputs } };
    expect(message(() => modelFromOnnx(features, { name: "m.onnx", classes: 2, replaceHead: true }))).toBe(
      'm.onnx: the last layer cannot be made again for other classes\n  expected one that is read for "/Flatten_output_0" alone\n  got      layers that the rest of the network needs as they are\n  hint     export the network with a last layer of its own, such as torch.nn.Linear(64, 2)',
    );
  });

  test("other classes than the data need a new head", async () => {
    const file = await open("resnet18-narrow");
    expect(message(() => modelFromOnnx(file, { name: "m.onnx", classes: 2 }))).toBe(
      "m.onnx: the model has another number of classes\n  expected 2 (the data)\n  got      3\n  hint     --replace-head makes the last layer again for the classes of the data",
    );
  });
});

test.each(["resnet18-narrow", "unet2d", "vit-tiny"])(
  "%s is the same again from its configuration and weights",
  async (name) => {
    const model = modelFromOnnx(await open(name), { name, classes: 5, replaceHead: true });
    const again = await modelFromOnnxConfig(JSON.parse(JSON.stringify(model.config)), model.weights);
    const { forward: _, ...rest } = model;
    expect(again).toMatchObject({ ...rest, config: JSON.parse(JSON.stringify(model.config)) });
    const [channels, size] = [model.input.channels, model.input.size ?? []];
    const shape = [2, channels, ...size];
    const x = float32(
      shape,
      Float32Array.from({ length: sizeOf(shape) }, (_, i) => Math.sin(i)),
    );
    expect(await evaluate(again, x)).toEqual(await evaluate(model, x));
  },
);

describe("what is refused when the model is opened", () => {
  test("a volume for a network of images", async () => {
    const model = modelFromOnnx(await open("resnet18-narrow"), { name: "m.onnx" });
    const values = placeholders(model);
    expect(
      message(() =>
        model.forward((n) => values.get(n)!, input("x", "float32", [1, 3, 64, 64, 64]), { batchNorm: "running" }),
      ),
    ).toBe('m.onnx: input "x": the image does not fit the model\n  expected [N,3,64,64]\n  got      [1,3,64,64,64]');
  });

  test("another image size than the file's", async () => {
    const file = await open("resnet18-narrow");
    expect(message(() => modelFromOnnx(file, { name: "m.onnx", size: [96, 96] }))).toBe(
      'm.onnx: input "x": the network takes another image size\n  expected [64,64]\n  got      [96,96]',
    );
  });

  test("an operator without a gradient between a parameter and the loss, by its name", async () => {
    const file = await open("resnet18-narrow");
    const nodes = file.graph.nodes.flatMap((n) =>
      n.opType === "Flatten"
        ? [
            { ...n, name: "/round/Round", opType: "Round", outputs: ["rounded"], attributes: {} },
            { ...n, inputs: ["rounded"] },
          ]
        : [n],
    );
    expect(message(() => modelFromOnnx({ ...file, graph: { ...file.graph, nodes } }, { name: "m.onnx" }))).toBe(
      'm.onnx: Round "/round/Round": has no gradient by its input "x", which a parameter reaches\n  hint     freeze the layers before it, or replace the op',
    );
  });

  test("a configuration without its weights", async () => {
    const model = modelFromOnnx(await open("resnet18-narrow"), { name: "m.onnx" });
    const some = new Map([...model.weights].filter(([n]) => n !== "fc.bias"));
    await expect(modelFromOnnxConfig(model.config, some)).rejects.toThrow(
      'm.onnx: "fc.bias": has no weights\n  expected [3]\n  got      none',
    );
  });
});
