import { describe, expect, test } from "vitest";
import { input } from "../graph/build.js";
import { createModel, lossNameOf, unet } from "./index.js";
import { inferUNet } from "./infer.js";

describe("the published 3-D U-Net", () => {
  const model = unet("unet3d", { classes: 1 });
  const shapes = new Map(model.parameters.map((p) => [p.name, p.shape.join("×")]));

  test("names and shapes are those of the published weights", () => {
    expect(shapes.get("down_tr64.ops.0.conv1.weight")).toBe("32×1×3×3×3");
    expect(shapes.get("down_tr64.ops.1.conv1.weight")).toBe("64×32×3×3×3");
    expect(shapes.get("down_tr512.ops.1.bn1.weight")).toBe("512");
    expect(shapes.get("up_tr256.up_conv.weight")).toBe("512×512×2×2×2");
    expect(shapes.get("up_tr256.ops.0.conv1.weight")).toBe("256×768×3×3×3");
    expect(shapes.get("up_tr64.ops.0.conv1.weight")).toBe("64×192×3×3×3");
    expect(shapes.get("out_tr.final_conv.weight")).toBe("1×64×1×1×1");
    expect(shapes.size).toBe(64);
    expect(model.buffers).toHaveLength(28);
    expect([...model.weights.values()].reduce((n, t) => n + t.data.length, 0)).toBe(19_078_337);
  });

  test("eight groups, in the order of the network", () => {
    expect(model.groups).toEqual(["Down-64", "Down-128", "Down-256", "Down-512", "Up-256", "Up-128", "Up-64", "Out"]);
    const groupOf = new Map(model.parameters.map((p) => [p.name, model.groups[p.group]]));
    expect(groupOf.get("down_tr128.ops.0.bn1.bias")).toBe("Down-128");
    expect(groupOf.get("up_tr256.up_conv.bias")).toBe("Up-256");
    expect(groupOf.get("out_tr.final_conv.bias")).toBe("Out");
    expect(model.headGroup).toBe(7);
  });

  test("it is known by its names, behind a prefix, too", () => {
    const named = [...model.parameters].map((p) => [`module.${p.name}`, p] as const);
    expect(inferUNet(named)).toEqual({ architecture: "unet3d", width: 32, channels: 1 });
    expect(inferUNet([["conv1.weight", { shape: [64, 3, 7, 7] }]])).toBeNull();
  });
});

test.each([
  ["unet2d", [2, 3, 16, 24]],
  ["unet3d", [1, 2, 8, 16, 8]],
] as const)("%s gives logits for every position, and new statistics for every norm", (name, shape) => {
  const model = createModel(name, { classes: 4, channels: shape[1], width: 2 });
  const values = new Map([...model.weights].map(([n, t]) => [n, input(n, "float32", t.shape)]));
  // a model asks for names of its own weights only
  const { logits, buffers } = model.forward((n) => values.get(n)!, input("x", "float32", shape), {
    batchNorm: "update",
  });
  expect(logits.shape).toEqual([shape[0], 4, ...shape.slice(2)]);
  expect([...buffers.keys()].sort()).toEqual(model.buffers.map((b) => b.name).sort());
  expect(model.task).toBe("segmentation");
  expect(lossNameOf(model)).toBe("dice+cross-entropy");
  expect(lossNameOf({ ...model, loss: "dice" })).toBe("dice");
});
