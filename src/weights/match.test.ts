import { existsSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { float32, int64, type Shape, sizeOf, type Tensor } from "../common/tensor.js";
import { messageOf } from "../formats/messages.testing.js";
import { nodePlatform } from "../platform/node/index.js";
import { matchWeights, openWeights, type WeightTarget } from "./index.js";

/** A stem, two stages of the same shapes, and a classifier of three classes. */
const target: WeightTarget = {
  name: "small",
  parameters: [
    { name: "conv1.weight", shape: [2, 3, 3, 3], group: 0 },
    { name: "bn1.weight", shape: [2], group: 0 },
    { name: "bn1.bias", shape: [2], group: 0 },
    { name: "layer1.0.conv.weight", shape: [2, 2, 1, 1], group: 1 },
    { name: "layer2.0.conv.weight", shape: [2, 2, 1, 1], group: 2 },
    { name: "fc.weight", shape: [3, 2], group: 3 },
    { name: "fc.bias", shape: [3], group: 3 },
  ],
  buffers: [
    { name: "bn1.running_mean", shape: [2] },
    { name: "bn1.running_var", shape: [2] },
  ],
  headGroup: 3,
};
const all = [...target.parameters, ...target.buffers];
const backbone = all.filter((p) => !p.name.startsWith("fc."));

/** Tensors filled with the number of their row, so that a wrong pairing shows. */
const checkpoint = (rows: readonly (readonly [name: string, shape: Shape])[]) =>
  new Map<string, Tensor>(
    rows.map(([name, shape], i) => [name, float32(shape, new Float32Array(sizeOf(shape)).fill(i))]),
  );
const renamed = (rename: (name: string) => string, of = all) => checkpoint(of.map((p) => [rename(p.name), p.shape]));
const pairs = (match: ReturnType<typeof matchWeights>) =>
  [...match.matched].map(([name, { from }]) => `${name} ← ${from}`);

describe("names", () => {
  test("the same names", () => {
    const match = matchWeights(
      renamed((n) => n),
      target,
    );
    expect(match).toMatchObject({ how: "by name", unmatched: [], skipped: [] });
    expect(pairs(match)).toEqual(all.map((p) => `${p.name} ← ${p.name}`));
    expect(match.matched.get("bn1.bias")?.tensor.data).toEqual(Float32Array.of(2, 2));
  });

  test.each(["module.", "backbone.", "module.encoder_q.", "state.model._orig_mod."])("behind %s", (prefix) => {
    const match = matchWeights(
      renamed((n) => prefix + n),
      target,
    );
    expect(match).toMatchObject({ how: `by name, behind "${prefix}"`, unmatched: [], skipped: [] });
  });

  test("of two networks in one file the query encoder is meant, and the other one is named", () => {
    const both = new Map([...renamed((n) => `encoder_k.${n}`), ...renamed((n) => `encoder_q.${n}`)]);
    const match = matchWeights(both, target);
    expect(match.how).toBe('by name, behind "encoder_q."');
    expect(match.skipped.map((s) => s.name)).toEqual(all.map((p) => `encoder_k.${p.name}`));
    expect(match.skipped[0]?.reason).toBe("small has nothing of that name");
  });

  test("counters of batches are ignored in silence; other whole numbers are named", () => {
    const tensors = renamed((n) => n);
    tensors.set("bn1.num_batches_tracked", int64([], [7]));
    tensors.set("queue_ptr", int64([1], [7]));
    expect(matchWeights(tensors, target).skipped).toEqual([{ name: "queue_ptr", reason: "int64, not float32" }]);
  });

  test("statistics that are missing stay as initialised and are named", () => {
    const tensors = renamed((n) => n);
    tensors.delete("bn1.running_var");
    expect(matchWeights(tensors, target).unmatched).toEqual(["bn1.running_var"]);
  });

  test("a stem for other images is left out and named", () => {
    const tensors = renamed((n) => n);
    tensors.set("conv1.weight", float32([2, 1, 3, 3], new Float32Array(18)));
    const match = matchWeights(tensors, target);
    expect(match.unmatched).toEqual(["conv1.weight"]);
    expect(match.skipped).toEqual([
      { name: "conv1.weight", reason: "shape [2,1,3,3], small has [2,3,3,3] (conv1.weight)" },
    ]);
  });
});

describe("the classifier", () => {
  const withHead = (word: string, classes: number) =>
    new Map([
      ...renamed((n) => `module.${n}`, backbone),
      ...checkpoint([
        [`module.${word}.weight`, [classes, 2]],
        [`module.${word}.bias`, [classes]],
      ]),
    ]);

  test("of another number of classes is left out and named", () => {
    for (const word of ["fc", "linear"]) {
      const match = matchWeights(withHead(word, 10), target);
      expect(match.unmatched).toEqual(["fc.weight", "fc.bias"]);
      expect(match.skipped).toEqual([
        { name: `module.${word}.weight`, reason: "a classifier of 10 classes, small has 3 classes" },
        { name: `module.${word}.bias`, reason: "a classifier of 10 classes, small has 3 classes" },
      ]);
    }
  });

  test("under another usual name is taken where it fits, and left out on request", () => {
    expect(pairs(matchWeights(withHead("linear", 3), target)).filter((p) => p.startsWith("fc"))).toEqual([
      "fc.weight ← module.linear.weight",
      "fc.bias ← module.linear.bias",
    ]);
    const dropped = matchWeights(withHead("fc", 3), target, { head: "drop" });
    expect(dropped.unmatched).toEqual(["fc.weight", "fc.bias"]);
    expect(dropped.skipped[0]).toEqual({ name: "module.fc.weight", reason: "the classifier starts anew, as asked" });
  });
});

describe("order and shapes", () => {
  const numbered: Record<string, string> = { conv1: "0", bn1: "1", layer1: "4", layer2: "5" };
  const staged = () => renamed((n) => `features.${n.replace(/^\w+/, (part) => numbered[part] ?? part)}`, backbone);
  const head: [string, Shape][] = [
    ["linear.weight", [16, 2]],
    ["fc.weight", [3, 2]],
    ["fc.bias", [3]],
  ];

  test("a Sequential of the stages maps by its numbers; projection head and classifier are dropped", () => {
    const match = matchWeights(new Map([...staged(), ...checkpoint(head)]), target);
    expect(match.how).toBe('by order and shape, "features.N" read as the stages of small');
    expect(pairs(match)).toContain("layer2.0.conv.weight ← features.5.0.conv.weight");
    expect(match.unmatched).toEqual(["fc.weight", "fc.bias"]);
    expect(match.skipped[1]).toEqual({
      name: "fc.weight",
      reason: "left over after the backbone of small (a projection head or classifier)",
    });
  });

  test("also where the file sorts its names, as safetensors does", () => {
    const sorted = new Map([...staged()].sort(([a], [b]) => (a < b ? 1 : -1)));
    expect(matchWeights(sorted, target).matched.size).toBe(backbone.length);
  });

  test("names that say nothing map one by one, statistics among themselves", () => {
    let n = 0;
    const tensors = renamed((name) => (name.includes("running") ? name.replace("bn1", "norm") : `p${n++}`), backbone);
    const match = matchWeights(tensors, target);
    expect(match.how).toBe("by order and shape");
    expect(pairs(match)).toEqual([
      "conv1.weight ← p0",
      "bn1.weight ← p1",
      "bn1.bias ← p2",
      "layer1.0.conv.weight ← p3",
      "layer2.0.conv.weight ← p4",
      "bn1.running_mean ← norm.running_mean",
      "bn1.running_var ← norm.running_var",
    ]);
  });
});

describe("weights that are refused", () => {
  test("of another width: both shapes are named", async () => {
    const wide = checkpoint(all.map((p) => [`module.${p.name}`, p.shape.map((n) => (n === 2 ? 4 : n))]));
    expect(
      await messageOf(() => matchWeights(wide, target, { source: "wide.pth" })),
    ).toBe(`wide.pth: the weights do not fit small: 0 of the 5 parameters before its last layer have their name and shape
  expected "conv1.weight" [2,3,3,3]
  got      "module.conv1.weight" [4,3,3,3] in its place
  hint     choose the network that they belong to with --model; \`metalr inspect FILE\` lists names and shapes`);
  });

  test("of another network: the first tensor in its place is named", async () => {
    const other = checkpoint([["embed.weight", [7, 2]]]);
    expect(await messageOf(() => matchWeights(other, target, { source: "other.pth" }))).toContain(
      '\n  expected "conv1.weight" [2,3,3,3]\n  got      "embed.weight" [7,2] in its place\n',
    );
    expect(await messageOf(() => matchWeights(new Map(), target))).toContain("got      nothing in its place");
  });

  test("with fewer than three quarters of the backbone", async () => {
    const tensors = renamed((n) => n);
    tensors.delete("layer1.0.conv.weight");
    expect(matchWeights(tensors, target).unmatched).toEqual(["layer1.0.conv.weight"]);
    tensors.delete("layer2.0.conv.weight");
    expect(await messageOf(() => matchWeights(tensors, target))).toContain("3 of the 5 parameters");
  });

  test("that hold NaN", async () => {
    const tensors = renamed((n) => n);
    tensors.set("bn1.bias", float32([2], [1, Number.NaN]));
    expect(
      await messageOf(() => matchWeights(tensors, target, { source: "a.pth" })),
    ).toBe(`a.pth: "bn1.bias" holds numbers that are not finite
  expected 2 finite numbers
  got      1 of them NaN or infinite
  hint     the training that wrote it has diverged; take an earlier checkpoint`);
    const inClassifier = renamed((n) => n);
    inClassifier.set("fc.bias", float32([10], new Float32Array(10).fill(Number.NaN)));
    inClassifier.set("fc.weight", float32([10, 2], new Float32Array(20)));
    expect(matchWeights(inClassifier, target).matched.size).toBe(backbone.length); // not used, so not looked at
  });
});

/** The network of a state dict as it stands, with `fc` as its head. */
function targetOf(tensors: ReadonlyMap<string, Tensor>): WeightTarget {
  const rows = [...tensors]
    .filter(([n]) => !n.endsWith("num_batches_tracked"))
    .map(([name, t]) => ({ name, shape: t.shape }));
  const running = /running_(mean|var)$/;
  return {
    name: "golden",
    parameters: rows
      .filter((r) => !running.test(r.name))
      .map((r) => ({ ...r, group: r.name.startsWith("fc") ? 1 : 0 })),
    buffers: rows.filter((r) => running.test(r.name)),
    headGroup: 1,
  };
}

const uscl = "../shared/data/weights/uscl-layout-w8.pth";
test.skipIf(!existsSync(uscl))(
  "the self-supervised layout gives the golden network (skipped without ../shared/data)",
  async () => {
    const golden = (await openWeights("fixtures/golden/resnet-w8/init.pth", nodePlatform)).tensors;
    const { tensors } = await openWeights(uscl, nodePlatform);
    const match = matchWeights(tensors, targetOf(golden), { source: uscl });
    expect([match.matched.size, match.unmatched]).toEqual([100, ["fc.weight", "fc.bias"]]);
    expect(match.skipped.map((s) => s.name)).toEqual(["linear.weight", "linear.bias", "fc.weight", "fc.bias"]);
    for (const [name, { tensor }] of match.matched) expect(tensor.data, name).toEqual(golden.get(name)?.data);
  },
);
