/** @file "Private fine-tune" inside the studio: the worker and ONNX Runtime come with the token and under the server's policy. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Browser } from "playwright-core";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { buildPage } from "../../scripts/build-page.mjs";
import { chromiumPath, openBrowser } from "../studio/server/browser.testing.js";
import { type TestStudio, testStudio } from "../studio/server/studio.testing.js";
import { writePictures } from "./pictures.testing.js";

describe.skipIf(chromiumPath === null)("in Chromium (skipped where there is none)", () => {
  const home = mkdtempSync(join(tmpdir(), "metalr-private-studio-"));
  const lung = join(home, "lung");
  let browser: Browser;
  let studio: TestStudio;
  beforeAll(async () => {
    await writePictures(lung, 24, 6);
    await buildPage({ outDir: join(home, "site") });
    studio = await testStudio(() => {}, { page: join(home, "site") });
    browser = await openBrowser(chromiumPath ?? ""); // skipped where it is null
  });
  afterAll(async () => {
    await browser?.close();
    await studio?.end();
    rmSync(home, { recursive: true, force: true });
  });

  test("a picked folder is trained on while another page is looked at; only the studio is asked", async () => {
    const page = await browser.newPage();
    page.setDefaultTimeout(50_000);
    const problems: string[] = [];
    page.on("console", (message) => message.type() === "error" && problems.push(message.text()));
    page.on("pageerror", (error) => problems.push(error.message));
    page.on("request", (request) => {
      const { origin, protocol } = new URL(request.url());
      if (/^http/.test(protocol) && origin !== new URL(studio.url).origin) problems.push(`asked ${origin}`);
    });
    await page.goto(`${studio.url}#/private`);
    await page.getByText("Ready.").waitFor();
    await page.getByLabel("Threads").selectOption("1");
    await page.locator('input[aria-label="images: folder"]').setInputFiles(lung);
    await page.getByText("36 images, 3 classes").waitFor();
    await page.evaluate("for (const d of document.querySelectorAll('details')) d.open = true");
    for (const [key, value] of Object.entries({ maxEpoch: "1", batchSize: "8", imageSize: "16", width: "2" })) {
      await page.fill(`#option-${key}`, value);
    }
    await page.selectOption("#option-model", "resnet20");
    await page.locator("button.primary:enabled", { hasText: "Start" }).click();
    await page.getByRole("link", { name: "Runs" }).click();
    await page.getByRole("heading", { name: "Runs" }).waitFor();
    await page.getByRole("link", { name: "Private fine-tune" }).click();
    await page.getByText("Finished. The model").waitFor();
    expect(problems).toEqual([]);
    await page.close();
  });
});
