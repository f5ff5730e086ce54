/** @file Picked files as a file system, and DEFLATE with a bound. */
import { deflateRawSync, gzipSync } from "node:zlib";
import { expect, test } from "vitest";
import { messageOf } from "../../formats/messages.testing.js";
import { pickedFiles, twoFileSystems } from "./files.js";
import { inflate } from "./inflate.js";

const text = (content: string) => new Blob([content]);
const files = pickedFiles([
  { path: "images/b/2.png", file: text("two") },
  { path: "images/a/1.png", file: text("one") },
  { path: "images/labels.csv", file: text("\uFEFFpath,label\n") },
  { path: "images/empty.png", file: text("") },
]);

test("folders are those of the paths, sorted; what is not there is said", async () => {
  expect(await files.list("images")).toEqual([
    { name: "a", kind: "folder" },
    { name: "b", kind: "folder" },
    { name: "empty.png", kind: "file" },
    { name: "labels.csv", kind: "file" },
  ]);
  expect(await Promise.all(["images", "./images/a/1.png", "images/c"].map((p) => files.kind(p)))).toEqual([
    "folder",
    "file",
    "missing",
  ]);
  expect(await files.readText("images/labels.csv")).toBe("path,label\n");
  expect(await messageOf(() => files.open("images/c"))).toBe("images/c: does not exist\n  hint     check the path");
  expect(await messageOf(() => files.open("images"))).toBe("images: is a folder, not a file");
  expect(await messageOf(() => files.open("images/empty.png"))).toContain("is empty");
  expect(await messageOf(() => files.list("images/../.."))).toBe("images/../..: leads out of its folder");
  expect(await messageOf(() => files.writeAtomic("images/x", "y"))).toBe(
    "images/x: is among the picked files, which are only read",
  );
});

test("bytes are read where they are asked for, and never beyond the end", async () => {
  const source = await files.open("images/a/1.png");
  expect(new TextDecoder().decode(await source.read(1, 2))).toBe("ne");
  expect(await messageOf(() => source.read(2, 2))).toContain("is shorter than its own content says");
});

test("a path from the root is of the written files, others of the picked ones", async () => {
  const both = twoFileSystems(files, pickedFiles([{ path: "runs/1/run.json", file: text("{}") }]));
  expect(await both.kind("/runs/1/run.json")).toBe("file");
  expect(await both.kind("runs/1/run.json")).toBe("missing");
});

test("inflate gives what was deflated, and no more than is allowed", async () => {
  const zeros = new Uint8Array(100_000);
  const [raw, gzip] = [new Uint8Array(deflateRawSync(zeros)), new Uint8Array(gzipSync(zeros))];
  expect(await inflate(raw, "deflate-raw", 100_000, "x")).toEqual(zeros);
  expect(await inflate(gzip, "gzip", 200_000, "x")).toEqual(zeros);
  expect(await messageOf(() => inflate(raw, "deflate-raw", 99_999, "x"))).toBe(
    `x: expands to more than is allowed\n  expected at most 99,999 bytes\n  got      more, from ${raw.length} compressed bytes`,
  );
  expect(await messageOf(() => inflate(raw.subarray(0, 50), "deflate-raw", 100_000, "x"))).toBe(
    "x: compressed data is damaged or ends too early\n  hint     copy or download the file again",
  );
});
