/**
 * @file Pictures of every page of the studio, light and dark, wide and narrow, for docs/screenshots: `npm run screenshots`.
 * The runs in them are made up.
 */
import { mkdirSync, mkdtempSync, rmSync, utimesSync, writeFileSync } from "node:fs";
import { hostname, tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import sharp from "sharp";
import { Random } from "../src/common/random.js";
import type { Tensor } from "../src/common/tensor.js";
import { openDataset } from "../src/data/open.js";
import { scanners, syntheticUltrasound } from "../src/data/synthetic.js";
import { writeNpz } from "../src/formats/npz.js";
import { nodePlatform } from "../src/platform/node/index.js";
import { writeTensors } from "../src/records/files.js";
import { writeSummary } from "../src/records/summary.js";
import { syntheticConfig } from "../src/records/synthetic.testing.js";
import type { ListMessage, RunSummary } from "../src/studio/protocol.js";
import { chromiumPath, openBrowser } from "../src/studio/server/browser.testing.js";
import { messagesOf, testStudio, until, writeRun } from "../src/studio/server/studio.testing.js";
import { buildPage } from "./build-page.mjs";

/** `npm run screenshots -- FOLDER WIDTHS`: elsewhere, and other widths: 360,1280,3840. */
const [out = fileURLToPath(new URL("../docs/screenshots/", import.meta.url)), widths] = process.argv.slice(2);
if (chromiumPath === null) throw new Error("there is no Chromium on this machine");
mkdirSync(out, { recursive: true });
const site = mkdtempSync(join(tmpdir(), "metalr-site-"));
await buildPage({ outDir: site });

/** Ultrasound that no patient has been seen with, and a run that was wrong about some of it. */
const pictures = syntheticUltrasound({
  scanner: scanners.b,
  seed: 3,
  size: 96,
  patients: 10,
  frames: 4,
  part: "test",
});
const arrays = new Map<string, Tensor>([
  ["test_images", pictures.images],
  ["test_labels", { dtype: "uint8", shape: [pictures.labels.length], data: Uint8Array.from(pictures.labels) }],
]);
const folder = mkdtempSync(join(tmpdir(), "metalr-pictures-"));
const npz = join(folder, "lung.npz");
writeFileSync(npz, writeNpz(arrays));
const { fingerprint } = await openDataset(npz, { platform: nodePlatform });

/** Predictions of these images, right for most of them. */
async function predictions(run: string, epoch: number, seed: number): Promise<void> {
  const random = new Random(seed, "screenshots");
  const { labels } = pictures;
  const logits = Float32Array.from(
    { length: 3 * labels.length },
    (_, i) => 1.4 * random.normal() + (labels[Math.floor(i / 3)] === i % 3 ? 4.5 : 0),
  );
  mkdirSync(join(run, "predictions"), { recursive: true });
  const tensors = new Map<string, Tensor>([
    ["logits", { dtype: "float32", shape: [labels.length, 3], data: logits }],
    ["labels", { dtype: "uint32", shape: [labels.length], data: Uint32Array.from(labels) }],
    ["indices", { dtype: "uint32", shape: [labels.length], data: Uint32Array.from(labels, (_, i) => i) }],
  ]);
  const about = { part: "test", epoch: String(epoch) };
  await writeTensors(nodePlatform.files, join(run, "predictions/epoch.safetensors"), tensors, about);
}

/** As `metalr compare` leaves it. */
const interval = (mean: number, half: number) => ({ mean, low: mean - half, high: mean + half });
const comparison = {
  format: "metalr-comparison",
  created: new Date(Date.now() - 7_200_000).toISOString(),
  trainings: 15,
  data: [
    {
      data: "lung",
      unit: "seed",
      units: 5,
      reference: "finetune",
      words: [
        "MetaLR is 1.9 percentage points better than full fine-tuning here (95 % interval +0.2 … +3.6, p = 0.036).",
        "The last layer alone is 6.4 points worse than full fine-tuning (95 % interval −8.8 … −4.0, p = 0.002).",
      ],
      methods: [
        ["finetune", "Full fine-tuning", 0.902, 0.013, null, null],
        ["lastLayer", "Last layer", 0.838, 0.011, interval(-0.064, 0.024), 0.001],
        ["metalr", "MetaLR", 0.921, 0.012, interval(0.019, 0.017), 0.036],
      ].map(([method, title, mean, half, difference, p]) => ({
        method,
        title,
        accuracy: {
          validation: interval(Number(mean), Number(half)),
          last: interval(Number(mean) - 0.008, Number(half) + 0.002),
        },
        balancedAccuracy: Number(mean) - 0.02,
        macroAuc: Number(mean) + 0.06,
        trainingMs: 204_000,
        test: difference === null ? null : { difference, p, pHolm: Number(p) * (p === 0.001 ? 2 : 1) },
      })),
    },
  ],
};
const studio = await testStudio(
  (runs) => {
    process.chdir(join(runs, ".."));
    const data = {
      name: "lung.npz",
      fingerprint,
      parts: { train: 1032, validation: 345, test: 344 },
    };
    const config = {
      data,
      command: "metalr train -d lung.npz -p best_model.pth",
      options: { ...syntheticConfig().options, dataPath: npz },
    };
    const hour = (h: number) => new Date(Date.now() - h * 3_600_000).toISOString();
    for (let k = 1; k <= 3; k++) {
      writeRun(join(runs, `lung-metalr/fold-${k}`), {
        seed: k,
        epochs: 30,
        stepsPerEpoch: 9,
        created: hour(5 - k / 2),
        config,
      });
    }
    writeRun(join(runs, "lung-finetune"), {
      seed: 4,
      epochs: 30,
      stepsPerEpoch: 9,
      constant: true,
      created: hour(2.2),
      config,
    });
    writeRun(join(runs, "lung-stopped"), {
      seed: 5,
      epochs: 30,
      stepsPerEpoch: 9,
      keep: 150,
      created: hour(3.2),
      config,
    });
    writeRun(join(runs, "lung-released"), {
      seed: 7,
      epochs: 30,
      stepsPerEpoch: 9,
      select: "test",
      created: hour(26),
      config,
    });
    writeRun(join(runs, "long-run"), {
      seed: 8,
      epochs: 40,
      stepsPerEpoch: 250,
      keep: 6000,
      created: hour(0.4),
      config,
    });
    mkdirSync(join(runs, "methods"));
    writeFileSync(join(runs, "methods", "comparison.json"), JSON.stringify(comparison));
    const old = new Date(Date.now() - 3_600_000);
    utimesSync(join(runs, "lung-stopped", "events.jsonl"), old, old);
    writeFileSync(join(runs, "long-run", "writer.json"), JSON.stringify({ pid: process.pid, host: hostname() }));
  },
  { folders: ["runs"], page: site },
);
await predictions(join(studio.runs, "lung-metalr/fold-1"), 30, 1);
await predictions(join(studio.runs, "long-run"), 24, 2);
await writeSummary(nodePlatform.files, join(studio.runs, "lung-metalr"), "lung.npz");
const browser = await openBrowser(chromiumPath);
const sizes: Readonly<Record<string, { readonly width: number; readonly height: number }>> =
  widths === undefined
    ? { wide: { width: 1440, height: 900 }, narrow: { width: 360, height: 740 } }
    : Object.fromEntries(
        widths.split(",").map((w) => [w, { width: Number(w), height: Math.round(Math.max(740, 0.5625 * Number(w))) }]),
      );
const runs = (await (await studio.ask("/api/runs")).json()) as RunSummary[];
const list = messagesOf<ListMessage>(await studio.ask("/api/events"));
const all = await until(list, (m) => m.type === "all");
const compared = all.type === "all" ? (all.comparisons[0]?.id ?? "") : "";
const idOf = (name: string) => runs.find((r) => r.name === name)?.id ?? "";
const pages = {
  runs: "#/",
  run: `#/run/${idOf("long-run")}`,
  finished: `#/run/${idOf("lung-metalr/fold-1")}`,
  folds: `#/folds/${runs.find((r) => r.folds !== null)?.folds?.id ?? ""}`,
  comparison: `#/comparison/${compared}`,
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
      await page.waitForTimeout(name === "finished" || name === "run" ? 3000 : 1200);
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
for (const path of [site, folder]) rmSync(path, { recursive: true });
console.log(out);
process.exit(0);
