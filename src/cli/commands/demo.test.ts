/** @file The demo at the smallest scale that still has all of its parts: what it leaves behind, and the same twice. */
import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, expect, test } from "vitest";
import { openDataset } from "../../data/open.js";
import { openWeights } from "../../weights/index.js";
import type { DemoScale } from "../demo/demo.js";
import { testContext } from "../host.testing.js";
import { demonstrate } from "./demo.js";

const folder = mkdtempSync(join(tmpdir(), "metalr-demo-"));
/** Ten small trainings: on a busy machine more than a minute. */
const timeout = 300_000;
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const few = { patients: 2, frames: 1 };
const tiny: DemoScale = {
  size: 16,
  width: 4,
  pretraining: { epochs: 1, train: few, validation: few, test: few },
  fineTuning: { epochs: 2, train: few, validation: few, test: few },
  repetitions: 2,
  budgetMs: Number.POSITIVE_INFINITY,
};

/** Without what differs between any two runs: folder and times. */
const plain = (text: string, out: string) =>
  text
    .replaceAll(out, "OUT")
    .replace(/\d+(\.\d+)? (s|min)\b( \d+ s)?/g, "T")
    .replace(/ +(?=\n)/g, "")
    .replace(/ {2,}T/g, "  T");

test("three methods on images never seen, pictures, report and data to go on with; the same seed gives the same", {
  timeout,
}, async () => {
  const texts: string[] = [];
  for (const name of ["one", "two"]) {
    const out = join(folder, name);
    const { context, output } = testContext();
    const report = await demonstrate(context, out, 7, tiny);
    expect(report).toBe(`${out}/report.html`);
    texts.push(plain(output.out, out));
  }
  const [first = "", second] = texts;
  expect(second).toBe(first);
  expect(first).toMatch(/\nplain fine-tuning +\d+\.\d % +\d+\.\d % +\d+\.\d % +T\nlast layer .*\nMetaLR .*\n/);
  expect(first).toMatch(/\nMetaLR against plain fine-tuning: .*\nMetaLR against last layer: /);
  expect(first).toMatch(
    /Pictures:\n {2}OUT\/images\.png\n {2}OUT\/comparison\.png\n {2}OUT\/metalr-1\/lr-curves\.png\n\nNext: open OUT\/report\.html\n$/,
  );
  const out = join(folder, "one");
  for (const [file] of first.matchAll(/OUT\/[\w./-]+\.(png|html|npz|safetensors)/g)) {
    expect(existsSync(file.replace("OUT", out)), file).toBe(true);
  }
  expect(readFileSync(join(out, "report.html"), "utf8")).toContain("Neither scanner nor patients exist");
  const { context } = testContext();
  const data = await openDataset(join(out, "scanner-b.npz"), { platform: context.platform });
  expect(data.count).toBe(18);
  expect(
    (await openWeights(join(out, "scanner-a.safetensors"), context.platform)).tensors.get("conv1.weight")?.shape,
  ).toEqual([4, 1, 3, 3]);
});

test("a machine that is too slow does one repetition and says so", { timeout }, async () => {
  const { context, output } = testContext();
  await demonstrate(context, join(folder, "slow"), 7, {
    ...tiny,
    fineTuning: { ...tiny.fineTuning, epochs: 1 },
    budgetMs: 0,
  });
  expect(output.out).toContain("1 of 2 repetitions, so that it does not take longer\n");
  expect(output.out).toContain("of a single repetition nothing can be said.");
});

test("a folder that already holds a report is left alone", async () => {
  const { context } = testContext();
  await expect(demonstrate(context, join(folder, "one"), 7, tiny)).rejects.toThrow(
    `${folder}/one: already holds a report\n  hint     choose another folder with --out`,
  );
});
