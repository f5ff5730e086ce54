/** @file `startStudio`: the studio's server on this machine, and its end. */
import { randomBytes } from "node:crypto";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { hostname } from "node:os";
import { getRequestListener } from "@hono/node-server";
import { UsageError } from "../../common/errors.js";
import type { Platform } from "../../platform/types.js";
import type { RunInfo } from "../../records/schema.js";
import type { TrainForm } from "../protocol.js";
import { studioApp } from "./app.js";
import { loadAssets } from "./assets.js";
import type { Log } from "./guard.js";
import { Jobs } from "./jobs.js";
import { Pictures } from "./pictures.js";
import { Queue } from "./queue.js";
import { RunStore } from "./store.js";
import { Streams } from "./streams.js";

export interface StudioOptions {
  /** Run folders, folders with folds, or folders of runs. New runs go into the first one. */
  readonly folders: readonly string[];
  readonly platform: Pick<Platform, "files" | "threads">;
  /** Where the data of a run lie, as the run was told; null where that is not known. */
  readonly dataOf: (info: RunInfo) => Promise<string | null>;
  /** The options of a new run. */
  readonly form: TrainForm;
  /** Program and first arguments of the command line: [node, bin.js]. */
  readonly program: readonly [string, ...string[]];
  readonly quoted: (words: readonly string[]) => string;
  readonly log: Log;
  /** Default: any that is free. */
  readonly port?: number;
  /** Default: 128 random bits. */
  readonly token?: string;
  /** Folder in which files are offered; default: the one in which the program runs. */
  readonly root?: string;
  /** The built page; default: as `npm run build` leaves it. */
  readonly page?: string;
  readonly now?: () => Date;
}

export interface Studio {
  /** With the token: whoever has it may look at runs and start them. */
  readonly url: string;
  readonly port: number;
  /** Processes of ours that are running. */
  readonly active: () => number;
  /** Asks running processes to stop after their step, and ends the server. */
  close(): Promise<void>;
}

/** Listens on 127.0.0.1 only. @throws {UsageError} the port is taken, or not allowed */
export async function startStudio(o: StudioOptions): Promise<Studio> {
  const token = o.token ?? randomBytes(16).toString("base64url");
  const [runsFolder = "runs"] = o.folders;
  const { files, threads } = o.platform;
  const queue = new Queue({
    files,
    runsFolder,
    folders: o.folders,
    process: { pid: process.pid, host: hostname() },
    log: o.log,
  });
  const jobs: Jobs = new Jobs({
    program: o.program,
    words: (task) =>
      task.kind === "resume"
        ? ["train", "--resume", task.folder]
        : [...o.form.words(task.values), "--out", task.folder],
    keep: (tasks) => queue.save(tasks),
    quoted: o.quoted,
    runsIn: (folder) => store.below(folder),
  });
  const store: RunStore = new RunStore(o.folders, (folder) => jobs.worksIn(folder));
  await store.start();
  for (const task of await queue.read()) jobs.hold(task);
  const streams = new Streams(store, () => jobs.list(), o.folders.join(", "));
  const root = o.root ?? process.cwd();
  const pictures = new Pictures({ files, threads, root, dataOf: o.dataOf });
  let port = 0;
  const app = studioApp({
    token,
    port: () => port,
    log: o.log,
    assets: await loadAssets(o.page),
    store,
    jobs,
    streams,
    pictures,
    form: o.form,
    files,
    root,
    folders: o.folders,
    runsFolder,
    now: o.now ?? (() => new Date()),
  });
  const server = createServer(getRequestListener(app.fetch));
  server.requestTimeout = 30_000;
  // Never a reason to end: a request that is no HTTP is answered by Node and forgotten.
  server.on("clientError", (_, socket) => {
    o.log("refused what is no HTTP request (400)");
    if (socket.writable) socket.end("HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n");
  });
  try {
    port = await listen(server, o.port ?? 0);
  } catch (error) {
    store.close();
    streams.close();
    throw error;
  }
  return {
    url: `http://127.0.0.1:${port}/?token=${token}`,
    port,
    active: () => jobs.active,
    async close() {
      await jobs.close();
      await queue.saved();
      store.close();
      streams.close();
      await pictures.close();
      server.close();
      server.closeAllConnections();
    },
  };
}

async function listen(server: Server, port: number): Promise<number> {
  return new Promise((resolve, reject) => {
    server.once("error", (error: NodeJS.ErrnoException) => {
      const why =
        error.code === "EADDRINUSE" ? "is taken by another program" : `cannot be used (${error.code ?? "unknown"})`;
      reject(
        new UsageError("--port", {
          problem: `${port} ${why}`,
          hint: "name another one, or none: any free port is taken",
        }),
      );
    });
    server.listen(port, "127.0.0.1", () => resolve((server.address() as AddressInfo).port)); // it listens on TCP
  });
}
