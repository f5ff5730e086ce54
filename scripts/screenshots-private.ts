/**
 * @file Pictures of "Private fine-tune", light and dark, wide and narrow, for docs/screenshots: part of `npm run screenshots`. A small
 * network is really trained in the browser on made-up images, once for each picture's width.
 */
import { mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import sharp from "sharp";
import { chromiumPath, openBrowser } from "../src/studio/server/browser.testing.js";
import { writePictures } from "../src/web/pictures.testing.js";
import { serve } from "../src/web/serve.testing.js";
import { buildPrivate } from "./build-private.mjs";

const [out = fileURLToPath(new URL("../docs/screenshots/", import.meta.url))] = process.argv.slice(2);
if (chromiumPath === null) throw new Error("there is no Chromium on this machine");
mkdirSync(out, { recursive: true });
const home = mkdtempSync(join(tmpdir(), "metalr-private-"));
const folder = join(home, "lung");
await writePictures(folder, 48, 18);
const server = await serve(await buildPrivate({ outDir: join(home, "page") }));
const browser = await openBrowser(chromiumPath);
const sizes = { wide: { width: 1440, height: 900 }, narrow: { width: 360, height: 740 } } as const;
const options = { maxEpoch: "8", batchSize: "16", imageSize: "24", width: "4" };
const context = await browser.newContext({ viewport: sizes.wide });
const page = await context.newPage();
page.on("console", (m) => m.type() === "error" && console.error(m.text()));
page.on("pageerror", (error) => console.error(error.message));

async function shoot(name: string): Promise<void> {
  for (const [size, viewport] of Object.entries(sizes)) {
    await page.setViewportSize(viewport);
    for (const colorScheme of ["light", "dark"] as const) {
      await page.emulateMedia({ colorScheme });
      // Plots are drawn when they are seen.
      await page.evaluate(`(async () => {
        for (let y = 0; y < document.body.scrollHeight; y += 400) { scrollTo(0, y); await new Promise((r) => setTimeout(r, 60)); }
        scrollTo(0, 0);
      })()`);
      await page.waitForTimeout(300);
      const png = await page.screenshot({ fullPage: true });
      await sharp(png)
        .png({ palette: true, quality: 80, effort: 8 })
        .toFile(join(out, `${name}-${colorScheme}-${size}.png`));
      const wide = await page.evaluate("document.documentElement.scrollWidth > innerWidth");
      if (wide) console.error(`${name}, ${size}: wider than the screen`);
    }
  }
  await page.setViewportSize(sizes.wide);
}

await page.goto(server.url);
await page.getByText("Ready.").waitFor();
await page.getByLabel("Threads").selectOption("1");
await page.locator('input[aria-label="images: folder"]').setInputFiles(folder);
await page.getByText("108 images, 3 classes").waitFor();
await shoot("private");
await page.evaluate("for (const d of document.querySelectorAll('details')) d.open = true");
for (const [key, value] of Object.entries(options)) await page.fill(`#option-${key}`, value);
await page.selectOption("#option-model", "resnet20");
await page.evaluate("for (const d of document.querySelectorAll('details')) d.open = false");
await page.locator("button.primary:enabled", { hasText: "Start" }).click();
await page.getByText("Finished. The model").waitFor({ timeout: 180_000 });
await shoot("private-finished");
await browser.close();
await server.close();
rmSync(home, { recursive: true, force: true });
console.log(out);
