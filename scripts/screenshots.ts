/**
 * @file Pictures of every page of the studio, light and dark, wide and narrow, for docs/screenshots: `npm run screenshots`.
 * The runs in them are made up.
 */
import { mkdirSync, utimesSync, writeFileSync } from "node:fs";
import { hostname } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import sharp from "sharp";
import { chromiumPath, openBrowser } from "../src/studio/server/browser.testing.js";
import { testStudio, writeRun } from "../src/studio/server/studio.testing.js";
import { buildPage } from "./build-page.mjs";

const out = fileURLToPath(new URL("../docs/screenshots/", import.meta.url));
if (chromiumPath === null) throw new Error("there is no Chromium on this machine");
mkdirSync(out, { recursive: true });
await buildPage();
const studio = await testStudio(
  (runs) => {
    process.chdir(join(runs, ".."));
    const data = {
      name: "pocus_data_all.pkl",
      fingerprint: "9f86d081884c7d65",
      parts: { train: 1032, validation: 345, test: 344 },
    };
    const hour = (h: number) => new Date(Date.now() - h * 3_600_000).toISOString();
    for (let k = 1; k <= 3; k++) {
      writeRun(join(runs, `lung-metalr/fold-${k}`), {
        seed: k,
        epochs: 30,
        stepsPerEpoch: 9,
        created: hour(5 - k / 2),
        config: { data },
      });
    }
    writeRun(join(runs, "lung-finetune"), {
      seed: 4,
      epochs: 30,
      stepsPerEpoch: 9,
      constant: true,
      created: hour(2.2),
      config: { data },
    });
    writeRun(join(runs, "lung-stopped"), {
      seed: 5,
      epochs: 30,
      stepsPerEpoch: 9,
      keep: 150,
      created: hour(3.2),
      config: { data },
    });
    writeRun(join(runs, "lung-released"), {
      seed: 7,
      epochs: 30,
      stepsPerEpoch: 9,
      select: "test",
      created: hour(26),
      config: { data },
    });
    writeRun(join(runs, "long-run"), {
      seed: 8,
      epochs: 40,
      stepsPerEpoch: 250,
      keep: 6000,
      created: hour(0.4),
      config: { data },
    });
    const old = new Date(Date.now() - 3_600_000);
    utimesSync(join(runs, "lung-stopped", "events.jsonl"), old, old);
    writeFileSync(join(runs, "long-run", "writer.json"), JSON.stringify({ pid: process.pid, host: hostname() }));
  },
  { folders: ["runs"] },
);
const browser = await openBrowser(chromiumPath);
const sizes = { wide: { width: 1440, height: 900 }, narrow: { width: 360, height: 740 } } as const;
const runs = (await (await studio.ask("/api/runs")).json()) as { id: string; name: string }[];
const idOf = (name: string) => runs.find((r) => r.name === name)?.id ?? "";
const pages = {
  runs: "#/",
  run: `#/run/${idOf("long-run")}`,
  finished: `#/run/${idOf("lung-metalr/fold-1")}`,
  compare: `#/compare/${["lung-metalr/fold-1", "lung-finetune", "lung-released"].map(idOf).join(",")}`,
  new: "#/new",
};
for (const [size, viewport] of Object.entries(sizes)) {
  for (const colorScheme of ["light", "dark"] as const) {
    const context = await browser.newContext({ viewport, colorScheme });
    for (const [name, hash] of Object.entries(pages)) {
      const page = await context.newPage();
      page.on("console", (m) => m.type() === "error" && console.error(`${name}: ${m.text()}`));
      page.on("pageerror", (error) => console.error(`${name}: ${error.message}`));
      await page.goto(`${studio.url}${hash}`);
      await page.waitForTimeout(900);
      const png = await page.screenshot({ fullPage: true });
      const file = join(out, `${name}-${colorScheme}-${size}.png`);
      await sharp(png).png({ palette: true, quality: 80, effort: 8 }).toFile(file);
      const wide = await page.evaluate("document.documentElement.scrollWidth > innerWidth");
      if (wide) console.error(`${name}, ${size}: wider than the screen`);
      await page.close();
    }
    await context.close();
  }
}
await browser.close();
await studio.end();
console.log(out);
process.exit(0);
