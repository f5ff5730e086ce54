/** @file The reference trajectory of PyTorch, replayed in a real browser: onnxruntime-web in a worker, WebAssembly. */
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import type { Browser } from "playwright-core";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { webConfig } from "../../scripts/build-web.mjs";
import { chromiumPath, openBrowser } from "../studio/server/browser.testing.js";
import { serve, type TestServer } from "./serve.testing.js";

const golden = "fixtures/golden/resnet-w8";

interface Replayed {
  readonly error?: string;
  readonly steps: readonly { trainLoss: number; hypergradient: number[]; lr: number[] }[];
  readonly lowering: string;
  readonly executor: string;
  readonly isolated: boolean;
}

describe.skipIf(chromiumPath === null)("in Chromium (skipped where there is none)", () => {
  const site = mkdtempSync(join(tmpdir(), "metalr-replay-"));
  let browser: Browser;
  let server: TestServer;
  beforeAll(async () => {
    const { build, mergeConfig } = await import("vite");
    await build(
      mergeConfig(webConfig(), {
        root: fileURLToPath(new URL(".", import.meta.url)),
        build: {
          outDir: site,
          rolldownOptions: {
            input: fileURLToPath(new URL("./replay-page.testing.ts", import.meta.url)),
            output: { entryFileNames: "main.js" },
          },
        },
      }),
    );
    server = await serve(site, {
      "index.html":
        '<!doctype html><html lang="en"><title>replay</title><script type="module" src="./main.js"></script>',
      "init.pth": readFileSync(`${golden}/init.pth`),
      "batches.npz": readFileSync(`${golden}/batches.npz`),
    });
    browser = await openBrowser(chromiumPath ?? ""); // skipped where it is null
  });
  afterAll(async () => {
    await browser?.close();
    await server?.close();
    rmSync(site, { recursive: true, force: true });
  });

  test("sgd-additive: losses to 1e-4, learning rates to 3e-4 of the step's largest, as on Node", async () => {
    const reference = JSON.parse(readFileSync(`${golden}/sgd-additive.json`, "utf8")) as {
      hyper: { lr: number; eta: number; update: string; bounds: null };
      float32: { train_loss: number; lr: number[] }[];
    };
    const { lr, eta, update, bounds } = reference.hyper;
    const page = await browser.newPage();
    const problems: string[] = [];
    page.on("pageerror", (error) => problems.push(error.message));
    await page.goto(server.url);
    await page.waitForFunction("'replayInWorker' in globalThis");
    const hyper = { lr, hyperLr: eta, update, bounds, optimizer: "sgd" };
    const replayed = (await page.evaluate(`replayInWorker(${JSON.stringify(hyper)}, 1)`)) as Replayed;
    expect(replayed.error).toBeUndefined();
    expect(problems).toEqual([]);
    expect(replayed.isolated).toBe(true);
    expect(replayed.executor).toBe("onnxruntime-web 1.30.0, 1 thread, wasm");
    expect(replayed.steps).toHaveLength(reference.float32.length);
    for (const [t, want] of reference.float32.entries()) {
      const got = replayed.steps[t];
      expect(Math.abs((got?.trainLoss ?? Number.NaN) / want.train_loss - 1), `loss of step ${t + 1}`).toBeLessThan(
        1e-4,
      );
      const largest = Math.max(...want.lr.map(Math.abs));
      const worst = Math.max(...want.lr.map((v, j) => Math.abs(v - (got?.lr[j] ?? Number.NaN))));
      expect(worst / largest, `rates of step ${t + 1}`).toBeLessThan(3e-4);
    }
    await page.close();
  });
});
