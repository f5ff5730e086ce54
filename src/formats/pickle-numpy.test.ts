import { readFileSync } from "node:fs";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { messageOf, outcomeOf } from "./messages.testing.js";
import { isTensor, type PlainValue, readNumpyPickle } from "./pickle-numpy.js";

interface Samples {
  numpy: string;
  all: string[];
  folds: string[];
}

const load = (file: string): Samples => JSON.parse(readFileSync(`fixtures/formats/${file}`, "utf8")) as Samples; // made by the script beside it
const bytesOf = (base64: string) => new Uint8Array(Buffer.from(base64, "base64"));
const ascii = (text: string) => Uint8Array.from(text, (c) => c.charCodeAt(0));

/** Tensors as "dtype[shape] values" so that one table says everything. */
function shown(value: PlainValue, path: readonly PlainValue[] = []): unknown {
  if (path.includes(value) && typeof value === "object" && value !== null) return "itself";
  const inner = (v: PlainValue) => shown(v, [...path, value]);
  if (isTensor(value)) return `${value.dtype}[${value.shape.join(",")}] ${value.data.join(" ")}`;
  if (value instanceof Uint8Array) return `bytes ${value.join(" ")}`;
  if (Array.isArray(value)) return (value as PlainValue[]).map(inner);
  if (value instanceof Map) return Object.fromEntries([...value].map(([k, v]) => [k, inner(v)]));
  if (value instanceof Set) return { set: [...value].map(inner) };
  return value;
}

const expected = {
  uint8: "uint8[2,3] 0 1 2 3 4 5",
  "big-endian": "float32[2] 1.5 -2",
  fortran: "float64[2,3] 0 1 2 3 4 5",
  half: "float32[5] 1 -0.5 65504 5.960464477539063e-8 Infinity",
  int64: "int64[2] -1 4611686018427387904",
  bool: "bool[2] 1 0",
  "uint16 view": "uint16[2,2] 0 2 3 5",
  "no elements": "int16[0,3] ",
  "no dimensions": "int8[] 5",
  objects: ["uint8[2] 7 8", [1, 2], null],
  square: [
    ["a", "b"],
    ["c", "d"],
  ],
  text: ["covid19", "é"],
  "bytes text": ["ab", "c"],
  scalars: [0.5, 7, true, -1, "x"],
  plain: [
    1,
    -1,
    255,
    65536,
    2 ** 40,
    -(2n ** 70n),
    1.5,
    -1e300,
    true,
    false,
    null,
    "é\n\\ 😀",
    "bytes 0 255",
    "bytes ",
    [1],
    [],
    [1, 2, 3],
    [[]],
  ],
  set: { set: [1] },
  frozen: { set: [2] },
  ordered: { b: 1, a: 2 },
  "array of bytes": "bytes 1 128",
  cycle: ["itself"],
  shared: ["int32[1] 9", "int32[1] 9"],
};

describe.each([load("pickles-numpy1.json"), load("pickles-numpy2.json")])("NumPy $numpy", ({ all, folds }) => {
  test.each([0, 1, 2, 3, 4, 5])("protocol %i reads every kind of value", (protocol) => {
    expect(shown(readNumpyPickle(bytesOf(all[protocol]!), "all.pkl"))).toEqual(expected);
  });

  test.each([0, 1, 2, 3, 4, 5])("protocol %i reads the layout of the released data set", (protocol) => {
    const [x, y] = readNumpyPickle(bytesOf(folds[protocol]!), "folds.pkl") as readonly (readonly PlainValue[])[];
    const shapes = x!.map((fold) => isTensor(fold) && `${fold.dtype}[${fold.shape.join(",")}]`);
    expect(shapes).toEqual(["uint8[2,3,2,2]", "uint8[1,3,2,2]"]);
    expect(y!.map((fold) => shown(fold))).toEqual(["int64[2] 0 2", "int64[1] 1"]);
  });

  test.each([0, 1, 2, 3, 4, 5])("protocol %i cut short anywhere is an error of ours", async (protocol) => {
    const bytes = bytesOf(folds[protocol]!);
    for (let length = 0; length < bytes.length; length++) {
      expect(await outcomeOf(() => readNumpyPickle(bytes.subarray(0, length), "cut.pkl")), String(length)).toBe(
        "FileError",
      );
    }
  });

  test("bytes changed anywhere give a value or an error of ours", async () => {
    const noise = fc.array(fc.tuple(fc.nat(), fc.integer({ min: 0, max: 255 })), { minLength: 1, maxLength: 4 });
    const property = fc.asyncProperty(fc.constantFrom(...all), noise, async (sample, changes) => {
      const bytes = bytesOf(sample);
      for (const [at, value] of changes) bytes[at % bytes.length] = value;
      await outcomeOf(() => readNumpyPickle(bytes, "noise.pkl"));
    });
    await fc.assert(property, { numRuns: 1500, seed: 7 });
  });
});

test("an array that Python 2 wrote is read", () => {
  const text =
    "(lp0\ncnumpy.core.multiarray\n_reconstruct\np1\n(cnumpy\nndarray\np2\n(I0\ntp3\nS'b'\np4\ntp5\nRp6\n(I1\n(I2\ntp7\n" +
    "cnumpy\ndtype\np8\n(S'u1'\np9\nI0\nI1\ntp10\nRp11\n(I3\nS'|'\np12\nNNNI-1\nI-1\nI0\ntp13\nbI00\nS'\\x01\\n'\np14\ntp15\nba" +
    "S'it\\'s'\np16\naL12345678901234567890L\na.";
  expect(shown(readNumpyPickle(ascii(text), "two.pkl"))).toEqual(["uint8[2] 1 10", "it's", 12345678901234567890n]);
});

test("arrays are views of the file's bytes where they can be", () => {
  const bytes = bytesOf(load("pickles-numpy1.json").folds[4]!);
  const [x] = readNumpyPickle(bytes, "folds.pkl") as readonly (readonly PlainValue[])[];
  expect(isTensor(x![0]!) && x![0].data.buffer).toBe(bytes.buffer);
});

describe("what is refused", () => {
  const messages = (text: string) => messageOf(() => readNumpyPickle(ascii(text), "x.pkl"));

  test("a forbidden name, in every way to name it", async () => {
    const message = (byte: number) => `x.pkl: refused "os.system"
  expected a pickle of plain data: arrays, lists, dictionaries, numbers and text
  got      one that asks for this name at byte ${byte}
  hint     do not load it in Python either unless you trust where it comes from`;
    expect(await messages("cos\nsystem\n(S'ls'\ntR.")).toBe(message(11));
    expect(await messages("(S'ls'\nios\nsystem\n.")).toBe(message(18));
    expect(await messages("\x80\x04\x8c\x02os\x8c\x06system\x93\x8c\x02ls\x85R.")).toBe(message(15));
  });

  test("names that differ from an allowed one by a detail", async () => {
    expect(await messages("cbuiltins\neval\n.")).toContain('refused "builtins.eval"');
    expect(await messages("c__builtin__\ngetattr\n.")).toContain('refused "__builtin__.getattr"');
    expect(await messages("cnumpy\ndtype.__reduce__\n.")).toContain('refused "numpy.dtype.__reduce__"');
    expect(await messages("cbuiltins\n__proto__\n.")).toContain('refused "builtins.__proto__"');
    expect(await messages("cnumpy.\x1b[31mcore\nx\n.")).toContain('refused "numpy.?[31mcore.x"');
  });

  test("damage says where it is", async () => {
    expect(await messages("\x80\x04K")).toBe(`x.pkl: the pickle is truncated
  expected 1 more bytes from byte 3
  got      0
  hint     copy or download the file again`);
    expect(await messages("h\x05.")).toBe(`x.pkl: the pickle is damaged: memo 5 was never stored
  got      this at byte 2
  hint     copy or download the file again`);
    expect(await messages("\x80\x06.")).toBe(`x.pkl: is a pickle of an unknown protocol
  expected 0 to 5
  got      6`);
    expect(await messages("\x82\x01.")).toContain("operation 0x82 is not known");
    expect(await messages("B\xff\xff\xff\xffabc.")).toContain("expected 4,294,967,295 more bytes from byte 5");
  });

  test("an array that claims more than its bytes", async () => {
    const array = (shape: string, data: string) =>
      `cnumpy.core.multiarray\n_reconstruct\n(cnumpy\nndarray\n(I0\nt${"S'b'\n"}tR(I1\n${shape}cnumpy\ndtype\n(S'f8'\nI0\nI1\ntR(I3\nS'<'\nNNNI-1\nI-1\nI0\ntbI00\n${data}tb.`;
    expect(await messages(array("(I1000000000\ntp0\n", "S'abc'\n"))).toBe(`x.pkl: the data does not fill the shape
  expected 8,000,000,000 bytes for float64 [1000000000]
  got      3
  hint     the file is truncated or damaged; copy or download it again`);
    expect(await messages(array("(I-1\ntp0\n", "S'abc'\n"))).toContain("a dimension of -1");
    expect(await messages(array("(I1000000000\nI1000000000\nI1000000000\ntp0\n", "S''\n"))).toContain(
      "has an impossible shape",
    );
  });

  test("a short pickle that hands one text to a construct again and again", async () => {
    const text = `(V${"a".repeat(60000)}\np0\n${"c_codecs\nencode\n(g0\nVlatin1\ntR".repeat(2000)}l.`;
    expect(await messages(text)).toContain("it expands to far more than its own length");
  });

  test("more values than memory has room for", async () => {
    expect(await messages("]".repeat(10_000_000))).toContain("holds too many values");
    expect(await messages("}".repeat(500_001))).toContain("holds too many values");
  });

  test("nesting deeper than the stack", async () => {
    expect(await messages(`${"]".repeat(100_000)}${"a".repeat(99_999)}.`)).toContain("nested more than 1000 deep");
  });
});
