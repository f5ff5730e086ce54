import { existsSync } from "node:fs";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { float32, type Tensor } from "../common/tensor.js";
import { nodePlatform } from "../platform/node/index.js";
import { memorySource } from "./bytes.js";
import { messageOf, outcomeOf } from "./messages.testing.js";
import { decodeNpy, encodeNpy } from "./npy.js";
import { openNpz, writeNpz } from "./npz.js";

const ascii = (text: string) => Uint8Array.from(text, (c) => c.charCodeAt(0));

function npy(dict: string, data: readonly number[], version = 1): Uint8Array {
  const length = version === 1 ? [dict.length & 255, dict.length >> 8] : [dict.length & 255, dict.length >> 8, 0, 0];
  return Uint8Array.from([0x93, ...ascii("NUMPY"), version, 0, ...length, ...ascii(dict), ...data]);
}
const header = (descr: string, shape: string, fortran = "False") =>
  `{'descr': '${descr}', 'fortran_order': ${fortran}, 'shape': ${shape}, }\n`;

const samples: readonly (readonly [descr: string, data: number[], dtype: string, values: string])[] = [
  ["|b1", [1, 0], "bool", "1,0"],
  ["|i1", [255, 1], "int8", "-1,1"],
  ["|u1", [255, 1], "uint8", "255,1"],
  ["<i2", [1, 0, 255, 255], "int16", "1,-1"],
  [">i2", [0, 1, 255, 255], "int16", "1,-1"],
  ["<u2", [1, 0, 255, 255], "uint16", "1,65535"],
  [">u4", [0, 0, 1, 0, 255, 255, 255, 255], "uint32", "256,4294967295"],
  ["<i4", [0, 1, 0, 0, 255, 255, 255, 255], "int32", "256,-1"],
  [">i8", [0, 0, 0, 0, 0, 0, 0, 7, 255, 255, 255, 255, 255, 255, 255, 255], "int64", "7,-1"],
  ["<u8", [7, 0, 0, 0, 0, 0, 0, 0, 255, 255, 255, 255, 255, 255, 255, 255], "uint64", "7,18446744073709551615"],
  ["<f2", [0, 0x3c, 0, 0xc0], "float32", "1,-2"],
  [">f2", [0x3c, 0, 0xc0, 0], "float32", "1,-2"],
  ["<f4", [0, 0, 0x80, 0x3f, 0, 0, 0, 0xc0], "float32", "1,-2"],
  [">f4", [0x3f, 0x80, 0, 0, 0xc0, 0, 0, 0], "float32", "1,-2"],
  [">f8", [0x3f, 0xf0, 0, 0, 0, 0, 0, 0, 0xc0, 0, 0, 0, 0, 0, 0, 0], "float64", "1,-2"],
];

test.each(samples)("%s %j reads as %s %s", (descr, data, dtype, values) => {
  const t = decodeNpy(npy(header(descr, "(2,)"), data), "a.npy");
  expect([t.dtype, t.shape, String(t.data)]).toEqual([dtype, [2], values]);
});

test("Fortran order comes out in C order, as NumPy indexes it", () => {
  const t = decodeNpy(npy(header("|u1", "(2, 3)", "True"), [0, 3, 1, 4, 2, 5]), "a.npy");
  expect([t.shape, [...t.data]]).toEqual([
    [2, 3],
    [0, 1, 2, 3, 4, 5],
  ]);
  const cube = decodeNpy(npy(header(">i2", "(2, 1, 2)", "True"), [0, 1, 0, 3, 0, 2, 0, 4]), "a.npy");
  expect([cube.shape, [...cube.data]]).toEqual([
    [2, 1, 2],
    [1, 2, 3, 4],
  ]);
});

test("scalars, arrays without elements, versions 2 and 3, keys in any order, lengths of Python 2", () => {
  expect(decodeNpy(npy(header("|u1", "()"), [7]), "a.npy")).toMatchObject({ shape: [], data: new Uint8Array([7]) });
  expect(decodeNpy(npy(header("<f4", "(0, 3)"), []), "a.npy")).toMatchObject({ shape: [0, 3] });
  expect(decodeNpy(npy(header("|u1", "(1,)"), [7], 2), "a.npy").data[0]).toBe(7);
  expect(decodeNpy(npy(header("|u1", "(1,)"), [7], 3), "a.npy").data[0]).toBe(7);
  const dict = `{"shape": (1L,), "fortran_order": False, "descr": "|u1"}`;
  expect(decodeNpy(npy(dict, [7]), "a.npy").shape).toEqual([1]);
});

describe("bad arrays", () => {
  const message = (bytes: Uint8Array) => messageOf(() => decodeNpy(bytes, "a.npy"));

  test("truncated data", async () => {
    expect(
      await message(npy(header("<f4", "(1000, 1000)"), [0, 0, 0, 0])),
    ).toBe(`a.npy: the data does not fill the shape
  expected 4,000,000 bytes for float32 [1000,1000]
  got      4
  hint     the file is truncated or damaged; copy or download it again`);
  });

  test("Python objects, text, structures and complex numbers", async () => {
    expect(await message(npy(header("|O", "(1,)"), [0]))).toBe(`a.npy: is an array of Python objects, which is not read
  expected an array of numbers
  got      NumPy type "|O"
  hint     save numbers: numpy.save(path, numpy.asarray(x, dtype=numpy.float32))`);
    expect(await message(npy(header("<U3", "(1,)"), [0]))).toContain("is an array of text");
    expect(await message(npy(header("<c8", "(1,)"), [0]))).toBe(`a.npy: has elements of a type that is not read
  expected bool, int8 … int64, uint8 … uint64, float16, float32 or float64
  got      NumPy type "<c8"
  hint     convert the array with .astype(numpy.float32) and save it again`);
    const structure = `{'descr': [('a', '<f4')], 'fortran_order': False, 'shape': (1,), }`;
    expect(await message(npy(structure, [0]))).toContain("is a structured array, which is not read");
  });

  test("another kind of file, another version, an impossible shape", async () => {
    expect(await message(ascii("GIF89a"))).toBe(`a.npy: is not a NumPy array
  expected a .npy file
  got      a GIF image`);
    expect(await message(npy(header("|u1", "(1,)"), [0], 4))).toContain("is of an unknown .npy version");
    expect(await message(npy(header("|u1", "(99999999999999999999,)"), [0]))).toContain("has an impossible shape");
    expect(await message(npy(header("|u1", "(1099511627776, 1099511627776)"), [0]))).toContain(
      "has an impossible shape",
    );
  });
});

/** Any tensor of at most 3 dimensions. */
const anyTensor: fc.Arbitrary<Tensor> = fc
  .tuple(fc.array(fc.nat({ max: 4 }), { maxLength: 3 }), fc.constantFrom("uint8", "int64", "float32", "bool" as const))
  .map(([shape, dtype]) => {
    const size = shape.reduce((n, d) => n * d, 1);
    if (dtype === "int64")
      return { dtype, shape, data: BigInt64Array.from({ length: size }, (_, i) => BigInt(i) - 2n) };
    if (dtype === "float32")
      return float32(
        shape,
        Float32Array.from({ length: size }, (_, i) => i / 3),
      );
    return { dtype: dtype as "uint8" | "bool", shape, data: Uint8Array.from({ length: size }, (_, i) => i % 2) };
  });

test("what is written reads the same, in every prefix an error of ours", async () => {
  const property = fc.asyncProperty(anyTensor, fc.boolean(), async (t, compress) => {
    expect(decodeNpy(encodeNpy(t), "a.npy")).toEqual(t);
    expect(encodeNpy(t).indexOf(10) % 64).toBe(63); // the header ends in a line feed before a multiple of 64
    const npz = await openNpz(memorySource("a.npz", writeNpz(new Map([["a/b", t]]), { compress })), nodePlatform);
    expect(npz.names).toEqual(["a/b"]);
    expect(await npz.read("a/b")).toEqual(t);
  });
  await fc.assert(property, { numRuns: 50, seed: 7 });
  const bytes = encodeNpy(float32([2], [1, 2]));
  for (let n = 0; n < bytes.length; n++) {
    expect(await outcomeOf(() => decodeNpy(bytes.subarray(0, n), "a.npy"))).toBe("FileError");
  }
});

test("an .npz names the arrays that it has", async () => {
  const tensors = new Map<string, Tensor>([
    ["train_images", float32([1], [1])],
    ["train_labels", float32([1], [1])],
  ]);
  const npz = await openNpz(memorySource("a.npz", writeNpz(tensors)), nodePlatform);
  expect(npz.has("train_images")).toBe(true);
  expect(await messageOf(() => npz.read("images"))).toBe(`a.npz: has no array "images"
  got      train_images, train_labels`);
  expect(writeNpz(tensors)).toEqual(writeNpz(tensors));
});

test.each(["resnet-w8", "resnet-w16"])("the batches of golden/%s", async (name) => {
  const npz = await openNpz(await nodePlatform.files.open(`fixtures/golden/${name}/batches.npz`), nodePlatform);
  expect(npz.names).toEqual(["train_x", "train_y", "val_x", "val_y"]);
  const [x, y] = [await npz.read("train_x"), await npz.read("train_y")];
  expect([x.dtype, x.shape.slice(0, 3), y.dtype, y.shape]).toEqual(["float32", [4, 8, 3], "int64", [4, 8]]);
  await npz.close();
});

const medmnist = "../shared/data/medmnist";
test.skipIf(!existsSync(medmnist)).each([
  ["breastmnist", [546, 28, 28]],
  ["retinamnist", [1080, 28, 28, 3]],
  ["adrenalmnist3d", [1188, 28, 28, 28]],
])("the %s arrays (skipped without ../shared/data)", async (name, shape) => {
  const npz = await openNpz(await nodePlatform.files.open(`${medmnist}/${name}.npz`), nodePlatform);
  expect(new Set(npz.names)).toEqual(
    new Set(["train", "val", "test"].flatMap((part) => [`${part}_images`, `${part}_labels`])),
  );
  const images = await npz.read("train_images");
  expect([images.dtype, images.shape]).toEqual(["uint8", shape]);
  await npz.close();
});
