import { describe, expect, test } from "vitest";
import { float32, type Tensor } from "../common/tensor.js";
import { importOnnx } from "../onnx/import.js";
import { modelOf } from "../onnx/import.testing.js";
import type { OnnxNode } from "../onnx/model.js";
import { groupParameters } from "./onnx-groups.js";

/** A small network written down as it runs; every layer is a 1×1 convolution of two channels. */
class Sketch {
  private readonly nodes: OnnxNode[] = [];
  private readonly weights = new Map<string, Tensor>();

  private add(opType: string, inputs: string[], attributes: OnnxNode["attributes"] = {}): string {
    const y = `v${this.nodes.length}`;
    this.nodes.push({ name: y, opType, domain: "", inputs, outputs: [y], attributes });
    return y;
  }
  conv(x: string, module: string, stride = 1): string {
    const w = `${module}.weight`;
    this.weights.set(w, float32([2, 2, 1, 1], [1, 2, 3, 4]));
    return this.add("Conv", [x, w], { strides: { type: "ints", value: [BigInt(stride), BigInt(stride)] } });
  }
  up(x: string, module: string): string {
    const w = `${module}.weight`;
    this.weights.set(w, float32([2, 2, 2, 2], new Float32Array(16).fill(1)));
    return this.add("ConvTranspose", [x, w], { strides: { type: "ints", value: [2n, 2n] } });
  }
  scale(x: string, name: string): string {
    this.weights.set(name, float32([2, 1, 1], [1, 2]));
    return this.add("Mul", [x, name]);
  }
  sum = (a: string, b: string): string => this.add("Add", [a, b]);
  join = (...xs: string[]): string => this.add("Concat", xs, { axis: { type: "int", value: 1n } });
  /** Names of the parameters of every group. */
  groups(output: string): Record<string, string[]> {
    const model = modelOf(this.nodes, Object.fromEntries(this.weights), ["N", 2, 8, 8], output);
    const imported = importOnnx(model, { file: "sketch" });
    const { groups, groupOf } = groupParameters(imported);
    return Object.fromEntries(
      groups.map((g, i) => [g, [...groupOf].flatMap(([name, at]) => (at === i ? [name] : []))]),
    );
  }
}

const names = (s: Sketch, output: string) => Object.keys(s.groups(output)).join(" ");

describe("groups", () => {
  test("a block that changes the size has no shortcut but brothers that have: MobileNet", () => {
    const s = new Sketch();
    let v = s.conv("x", "features.0.0", 2);
    v = s.conv(s.conv(v, "features.1.a", 2), "features.1.b");
    v = s.sum(v, s.conv(s.conv(v, "features.2.a"), "features.2.b"));
    expect(names(s, s.conv(v, "classifier.1"))).toBe("features.0 features.1 features.2 classifier.1");
  });

  test("a stage of one block looks like the blocks of other stages: EfficientNet", () => {
    const s = new Sketch();
    let v = s.conv("x", "stem");
    v = s.sum(v, s.conv(s.conv(v, "features.1.0.a"), "features.1.0.b"));
    v = s.conv(s.conv(v, "features.2.0.a", 2), "features.2.0.b");
    v = s.sum(v, s.conv(s.conv(v, "features.3.0.a"), "features.3.0.b"));
    expect(names(s, s.conv(v, "head"))).toBe("stem features.1.0 features.2.0 features.3.0 head");
  });

  test("attention and perceptron of a transformer block are one group", () => {
    const s = new Sketch();
    let v = s.conv("x", "patch");
    for (const i of [0, 1]) {
      v = s.sum(v, s.scale(s.conv(v, `blocks.${i}.attn.proj`), `blocks.${i}.ls1`));
      v = s.sum(v, s.conv(v, `blocks.${i}.mlp.fc1`));
    }
    expect(s.groups(s.conv(s.scale(v, "norm.weight"), "head"))).toEqual({
      patch: ["patch.weight"],
      "blocks.0": ["blocks.0.attn.proj.weight", "blocks.0.ls1", "blocks.0.mlp.fc1.weight"],
      "blocks.1": ["blocks.1.attn.proj.weight", "blocks.1.ls1", "blocks.1.mlp.fc1.weight", "norm.weight"],
      head: ["head.weight"],
    });
  });

  test("dense layers, not dense blocks: DenseNet", () => {
    const s = new Sketch();
    let kept = [s.conv("x", "conv0")];
    for (const i of [1, 2, 3]) {
      const y = s.conv(
        s.conv(kept.length > 1 ? s.join(...kept) : (kept[0] ?? ""), `block1.layer${i}.a`),
        `block1.layer${i}.b`,
      );
      kept = [...kept, y];
    }
    expect(names(s, s.conv(s.join(...kept), "fc"))).toBe("conv0 block1.layer1 block1.layer2 block1.layer3 fc");
  });

  test("branches inside a residual block are parts of it: SKNet", () => {
    const s = new Sketch();
    let v = s.conv("x", "conv");
    for (const i of [0, 1]) {
      const split = s.sum(s.conv(v, `layer1.${i}.conv1.p`), s.conv(v, `layer1.${i}.conv1.q`));
      v = s.sum(v, s.conv(split, `layer1.${i}.conv2`));
    }
    expect(names(s, s.conv(v, "fc"))).toBe("conv layer1.0 layer1.1 fc");
  });

  test("stages of a U-Net whose modules nest in each other, as MONAI's", () => {
    const s = new Sketch();
    const unit = (x: string, m: string, stride: number) =>
      s.sum(s.conv(s.conv(x, `${m}.conv.unit0`, stride), `${m}.conv.unit1`), s.conv(x, `${m}.residual`, stride));
    const a = unit("x", "model.0", 2);
    const b = unit(a, "model.1.submodule.0", 2);
    const bottom = unit(b, "model.1.submodule.1.submodule", 1);
    const up = s.up(s.join(b, bottom), "model.1.submodule.2");
    const out = s.up(s.join(a, up), "model.2.0");
    expect(names(s, s.conv(out, "model.2.1"))).toBe(
      "model.0 model.1.submodule.0 model.1.submodule.1 model.1.submodule.2 model.2.0 model.2.1",
    );
  });

  test("two convolutions of one size are a stage, a strided one begins another", () => {
    const s = new Sketch();
    let v = "x";
    for (const m of ["down1", "down2"]) v = s.conv(s.conv(v, `${m}.0`), `${m}.3`);
    v = s.conv(s.conv(v, "tail.0", 2), "tail.1", 2);
    expect(names(s, s.conv(v, "out"))).toBe("down1 down2 tail.0 tail.1 out");
  });

  test("a plain chain is divided layer by layer, never one group for all", () => {
    const s = new Sketch();
    expect(names(s, s.conv(s.conv(s.conv("x", "net.0"), "net.1"), "net.2"))).toBe("net.0 net.1 net.2");
  });
});
