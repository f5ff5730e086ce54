/** @file What the page looks at: lists, streams, files of runs, folds, comparisons, and the images that a run is wrong about. */
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { type Context, Hono } from "hono";
import type { FileSystem } from "../../platform/types.js";
import { runFiles } from "../../records/files.js";
import { readRun } from "../../records/read.js";
import { comparisonReport } from "../../records/report/comparison-report.js";
import { worstImages } from "../../records/worst.js";
import type { ComparisonFacts, Refusal, WorstFacts } from "../protocol.js";
import { hasReport } from "./comparisons.js";
import { foldsFacts } from "./folds.js";
import { documentPolicy } from "./guard.js";
import { servedFiles } from "./live.js";
import type { Pictures } from "./pictures.js";
import type { RunStore } from "./store.js";
import type { Streams } from "./streams.js";

/** Runs in one report, and in one stream. */
const MOST_COMPARED = 24;
/** Names of images that are asked for at once. */
const MOST_NAMES = 100;

export interface ViewOptions {
  readonly store: RunStore;
  readonly streams: Streams;
  readonly pictures: Pictures;
  readonly files: FileSystem;
}

export const refused = (c: Context, status: 400 | 404 | 409 | 422, problem: string, hint?: string) =>
  c.json<Refusal>({ problem, ...(hint === undefined ? {} : { hint }) }, status);

const idsOf = (c: Context, most: number): string[] => (c.req.query("ids") ?? "").split(",").slice(0, most);

/** Everything below /api that changes nothing. */
export function views({ store, streams, pictures, files }: ViewOptions): Hono {
  const app = new Hono();
  app.get("/events", (c) => streams.list(c));
  app.get("/runs", (c) => c.json(store.all()));
  app.get("/follow", (c) => streams.runs(c, idsOf(c, MOST_COMPARED)));

  app.get("/runs/:id/files/:name", async (c) => {
    const run = store.get(c.req.param("id"));
    const type = servedFiles.get(c.req.param("name"));
    if (run === null || type === undefined) return refused(c, 404, "no such file");
    return file(c, join(run.folder, c.req.param("name")), type);
  });
  app.get("/runs/:id/worst", async (c) => {
    const run = store.get(c.req.param("id"));
    if (run === null) return refused(c, 404, "no such run");
    return c.json<WorstFacts>(await worstImages(files, run.folder).catch(() => null));
  });
  app.get("/runs/:id/names", async (c) => {
    const run = store.get(c.req.param("id"));
    if (run === null) return refused(c, 404, "no such run");
    const indices = idsOf(c, MOST_NAMES).flatMap((word) => (/^\d{1,9}$/.test(word) ? Number(word) : []));
    return c.json(await pictures.names(run.glance.info, indices));
  });
  app.get("/runs/:id/images/:index{[0-9]{1,9}}", async (c) => {
    const run = store.get(c.req.param("id"));
    const png = run && (await pictures.picture(run.glance.info, Number(c.req.param("index"))));
    if (!png) return refused(c, 404, "no such image");
    return c.body(png, 200, { "content-type": "image/png" });
  });
  app.get("/compare", async (c) => {
    const chosen = idsOf(c, MOST_COMPARED).flatMap((id) => store.get(id) ?? []);
    if (chosen.length === 0) return refused(c, 404, "no such runs");
    const runs = [];
    for (const { folder, summary } of chosen) {
      runs.push({ name: summary.name, about: summary.method, record: (await readRun(files, folder)).record });
    }
    const html = comparisonReport({ title: `${runs.length} runs`, runs });
    return document(c, new TextEncoder().encode(html), "text/html; charset=utf-8");
  });

  app.get("/folds/:id", async (c) => {
    const facts = await foldsFacts(files, store, c.req.param("id"));
    return facts === null ? refused(c, 404, "no such cross-validation") : c.json(facts);
  });
  app.get("/folds/:id/report", async (c) => {
    const found = store.foldsOf(c.req.param("id"));
    if (found === null) return refused(c, 404, "no such cross-validation");
    return file(c, join(found.folder, runFiles.report), "text/html; charset=utf-8");
  });
  app.get("/comparisons/:id", async (c) => {
    const found = store.comparison(c.req.param("id"));
    if (found === null) return refused(c, 404, "no such comparison");
    const [runs, report] = [store.below(found.folder), await hasReport(found.folder)];
    return c.json<ComparisonFacts>({ ...found.comparison, runs, report });
  });
  app.get("/comparisons/:id/report", async (c) => {
    const found = store.comparison(c.req.param("id"));
    if (found === null) return refused(c, 404, "no such comparison");
    return file(c, join(found.folder, runFiles.report), "text/html; charset=utf-8");
  });
  return app;
}

async function file(c: Context, path: string, type: string): Promise<Response> {
  const bytes = await readFile(path).catch(() => null);
  return bytes === null ? refused(c, 404, "no such file") : document(c, new Uint8Array(bytes), type);
}

function document(c: Context, bytes: Uint8Array<ArrayBuffer>, type: string): Response {
  const shown = /^(text\/html|image)/.test(type);
  return c.body(bytes, 200, {
    "content-type": type,
    "content-security-policy": documentPolicy,
    ...(shown ? {} : { "content-disposition": "attachment" }),
  });
}
