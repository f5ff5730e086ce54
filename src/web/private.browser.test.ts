/**
 * @file "Private fine-tune" as static files in a real browser: a dropped folder is trained on in WebAssembly as on Node, stopped and
 * resumed, its model leaves as a download and by no other way, and the page works without its server.
 */
import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Page } from "playwright-core";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { mostBytes, pageSize } from "../../scripts/page-size.mjs";
import { nodePlatform } from "../platform/node/index.js";
import { readTensors } from "../records/files.js";
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
import { serve, type TestServer } from "./serve.testing.js";

const axe = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");

/** Options of the training that both sides do; sgd, because Adam divides small gradients by their own size, rounding and all. */
const values = {
  model: "resnet20",
  width: "4",
  maxEpoch: "2",
  batchSize: "16",
  imageSize: "24",
  lr: "0.004",
  optimizer: "sgd",
  seed: "5",
  headWarmupEpochs: "1",
};

describe.skipIf(chromiumPath === null)("in Chromium (skipped where there is none)", { timeout: 150_000 }, () => {
  const home = mkdtempSync(join(tmpdir(), "metalr-private-"));
  const lung = join(home, "lung");
  let site: PrivateSite;
  let elsewhere: TestServer;
  const asked: string[] = [];
  const open = () => site.open();

  beforeAll(async () => {
    await writePictures(lung, 24, 18);
    site = await privateSite(home, chromiumPath ?? ""); // skipped where it is null
    site.context.on("request", (request) => asked.push(request.url()));
    // Another origin, which would tell everybody what it was asked.
    elsewhere = await serve(home, { leak: "leaked" }, { "access-control-allow-origin": "*" });
  });
  afterAll(async () => {
    await site?.close();
    await elsewhere?.close();
    rmSync(home, { recursive: true, force: true });
  });

  const dropLung = async (page: Page): Promise<void> => {
    await drop(page, "images", [lung]);
    await page.getByText("108 images, 3 classes").waitFor();
  };

  test("a folder is dropped, a network fine-tuned: rates as on Node to 1e-3, and the model computes the same in onnxruntime-node", async () => {
    const page = await open();
    expect(await page.evaluate("crossOriginIsolated")).toBe(true);
    await dropLung(page);
    expect(await page.locator(".thumbnail canvas").count()).toBe(12);
    await fill(page, { ...values, maxEpoch: "-3" });
    await page.getByText("must be a whole number ≥ 1, got -3").first().waitFor();
    expect(await page.getByRole("button", { name: "Start" }).isDisabled()).toBe(true);
    await fill(page, values);
    await start(page);
    await finished(page);

    const mine = await copyRun(page, join(home, "from-browser"));
    const { plan, split, run: onNode } = await trainOnNode(join(home, "on-node"), values, lung);
    await expectSameRates(mine, onNode.folder);

    const downloading = page.waitForEvent("download");
    await page.getByRole("button", { name: "Download model (.onnx)" }).click();
    const download = await downloading;
    const bytes = readFileSync(await download.path());
    const ort = createRequire(import.meta.url)("onnxruntime-node") as typeof import("onnxruntime-node");
    const session = await ort.InferenceSession.create(new Uint8Array(bytes));
    const { tensors } = await readTensors(nodePlatform.files, join(mine, "predictions/selected.safetensors"));
    const logits = Float32Array.from((tensors.get("logits")?.data ?? []) as Float32Array); // as float32 as they were computed
    expect(logits.length).toBe(3 * split.test.length);
    const { transforms } = onNode;
    let worst = 0;
    for (const [n, index] of split.test.entries()) {
      const { data, width, height } = await plan.dataset.image(index);
      const [mean = 0, std = 1] = [
        transforms.evaluation.normalization.mean[0],
        transforms.evaluation.normalization.std[0],
      ];
      const x = Float32Array.from(data, (v) => (v / 255 - mean) / std);
      const out = await session.run({ x: new ort.Tensor("float32", x, [1, 1, height, width]) });
      const got = out["logits"]?.data as Float32Array; // the exported model's one output
      for (const [c, v] of got.entries()) worst = Math.max(worst, Math.abs(v - (logits[3 * n + c] ?? Number.NaN)));
    }
    expect(worst).toBeLessThan(1e-4);
    await page.close();
  });

  test("a training is stopped, the page reloaded, and it goes on with the same images from its checkpoint", async () => {
    const page = await open();
    await dropLung(page);
    await fill(page, { ...values, maxEpoch: "40" });
    await start(page);
    await page.getByRole("button", { name: "Stop", exact: true }).click();
    await page.getByText("Stopped. It can be resumed.").waitFor();
    const row = page.getByRole("row", { name: /stopped, epoch/ });
    await page.reload();
    await page.getByText("Ready.").waitFor();
    expect(await row.getByRole("button", { name: "Resume" }).isDisabled()).toBe(true); // its images are not open
    await dropLung(page);
    await row.getByRole("button", { name: "Resume" }).click();
    await page.getByText("Training.", { exact: true }).waitFor();
    await page.getByRole("button", { name: "Stop", exact: true }).click();
    await page.getByText("Stopped. It can be resumed.").waitFor();
    await row.getByRole("button", { name: "Delete" }).click();
    await row.getByRole("button", { name: "Really delete?" }).click();
    await row.waitFor({ state: "detached" });
    await page.close();
  });

  test("nobody else was asked, and nobody else can be: neither by the page nor by its workers", async () => {
    const origins = new Set(
      asked
        .map((url) => new URL(url))
        .filter((u) => u.protocol !== "blob:" && u.protocol !== "data:")
        .map((u) => u.origin),
    );
    expect([...origins]).toEqual([new URL(site.server.url).origin]);
    const page = await open();
    const url = `${elsewhere.url}leak`;
    const tries = `(async () => {
      const refused = async (work) => { try { await work(); return false; } catch { return true; } };
      const ways = [await refused(() => fetch(${JSON.stringify(url)})), await refused(() => fetch(${JSON.stringify(url)}, { mode: "no-cors", method: "POST", body: "image" }))];
      if (typeof XMLHttpRequest !== "undefined") ways.push(await refused(() => new Promise((ok, no) => { const x = new XMLHttpRequest(); x.onload = ok; x.onerror = no; x.open("GET", ${JSON.stringify(url)}); x.send(); })));
      ways.push(await refused(() => new Promise((ok, no) => { const s = new WebSocket(${JSON.stringify(url.replace("http", "ws"))}); s.onopen = ok; s.onerror = no; })));
      return ways;
    })()`;
    expect(await page.evaluate(tries)).toEqual([true, true, true, true]);
    await page.evaluate(
      `navigator.sendBeacon(${JSON.stringify(url)}, "image"); new Image().src = ${JSON.stringify(url)}`,
    );
    // The worker starts once the service worker is there.
    const worker = page.workers()[0] ?? (await page.waitForEvent("worker"));
    expect(await worker.evaluate(tries)).toEqual([true, true, true, true]);
    expect(
      await worker.evaluate(
        `(async () => { try { await import(${JSON.stringify(url)}); return true; } catch { return false; } })()`,
      ),
    ).toBe(false);
    await page.evaluate(
      `document.head.append(Object.assign(document.createElement("script"), { textContent: "globalThis.ran = 1" }))`,
    );
    expect(await page.evaluate("globalThis.ran")).toBeUndefined();
    await page.waitForTimeout(300);
    expect(elsewhere.asked).toEqual([]);
    await page.close();
  });

  test.each([
    ["light", 1280],
    ["dark", 360],
    ["light", 3840],
  ] as const)(
    "axe finds no serious fault, and nothing is wider than the screen: %s, %i px",
    async (colorScheme, width) => {
      const page = await open();
      await page.emulateMedia({ colorScheme });
      await page.setViewportSize({ width, height: 800 });
      await dropLung(page);
      await page.getByRole("button", { name: "Show" }).first().click();
      await page.getByRole("heading", { name: "Learning rates" }).waitFor();
      await page.evaluate("for (const d of document.querySelectorAll('details')) d.open = true");
      const tested = await page.context().newCDPSession(page); // past the policy, which would refuse a script from here
      await tested.send("Runtime.evaluate", { expression: axe });
      const found = (await page.evaluate(
        "axe.run({ runOnly: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'best-practice'] })",
      )) as { violations: { id: string; impact: string; nodes: { html: string }[] }[] };
      const serious = found.violations.filter((v) => v.impact === "serious" || v.impact === "critical");
      expect(serious.map((v) => `${v.id}: ${v.nodes.map((n) => n.html.slice(0, 200)).join(" | ")}`)).toEqual([]);
      expect(await page.evaluate("document.documentElement.scrollWidth <= innerWidth")).toBe(true);
      await page.close();
    },
  );

  test("small: gzip, 60 kB before the page can be seen, 250 kB with its worker, ONNX Runtime apart", () => {
    const files = readdirSync(site.folder, { recursive: true, encoding: "utf8" });
    const { page, runtime, bytes } = pageSize(site.folder, files);
    expect(page).toBeLessThan(60_000);
    expect(bytes).toBeLessThanOrEqual(mostBytes);
    expect(runtime).toBeGreaterThan(10_000); // it lies in files of its own, and is not counted twice
  });

  test("without its server it still opens and trains", async () => {
    await site.server.close();
    const page = await open();
    expect(await page.evaluate("crossOriginIsolated")).toBe(true);
    await dropLung(page);
    await fill(page, { ...values, maxEpoch: "1" });
    await start(page);
    await finished(page);
    await page.close();
  });

  test("no errors but those of the refused tries", () => {
    expect(site.problems.filter((p) => !p.includes(elsewhere.url.slice(7, -1)) && !/inline script/.test(p))).toEqual(
      [],
    );
  });
});
