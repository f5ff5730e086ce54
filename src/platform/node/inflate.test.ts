import { deflateRawSync, gzipSync } from "node:zlib";
import { expect, test } from "vitest";
import { messageOf, outcomeOf } from "../../formats/messages.testing.js";
import { inflate } from "./inflate.js";

const content = new TextEncoder().encode("ab".repeat(50_000));

test("deflate and gzip, also of several members", async () => {
  expect(await inflate(deflateRawSync(content), "deflate-raw", content.length, "x")).toEqual(content);
  expect(await inflate(gzipSync(content), "gzip", 10 ** 9, "x")).toEqual(content);
  const twice = Buffer.concat([gzipSync(content), gzipSync("!")]);
  expect((await inflate(twice, "gzip", 10 ** 9, "x")).length).toBe(content.length + 1);
  expect(await inflate(deflateRawSync(""), "deflate-raw", 0, "x")).toEqual(new Uint8Array(0));
});

test("what would pass the limit stops there", async () => {
  expect(await messageOf(() => inflate(gzipSync(content), "gzip", 99_999, "x.gz"))).toMatch(
    /^x.gz: expands to more than is allowed\n {2}expected at most 99,999 bytes\n {2}got {6}more, from \d+ compressed bytes$/,
  );
});

test("truncated and damaged", async () => {
  const bytes = gzipSync(content);
  expect(await messageOf(() => inflate(bytes.subarray(0, 50), "gzip", 10 ** 6, "x.gz"))).toBe(
    "x.gz: compressed data ends too early\n  hint     copy or download the file again",
  );
  expect(await messageOf(() => inflate(Uint8Array.of(1, 2, 3), "gzip", 10 ** 6, "x.gz"))).toBe(
    "x.gz: compressed data is damaged\n  hint     copy or download the file again",
  );
  for (let n = 0; n < 40; n++) {
    expect(await outcomeOf(() => inflate(bytes.subarray(0, n), "gzip", 10 ** 6, "x.gz"))).toBe("FileError");
  }
});
