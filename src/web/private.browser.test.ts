/**
 * @file "Private fine-tune" as static files in a real browser: a dropped folder is trained on in WebAssembly as on Node, stopped and
 * resumed, its model leaves as a download and by no other way, and the page works without its server.
 */
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import type { Browser, BrowserContext, Page } from "playwright-core";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { buildPrivate } from "../../scripts/build-private.mjs";
import { mostBytes, pageSize } from "../../scripts/page-size.mjs";
import { flagsOf } from "../cli/train/fields.js";
import { planTraining } from "../cli/train/plan.js";
import { nodePlatform } from "../platform/node/index.js";
import { nodeExecutor } from "../platform/node/onnxRuntime.js";
import { readTensors } from "../records/files.js";
import { readRun } from "../records/read.js";
import { trainRun } from "../records/trainRun.js";
import { chromiumPath, openBrowser } from "../studio/server/browser.testing.js";
import type { StepEvent } from "../training/types.js";
import { writePictures } from "./pictures.testing.js";
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

const steps = (events: readonly { readonly type: string }[]): StepEvent[] =>
  events.filter((e): e is StepEvent => e.type === "step");

describe.skipIf(chromiumPath === null)("in Chromium (skipped where there is none)", () => {
  const home = mkdtempSync(join(tmpdir(), "metalr-private-"));
  const site = join(home, "page");
  const lung = join(home, "lung");
  let browser: Browser;
  let context: BrowserContext;
  let server: TestServer;
  let elsewhere: TestServer;
  const asked: string[] = [];
  const problems: string[] = [];

  beforeAll(async () => {
    await buildPrivate({ outDir: site });
    await writePictures(lung, 24, 18);
    // The two isolation headers and nothing else; and another origin, which would tell everybody what it was asked.
    server = await serve(site);
    elsewhere = await serve(home, { leak: "leaked" }, { "access-control-allow-origin": "*" });
    browser = await openBrowser(chromiumPath ?? ""); // skipped where it is null
    context = await browser.newContext({ viewport: { width: 1280, height: 900 } });
    context.setDefaultTimeout(60_000);
    context.on("request", (request) => asked.push(request.url()));
  });
  afterAll(async () => {
    await browser?.close();
    await server?.close();
    await elsewhere?.close();
    rmSync(home, { recursive: true, force: true });
  });

  async function open(): Promise<Page> {
    const page = await context.newPage();
    page.on("console", (message) => message.type() === "error" && problems.push(message.text()));
    page.on("pageerror", (error) => problems.push(error.message));
    await page.goto(server.url);
    await page.getByText("Ready.").waitFor();
    await page.getByLabel("Threads").selectOption("1"); // threads that wait for each other are slow on a busy machine
    return page;
  }

  /** Drops a folder of this machine, as a hand would. */
  async function drop(page: Page, folder: string): Promise<void> {
    const box = await page.locator(".drop").first().boundingBox();
    const cdp = await page.context().newCDPSession(page);
    for (const type of ["dragEnter", "dragOver", "drop"] as const) {
      await cdp.send("Input.dispatchDragEvent", {
        type,
        x: (box?.x ?? 0) + 40,
        y: (box?.y ?? 0) + 20,
        data: { items: [], files: [folder], dragOperationsMask: 1 },
      });
    }
    await page.getByText("108 images, 3 classes").waitFor();
  }

  async function fill(page: Page, given: Readonly<Record<string, string>>): Promise<void> {
    await page.evaluate("for (const d of document.querySelectorAll('details')) d.open = true");
    for (const [key, value] of Object.entries(given)) {
      const field = page.locator(`#option-${key}`);
      if ((await field.evaluate((e) => (e as HTMLElement).tagName)) === "SELECT") await field.selectOption(value);
      else await field.fill(value);
    }
  }

  const start = async (page: Page): Promise<void> => {
    await page.locator("button.primary:enabled", { hasText: "Start" }).click();
  };

  /** Copies the files of a run out of OPFS. @returns the folder on this machine's disk */
  async function runOf(page: Page, name: string): Promise<string> {
    const files = (await page.evaluate(`(async () => {
      const found = {};
      const walk = async (folder, path) => {
        for await (const [name, handle] of folder.entries()) {
          if (handle.kind === "directory") await walk(handle, path + name + "/");
          else {
            const bytes = new Uint8Array(await (await handle.getFile()).arrayBuffer());
            let text = "";
            for (const b of bytes) text += String.fromCharCode(b);
            found[path + name] = btoa(text);
          }
        }
      };
      const runs = await (await navigator.storage.getDirectory()).getDirectoryHandle("runs");
      for await (const [name, handle] of runs.entries()) await walk(handle, "");
      return found;
    })()`)) as Record<string, string>;
    const folder = join(home, name);
    for (const [path, text] of Object.entries(files)) {
      mkdirSync(dirname(join(folder, path)), { recursive: true });
      writeFileSync(join(folder, path), Buffer.from(text, "base64"));
    }
    return folder;
  }

  test("a folder is dropped, a network fine-tuned: rates as on Node to 1e-3, and the model computes the same in onnxruntime-node", async () => {
    const page = await open();
    expect(await page.evaluate("crossOriginIsolated")).toBe(true);
    await drop(page, lung);
    expect(await page.locator(".thumbnail canvas").count()).toBe(12);
    await fill(page, { ...values, maxEpoch: "-3" });
    await page.getByText("must be a whole number ≥ 1, got -3").first().waitFor();
    expect(await page.getByRole("button", { name: "Start" }).isDisabled()).toBe(true);
    await fill(page, values);
    await start(page);
    await page.getByText("Finished. The model").waitFor();

    const inBrowser = await readRun(nodePlatform.files, await runOf(page, "from-browser"), { events: true });
    const plan = await planTraining({ ...flagsOf(values), data: lung, pretrainedPath: "none" }, nodePlatform);
    const split = plan.splits[0];
    if (split === undefined) throw new Error("the folder gives no run");
    const onNode = await trainRun(join(home, "on-node"), {
      ...plan.settings,
      ...(await plan.forSplit(split, plan.opened.model)),
      platform: nodePlatform,
      executor: nodeExecutor({ threads: 1 }),
      method: plan.method,
      data: { dataset: plan.dataset, split },
      model: plan.opened.model,
    });
    const reference = await readRun(nodePlatform.files, onNode.folder, { events: true });
    const [mine, theirs] = [steps(inBrowser.events), steps(reference.events)];
    expect(mine.length).toBe(theirs.length);
    expect(inBrowser.record.info.data).toEqual(reference.record.info.data);
    for (const [t, want] of theirs.entries()) {
      const largest = Math.max(...want.lr);
      const worst = Math.max(...want.lr.map((v, j) => Math.abs(v - (mine[t]?.lr[j] ?? Number.NaN))));
      expect(worst / largest, `rates of step ${t + 1}`).toBeLessThan(1e-3);
    }
    // They moved, and differently: not a constant that both sides share.
    const end = theirs.at(-1)?.lr ?? [];
    expect(new Set(end).size).toBe(end.length);

    const downloading = page.waitForEvent("download");
    await page.getByRole("button", { name: "Download model (.onnx)" }).click();
    const download = await downloading;
    const bytes = readFileSync(await download.path());
    const ort = createRequire(import.meta.url)("onnxruntime-node") as typeof import("onnxruntime-node");
    const session = await ort.InferenceSession.create(new Uint8Array(bytes));
    const { tensors } = await readTensors(
      nodePlatform.files,
      join(inBrowser.folder, "predictions/selected.safetensors"),
    );
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
    await drop(page, lung);
    await fill(page, { ...values, maxEpoch: "40" });
    await start(page);
    await page.getByRole("button", { name: "Stop", exact: true }).click();
    await page.getByText("Stopped. It can be resumed.").waitFor();
    const row = page.getByRole("row", { name: /stopped, epoch/ });
    await page.reload();
    await page.getByText("Ready.").waitFor();
    expect(await row.getByRole("button", { name: "Resume" }).isDisabled()).toBe(true); // its images are not open
    await drop(page, lung);
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
    expect([...origins]).toEqual([new URL(server.url).origin]);
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
  ] as const)(
    "axe finds no serious fault, and nothing is wider than the screen: %s, %i px",
    async (colorScheme, width) => {
      const page = await open();
      await page.emulateMedia({ colorScheme });
      await page.setViewportSize({ width, height: 800 });
      await drop(page, lung);
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
    const files = readdirSync(site, { recursive: true, encoding: "utf8" });
    const { page, runtime, bytes } = pageSize(site, files);
    expect(page).toBeLessThan(60_000);
    expect(bytes).toBeLessThanOrEqual(mostBytes);
    expect(runtime).toBeGreaterThan(10_000); // it lies in files of its own, and is not counted twice
  });

  test("without its server it still opens and trains", async () => {
    await server.close();
    const page = await open();
    expect(await page.evaluate("crossOriginIsolated")).toBe(true);
    await drop(page, lung);
    await fill(page, { ...values, maxEpoch: "1" });
    await start(page);
    await page.getByText("Finished. The model").waitFor();
    await page.close();
  });

  test("no errors but those of the refused tries", () => {
    expect(problems.filter((p) => !p.includes(elsewhere.url.slice(7, -1)) && !/inline script/.test(p))).toEqual([]);
  });
});
