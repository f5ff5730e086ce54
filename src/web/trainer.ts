/** @file The page's side of the training worker: data are looked at, trained on and kept without blocking the page or leaving it. */
import type { TrainField, TrainValues } from "../cli/train/fields.js";
import { RuntimeError } from "../common/errors.js";
import { unpackError } from "../platform/thread-errors.js";
import type { RunInfo } from "../records/schema.js";
import type { TrainingEvent } from "../training/types.js";
import type {
  Look,
  Reply,
  Request,
  RequestName,
  Requests,
  StoredRun,
  Trained,
  TrainerFiles,
  TrainerSetup,
  TrainRequest,
} from "./protocol.js";

export interface TrainerOptions extends Partial<TrainerSetup> {
  /** Started from `metalr/web/worker` as a module: `new Worker(new URL("metalr/web/worker", import.meta.url), { type: "module" })`. */
  readonly worker: Worker;
  /** Every event of a training, in order, as it happens. */
  readonly onEvent?: (event: TrainingEvent) => void;
}

/** Options of a training by their names on the command line in camel case: { maxEpoch: 20, lr: 0.01, method: "metalr" }. */
export type TrainOptions = Readonly<Record<string, string | number | boolean | undefined>>;

/** A training worker. One training at a time; errors are metalr's own. */
export interface Trainer {
  /** The options of `metalr train` that have a meaning here, with their help texts and defaults. */
  fields(): Promise<readonly TrainField[]>;
  /** What is wrong with options, by name; nothing where they go together. */
  check(options: TrainOptions): Promise<Readonly<Record<string, string>>>;
  /** Takes the files of the next training; they are read in place when they are needed. */
  open(files: TrainerFiles): Promise<void>;
  /** Counts, thumbnails and what would be trained. @throws {FileError | DataError} data that cannot be read */
  look(options?: TrainOptions): Promise<Look>;
  /** Trains into a run that the browser keeps (OPFS). With `resume` the run of that name goes on, over the same files. */
  train(run: { readonly folder: string; readonly options?: TrainOptions; readonly resume?: boolean }): Promise<Trained>;
  /** Ends the training after its step; it can be resumed. */
  stop(): Promise<void>;
  /** Runs that the browser keeps, newest first. */
  runs(): Promise<readonly StoredRun[]>;
  events(folder: string): Promise<{ readonly info: RunInfo; readonly events: readonly TrainingEvent[] }>;
  /** A file of a run: "model.onnx", "model.safetensors", "report.html", "events.jsonl". */
  file(folder: string, name: string): Promise<File>;
  remove(folder: string): Promise<void>;
  close(): void;
}

const texts = (options: TrainOptions): TrainValues =>
  Object.fromEntries(
    Object.entries(options).flatMap(([key, value]) =>
      value === undefined || value === false ? [] : [[key, value === true ? "yes" : String(value)]],
    ),
  );

/** What requests end with that were under way when `close` was called. */
export const closed = "has been closed";

/** @throws {RuntimeError} the worker's script cannot be loaded */
export async function openTrainer({ worker, onEvent, ...setup }: TrainerOptions): Promise<Trainer> {
  const pending = new Map<number, { resolve(answer: unknown): void; reject(error: Error): void }>();
  let last = 0;
  let dead: Error | null = null;
  const die = (error: Error) => {
    dead ??= error;
    for (const { reject } of pending.values()) reject(dead);
    pending.clear();
  };
  worker.addEventListener("error", (event) => {
    die(new RuntimeError("training worker", { problem: "stopped", got: event.message || "its script did not load" }));
  });
  worker.addEventListener("message", ({ data }: MessageEvent<Reply>) => {
    if ("event" in data) {
      onEvent?.(data.event);
      return;
    }
    const waiting = pending.get(data.id);
    pending.delete(data.id);
    if ("error" in data) waiting?.reject(unpackError(data.error));
    else waiting?.resolve(data.answer);
  });
  const call = <N extends RequestName>(name: N, ask: Requests[N]["ask"]): Promise<Requests[N]["answer"]> =>
    new Promise((resolve, reject) => {
      if (dead !== null) {
        reject(dead);
        return;
      }
      const id = ++last;
      pending.set(id, { resolve: (answer) => resolve(answer as Requests[N]["answer"]), reject }); // the worker answers by name
      worker.postMessage({ id, name, ask } satisfies Request);
    });

  await call("setup", { runtime: setup.runtime ?? {}, packageFiles: setup.packageFiles ?? {} });
  return {
    fields: () => call("fields", null),
    check: (options) => call("check", texts(options)),
    open: async (files) => {
      await call("open", files);
    },
    look: (options = {}) => call("look", texts(options)),
    train: ({ folder, options = {}, resume = false }) =>
      call("train", { folder, values: texts(options), resume } satisfies TrainRequest),
    stop: async () => {
      await call("stop", null);
    },
    runs: () => call("runs", null),
    events: (folder) => call("events", folder),
    file: (folder, name) => call("file", `${folder}/${name}`),
    remove: async (folder) => {
      await call("remove", folder);
    },
    close() {
      die(new RuntimeError("training worker", { problem: closed }));
      worker.terminate();
    },
  };
}
