import { readFileSync } from "node:fs";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { MetalrError } from "../common/errors.js";
import { type Tensor, tensor } from "../common/tensor.js";
import { memorySource } from "../formats/bytes.js";
import { writeNpz } from "../formats/npz.js";
import { nodePlatform } from "../platform/node/index.js";
import type { Platform } from "../platform/types.js";
import { parseCsv } from "./csv.js";
import { openDataset } from "./open.js";

const holding = (bytes: Uint8Array): Platform => ({
  ...nodePlatform,
  files: { ...nodePlatform.files, kind: async () => "file", open: async (name) => memorySource(name, bytes) },
});

/** Opens, or is refused by an error of ours that is no "internal". */
async function survives(bytes: Uint8Array): Promise<void> {
  try {
    const data = await openDataset("hostile", { platform: holding(bytes) });
    for (let i = 0; i < data.count; i++) await data.image(i);
  } catch (error) {
    expect(error).toBeInstanceOf(MetalrError);
    expect(String(error)).not.toContain("internal:");
  }
}

const x = tensor(
  "uint8",
  [4, 3, 5],
  Uint8Array.from({ length: 60 }, (_, i) => i),
);
const npz = writeNpz(
  new Map<string, Tensor>([
    ["x", x],
    ["y", tensor("int64", [4], BigInt64Array.of(0n, 1n, 0n, 1n))],
  ]),
  { compress: false },
);
const originals = {
  pickle: new Uint8Array(readFileSync("fixtures/datasets/pocus_five_folds.pkl")),
  "old pickle": new Uint8Array(readFileSync("fixtures/datasets/five_folds_protocol_0.pkl")),
  npz,
};

describe.each(Object.entries(originals))("a damaged %s opens or is refused", (_, original) => {
  test("bytes changed", async () => {
    const changes = fc.array(fc.tuple(fc.nat(original.length - 1), fc.nat(255)), { minLength: 1, maxLength: 4 });
    await fc.assert(
      fc.asyncProperty(changes, async (list) => {
        const bytes = original.slice();
        for (const [at, value] of list) bytes[at] = value;
        await survives(bytes);
      }),
      { seed: 1, numRuns: 150 },
    );
  });

  test("cut short", async () => {
    await fc.assert(
      fc.asyncProperty(fc.nat(original.length - 1), async (length) => survives(original.subarray(0, length))),
      { seed: 2, numRuns: 40 },
    );
  });
});

test("any text is a table or is refused", () => {
  const text = fc.string({ unit: fc.constantFrom("a", ",", ";", '"', "\n", "\r", "\t", " ", "\uFEFF") });
  fc.assert(
    fc.property(text, (csv) => {
      try {
        const table = parseCsv(csv, "t");
        for (const row of table.rows) expect(row.cells.length).toBe(table.header.length);
      } catch (error) {
        expect(error).toBeInstanceOf(MetalrError);
      }
    }),
    { seed: 3, numRuns: 2000 },
  );
});
