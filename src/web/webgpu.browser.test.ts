/**
 * @file WebGPU in a real browser, with Chromium's software adapter where the machine has no graphics card: the same learning rates as
 * WebAssembly, offered but not chosen while it is only imitated, and left with a word where it fails.
 */
import { mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Page } from "playwright-core";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { chromiumPath } from "../studio/server/browser.testing.js";
import { writePictures } from "./pictures.testing.js";
import {
  copyRun,
  drop,
  expectSameRates,
  fill,
  finished,
  type PrivateSite,
  privateSite,
  start,
  trainOnNode,
} from "./private.testing.js";

/** As small as can be: an imitated adapter takes hundreds of times as long as the processor. */
const values = {
  model: "resnet20",
  width: "1",
  maxEpoch: "1",
  batchSize: "4",
  imageSize: "8",
  lr: "0.004",
  optimizer: "sgd",
  seed: "5",
  headWarmupEpochs: "1",
};

describe.skipIf(chromiumPath === null)("in Chromium (skipped where there is none)", { timeout: 300_000 }, () => {
  const home = mkdtempSync(join(tmpdir(), "metalr-webgpu-"));
  const lung = join(home, "lung");
  let site: PrivateSite;
  let kind = "none";
  beforeAll(async () => {
    await writePictures(lung, 8, 3);
    // Without the flag Chromium takes no software adapter.
    site = await privateSite(home, chromiumPath ?? "", ["--enable-unsafe-webgpu"]);
    site.context.setDefaultTimeout(240_000);
    const page = await site.open();
    kind = (await page.evaluate(
      "navigator.gpu?.requestAdapter().then((a) => a === null ? 'none' : a.info.architecture, () => 'none') ?? 'none'",
    )) as string;
    await page.close();
  });
  afterAll(async () => {
    await site?.close();
    rmSync(home, { recursive: true, force: true });
  });

  async function trained(page: Page): Promise<void> {
    await drop(page, "images", [lung]);
    await page.getByText("18 images, 3 classes").waitFor();
    await fill(page, values);
    await start(page);
    await finished(page);
  }

  test("the step runs on WebGPU: rates of WebAssembly on Node to 1e-3", async ({ skip }) => {
    skip(kind === "none", "this Chromium finds no WebGPU adapter, not even in software");
    const page = await site.open();
    const choice = page.getByLabel("Compute with");
    if (kind === "swiftshader") {
      await page
        .getByText("WebGPU is only imitated by the processor here, and far slower than WebAssembly.", { exact: true })
        .waitFor();
      expect(await choice.inputValue()).toBe("wasm");
    } else expect(await choice.inputValue()).toBe("webgpu");
    await choice.selectOption("webgpu");
    await trained(page);
    await page.getByText("Computed by onnxruntime-web 1.30.0, 1 thread, webgpu+wasm.").waitFor();
    const { run } = await trainOnNode(join(home, "on-node"), values, lung);
    expect(run.step).toBe(3);
    await expectSameRates(await copyRun(page, join(home, "on-webgpu")), run.folder);
    expect(site.problems).toEqual([]);
    await page.close();
  });

  test("where it fails before the first step, WebAssembly takes its place, and the page says why", async ({ skip }) => {
    skip(kind === "none", "this Chromium finds no WebGPU adapter, not even in software");
    const assets = join(site.folder, "assets");
    for (const file of readdirSync(assets)) if (/asyncify.*\.wasm$/.test(file)) rmSync(join(assets, file));
    const fresh = await site.context.browser()?.newContext(); // which has not kept that file
    if (fresh === undefined) throw new Error("the context is a browser's");
    const page = await site.open(fresh);
    await page.getByLabel("Compute with").selectOption("webgpu");
    await trained(page);
    await page.getByText(/^WebGPU failed \(.+\): WebAssembly computes\.$/).waitFor();
    await page.getByText("Computed by onnxruntime-web 1.30.0, 1 thread, wasm.").waitFor();
    expect(await page.getByLabel("Compute with").inputValue()).toBe("wasm");
    expect(await page.locator("table.kept tbody tr").count()).toBe(1);
    await fresh.close();
  });

  test("a browser without it is told so, and cannot choose it", async () => {
    const page = await site.context.newPage();
    await page.addInitScript("Object.defineProperty(Navigator.prototype, 'gpu', { value: undefined })");
    await page.goto(site.server.url);
    await page.getByText("Ready.").waitFor();
    await page.getByText("This browser offers no WebGPU here: WebAssembly computes.", { exact: true }).waitFor();
    expect(await page.getByLabel("Compute with").inputValue()).toBe("wasm");
    expect(await page.locator("option[value=webgpu]").isDisabled()).toBe(true);
    await page.close();
  });
});
