/** @file The studio with the real command line behind it, in a real browser: a training is started from the form, watched, stopped, resumed, finished. */
import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import type { Browser, Page } from "playwright-core";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { buildPage } from "../../../scripts/build-page.mjs";
import { writePictures } from "../../web/pictures.testing.js";
import { chromiumPath, openBrowser } from "./browser.testing.js";
import { type TestStudio, testStudio } from "./studio.testing.js";

const bin = fileURLToPath(new URL("../../cli/bin.ts", import.meta.url));
const tsx = fileURLToPath(import.meta.resolve("tsx"));

describe.skipIf(chromiumPath === null)("in Chromium (skipped where there is none)", { timeout: 240_000 }, () => {
  const home = mkdtempSync(join(tmpdir(), "metalr-real-"));
  let browser: Browser;
  let studio: TestStudio;
  beforeAll(async () => {
    await writePictures(join(home, "lung"), 16, 6);
    await buildPage({ outDir: join(home, "site") });
    studio = await testStudio(() => {}, {
      page: join(home, "site"),
      root: home,
      program: [process.execPath, "--import", tsx, bin],
    });
    browser = await openBrowser(chromiumPath ?? ""); // skipped where it is null
  });
  afterAll(async () => {
    await browser?.close();
    await studio?.end();
    rmSync(home, { recursive: true, force: true });
  });

  const step = async (page: Page): Promise<number> =>
    Number((await page.locator(".tile", { hasText: "Step" }).first().locator("dd").innerText()).split("\n")[0]);

  test("a training is started from the form, its curves grow, it stops and goes on to its end", async () => {
    const page = await browser.newPage();
    page.setDefaultTimeout(60_000);
    await page.goto(`${studio.url}#/new`);
    await page.getByRole("heading", { name: "New run" }).waitFor();
    await page.evaluate("for (const d of document.querySelectorAll('details')) d.open = true");
    const options = {
      data: join(home, "lung"),
      pretrainedPath: "none",
      model: "resnet20",
      width: "2",
      maxEpoch: "40",
      batchSize: "6",
      imageSize: "16",
      testShare: "0.2",
      workers: "0",
      threads: "1",
    };
    for (const [key, value] of Object.entries(options)) {
      const field = page.locator(`#option-${key}`);
      if (key === "model") await field.selectOption(value);
      else await field.fill(value);
    }
    await page.getByRole("button", { name: "Start" }).click();
    const plot = page.getByRole("figure", { name: "Learning rates" });
    await plot.waitFor();
    const drawn = () => plot.locator("canvas").evaluate((canvas) => (canvas as HTMLCanvasElement).toDataURL());
    const grown = async (than: number) => {
      await expect.poll(() => step(page), { timeout: 60_000 }).toBeGreaterThan(than);
      return step(page);
    };
    const at = await grown(2);
    const before = await drawn();
    await grown(at + 3);
    await expect.poll(drawn, { timeout: 20_000 }).not.toBe(before);
    await page.getByRole("button", { name: "Stop" }).click();
    await page.getByRole("button", { name: "Resume" }).click();
    await grown(at + 6);
    await page.locator(".title .state.finished").waitFor();
    await page.getByRole("heading", { name: "Confusion matrix" }).waitFor();
    const [name = ""] = readdirSync(studio.runs);
    const events = readFileSync(join(studio.runs, name, "events.jsonl"), "utf8")
      .trimEnd()
      .split("\n");
    const steps = events.map((l): { type: string; step: number } => JSON.parse(l)).filter((e) => e.type === "step");
    expect(steps.map((e) => e.step)).toEqual(steps.map((_, t) => t + 1)); // none lost, none twice
    expect(readdirSync(join(studio.runs, name))).toContain("model.onnx");
    await page.close();
  });
});
