import { existsSync } from "node:fs";
import fc from "fast-check";
import { zipSync } from "fflate";
import { describe, expect, test } from "vitest";
import { nodePlatform } from "../platform/node/index.js";
import type { ByteSource, FileSystem } from "../platform/types.js";
import { memorySource } from "./bytes.js";
import { messageOf, outcomeOf } from "./messages.testing.js";
import { openFile, openZip } from "./zip.js";

const ascii = (text: string) => Uint8Array.from(text, (c) => c.charCodeAt(0));
const text = (bytes: Uint8Array) => String.fromCharCode(...bytes);
const open = (bytes: Uint8Array, name = "a.zip") => openZip(memorySource(name, bytes), nodePlatform.inflate);
const at = new Date(1980, 0, 1);

/** "stored.txt" as it is, an entry for "folder/", and "folder/deflated.txt" compressed. */
const sample = () =>
  zipSync(
    {
      "stored.txt": [ascii("hello"), { level: 0 }],
      folder: { "deflated.txt": [ascii("ab".repeat(500)), { level: 9 }] },
    },
    { mtime: at },
  );

/** Sets a little-endian field of the n-th directory entry. */
function withField(zip: Uint8Array, entry: number, offset: number, value: number, bytes: 2 | 4): Uint8Array {
  const view = new DataView(zip.buffer);
  let found = -1;
  for (let i = 0; i < zip.length - 4; i++) {
    if (view.getUint32(i, true) !== 0x02014b50 || ++found !== entry) continue;
    if (bytes === 2) view.setUint16(i + offset, value, true);
    else view.setUint32(i + offset, value, true);
  }
  return zip;
}

test("stored and deflated members are read by name", async () => {
  const zip = await open(sample());
  expect(zip.entries.map((e) => [e.name, e.size])).toEqual([
    ["stored.txt", 5],
    ["folder/deflated.txt", 1000],
  ]);
  expect(text(await zip.read(zip.find("stored.txt")!))).toBe("hello");
  expect(text(await zip.read(zip.find("folder/deflated.txt")!))).toBe("ab".repeat(500));
  expect(zip.find("other")).toBeUndefined();
});

test("bytes before the archive, as in a self-extracting program, do not matter", async () => {
  const zip = await open(Uint8Array.from([...ascii("#!/bin/sh\n"), ...sample()]));
  expect(text(await zip.read(zip.find("stored.txt")!))).toBe("hello");
});

/** One stored member whose sizes and offset are in zip64 fields, with a zip64 end record. */
function zip64(size: bigint, content = "hello"): Uint8Array {
  const name = ascii("big.bin");
  const parts: number[] = [];
  const u16 = (n: number) => parts.push(n & 255, n >> 8);
  const u32 = (n: number) => parts.push(n & 255, (n >>> 8) & 255, (n >>> 16) & 255, n >>> 24);
  const u64 = (n: bigint) => {
    u32(Number(n & 0xffffffffn));
    u32(Number(n >> 32n));
  };
  u32(0x04034b50);
  for (const n of [45, 8, 0, 0, 0]) u16(n); // bit 3: sizes follow the data
  for (const n of [0, 0, 0]) u32(n);
  u16(name.length);
  u16(0);
  parts.push(...name, ...ascii(content));
  u32(0x08074b50);
  u32(0x3610a686);
  u64(size);
  u64(size);
  const directory = parts.length;
  u32(0x02014b50);
  for (const n of [45, 45, 8, 0, 0, 0]) u16(n);
  u32(0x3610a686); // CRC-32 of "hello"
  u32(0xffffffff);
  u32(0xffffffff);
  for (const n of [name.length, 28, 0, 0, 0]) u16(n);
  u32(0);
  u32(0xffffffff);
  parts.push(...name);
  u16(1);
  u16(24);
  u64(size);
  u64(BigInt(content.length));
  u64(0n);
  const end = parts.length;
  u32(0x06064b50);
  u64(44n);
  u16(45);
  u16(45);
  u32(0);
  u32(0);
  for (const n of [1n, 1n, BigInt(end - directory), BigInt(directory)]) u64(n);
  u32(0x07064b50);
  u32(0);
  u64(BigInt(end));
  u32(1);
  u32(0x06054b50);
  for (const n of [0, 0, 0xffff, 0xffff]) u16(n);
  u32(0xffffffff);
  u32(0xffffffff);
  u16(0);
  return Uint8Array.from(parts);
}

test("zip64 sizes, offsets and data descriptors are read", async () => {
  const zip = await open(zip64(5n));
  expect(text(await zip.read(zip.entries[0]!))).toBe("hello");
});

describe("bad archives", () => {
  test("a terabyte is refused before memory is taken", async () => {
    const zip = await open(zip64(2n ** 40n), "bomb.zip");
    expect(
      await messageOf(() => zip.read(zip.entries[0]!)),
    ).toBe(`bomb.zip (big.bin): claims to be larger than it can be
  expected at most 5 bytes from 5 stored ones
  got      1,099,511,627,776 bytes`);
    const deflated = await open(withField(sample(), 2, 24, 0xfffffff0, 4), "bomb.zip");
    expect(await messageOf(() => deflated.read(deflated.entries[1]!))).toMatch(
      /^bomb.zip \(folder\/deflated.txt\): claims to be larger than it can be\n {2}expected at most [\d,]+ bytes from \d+ stored ones\n {2}got {6}4,294,967,280 bytes$/,
    );
  });

  test("a member that expands to more than the directory says stops there", async () => {
    const zip = await open(withField(sample(), 2, 24, 10, 4));
    expect(await messageOf(() => zip.read(zip.entries[1]!))).toMatch(
      /^a.zip \(folder\/deflated.txt\): expands to more than is allowed\n {2}expected at most 10 bytes/,
    );
  });

  test("a wrong checksum", async () => {
    const bytes = sample();
    bytes[30 + "stored.txt".length] = 0x48; // "Hello"
    const zip = await open(bytes);
    expect(await messageOf(() => zip.read(zip.entries[0]!))).toBe(`a.zip (stored.txt): is damaged: its checksum is wrong
  expected CRC-32 3610a686
  got      f7d18982
  hint     copy or download the file again`);
  });

  test("encrypted members and other compressions", async () => {
    const locked = await open(withField(sample(), 0, 8, 1, 2));
    expect(await messageOf(() => locked.read(locked.entries[0]!))).toBe(`a.zip (stored.txt): is encrypted
  hint     expand the archive with its password first`);
    const other = await open(withField(sample(), 0, 10, 93, 2));
    expect(
      await messageOf(() => other.read(other.entries[0]!)),
    ).toBe(`a.zip (stored.txt): is compressed in a way that is not read
  expected method 0 (stored) or 8 (deflate)
  got      method 93
  hint     make the archive again with plain zip`);
  });

  test("another kind of file, and an archive without its end", async () => {
    expect(await messageOf(() => open(ascii("id,label\n")))).toBe(`a.zip: is not a zip archive
  expected a zip archive
  got      text`);
    expect(
      await messageOf(() => open(sample().subarray(0, 100))),
    ).toBe(`a.zip: the zip archive is truncated: its directory, which comes last, is missing
  got      100 bytes
  hint     copy or download the file again`);
  });

  test("every prefix and every changed byte end well", async () => {
    const work = (bytes: Uint8Array) =>
      outcomeOf(async () => {
        const zip = await open(bytes);
        for (const entry of zip.entries) await zip.read(entry);
      });
    const whole = sample();
    for (let n = 0; n < whole.length; n++) expect(await work(whole.subarray(0, n)), String(n)).toBe("FileError");
    const changes = fc.array(fc.tuple(fc.nat(), fc.integer({ min: 0, max: 255 })), { minLength: 1, maxLength: 4 });
    const property = fc.asyncProperty(changes, async (list) => {
      const bytes = sample();
      for (const [where, value] of list) bytes[where % bytes.length] = value;
      await work(bytes);
    });
    await fc.assert(property, { numRuns: 1000, seed: 7 });
  });
});

describe("files in parts", () => {
  const parts = (names: Record<string, Uint8Array>): FileSystem => ({
    ...nodePlatform.files,
    list: async () => Object.keys(names).map((name) => ({ name, kind: "file" as const })),
    open: async (path): Promise<ByteSource> => memorySource(path, names[path.replace(/^.*\//, "")] ?? ascii("?")),
  });
  const whole = sample();
  const cut = (n: number) => whole.subarray(n * 100, (n + 1) * 100);

  test("are joined, whichever part is named", async () => {
    const names = Object.fromEntries(
      Array.from({ length: Math.ceil(whole.length / 100) }, (_, i) => [`x.zip.00${i + 1}`, cut(i)]),
    );
    for (const part of ["d/x.zip.001", "d/x.zip.003"]) {
      const source = await openFile(part, parts({ ...names, "x.zip": whole, "y.zip.001": whole, "x.zip.0001": whole }));
      expect([source.name, source.size]).toEqual(["d/x.zip.001", whole.length]);
      const zip = await openZip(source, nodePlatform.inflate);
      expect(text(await zip.read(zip.entries[0]!))).toBe("hello");
    }
  });

  test("a missing part in the middle is named", async () => {
    const files = parts({ "x.zip.001": cut(0), "x.zip.002": cut(1), "x.zip.004": cut(3) });
    expect(await messageOf(() => openFile("d/x.zip.001", files))).toBe(`d/x.zip.001: part x.zip.003 is missing
  expected x.zip.001 to x.zip.004 in one folder
  got      3 of 4 parts
  hint     copy or download the missing part into the same folder`);
  });

  test("a missing tail is named", async () => {
    const source = await openFile("d/x.zip.001", parts({ "x.zip.001": cut(0), "x.zip.002": cut(1) }));
    expect(
      await messageOf(() => openZip(source, nodePlatform.inflate)),
    ).toBe(`d/x.zip.001: the zip archive is truncated: its directory, which comes last, is missing
  got      200 bytes
  hint     the last part is incomplete, or x.zip.003 is missing`);
  });

  test("a number without another ending, as scanners name files, is no part", async () => {
    const source = await openFile("I.001", parts({ "I.001": ascii("a"), "I.002": ascii("b") }));
    expect([source.name, source.size]).toEqual(["I.001", 1]);
  });
});

const pocus = "../shared/data/pocus/pocus_data_all.zip.001";
test.skipIf(!existsSync(pocus))("the POCUS archive in four parts (skipped without ../shared/data)", async () => {
  const zip = await openZip(await openFile(pocus, nodePlatform.files), nodePlatform.inflate);
  expect(zip.entries.map((e) => [e.name, e.size])).toEqual([["pocus_data_all.pkl", 47596559]]);
  expect((await zip.read(zip.entries[0]!)).length).toBe(47596559);
  await zip.close();
});
