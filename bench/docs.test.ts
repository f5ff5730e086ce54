/** @file The document's tables come from results, and nothing else of it changes. */
import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { resultsOf, sectionsOf, withSections } from "./docs.js";
import { more } from "./experiments.js";
import type { BenchFile, Result } from "./report.js";
import { workload } from "./workloads.js";

const result = (medianMs: number): Result => ({
  medianMs,
  minMs: medianMs - 1,
  maxMs: medianMs + 1,
  samplesMs: [],
  peakMb: 100,
  facts: { startMs: 1500 },
});
const file = (date: string, times: Readonly<Record<string, number>>): BenchFile => ({
  caption: "a machine",
  date,
  rounds: 3,
  measured: Object.entries(times).map(([name, ms]) => ({
    workload: workload(name),
    contenders: { ours: result(ms), released: null, twoPass: null },
    parts: [],
  })),
  experiments: [],
});

test("of what was measured twice the newest counts, whatever the order of the files", () => {
  const sections = sectionsOf([
    file("2026-02", { "resnet18-64-b128": 700 }),
    file("2026-01", { "resnet18-64-b128": 900 }),
  ]);
  expect(sections.get("steps")).toContain("700 (699 – 701)");
  expect(sections.get("steps")).not.toContain("900");
  expect(sections.get("start")).toContain("1500");
  expect([...sections.keys()]).toEqual(["machine", "steps", "start"]);
});

test("a later series without peers does not take the place of a measurement beside them, nor does another executor", () => {
  const beside = file("2026-01", { "resnet18-64-b128": 900 });
  const [m] = beside.measured;
  const peers = { ...beside, measured: [{ ...m!, contenders: { ...m!.contenders, released: result(1800) } }] }; // of one workload
  const series = file("2026-02", { "resnet18-64-b128": 700 });
  const on = (executor: string) => ({ ...result(100), facts: { executor } });
  const other = {
    ...series,
    measured: [{ ...m!, contenders: { ...m!.contenders, ours: on("onnxruntime-node 1.30.0, webgpu") } }],
  };
  const results = resultsOf([other, series, peers]);
  expect(results.get("")?.get("resnet18-64-b128")?.contenders.ours?.medianMs).toBe(900);
  expect(results.get("webgpu")?.get("resnet18-64-b128")?.contenders.ours?.medianMs).toBe(100);
});

test("growth: the line and every residual", () => {
  const sections = sectionsOf([file("2026", { "resnet18-64-b16": 26, "resnet18-64-b32": 42, "resnet18-64-b64": 74 })]);
  expect(sections.get("growth")).toContain("10.0 + 1.00 · x"); // 10 + 1 ms an image
  expect(sections.get("growth")).toMatch(/batch 32, 64×64 +\| +42\.0 \| +42\.0 \| +[−+]0\.0 %/);
});

test("a section replaces what stood in its place", () => {
  const text = "a\n<!-- bench:steps -->\nold\n<!-- /bench:steps -->\nb\n";
  expect(withSections(text, new Map([["steps", "new"]]))).toBe(
    "a\n<!-- bench:steps -->\nnew\n<!-- /bench:steps -->\nb\n",
  );
  expect(() => withSections("a", new Map([["steps", "new"]]))).toThrow('the document has no place for "steps"');
});

test("docs/BENCHMARKS.md has a place for every section", () => {
  const text = readFileSync(new URL("../docs/BENCHMARKS.md", import.meta.url), "utf8");
  for (const name of [
    "machine",
    "steps",
    "steps-onednn",
    "steps-bfloat16",
    "native-ops",
    "parts",
    "start",
    "growth",
    "groups",
    "micro-batch",
    "data-pipeline",
  ]) {
    expect(text, name).toContain(`<!-- bench:${name} -->`);
    expect(text, name).toContain(`<!-- /bench:${name} -->`);
  }
});

test("a ratio in words", () => {
  expect([more(0.93), more(1.031), more(1)]).toEqual(["7.0 % less", "3.1 % more", "0.0 % more"]);
});
