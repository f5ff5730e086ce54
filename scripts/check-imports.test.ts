/** @file The rule on imports: what it refuses, where it points to, and that this repository keeps it. */
import { fileURLToPath } from "node:url";
import { describe, expect, test } from "vitest";
import { checkFile, checkTree, placeOf } from "./check-imports.mjs";

const check = (file: string, ...lines: string[]) => checkFile(file, lines.join("\n"));

describe("the order of folders", () => {
  test("a folder may import those before it", () => {
    expect(
      check("ops/conv.ts", 'import { sizeOf } from "../common/tensor.js";', 'import "../graph/value.js";'),
    ).toEqual([]);
  });

  test("a folder may not import those after it, not even a type", () => {
    expect(check("graph/build.ts", "", 'import type { Op } from "../ops/op.js";')).toEqual([
      "src/graph/build.ts:2: src/graph may not import src/ops (graph comes before ops)",
    ]);
  });

  test("folders of one row do not know each other", () => {
    expect(check("onnx/decode.ts", 'export { pth } from "../weights/pth.js";')).toEqual([
      "src/onnx/decode.ts:1: src/onnx may not import src/weights (neither comes before the other)",
    ]);
  });

  test.each([
    ["a dynamic import", 'const m = await import("../cli/main.js");'],
    ["an import type", 'type M = import("../cli/main.js").M;'],
    ["an export from", 'export type { M } from "../cli/main.js";'],
  ])("%s counts", (_, line) => {
    expect(check("training/loop.ts", line)).toEqual([
      "src/training/loop.ts:1: src/training may not import src/cli (it runs on Node only)",
    ]);
  });

  test("comments and strings do not count", () => {
    expect(check("graph/build.ts", '// import "../ops/op.js"', 'const s = `import "../ops/op.js"`;')).toEqual([]);
  });

  test("a file that stands in no known folder is named", () => {
    expect(check("util/misc.ts", "export const x = 1;")).toEqual([
      "src/util/misc.ts:1: src/util/misc.ts is in no folder of the order (docs/ARCHITECTURE.md)",
    ]);
    expect(check("graph/build.ts", 'import "../util/misc.js";')).toEqual([
      "src/graph/build.ts:1: src/graph may not import ../util/misc.js (src/util/misc.js is in no folder of the order)",
    ]);
  });

  test("platform is its contract; node and web are places of their own", () => {
    expect(placeOf("platform/types.ts")).toBe("platform");
    expect(placeOf("platform/node/files.ts")).toBe("platform/node");
    expect(placeOf("studio/server/http.ts")).toBe("studio/server");
    expect(placeOf("studio/page.tsx")).toBe("studio");
    expect(placeOf("index.test.ts")).toBe("index.ts");
    expect(placeOf("misc.ts")).toBe(null);
    expect(check("formats/zip.ts", 'import type { ByteSource } from "../platform/types.js";')).toEqual([]);
  });
});

describe("what belongs to Node", () => {
  test.each(["node:fs", "fs", "fs/promises", "sharp", "@resvg/resvg-js", "commander", "onnxruntime-node"])(
    "%s stays out of what a browser runs",
    (name) => {
      expect(check("data/cache.ts", `import "${name}";`)).toEqual([
        `src/data/cache.ts:1: src/data may not import ${name} (Node only: platform/node, cli, studio/server and index.ts)`,
      ]);
      for (const file of [
        "platform/node/files.ts",
        "cli/bin.ts",
        "studio/server/http.ts",
        "index.ts",
        "data/x.test.ts",
      ]) {
        expect(check(file, `import "${name}";`)).toEqual([]);
      }
    },
  );

  test("ONNX Runtime stands behind an interface, in the browser, too", () => {
    expect(check("runtime/executor.ts", 'import * as ort from "onnxruntime-web";')).toEqual([
      "src/runtime/executor.ts:1: src/runtime may not import onnxruntime-web (ONNX Runtime stands behind an interface; platform/node and platform/web bring it)",
    ]);
    expect(check("platform/web/ort.ts", 'import * as ort from "onnxruntime-web";')).toEqual([]);
    expect(check("runtime/executor.ts", 'import type { Tensor } from "onnxruntime-common";')).toEqual([]);
  });

  test("the implementation of the platform is chosen at the top only", () => {
    expect(check("training/loop.ts", 'import "../platform/web/files.js";')).toEqual([
      "src/training/loop.ts:1: src/training may not import src/platform/web (ask for the interface of src/platform/types.ts instead)",
    ]);
    expect(check("web/index.ts", 'import "../platform/web/files.js";')).toEqual([]);
    expect(check("web/index.ts", 'import "../platform/node/files.js";')).toEqual([
      "src/web/index.ts:1: src/web may not import src/platform/node (it runs on Node only)",
    ]);
  });

  test("the options of a training are shared with the browser, the rest of the command line is not", () => {
    expect(check("web/form.ts", 'import "../cli/train/flags.js";')).toEqual([]);
    expect(check("web/form.ts", 'import "../cli/program.js";')).toEqual([
      "src/web/form.ts:1: src/web may not import src/cli (it runs on Node only)",
    ]);
    expect(check("cli/train/flags.ts", 'import "commander";')).toEqual([
      "src/cli/train/flags.ts:1: src/cli/shared may not import commander (Node only: platform/node, cli, studio/server and index.ts)",
    ]);
  });

  test("Node's globals are found by use, not by name alone", () => {
    expect(check("formats/zip.ts", "", "const b = Buffer.from(x);", "const p = { process: 1 }.process;")).toEqual([
      "src/formats/zip.ts:2: src/formats may not use Buffer (Node only; a browser runs this folder, too)",
    ]);
    expect(check("formats/zip.ts", "const process = (x: number) => x;", "process(1);")).toEqual([]);
    expect(check("platform/node/files.ts", "Buffer.alloc(1);")).toEqual([]);
  });
});

describe("a leading _", () => {
  test("keeps a file to its folder and what is below it", () => {
    expect(check("ops/conv.ts", 'import "./_window.js";')).toEqual([]);
    expect(check("ops/pool/max.ts", 'import "../_window.js";')).toEqual([]);
    expect(check("compile/blocked.ts", 'import "./blocked/_layout.js";')).toEqual([]);
    expect(check("compile/compile.ts", 'import "./blocked/_layout.js";')).toHaveLength(1);
    expect(check("compile/lower.ts", 'import "../ops/_window.js";')).toEqual([
      "src/compile/lower.ts:1: src/compile may not import src/ops/_window.js (a leading _ keeps it to src/ops)",
    ]);
    expect(check("compile/lower.test.ts", 'import "../ops/_window.js";')).toHaveLength(1);
  });
});

test("this repository keeps the order", () => {
  expect(checkTree(fileURLToPath(new URL("../src", import.meta.url))).problems).toEqual([]);
});
