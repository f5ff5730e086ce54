import { existsSync, readFileSync } from "node:fs";
import fc from "fast-check";
import { zipSync } from "fflate";
import { describe, expect, test } from "vitest";
import { float32, formatShape, type Tensor, tensor } from "../common/tensor.js";
import { memorySource } from "../formats/bytes.js";
import { messageOf, outcomeOf } from "../formats/messages.testing.js";
import { writeNpz } from "../formats/npz.js";
import { encodeSafetensors } from "../formats/safetensors.js";
import { nodePlatform } from "../platform/node/index.js";
import { describeWeights, openWeights, readWeights } from "./index.js";

const folder = "fixtures/weights";
const bytesOf = (file: string) => new Uint8Array(readFileSync(`${folder}/${file}`));
const read = (bytes: Uint8Array, name = "a.pth") => readWeights(memorySource(name, bytes), nodePlatform);
const ascii = (text: string) => Uint8Array.from(text, (c) => c.charCodeAt(0));
const shown = (tensors: ReadonlyMap<string, Tensor>) =>
  Object.fromEntries([...tensors].map(([k, t]) => [k, `${t.dtype}${formatShape(t.shape)} ${t.data.join(" ")}`]));

const views = {
  whole: "float32[3,4] 0 1 2 3 4 5 6 7 8 9 10 11",
  transposed: "float32[4,3] 0 4 8 1 5 9 2 6 10 3 7 11",
  row: "float32[4] 4 5 6 7",
  column: "float32[3] 2 6 10",
  step: "float32[2,2] 4 6 8 10",
  "channels last": "float32[1,2,2,2] 0 1 2 3 4 5 6 7",
  expanded: "float32[2,3] 5 5 5 5 5 5",
  half: "float32[3] 1 -0.5 65504",
  bfloat16: `float32[3] 1 -3 ${2 ** 100}`,
  double: `float32[1] ${Math.fround(0.1)}`,
  int64: "int64[2] -1 4611686018427387904",
  int32: "int32[1] -5",
  int16: "int16[1] -6",
  int8: "int8[1] -7",
  uint8: "uint8[1] 200",
  bool: "bool[2] 1 0",
  scalar: "float32[] 3",
  "no elements": "float32[0,3] ",
  parameter: "float32[1,2] 1 2",
  numpy: "float32[2] 7 8",
};

describe("PyTorch's files", () => {
  test.each([
    ["views.pth", "torch-zip"],
    ["views-protocol4.pth", "torch-zip"],
    ["views-legacy.pth", "torch-legacy"],
  ])("%s: every element type, views of one storage, any strides", async (file, format) => {
    const checkpoint = await read(bytesOf(file));
    expect(checkpoint.format).toBe(format);
    expect(shown(checkpoint.tensors)).toEqual(views);
    expect(checkpoint.notes).toEqual(["1 tensors of float64 were made float32"]);
  });

  test("tensors do not share memory, even where their storage is one", async () => {
    const { tensors } = await read(bytesOf("views.pth"));
    const buffers = [...tensors.values()].map((t) => t.data.buffer);
    expect(new Set(buffers).size).toBe(buffers.length);
  });

  test("a training program's dictionary is unwrapped, and says what was left aside", async () => {
    const { tensors, notes } = await read(bytesOf("wrapped.pth"));
    expect([...tensors.keys()]).toEqual([
      "module.conv1.weight",
      "module.conv1.bias",
      "module.bn1.weight",
      "module.bn1.bias",
      "module.bn1.running_mean",
      "module.bn1.running_var",
      "module.bn1.num_batches_tracked",
    ]);
    expect(notes).toEqual([
      'weights taken from "state_dict"',
      "left aside: epoch, arch, args, best_acc1, accuracy, optimizer",
    ]);
  });

  test("dictionaries inside dictionaries", async () => {
    const { tensors, notes } = await read(bytesOf("nested.pth"));
    expect([...tensors.keys()].slice(0, 2)).toEqual(["conv1.weight", "conv1.bias"]);
    expect(notes).toEqual(['weights taken from "model"."encoder"', "left aside: steps"]);
  });

  test("files of newer versions: untyped storages, element types by name", async () => {
    const pickle =
      "(dp0\nVw\nctorch._utils\n_rebuild_tensor_v3\n((Vstorage\nctorch.storage\nUntypedStorage\nV0\nVcpu\nI6\ntQ" +
      "I1\n(I2\nt(I1\ntI00\n(dctorch\nuint16\ntRs.";
    const file = zipSync({
      "a/data.pkl": ascii(pickle),
      "a/byteorder": ascii("little"),
      "a/data/0": Uint8Array.of(1, 0, 2, 0, 3, 1),
    });
    expect(shown((await read(file)).tensors)).toEqual({ w: "uint16[2] 2 259" });
    const big = zipSync({ "a/data.pkl": ascii(pickle), "a/byteorder": ascii("big"), "a/data/0": new Uint8Array(6) });
    expect(await messageOf(() => read(big))).toBe("a.pth: has another byte order\n  expected little\n  got      big");
  });
});

describe("other formats, told by content", () => {
  const tensors = new Map<string, Tensor>([
    ["w", tensor("float64", [2], Float64Array.of(1, 2))],
    ["n", tensor("int64", [], BigInt64Array.of(3n))],
  ]);
  const wanted = { w: "float32[2] 1 2", n: "int64[] 3" };

  test("safetensors, npz, and a checkpoint inside a zip", async () => {
    const safe = await read(encodeSafetensors(tensors));
    expect([safe.format, shown(safe.tensors)]).toEqual(["safetensors", wanted]);
    const npz = await read(writeNpz(tensors));
    expect([npz.format, shown(npz.tensors)]).toEqual(["npz", wanted]);
    const zipped = await read(zipSync({ "d/best_model.pth": bytesOf("nested.pth"), "d/README": ascii("hi") }));
    expect([zipped.format, zipped.notes[0]]).toEqual(["torch-zip", 'read from "d/best_model.pth" in the archive']);
  });

  test("numbers that are not finite are noted by name", async () => {
    const bad = new Map([["conv1.weight", float32([3], [1, Number.NaN, Number.POSITIVE_INFINITY])]]);
    expect((await read(encodeSafetensors(bad))).notes).toEqual(['"conv1.weight" holds 2 numbers that are not finite']);
  });

  test("what a checkpoint holds, counted", () => {
    const described = describeWeights(
      new Map<string, Tensor>([
        ["conv1.weight", float32([2, 3], new Float32Array(6))],
        ["bn1.running_mean", float32([2], [0, 0])],
        ["bn1.num_batches_tracked", tensor("int64", [], BigInt64Array.of(3n))],
      ]),
    );
    expect([described.parameters, described.bytes, described.rows[0]]).toEqual([
      6,
      40,
      { name: "conv1.weight", dtype: "float32", shape: [2, 3], elements: 6 },
    ]);
  });
});

describe("what is refused", () => {
  const message = (bytes: Uint8Array) => messageOf(() => read(bytes));

  test("a whole pickled model, in both formats", async () => {
    expect(await message(bytesOf("model.pth"))).toBe(`a.pth: refused "__main__.Net"
  expected a pickle of plain data: arrays, lists, dictionaries, numbers and text
  got      one that asks for this name at byte 16
  hint     if the file holds a whole model (__main__.Net may be part of it), load it where it was made and save its weights alone: torch.save(model.state_dict(), path)`);
    const start = bytesOf("views-legacy.pth").subarray(0, 137); // magic number, version and facts of the machine
    const legacy = Uint8Array.from([...start, ...ascii("(Vmodule\nc__main__\nNet\n")]);
    expect(await message(legacy)).toContain('a.pth: refused "__main__.Net"');
  });

  test("TorchScript, a single tensor, a list, a dictionary without tensors", async () => {
    expect(await message(bytesOf("script.pt"))).toBe(`a.pth: is a TorchScript archive, which holds program code
  expected a state dict: names and tensors
  hint     load it with torch.jit.load and save its weights: torch.save(model.state_dict(), path)`);
    expect(await message(bytesOf("tensor.pth"))).toBe(`a.pth: holds a single tensor
  expected a state dict: names and tensors
  hint     save the weights with torch.save(model.state_dict(), path)`);
    expect(await message(zipSync({ "a/data.pkl": ascii("(l.") }))).toContain("a.pth: holds a list");
    expect(await message(zipSync({ "a/data.pkl": ascii("(dVepoch\nI3\ns.") }))).toBe(`a.pth: holds no weights
  expected a state dict: names and tensors
  got      a dictionary of epoch
  hint     save the weights with torch.save(model.state_dict(), path)`);
  });

  test("a forbidden name gets no advice to try elsewhere", async () => {
    expect(
      await message(zipSync({ "a/data.pkl": ascii("cposix\nsystem\n(Vls\ntR.") })),
    ).toBe(`a.pth: refused "posix.system"
  expected a pickle of plain data: arrays, lists, dictionaries, numbers and text
  got      one that asks for this name at byte 14
  hint     do not load it in Python either unless you trust where it comes from`);
  });

  test("missing, empty, another kind of file", async () => {
    expect(await messageOf(() => openWeights("no.pth", nodePlatform))).toBe(
      "no.pth: does not exist\n  hint     check the path",
    );
    expect(await message(ascii("<!DOCTYPE html>"))).toBe(`a.pth: is not a checkpoint
  expected PyTorch (.pth, .pt, .th), safetensors or npz
  got      a web page
  hint     save the weights with torch.save(model.state_dict(), path)`);
    expect(await message(new Uint8Array(0))).toContain("got      an empty file");
    expect(
      await message(zipSync({ "a.txt": ascii("x"), "b.txt": ascii("y") })),
    ).toBe(`a.pth: is a zip archive without weights
  expected a PyTorch checkpoint, an npz, or one of them zipped
  got      2 members: a.txt, b.txt`);
  });

  /** A tensor of a storage of two numbers, by its offset, shape and strides. */
  const torch = (view: string, elements = 2) =>
    zipSync({
      "a/data.pkl": ascii(
        `(dVw\nctorch._utils\n_rebuild_tensor_v2\n((Vstorage\nctorch\nFloatStorage\nV0\nVcpu\nI${elements}\ntQ${view}I00\n(dtRs.`,
      ),
      "a/data/0": new Uint8Array(8),
    });

  test("tensors that reach beyond their storage, storages beyond their bytes", async () => {
    expect(await outcomeOf(() => read(torch("I0\n(I2\nt(I1\nt")))).toBe("ok");
    expect(
      await message(torch("I1\n(I2\nt(I1\nt")),
    ).toBe(`a.pth: the checkpoint is damaged: a tensor reaches beyond its storage
  got      3 elements of 2 (shape [2], strides [1], offset 1)
  hint     copy or download it again`);
    expect(await message(torch("I0\n(I2\nt(I-1\nt"))).toContain("a tensor has no shape, offset or strides");
    expect(
      await message(torch("I0\n(I2\nt(I1\nt", 1000)),
    ).toBe(`a.pth: storage 0 is of another length than its tensors say
  expected 4,000 bytes
  got      8
  hint     copy or download it again`);
  });

  test("an expanded view that claims a terabyte", async () => {
    const file = torch("I0\n(I1000000000\nI250\nt(I0\nI0\nt");
    expect(await message(file)).toMatch(
      /^a.pth: its tensors take far more memory than the file is long\n {2}expected at most [\d,]+ bytes in all\n {2}got {6}more, at "w"$/,
    );
  });
});

describe("damage anywhere ends in an error of ours", () => {
  const files: [string, Uint8Array][] = [
    ...["views.pth", "views-legacy.pth", "wrapped.pth"].map((f): [string, Uint8Array] => [f, bytesOf(f)]),
    ["a.safetensors", encodeSafetensors(new Map([["w", float32([2], [1, 2])]]))],
    ["a.npz", writeNpz(new Map([["w", float32([2], [1, 2])]]))],
  ];

  test.each(files)("%s cut short", async (_, bytes) => {
    const step = bytes.length > 3000 ? 7 : 1; // the larger files by every seventh byte, for time
    for (let n = 0; n < bytes.length; n += step) {
      expect(await outcomeOf(() => read(bytes.subarray(0, n))), String(n)).toBe("FileError");
    }
  });

  test.each(files)("%s with changed bytes", async (_, bytes) => {
    const changes = fc.array(fc.tuple(fc.nat(), fc.integer({ min: 0, max: 255 })), { minLength: 1, maxLength: 4 });
    const property = fc.asyncProperty(changes, async (list) => {
      const changed = bytes.slice();
      for (const [at, value] of list) changed[at % changed.length] = value;
      await outcomeOf(() => read(changed));
    });
    await fc.assert(property, { numRuns: 300, seed: 7 });
  });
});

const weights = "../shared/data/weights";
test.skipIf(!existsSync(weights))("the legacy ResNet-20 checkpoint (skipped without ../shared/data)", async () => {
  const { format, tensors, notes } = await openWeights(`${weights}/resnet20-12fca82f.th`, nodePlatform);
  expect([format, tensors.size, describeWeights(tensors).parameters]).toEqual(["torch-legacy", 97, 269722]);
  expect(notes).toEqual(['weights taken from "state_dict"', "left aside: best_prec1"]);
  // As torch.load gives them.
  expect([...(tensors.get("module.linear.bias")?.data.slice(0, 2) ?? [])]).toEqual([
    0.19355906546115875, -0.3431008756160736,
  ]);
});
