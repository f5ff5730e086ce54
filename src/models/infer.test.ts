/** @file Tests of infer.ts: every built-in network is told from its own names. */
import { describe, expect, test } from "vitest";
import { architectures, createModel } from "./index.js";
import { inferResNet, inferUNet } from "./infer.js";

const namesOf = (architecture: string, rename: (name: string) => string = (n) => n) =>
  createModel(architecture, { classes: 5, width: 4, channels: 1 }).parameters.map(
    ({ name, shape }) => [rename(name), { shape }] as const,
  );

describe("inferResNet", () => {
  test.each(architectures.filter((a) => a.startsWith("resnet")))("%s", (architecture) => {
    expect(inferResNet(namesOf(architecture))).toEqual({ architecture, width: 4, channels: 1, classes: 5 });
  });

  test("a prefix such as module. does not matter", () => {
    expect(inferResNet(namesOf("resnet20", (n) => `module.${n}`))?.architecture).toBe("resnet20");
  });

  test("the released self-supervised layout has no classes of its own", () => {
    const released = namesOf("resnet18", (name) =>
      name
        .replace(/^conv1/, "features.0")
        .replace(/^bn1/, "features.1")
        .replace(/^layer(\d)/, (_, n: string) => `features.${Number(n) + 3}`),
    );
    expect(inferResNet(released)).toEqual({ architecture: "resnet18", width: 4, channels: 1, classes: null });
  });

  test("another network is not forced into the family", () => {
    expect(inferResNet([["features.0.weight", { shape: [64, 3, 3, 3] }]])).toBeNull();
    expect(inferResNet([])).toBeNull();
  });
});

test.each(["unet2d", "unet3d"])("inferUNet: %s", (architecture) => {
  expect(inferUNet(namesOf(architecture))).toEqual({ architecture, width: 4, channels: 1 });
  expect(inferResNet(namesOf(architecture))).toBeNull();
});
