import { deflateSync, gzipSync } from "fflate";
import { describe, expect, test } from "vitest";
import { messageOf } from "../formats/messages.testing.js";
import { gunzipHead, inflateRaw } from "./bounded-inflate.js";

const content = Uint8Array.from({ length: 100_000 }, (_, i) => (i * i) >> 5);

describe("raw DEFLATE", () => {
  const packed = deflateSync(content);

  test("comes back whole", () => expect(inflateRaw(packed, 100_000, "a")).toEqual(content));
  test("bytes behind the stream do not matter", () => {
    expect(inflateRaw(new Uint8Array([...packed, 0, 0, 0]), 100_000, "a")).toEqual(content);
  });
  test("a stream that grows beyond the limit is refused", async () => {
    expect(await messageOf(() => inflateRaw(packed, 99_999, "scan.dcm"))).toBe(
      `scan.dcm: expands to more than is allowed
  expected at most 99,999 bytes
  got      more, from ${packed.length.toLocaleString("en")} compressed bytes`,
    );
  });
  test("a truncated stream is refused", async () => {
    expect(await messageOf(() => inflateRaw(packed.subarray(0, 500), 100_000, "scan.dcm"))).toBe(
      `scan.dcm: compressed data ends too early
  hint     copy or download the file again`,
    );
  });
  test("bytes that are no stream are refused", async () => {
    expect(await messageOf(() => inflateRaw(new Uint8Array(50).fill(255), 100_000, "scan.dcm"))).toBe(
      `scan.dcm: compressed data is damaged
  hint     copy or download the file again`,
    );
  });
});

describe("the head of a gzip file", () => {
  const packed = gzipSync(content, { filename: "volume.nii" });

  test("is as long as asked for, from the beginning of the file alone", () => {
    expect(gunzipHead(packed.subarray(0, 3000), 352, "a")).toEqual(content.subarray(0, 352));
  });
  test("is shorter where the content is", () => {
    expect(gunzipHead(gzipSync(new Uint8Array(7)), 352, "a")).toEqual(new Uint8Array(7));
  });
  test("a file that ends in its own head is refused", async () => {
    expect(await messageOf(() => gunzipHead(packed.subarray(0, 14), 352, "v.nii.gz"))).toBe(
      `v.nii.gz: compressed data ends too early
  hint     copy or download the file again`,
    );
  });
});
