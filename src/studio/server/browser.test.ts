/** @file The studio in a real browser: curves that grow, runs that are started, stopped and resumed, and what axe finds. */
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Browser, BrowserContextOptions, Page } from "playwright-core";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { buildPage } from "../../../scripts/build-page.mjs";
import type { ListMessage, RunSummary } from "../protocol.js";
import { chromiumPath, openBrowser } from "./browser.testing.js";
import { queueFile } from "./queue.js";
import {
  append,
  messagesOf,
  type TestStudio,
  testStudio,
  until,
  writeRun,
  writeSegmentation,
} from "./studio.testing.js";

/** As `metalr compare` writes it. */
const comparison = {
  format: "metalr-comparison",
  created: "2026-03-01T09:30:00.000Z",
  trainings: 4,
  data: [
    {
      data: "breast",
      unit: "seed",
      units: 2,
      reference: "finetune",
      words: ["Nothing can be said."],
      methods: ["finetune", "metalr"].map((method) => ({
        method,
        title: method,
        accuracy: { validation: { mean: 0.8, low: 0.7, high: 0.9 } },
        balancedAccuracy: 0.7,
        macroAuc: null,
        trainingMs: 1000,
        test: method === "finetune" ? null : { difference: { mean: 0.01, low: -0.1, high: 0.12 }, p: 0.5, pHolm: 0.5 },
      })),
    },
  ],
};

/** Looks again and again: on a busy machine a page may take its time. */
const waitUntil = <T>(look: () => T) => expect.poll(look, { timeout: 20_000 });

const axe = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");

describe.skipIf(chromiumPath === null)("in Chromium (skipped where there is none)", () => {
  const site = mkdtempSync(join(tmpdir(), "metalr-site-"));
  let browser: Browser;
  let studio: TestStudio;
  const problems: string[] = [];
  beforeAll(async () => {
    await buildPage({ outDir: site });
    studio = await testStudio(
      (runs) => {
        writeRun(`${runs}/lung/fold-1`, { epochs: 3 });
        writeRun(`${runs}/plain`, { constant: true, select: "test" });
        writeRun(`${runs}/growing`, { epochs: 10, keep: 8 });
        for (let k = 2; k <= 9; k++) writeRun(`${runs}/lung/fold-${k}`, { epochs: 2, seed: k });
        writeFileSync(`${runs}/comparison.json`, JSON.stringify(comparison));
        const tasks = [{ kind: "train", values: { seed: "7" }, name: "waited", started: false }];
        const queue = { format: "metalr-queue", version: 1, pid: 1 << 30, host: "another", tasks };
        writeFileSync(`${runs}/${queueFile}`, JSON.stringify(queue));
      },
      { page: site },
    );
    browser = await openBrowser(chromiumPath ?? ""); // skipped where it is null
  });
  afterAll(async () => {
    await browser?.close();
    await studio?.end();
    rmSync(site, { recursive: true, force: true });
  });

  /** A page of the studio, which may ask nothing of anybody else. */
  async function open(hash: string, options: BrowserContextOptions = {}): Promise<Page> {
    const context = await browser.newContext({ viewport: { width: 1280, height: 800 }, bypassCSP: false, ...options });
    context.setDefaultTimeout(20_000);
    const page = await context.newPage();
    page.on("console", (message) => message.type() === "error" && problems.push(message.text()));
    page.on("pageerror", (error) => problems.push(error.message));
    page.on("request", (request) => {
      const { protocol, origin } = new URL(request.url());
      if (protocol !== "data:" && origin !== new URL(studio.url).origin) problems.push(`asked ${origin}`);
    });
    await page.goto(`${studio.url}${hash}`);
    return page;
  }

  const idOf = async (name: string): Promise<string> =>
    ((await (await studio.ask("/api/runs")).json()) as { id: string; name: string }[]).find((r) => r.name === name)
      ?.id ?? "";

  const foldsId = async (): Promise<string> =>
    ((await (await studio.ask("/api/runs")).json()) as RunSummary[]).find((r) => r.folds?.name === "lung")?.folds?.id ??
    "";
  const comparisonId = async (): Promise<string> => {
    const list = messagesOf<ListMessage>(await studio.ask("/api/events"));
    const all = await until(list, (m) => m.type === "all");
    return all.type === "all" ? (all.comparisons[0]?.id ?? "") : "";
  };

  /** The value beside a name in the tiles. */
  const tile = async (page: Page, name: string): Promise<string> =>
    (await page.locator(".tile", { hasText: name }).first().locator("dd").innerText()).split("\n")[0] ?? "";

  test("the table is sorted, filtered, and leads to a run whose curves grow while it trains", async () => {
    const page = await open("");
    const names = page.locator("tbody th a");
    await names.first().waitFor();
    expect(await names.count()).toBe(3);
    await page.getByRole("button", { name: "Run", exact: true }).click();
    expect(await names.allInnerTexts()).toEqual(["growing", "lung", "plain"]);
    await page.getByRole("button", { name: "Each fold by itself" }).click();
    expect(await names.count()).toBe(11);
    await page.getByRole("searchbox").fill("finetune");
    expect(await names.allInnerTexts()).toEqual(["plain"]);
    await page.getByRole("searchbox").fill("grow");
    await names.first().click();
    await page.getByRole("heading", { name: "growing" }).waitFor();
    await waitUntil(() => tile(page, "Step")).toBe("7");
    const plot = page.getByRole("figure", { name: "Learning rates" });
    await waitUntil(() => plot.locator(".at").innerText()).toBe("step 7");
    const drawn = () => plot.locator("canvas").evaluate((canvas) => (canvas as HTMLCanvasElement).toDataURL());
    const before = await drawn();
    const events = writeRun(`${studio.runs}/elsewhere`, { epochs: 10 });
    append(`${studio.runs}/growing`, events.slice(8, 60));
    await expect
      .poll(() => plot.locator(".at").innerText())
      .toBe(`step ${events.slice(0, 60).filter((e) => e.type === "step").length}`);
    await waitUntil(drawn).not.toBe(before);
    await page.getByRole("heading", { name: "Confusion matrix" }).waitFor();
    expect(await page.getByRole("region", { name: "Confusion matrix" }).getByRole("row").count()).toBe(5);
    rmSync(`${studio.runs}/growing`, { recursive: true });
    await page.getByRole("heading", { name: "This run is not there" }).waitFor();
    await page.close();
  });

  test("a run is started, stopped and resumed, and shows why an option is refused", async () => {
    const page = await open("#/new");
    await page.getByRole("textbox", { name: /^Epochs/ }).fill("-3");
    await page.getByText("must be a whole number ≥ 1, got -3").first().waitFor();
    expect(await page.getByRole("button", { name: "Start" }).isDisabled()).toBe(true);
    await page.getByRole("textbox", { name: /^Epochs/ }).fill("4");
    await page.getByRole("textbox", { name: /^Name/ }).fill("mine");
    await page.getByText("metalr train --max-epoch=4 --name=mine").waitFor();
    await page.getByRole("button", { name: "Start" }).click();
    await page.getByRole("heading", { name: /-mine$/ }).waitFor();
    await waitUntil(async () => Number(await tile(page, "Step"))).toBeGreaterThan(2);
    await page.getByRole("button", { name: "Stop" }).click();
    await page.getByRole("button", { name: "Resume" }).waitFor();
    const at = Number(await tile(page, "Step"));
    await page.getByRole("button", { name: "Resume" }).click();
    await waitUntil(async () => Number(await tile(page, "Step"))).toBeGreaterThan(at);
    await page.getByRole("button", { name: "Stop" }).click();
    await page.getByRole("button", { name: "Resume" }).waitFor();
    await page.close();
  });

  test("what waited when the last studio ended is listed, begins only when asked, and is taken out", async () => {
    const page = await open("");
    const job = page.getByRole("article").filter({ hasText: "metalr train --seed=7" });
    await job.getByText("was waiting when the studio ended").waitFor();
    await looksRight(page, "queue");
    await job.getByRole("button", { name: "Go on" }).waitFor();
    await job.getByRole("button", { name: "Take it out" }).click();
    await job.waitFor({ state: "detached" });
    await waitUntil(() => existsSync(`${studio.runs}/${queueFile}`)).toBe(false);
    await page.close();
  });

  test("nine folds at once: more than a browser has connections", async () => {
    const page = await open(`#/folds/${await foldsId()}`);
    await page.getByRole("heading", { name: "Confusion matrix" }).waitFor();
    await page.getByText("9 folds, all finished").waitFor();
    expect(await page.getByRole("region", { name: "Folds" }).getByRole("row").count()).toBe(12);
    await page.getByRole("link", { name: "Curves side by side" }).click();
    await page.getByRole("heading", { name: "9 runs side by side" }).waitFor();
    await page.close();
  });

  test("the method's own options come and go with it, and are in the command", async () => {
    const page = await open("#/new");
    await page.getByRole("combobox", { name: /^Method/ }).selectOption("l2sp");
    await page.locator("summary", { hasText: "Method" }).click();
    await page.getByRole("textbox", { name: /^Alpha/ }).fill("0.5");
    await page.getByText("metalr train --method=l2sp:alpha=0.5").waitFor();
    await page.getByRole("combobox", { name: /^Method/ }).selectOption("finetune");
    await page.getByText("metalr train --method=finetune", { exact: true }).waitFor();
    expect(await page.getByRole("textbox", { name: /^Alpha/ }).count()).toBe(0);
    await page.close();
  });

  test("deleting asks first, by keyboard as well, and keeps the run until the answer", async () => {
    writeRun(`${studio.runs}/old`);
    await waitUntil(() => idOf("old")).not.toBe("");
    const page = await open(`#/run/${await idOf("old")}`);
    await page.getByRole("button", { name: "Delete …" }).press("Enter");
    const dialog = page.getByRole("dialog", { name: "Delete this run?" });
    await dialog.waitFor();
    await page.keyboard.press("Escape");
    await dialog.waitFor({ state: "hidden" });
    expect(existsSync(`${studio.runs}/old/run.json`)).toBe(true);
    await page.getByRole("button", { name: "Delete …" }).click();
    await dialog.getByRole("button", { name: "Delete", exact: true }).click();
    await page.getByRole("heading", { name: "Runs", exact: true }).waitFor();
    expect(existsSync(`${studio.runs}/old`)).toBe(false);
    await page.close();
  });

  test("by keyboard: along a plot, and lines are hidden", async () => {
    const page = await open(`#/run/${await idOf("lung/fold-1")}`);
    const plot = page.getByRole("group", { name: /^Learning rates/ });
    await page.getByRole("figure", { name: "Learning rates" }).getByText("step 27").waitFor();
    await plot.focus();
    await page.keyboard.press("Home");
    await page.getByRole("figure", { name: "Learning rates" }).getByText("step 1", { exact: true }).waitFor();
    const stem = page.getByRole("figure", { name: "Learning rates" }).getByRole("button", { name: /^stem/ });
    await stem.press("Enter");
    expect(await stem.getAttribute("aria-pressed")).toBe("false");
    await page.close();
  });

  async function looksRight(page: Page, hash: string): Promise<void> {
    await page.evaluate("for (const d of document.querySelectorAll('details')) d.open = true");
    await page.evaluate(axe);
    const found = (await page.evaluate(
      "axe.run({ runOnly: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'best-practice'] })",
    )) as {
      violations: { id: string; impact: string; nodes: { html: string }[] }[];
    };
    const serious = found.violations.filter((v) => v.impact === "serious" || v.impact === "critical");
    expect(
      serious.map((v) => `${v.id}: ${v.nodes.map((n) => n.html.slice(0, 200)).join(" | ")}`),
      `page ${hash}`,
    ).toEqual([]);
    expect(await page.evaluate("document.documentElement.scrollWidth <= innerWidth"), `page ${hash}`).toBe(true);
  }

  test.each([
    ["light", 1280],
    ["dark", 1280],
    ["light", 360],
    ["dark", 3840],
  ] as const)(
    "axe finds no serious fault, and nothing is wider than the screen: %s, %i px",
    async (colorScheme, width) => {
      const ids = [await idOf("lung/fold-1"), await idOf("plain")];
      const places = [
        "",
        `#/run/${ids[0]}`,
        `#/folds/${await foldsId()}`,
        `#/comparison/${await comparisonId()}`,
        `#/compare/${ids.join(",")}`,
        "#/new",
      ];
      for (const hash of places) {
        const page = await open(hash, { colorScheme, viewport: { width, height: 800 } });
        await page.locator("canvas, tbody th, .fields label").first().waitFor();
        await looksRight(page, hash);
        await page.close();
      }
    },
  );

  test("segmentations: Dice on every page, and no accuracy or confusion of voxels", async () => {
    writeSegmentation(`${studio.runs}/brain`, { volumes: 30 });
    for (const k of [1, 2]) writeSegmentation(`${studio.runs}/scans/fold-${k}`, { seed: k });
    await waitUntil(async () => (await idOf("brain")) && (await idOf("scans/fold-2"))).not.toBe("");
    const runs = (await (await studio.ask("/api/runs")).json()) as RunSummary[];
    const folds = runs.find((r) => r.folds?.name === "scans")?.folds?.id ?? "";
    const [brain, fold] = [await idOf("brain"), await idOf("scans/fold-1")];
    for (const width of [1280, 360]) {
      const viewport = { width, height: 800 };
      const list = await open("", { viewport });
      const row = list.locator("tr", { hasText: "brain" });
      await row.waitFor();
      expect(await row.locator("[data-name=Test]").innerText()).toMatch(/0\.500\s*Dice/);
      expect(await row.locator("[data-name=Validation]").innerText()).toMatch(/0\.400\s*Dice/);
      await looksRight(list, "");
      const run = await open(`#/run/${brain}`, { viewport });
      await run.getByRole("heading", { name: "Dice of each volume" }).waitFor();
      expect([await tile(run, "Test Dice"), await tile(run, "Validation Dice")]).toEqual(["0.500", "0.400"]);
      await run.getByRole("figure", { name: "Mean Dice" }).waitFor();
      await run.getByText("the 20 of 30 volumes with the lowest mean").waitFor();
      await looksRight(run, "run");
      const together = await open(`#/folds/${folds}`, { viewport });
      await together.getByRole("columnheader", { name: "mean Dice" }).waitFor();
      expect(await tile(together, "Mean Dice, mean of folds")).toBe("0.500 ± 0.000");
      await looksRight(together, "folds");
      const beside = await open(`#/compare/${brain},${fold}`, { viewport });
      await beside.getByRole("columnheader", { name: "test Dice" }).waitFor();
      await looksRight(beside, "compare");
      for (const page of [run, together, beside]) {
        expect(await page.locator("main").innerText()).not.toMatch(/accuracy|confusion|97\.0 %|AUC|Worst-classified/i);
        await page.close();
      }
      await list.close();
    }
  });

  test("no errors, no policy broken, nobody else asked", () => expect(problems).toEqual([]));
});
