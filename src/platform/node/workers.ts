/** @file Threads on Node: worker_threads that start once, answer messages and never keep the process alive. */
import { createRequire } from "node:module";
import { availableParallelism } from "node:os";
import { pathToFileURL } from "node:url";
import { type TransferListItem, Worker } from "node:worker_threads";
import { RuntimeError } from "../../common/errors.js";
import { type PackedError, unpackError } from "../thread-errors.js";
import type { Thread, Threads } from "../types.js";

/** What worker-entry.ts posts back. */
export interface Reply {
  readonly id: number;
  readonly value?: unknown;
  readonly error?: PackedError;
}

interface Pending {
  resolve(value: unknown): void;
  reject(error: Error): void;
}

/** From sources (tests, benchmarks) this file ends with .ts, and so do the thread's modules. */
const fromSources = import.meta.url.endsWith(".ts");

function startWorker(module: URL): Worker {
  if (!fromSources) {
    return new Worker(new URL("./worker-entry.js", import.meta.url), {
      workerData: { module: module.href },
      execArgv: [],
    });
  }
  // A thread does not inherit the loader that runs TypeScript in the parent; it registers tsx itself.
  const tsx = pathToFileURL(createRequire(import.meta.url).resolve("tsx/package.json"));
  const register = new URL("dist/esm/api/index.mjs", tsx).href;
  const entry = new URL("./worker-entry.ts", import.meta.url).href;
  const code = `import(${JSON.stringify(register)}).then((tsx) => { tsx.register(); return import(${JSON.stringify(entry)}); })`;
  const source = module.href.replace(/\.js$/, ".ts");
  return new Worker(code, { eval: true, workerData: { module: source }, execArgv: [] });
}

function start(module: URL): Thread {
  const worker = startWorker(module);
  const pending = new Map<number, Pending>();
  let dead: Error | null = null;
  let calls = 0;
  worker.unref();

  const die = (error: Error) => {
    dead ??= error;
    for (const { reject } of pending.values()) reject(dead);
    pending.clear();
  };
  worker.on("message", ({ id, value, error }: Reply) => {
    const waiting = pending.get(id);
    if (waiting === undefined) return;
    pending.delete(id);
    if (pending.size === 0) worker.unref();
    if (error === undefined) waiting.resolve(value);
    else waiting.reject(unpackError(error));
  });
  worker.on("error", (cause) => die(new RuntimeError("thread", { problem: `stopped: ${cause.message}`, cause })));
  worker.on("exit", () => die(new RuntimeError("thread", { problem: "has ended" })));

  return {
    get alive() {
      return dead === null;
    },
    call(message, transfer = []) {
      if (dead !== null) return Promise.reject(dead);
      const id = ++calls;
      return new Promise((resolve, reject) => {
        pending.set(id, { resolve, reject });
        worker.ref(); // while an answer is awaited, the process must not end
        worker.postMessage({ id, message }, transfer as readonly TransferListItem[] as TransferListItem[]); // the list is only read
      });
    },
    async close() {
      die(new RuntimeError("thread", { problem: "has ended" }));
      await worker.terminate();
    },
  };
}

export const nodeThreads: Threads = { available: availableParallelism(), start };
