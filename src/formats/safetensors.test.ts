import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { float32, int64, type Tensor, tensor } from "../common/tensor.js";
import { memorySource } from "./bytes.js";
import { messageOf, outcomeOf } from "./messages.testing.js";
import { encodeSafetensors, readSafetensors } from "./safetensors.js";

const read = (bytes: Uint8Array) => readSafetensors(memorySource("a.safetensors", bytes));
const utf8 = (text: string) => new TextEncoder().encode(text);

function file(header: string | object, data: readonly number[] = []): Uint8Array {
  const json = utf8(typeof header === "string" ? header : JSON.stringify(header));
  const out = new Uint8Array(8 + json.length + data.length);
  new DataView(out.buffer).setBigUint64(0, BigInt(json.length), true);
  out.set(json, 8);
  out.set(data, 8 + json.length);
  return out;
}
const entry = (dtype: string, shape: readonly number[], start: number, end: number) => ({
  dtype,
  shape,
  data_offsets: [start, end],
});

test("every kind of number, half precision widened", async () => {
  const bytes = file(
    {
      __metadata__: { format: "pt" },
      h: entry("F16", [2], 0, 4),
      b: entry("BF16", [2], 4, 8),
      u: entry("U8", [], 8, 9),
      t: entry("BOOL", [2], 9, 11),
      f: entry("F32", [1, 1], 11, 15),
    },
    [0, 0x3c, 0xff, 0x7b, 0x80, 0x3f, 0x40, 0xc0, 9, 1, 0, 0, 0, 0, 0x40],
  );
  const { tensors, metadata } = await read(bytes);
  expect(metadata).toEqual({ format: "pt" });
  expect(tensors).toEqual(
    new Map<string, Tensor>([
      ["h", float32([2], [1, 65504])],
      ["b", float32([2], [1, -3])],
      ["u", tensor("uint8", [], Uint8Array.of(9))],
      ["t", tensor("bool", [2], Uint8Array.of(1, 0))],
      ["f", float32([1, 1], [2])],
    ]),
  );
});

test("what is written is deterministic, sorted, aligned, and reads the same", async () => {
  const one: [string, Tensor][] = [
    ["b", float32([3], [1, Number.NaN, -0])],
    ["step", int64([], [7])],
    ["a", float32([0, 2], [])],
    ["__proto__", tensor("uint8", [1], Uint8Array.of(3))],
  ];
  const bytes = encodeSafetensors(new Map(one), { z: "1", a: "é" });
  expect(encodeSafetensors(new Map(one.reverse()), { a: "é", z: "1" })).toEqual(bytes);
  const length = Number(new DataView(bytes.buffer).getBigUint64(0, true));
  expect(length % 8).toBe(0);
  expect(new TextDecoder().decode(bytes.subarray(8, 8 + length)).trimEnd()).toBe(
    '{"__metadata__":{"a":"é","z":"1"},"step":{"dtype":"I64","shape":[],"data_offsets":[0,8]},' +
      '"a":{"dtype":"F32","shape":[0,2],"data_offsets":[8,8]},"b":{"dtype":"F32","shape":[3],"data_offsets":[8,20]},' +
      '"__proto__":{"dtype":"U8","shape":[1],"data_offsets":[20,21]}}',
  );
  const { tensors, metadata } = await read(bytes);
  expect([...tensors.keys()]).toEqual(["step", "a", "b", "__proto__"]);
  expect(tensors).toEqual(new Map(one));
  expect(metadata).toEqual({ a: "é", z: "1" });
});

describe("bad files", () => {
  const message = (bytes: Uint8Array) => messageOf(() => read(bytes));

  test("offsets that overlap, leave holes or do not fit", async () => {
    const two = (start: number, end: number) => ({ a: entry("U8", [4], 0, 4), b: entry("U8", [2], start, end) });
    expect(await message(file(two(2, 4), [0, 0, 0, 0]))).toBe(`a.safetensors (b): overlaps another tensor
  expected to begin at byte 4 of the data
  got      byte 2`);
    expect(await message(file(two(6, 8), new Array(8).fill(0)))).toContain(
      "a.safetensors (b): leaves a hole before it",
    );
    expect(await message(file(two(4, 6), [0, 0, 0, 0, 0]))).toBe(`a.safetensors: is truncated
  expected 6 bytes of data
  got      5
  hint     copy or download it again`);
    expect(await message(file(two(4, 6), new Array(9).fill(0)))).toContain("has bytes that belong to no tensor");
    expect(await message(file(two(6, 4), [0, 0, 0, 0]))).toBe(`a.safetensors (b): has impossible data_offsets
  got      [6, 4]`);
  });

  test("a shape that its bytes do not fill, an unknown type, a damaged entry", async () => {
    expect(
      await message(file({ a: entry("F32", [1000000, 1000000], 0, 4) }, [0, 0, 0, 0])),
    ).toBe(`a.safetensors (a): the data does not fill the shape
  expected 4,000,000,000,000 bytes for float32 [1000000,1000000]
  got      4
  hint     the file is truncated or damaged; copy or download it again`);
    expect(
      await message(file({ a: entry("F8_E4M3", [1], 0, 1) }, [0])),
    ).toBe(`a.safetensors (a): has elements of a type that is not read
  expected F64, F32, F16, BF16, I64, I32, I16, I8, U64, U32, U16, U8, BOOL
  got      F8_E4M3`);
    expect(await message(file({ a: entry("constructor", [1], 0, 1) }, [0]))).toContain("got      constructor");
    expect(await message(file({ a: { dtype: "F32", shape: "x", data_offsets: [0] } }))).toContain(
      "has a damaged entry",
    );
    expect(await message(file({ a: entry("F32", [-1, -1], 0, 4) }, [0, 0, 0, 0]))).toContain("has an impossible shape");
  });

  test("a header that is no JSON, and a length beyond the file", async () => {
    expect(await message(file("{nonsense"))).toBe("a.safetensors: has a damaged safetensors header: it is not JSON");
    const long = file("{}");
    new DataView(long.buffer).setBigUint64(0, 2n ** 40n, true);
    expect(await message(long)).toBe(`a.safetensors: is not a safetensors file, or is truncated
  expected the length of a JSON header, at most 2 bytes, and the header
  got      an unknown kind of file`);
  });

  test("every prefix and every changed byte end well", async () => {
    const whole = encodeSafetensors(new Map([["a", float32([2], [1, 2])]]), { k: "v" });
    for (let n = 0; n < whole.length; n++) {
      expect(await outcomeOf(() => read(whole.subarray(0, n))), String(n)).toBe("FileError");
    }
    const property = fc.asyncProperty(fc.nat(), fc.integer({ min: 0, max: 255 }), async (where, value) => {
      const bytes = whole.slice();
      bytes[where % bytes.length] = value;
      await outcomeOf(() => read(bytes));
    });
    await fc.assert(property, { numRuns: 500, seed: 7 });
  });
});
