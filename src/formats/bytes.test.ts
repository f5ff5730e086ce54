import fc from "fast-check";
import { expect, test } from "vitest";
import { formatCount, joinSources, memorySource, printable, readAll } from "./bytes.js";
import { crc32 } from "./crc32.js";
import { messageOf } from "./messages.testing.js";
import { describeContent } from "./sniff.js";

const ascii = (text: string) => Uint8Array.from(text, (c) => c.charCodeAt(0));

test("joined parts read as one, whatever the cuts", async () => {
  const cuts = fc.array(fc.uint8Array({ maxLength: 9 }), { maxLength: 6 });
  const property = fc.asyncProperty(cuts, fc.nat(), fc.nat(), async (parts, a, b) => {
    const whole = Uint8Array.from(parts.flatMap((part) => [...part]));
    const joined = joinSources(
      "x",
      parts.map((part, i) => memorySource(String(i), part)),
    );
    const offset = a % (whole.length + 1);
    const length = b % (whole.length - offset + 1);
    expect(await joined.read(offset, length)).toEqual(whole.subarray(offset, offset + length));
  });
  await fc.assert(property, { seed: 7 });
});

test("what is read is a copy, and a plain Uint8Array even of a Buffer", async () => {
  const bytes = Buffer.from([1, 2, 3]);
  const read = await readAll(memorySource("x", bytes));
  read[0] = 9;
  expect(bytes[0]).toBe(1);
  expect(Object.getPrototypeOf(read)).toBe(Uint8Array.prototype);
});

test("reading beyond the end names the file, the range and the size", async () => {
  expect(
    await messageOf(() => memorySource("a.bin", new Uint8Array(1500)).read(1000, 1000)),
  ).toBe(`a.bin: is shorter than its own content says
  expected 1,000 bytes from byte 1,000
  got      a file of 1,500 bytes
  hint     the file is truncated or damaged; copy or download it again`);
});

test("CRC-32 of the standard check string, at every alignment of the tail", () => {
  expect(crc32(ascii("123456789"))).toBe(0xcbf43926);
  expect(crc32(new Uint8Array(0))).toBe(0);
  expect([1, 2, 3, 4, 5].map((n) => crc32(new Uint8Array(n)).toString(16))).toEqual([
    "d202ef8d",
    "41d912ff",
    "ff41d912",
    "2144df1c",
    "c622f71d",
  ]);
});

test("names and counts for messages", () => {
  expect(printable("a\x1b[2J\u202eb")).toBe("a?[2J?b");
  expect(printable("n".repeat(200))).toHaveLength(98);
  expect([0, 999, 1000, 1234567].map(formatCount)).toEqual(["0", "999", "1,000", "1,234,567"]);
});

test.each([
  ["", "an empty file"],
  ["\x89PNG\r\n\x1a\n", "a PNG image"],
  ["<!DOCTYPE html><html>", "a web page"],
  ["version https://git-lfs.github.com/spec/v1", "a Git LFS pointer (the file itself was not downloaded)"],
  ["\x80\x02}q\x00.", "a Python pickle"],
  ["label,image\n0,a.png", "text"],
  ["\x01\x02\x03", "an unknown kind of file"],
])("content %j is %s", (content, name) => {
  expect(describeContent(ascii(content))).toBe(name);
});
