/** @file Every address of the studio: the page, the two streams, files of runs, and what a person can do to a run. */
import { basename, dirname, join } from "node:path";
import { type Context, Hono } from "hono";
import { z } from "zod";
import { MetalrError } from "../../common/errors.js";
import type { FileSystem } from "../../platform/types.js";
import { foldFolders } from "../../records/read.js";
import type { Refusal, TrainForm } from "../protocol.js";
import { type Asset, withToken } from "./assets.js";
import { browse } from "./browse.js";
import { guard, headers, type Log } from "./guard.js";
import { freshFolder, type Jobs } from "./jobs.js";
import type { Pictures } from "./pictures.js";
import { valuesSchema } from "./queue.js";
import { removeFolds, removeRun } from "./remove.js";
import type { RunStore } from "./store.js";
import type { Streams } from "./streams.js";
import { refused, views } from "./views.js";

z.config({ jitless: true }); // the same code checks records in the page, whose policy forbids new Function

const formSchema = z.strictObject({ values: valuesSchema });

export interface AppOptions {
  readonly token: string;
  readonly port: () => number;
  readonly log: Log;
  readonly assets: ReadonlyMap<string, Asset>;
  readonly store: RunStore;
  readonly jobs: Jobs;
  readonly streams: Streams;
  readonly pictures: Pictures;
  readonly form: TrainForm;
  readonly files: FileSystem;
  /** Folder in which files are offered. */
  readonly root: string;
  /** Folders that are watched: runs are deleted in these alone. */
  readonly folders: readonly string[];
  /** Folder that new runs go into. */
  readonly runsFolder: string;
  readonly now: () => Date;
}

export function studioApp(o: AppOptions): Hono {
  const app = new Hono();
  const { store, jobs, log } = o;
  app.use(headers);
  app.use(guard(o));
  app.onError((error, c) => {
    log(`a request failed: ${error instanceof MetalrError ? error.code : error.name} (500)`);
    return c.json<Refusal>({ problem: "this did not work; the terminal of the studio says when" }, 500);
  });
  app.notFound((c) => refused(c, 404, "there is nothing here"));

  const page = o.assets.get("index.html");
  const index = page === undefined ? null : withToken(page, o.token);
  app.get("/", (c) =>
    index === null
      ? c.text("The studio's page is not built: npm run build\n", 200)
      : c.body(index.bytes, 200, { "content-type": index.type }),
  );
  for (const [path, asset] of o.assets) {
    if (path !== "index.html") app.get(`/${path}`, (c) => c.body(asset.bytes, 200, { "content-type": asset.type }));
  }

  app.route("/api", views(o));

  app.get("/api/form", (c) => c.json(o.form.fields));
  app.get("/api/browse", async (c) => {
    const names = await browse(o.root, c.req.query("path") ?? "");
    return names === null
      ? refused(c, 400, "only files below the folder in which the studio was started are listed")
      : c.json(names);
  });
  app.post("/api/check", async (c) => {
    const values = await readForm(c);
    return values === null ? malformed(c, log) : c.json(await o.form.check(values));
  });
  app.post("/api/start", async (c) => {
    const values = await readForm(c);
    if (values === null) return malformed(c, log);
    const { errors } = await o.form.check(values);
    const [first] = Object.keys(errors);
    if (first !== undefined) return refused(c, 422, errors[first] ?? first, "see the fields that are marked");
    const folder = freshFolder(join(o.runsFolder, folderName(values, o.now())), (f) => jobs.claims(f));
    const id = jobs.add({ kind: "train", values, folder });
    return c.json({ job: id });
  });
  app.post("/api/jobs/:id/stop", (c) =>
    jobs.cancel(c.req.param("id")) ? c.json({}) : refused(c, 404, "no such process"),
  );
  app.post("/api/jobs/:id/go", (c) =>
    jobs.release(c.req.param("id")) ? c.json({}) : refused(c, 404, "nothing of that name is waiting"),
  );
  app.post("/api/runs/:id/stop", (c) => {
    const run = store.get(c.req.param("id"));
    if (run === null) return refused(c, 404, "no such run");
    if (jobs.stop(run.folder)) return c.json({});
    return refused(
      c,
      409,
      "this run was not started by the studio",
      "press Ctrl-C where it runs; it can be resumed here after that",
    );
  });
  app.post("/api/runs/:id/delete", async (c) => {
    const values = await readForm(c);
    if (values === null) return malformed(c, log);
    const run = store.get(c.req.param("id"));
    if (run === null) return refused(c, 404, "no such run");
    if (values["name"] !== run.summary.name) return refused(c, 409, "the run has another name by now");
    if (run.summary.state === "running" || jobs.has(run.folder) || jobs.worksIn(run.folder)) return busy(c);
    return removed(c, await removeRun(o.folders, run.folder));
  });
  app.post("/api/folds/:id/delete", async (c) => {
    const values = await readForm(c);
    if (values === null) return malformed(c, log);
    const all = store.foldsOf(c.req.param("id"));
    if (all === null) return refused(c, 404, "no such runs");
    if (values["name"] !== all.name) return refused(c, 409, "the runs have another name by now");
    const alive = all.folds.some(({ summary }) => summary.state === "running");
    if (alive || jobs.has(all.folder) || jobs.worksIn(all.folder)) return busy(c);
    const folders = all.folds.map((f) => f.folder);
    return removed(c, await removeFolds(o.folders, all.folder, folders));
  });
  app.post("/api/folds/:id/resume", (c) => {
    const all = store.foldsOf(c.req.param("id"));
    if (all === null) return refused(c, 404, "no such runs");
    if (all.folds.some(({ summary }) => summary.state === "running")) return refused(c, 409, "a fold is going on");
    if (jobs.has(all.folder)) return refused(c, 409, "these runs are on their way already");
    return c.json({ job: jobs.add({ kind: "resume", folder: all.folder }) });
  });
  app.post("/api/runs/:id/resume", async (c) => {
    const run = store.get(c.req.param("id"));
    if (run === null) return refused(c, 404, "no such run");
    if (run.summary.state === "running") return refused(c, 409, "this run is going on");
    if (run.summary.state === "finished") return refused(c, 409, "this run is finished");
    const folder = await wholeOf(o.files, run.folder);
    if (jobs.has(folder)) return refused(c, 409, "this run is on its way already");
    return c.json({ job: jobs.add({ kind: "resume", folder }) });
  });
  return app;
}

const busy = (c: Context) => refused(c, 409, "a run that is going on is not deleted", "stop it first");

function removed(c: Context, how: "gone" | "rest" | "outside"): Response {
  if (how === "outside") {
    return refused(
      c,
      409,
      "this folder is not deleted here: it is a link, or the watched folder itself",
      "delete it by hand",
    );
  }
  return c.json({ note: how === "rest" ? "The folder holds other files, which stay." : "" });
}

async function readForm(c: Context): Promise<Readonly<Record<string, string>> | null> {
  if (!/^application\/json\b/.test(c.req.header("content-type") ?? "")) return null;
  const body: unknown = await c.req.json().catch(() => null);
  const parsed = formSchema.safeParse(body);
  return parsed.success ? parsed.data.values : null;
}

function malformed(c: Context, log: Log): Response {
  log("refused a POST request: a malformed body (400)");
  return refused(c, 400, "the body is not a form");
}

/** "2026-03-01-093000-images": the time, and the run's name or the data's. */
function folderName(values: Readonly<Record<string, string>>, now: Date): string {
  const time = now.toISOString().slice(0, 19).replace("T", "-").replaceAll(":", "");
  const data = basename((values["data"] ?? "").replace(/[\\/]+$/, "")).replace(
    /(\.(pkl|pickle|npz|csv|zip|\d+))+$/i,
    "",
  );
  const name = (values["name"] ?? (data || "pocus_data_all")).replace(/[^\w.-]+/g, "-").replace(/^[-.]+/, "");
  return `${time}-${name.slice(0, 60) || "run"}`;
}

/** The cross-validation that a fold is of, else the run itself: one process continues all of it. */
async function wholeOf(files: FileSystem, folder: string): Promise<string> {
  if (!/^fold-\d+$/.test(basename(folder))) return folder;
  const parent = dirname(folder);
  return (await foldFolders(files, parent)).length > 0 ? parent : folder;
}
