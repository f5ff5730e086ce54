/** @file Trainings in a real browser that are stopped, or whose page is closed, and go on from the browser's own files: the same bits. */
import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Page } from "playwright-core";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { content } from "../records/content.testing.js";
import { chromiumPath } from "../studio/server/browser.testing.js";
import { writePictures } from "./pictures.testing.js";
import { copyRun, drop, fill, finished, type PrivateSite, privateSite, shownRun, start } from "./private.testing.js";

/** Adam, whose slots are resumed, too; 36 images in folds: 144 steps, a checkpoint in every fifth and at the end of every epoch. */
const values = {
  model: "resnet20",
  width: "2",
  maxEpoch: "36",
  batchSize: "6",
  imageSize: "16",
  seed: "5",
  checkpointEvery: "5",
};

describe.skipIf(chromiumPath === null)("in Chromium (skipped where there is none)", { timeout: 240_000 }, () => {
  const home = mkdtempSync(join(tmpdir(), "metalr-resumed-"));
  const lung = join(home, "lung");
  let site: PrivateSite;
  beforeAll(async () => {
    await writePictures(lung, 16, 6);
    site = await privateSite(home, chromiumPath ?? ""); // skipped where it is null
  });
  afterAll(async () => {
    await site?.close();
    rmSync(home, { recursive: true, force: true });
  });

  /** A new page with the images open. */
  async function opened(): Promise<Page> {
    const page = await site.open();
    await drop(page, "images", [lung]);
    await page.getByText("36 images, 3 classes").waitFor();
    return page;
  }

  const step = async (page: Page): Promise<number> =>
    Number((await page.locator(".tile", { hasText: "Step" }).locator("dd").innerText()).split("\n")[0]);

  /** Waits until the training has come some steps further. @returns the step that it was seen at */
  async function further(page: Page, than: number): Promise<number> {
    await expect.poll(() => step(page), { timeout: 30_000, interval: 20 }).toBeGreaterThan(than);
    return step(page);
  }

  test("stopped, its page closed, resumed, its page closed in the middle, resumed: as one that was never interrupted", async () => {
    const whole = await opened();
    await fill(whole, values);
    await start(whole);
    await finished(whole);
    const wanted = content(await copyRun(whole, join(home, "reference")));
    const steps = wanted.events.filter((e) => e["type"] === "step").length;
    expect(steps).toBe(144); // so many that none of the pages below is at its end before it is closed
    await whole.close();

    const first = await opened();
    await fill(first, values);
    await start(first);
    await further(first, 6);
    await first.getByRole("button", { name: "Stop", exact: true }).click();
    await first.getByText("Stopped. It can be resumed.").waitFor();
    const stopped = await step(first);
    const name = await shownRun(first);
    await first.close();

    const resume = (page: Page) => page.getByRole("row", { name }).getByRole("button", { name: "Resume" }).click();
    const second = await opened();
    await resume(second);
    const left = await further(second, stopped + 6);
    await second.close(); // nobody has told it to stop

    const third = await opened();
    await resume(third);
    await finished(third);
    const folder = await copyRun(third, join(home, "resumed"));
    expect(stopped).toBeLessThan(left);
    expect(left).toBeLessThan(steps);
    expect(content(folder)).toEqual(wanted);
    // The weights for download, too; and nothing half-written is left.
    const weights = (run: string) => readFileSync(join(home, run, "model.safetensors"));
    expect(weights("resumed").equals(weights("reference"))).toBe(true);
    expect(readdirSync(join(folder, "checkpoints"))).toEqual(["last.safetensors"]);
    expect(site.problems).toEqual([]);
    await third.close();
  });
});
