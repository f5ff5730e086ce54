/**
 * @file Measures what the studio promises: size of its page, first paint, a run of 10,000 steps × 62 groups, frames while
 * events come in, layout shifts, and how soon what happens elsewhere shows. `npx tsx scripts/measure-studio.ts` prints a table.
 */
import { type ChildProcess, spawn } from "node:child_process";
import { appendFileSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { hostname, tmpdir } from "node:os";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import { formatEvent } from "../src/records/schema.js";
import { syntheticEvents } from "../src/records/synthetic.testing.js";
import { chromiumPath, openBrowser } from "../src/studio/server/browser.testing.js";
import { testStudio, writeRun } from "../src/studio/server/studio.testing.js";
import { buildPage } from "./build-page.mjs";

if (chromiumPath === null) throw new Error("there is no Chromium on this machine");
const site = mkdtempSync(join(tmpdir(), "metalr-site-"));
await buildPage({ outDir: site });
const groups = Array.from({ length: 62 }, (_, j) => `block${j + 1}`);
const long = { epochs: 40, stepsPerEpoch: 250, groups };
const more = syntheticEvents({ ...long, epochs: 44 });
const writer = JSON.stringify({ pid: process.pid, host: hostname() });
const studio = await testStudio(
  (runs) => {
    writeRun(`${runs}/long`, { ...long, epochs: 44, keep: 10_080 });
    writeFileSync(`${runs}/long/writer.json`, writer);
    for (let k = 1; k <= 40; k++) writeRun(`${runs}/run-${k}`, { seed: k });
  },
  { page: site },
);
const runs = (await (await studio.ask("/api/runs")).json()) as { id: string; name: string }[];
const idOf = (name: string) => runs.find((r) => r.name === name)?.id ?? "";
const browser = await openBrowser(chromiumPath);
const rows: [string, string][] = [];
const ms = (x: number) => `${Math.round(x)} ms`;
const median = (all: number[]) => [...all].sort((a, b) => a - b)[Math.floor(all.length / 2)] ?? Number.NaN;

const linked = [...readFileSync(join(site, "index.html"), "utf8").matchAll(/(?:src|href)="(\.\/[^"]+)"/g)];
const packed = ["index.html", ...linked.map(([, path = ""]) => path)].map(
  (f) => gzipSync(readFileSync(join(site, f))).length,
);
rows.push(["page, gzip", `${(packed.reduce((a, b) => a + b, 0) / 1000).toFixed(1)} kB in ${packed.length} files`]);

/** Observed before anything of the page runs. */
const observe = `
  window.shifts = 0; window.frames = []; window.long = [];
  new PerformanceObserver((l) => { for (const e of l.getEntries()) if (!e.hadRecentInput) window.shifts += e.value; }).observe({ type: "layout-shift", buffered: true });
  new PerformanceObserver((l) => { for (const e of l.getEntries()) window.long.push(e.duration); }).observe({ type: "longtask", buffered: true });
`;
const open = async (hash: string) => {
  const context = await browser.newContext({ viewport: { width: 1440, height: 900 } });
  await context.addInitScript(observe);
  const page = await context.newPage();
  await page.goto(`${studio.url}${hash}`);
  return { page, close: () => context.close() };
};
const paints: number[] = [];
const shifts: number[] = [];
for (let k = 0; k < 5; k++) {
  const { page, close } = await open("");
  await page.locator("tbody tr").first().waitFor();
  await page.waitForTimeout(300);
  paints.push(
    await page.evaluate<number>("performance.getEntriesByName('first-contentful-paint')[0]?.startTime ?? NaN"),
  );
  shifts.push(await page.evaluate<number>("window.shifts"));
  await close();
}
rows.push([
  "first contentful paint, 41 runs",
  `${ms(median(paints))} (median of 5, longest ${ms(Math.max(...paints))})`,
]);
rows.push(["layout shift, runs", Math.max(...shifts).toFixed(4)]);

const begin = performance.now();
const { page, close } = await open(`#/run/${idOf("long")}`);
await page
  .getByText(/step 10,0\d\d/)
  .first()
  .waitFor();
await page.evaluate("new Promise((r) => requestAnimationFrame(() => requestAnimationFrame(r)))");
rows.push(["run of 10,000 steps × 62 groups: address to picture", ms(performance.now() - begin)]);
await page.waitForTimeout(500);
rows.push(["layout shift, run", (await page.evaluate<number>("window.shifts")).toFixed(4)]);

// Ten steps a second for ten seconds; every frame is timed.
await page.evaluate(`window.frames = []; window.long = []; let last = performance.now();
  const tick = (t) => { window.frames.push(t - last); last = t; requestAnimationFrame(tick); }; requestAnimationFrame(tick);`);
for (let k = 0; k < 100; k++) {
  appendFileSync(`${studio.runs}/long/events.jsonl`, formatEvent(more[10_080 + k] ?? more[0]!)); // 11,000 steps were made
  await new Promise((r) => setTimeout(r, 100));
}
const frames = (await page.evaluate<number[]>("window.frames")).slice(1).sort((a, b) => a - b);
const tasks = await page.evaluate<number[]>("window.long");
const at = (share: number) => frames[Math.floor(share * (frames.length - 1))] ?? Number.NaN;
rows.push([
  "frames while 10 steps a second come in",
  `median ${ms(at(0.5))}, 95 % below ${ms(at(0.95))}, longest ${ms(at(1))}; ${tasks.length} tasks over 50 ms, longest ${ms(Math.max(0, ...tasks))}`,
]);
await close();

// From what happens to the row of the table in the browser.
const list = await open("");
const row = list.page.locator("tbody tr", { hasText: "elsewhere" });
const until = async (name: string, happen: () => void, shown: () => Promise<unknown>) => {
  const times: number[] = [];
  const start = performance.now();
  happen();
  await shown();
  times.push(performance.now() - start);
  rows.push([`shows after: ${name}`, ms(median(times))]);
};
await list.page.locator("tbody tr").first().waitFor();
const folder = `${studio.runs}/elsewhere`;
let child: ChildProcess | null = null;
await until(
  "started",
  () => {
    child = spawn(process.execPath, ["-e", "setInterval(() => {}, 1000)"]);
    writeRun(folder, { keep: 5 });
    writeFileSync(`${folder}/writer.json`, JSON.stringify({ pid: child.pid, host: hostname() }));
  },
  () => row.getByText("running").waitFor(),
);
await until(
  "killed",
  () => child?.kill("SIGKILL"),
  () => row.getByText("interrupted").waitFor(),
);
await until(
  "resumed",
  () => writeFileSync(`${folder}/writer.json`, writer),
  () => row.getByText("running").waitFor(),
);
await until(
  "deleted",
  () => rmSync(folder, { recursive: true }),
  () => row.waitFor({ state: "detached" }),
);
await list.close();
await browser.close();
await studio.end();
rmSync(site, { recursive: true });
const width = Math.max(...rows.map(([name]) => name.length));
for (const [name, value] of rows) console.log(`${name.padEnd(width)}  ${value}`);
process.exit(0);
