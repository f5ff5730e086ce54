/** @file Facts of the page's size: what counts, and that too much is refused. */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import { afterAll, expect, test } from "vitest";
import { checkPageSize, mostBytes, pageSize } from "./page-size.mjs";

const folder = mkdtempSync(join(tmpdir(), "metalr-size-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

test("scripts, styles and HTML count; ONNX Runtime's count apart, WebAssembly not at all", () => {
  const contents = {
    "index.html": "<p>",
    "sw.js": "a",
    "assets/main-1.js": "b".repeat(50),
    "assets/style-1.css": "c",
    "assets/worker-1.js": "d".repeat(90),
    "assets/piece-1.js": "e",
    "assets/ort.wasm.min-1.js": "fg",
    "assets/ort-wasm-simd-threaded-1.wasm": "h".repeat(999),
  };
  mkdirSync(join(folder, "assets"));
  for (const [name, text] of Object.entries(contents)) writeFileSync(join(folder, name), text);
  const gzip = (text: string) => gzipSync(text, { level: 9 }).length;
  const page = gzip("<p>") + gzip("a") + gzip("b".repeat(50)) + gzip("c");
  const worker = gzip("d".repeat(90)) + gzip("e");
  expect(pageSize(folder, Object.keys(contents))).toEqual({ page, worker, runtime: gzip("fg"), bytes: page + worker });
});

test("more than the page promises is refused", () => {
  expect(() => checkPageSize({ page: 1, worker: mostBytes - 1, runtime: 10 ** 6, bytes: mostBytes })).not.toThrow();
  expect(() => checkPageSize({ page: 2, worker: mostBytes - 1, runtime: 0, bytes: mostBytes + 1 })).toThrow(
    "The page has grown above 250000 bytes of gzip: 2 for the page, 249999 for the worker, 250001 together, ONNX Runtime apart",
  );
});
