/** @file For tests: "Private fine-tune" under the hands of a person: files are dropped and picked, fields filled in, runs copied out of OPFS. */
import { mkdirSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import type { BrowserContext, Page } from "playwright-core";
import { expect } from "vitest";
import { buildPrivate } from "../../scripts/build-private.mjs";
import { flagsOf } from "../cli/train/fields.js";
import { planTraining } from "../cli/train/plan.js";
import { nodePlatform } from "../platform/node/index.js";
import { nodeExecutor } from "../platform/node/onnxRuntime.js";
import { readRun } from "../records/read.js";
import { trainRun } from "../records/trainRun.js";
import { openBrowser } from "../studio/server/browser.testing.js";
import type { StepEvent } from "../training/types.js";
import { serve, type TestServer } from "./serve.testing.js";

export interface PrivateSite {
  /** Folder of the built page. */
  readonly folder: string;
  readonly server: TestServer;
  readonly context: BrowserContext;
  /** Errors of all pages, and what they wrote to the console as such. */
  readonly problems: string[];
  /**
   * A page that is ready for files, with one thread: threads that wait for each other are slow on a busy machine.
   * @param inside default: the one context that keeps files from page to page
   */
  open(inside?: BrowserContext): Promise<Page>;
  close(): Promise<void>;
}

/** The page as static files with the two isolation headers and nothing else, and a browser. @param more arguments of Chromium; without any, WebAssembly computes */
export async function privateSite(home: string, chromium: string, more: readonly string[] = []): Promise<PrivateSite> {
  const folder = await buildPrivate({ outDir: join(home, "page") });
  const server = await serve(folder);
  const browser = await openBrowser(chromium, more);
  const context = await browser.newContext({ viewport: { width: 1280, height: 900 } });
  context.setDefaultTimeout(45_000);
  const problems: string[] = [];
  return {
    folder,
    server,
    context,
    problems,
    async open(inside = context) {
      const page = await inside.newPage();
      page.on("console", (message) => message.type() === "error" && problems.push(message.text()));
      page.on("pageerror", (error) => problems.push(error.message));
      await page.goto(server.url);
      await page.getByText("Ready.").waitFor();
      const choice = page.getByLabel("Compute with");
      if (more.length === 0 && (await choice.inputValue()) !== "wasm") await choice.selectOption("wasm");
      await page.getByLabel("Threads").selectOption("1");
      return page;
    },
    async close() {
      await browser.close();
      await server.close();
    },
  };
}

/** Drops files and folders of this machine, as a hand would. */
export async function drop(page: Page, what: "images" | "weights", files: readonly string[]): Promise<void> {
  const target = page.locator(".drop", { hasText: `Drop ${what} here` });
  await target.scrollIntoViewIfNeeded();
  const box = await target.boundingBox();
  const cdp = await page.context().newCDPSession(page);
  for (const type of ["dragEnter", "dragOver", "drop"] as const) {
    await cdp.send("Input.dispatchDragEvent", {
      type,
      x: (box?.x ?? 0) + 40,
      y: (box?.y ?? 0) + 20,
      data: { items: [], files: [...files], dragOperationsMask: 1 },
    });
  }
  await cdp.detach();
}

/** Picks files, or one folder, as the buttons do. */
export const pick = (page: Page, label: string, files: string | readonly string[]): Promise<void> =>
  page.locator(`input[aria-label="${label}"]`).setInputFiles(typeof files === "string" ? files : [...files]);

/** Fills in options by their names; every heading is opened. */
export async function fill(page: Page, given: Readonly<Record<string, string>>): Promise<void> {
  await page.evaluate("for (const d of document.querySelectorAll('details')) d.open = true");
  for (const [key, value] of Object.entries(given)) {
    const field = page.locator(`#option-${key}`);
    if ((await field.evaluate((e) => (e as HTMLElement).tagName)) === "SELECT") await field.selectOption(value);
    else await field.fill(value);
  }
}

/** Starts the training as soon as the page allows it. */
export const start = (page: Page): Promise<void> =>
  page.locator("button.primary:enabled", { hasText: "Start" }).click();

/** Waits for a training's end. @throws {Error} with what the page says instead */
export async function finished(page: Page): Promise<void> {
  const end = page.getByText("Finished. The model");
  const notice = page.getByRole("alert");
  await end.or(notice).waitFor();
  if (await notice.isVisible()) throw new Error((await notice.textContent()) ?? "");
}

/** What the page says is wrong, once it says so: its lines as they are. */
export async function problemOf(page: Page): Promise<string> {
  const notice = page.getByRole("alert");
  await notice.waitFor();
  return (await notice.textContent()) ?? "";
}

/** Name of the run that the page shows. */
export const shownRun = (page: Page): Promise<string> => page.locator("section.training .title h2").innerText();

/** Copies the files of the run that the page shows out of OPFS into `folder` on this machine's disk. */
export async function copyRun(page: Page, folder: string): Promise<string> {
  const name = await shownRun(page);
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
    await walk(await runs.getDirectoryHandle(${JSON.stringify(name)}), "");
    return found;
  })()`)) as Record<string, string>;
  for (const [path, text] of Object.entries(files)) {
    mkdirSync(dirname(join(folder, path)), { recursive: true });
    writeFileSync(join(folder, path), Buffer.from(text, "base64"));
  }
  return folder;
}

export const stepsOf = (events: readonly { readonly type: string }[]): StepEvent[] =>
  events.filter((e): e is StepEvent => e.type === "step");

/** The same training in Node, with one thread. @param weights default: random ones */
export async function trainOnNode(
  folder: string,
  values: Readonly<Record<string, string>>,
  data: string,
  weights = "none",
) {
  const plan = await planTraining({ ...flagsOf(values), data, pretrainedPath: weights }, nodePlatform);
  const split = plan.splits[0];
  if (split === undefined) throw new Error("the data give no run");
  const run = await trainRun(folder, {
    ...plan.settings,
    ...(await plan.forSplit(split, plan.opened.model)),
    platform: nodePlatform,
    executor: nodeExecutor({ threads: 1 }),
    method: plan.method,
    data: { dataset: plan.dataset, split },
    model: plan.opened.model,
  });
  return { plan, split, run };
}

/**
 * Compares two run folders: the same images, and rates to 1e-3 of the step's largest. That they moved, and differently, is checked,
 * too: it is not a constant that both share.
 */
export async function expectSameRates(mine: string, reference: string): Promise<void> {
  const [a, b] = [
    await readRun(nodePlatform.files, mine, { events: true }),
    await readRun(nodePlatform.files, reference, { events: true }),
  ];
  expect(a.record.info.data).toEqual(b.record.info.data);
  const [got, wanted] = [stepsOf(a.events), stepsOf(b.events)];
  expect(got.length).toBe(wanted.length);
  for (const [t, want] of wanted.entries()) {
    const largest = Math.max(...want.lr);
    const worst = Math.max(...want.lr.map((v, j) => Math.abs(v - (got[t]?.lr[j] ?? Number.NaN))));
    expect(worst / largest, `rates of step ${t + 1}`).toBeLessThan(1e-3);
  }
  const end = wanted.at(-1)?.lr ?? [];
  expect(new Set(end).size).toBeGreaterThan(2);
}
