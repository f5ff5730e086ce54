/** @file The script of the training worker: answers the requests of `trainer.ts`. It listens when it is loaded, and does nothing else by itself. */
import { z } from "zod/mini";
import { fieldErrors, type TrainValues, trainFields } from "../cli/train/fields.js";
import { UsageError } from "../common/errors.js";
import { packError } from "../platform/thread-errors.js";
import { Job } from "./job.js";
import type { Look, Reply, Request, RequestName, Requests } from "./protocol.js";

z.config({ jitless: true }); // the page's policy forbids new Function

/** What a page decides by itself, or has no meaning in a browser. */
const left: ReadonlySet<string> = new Set([
  "data",
  "pretrainedPath",
  "groupsFile",
  "out",
  "resume",
  "name",
  "logInterval",
  "workers",
  "threads",
  "device",
  "executor",
  "precision",
]);

let job: Job | null = null;
const post = (reply: Reply, transfer: readonly Transferable[] = []): void => {
  self.postMessage(reply, { transfer: [...transfer] });
};
const current = (): Job => {
  if (job !== null) return job;
  throw new UsageError("training worker", { problem: "is not set up" });
};

const handlers: { readonly [N in RequestName]: (ask: Requests[N]["ask"]) => Promise<Requests[N]["answer"]> } = {
  async setup(setup) {
    job = new Job(setup, (event) => post({ event }));
    return null;
  },
  fields: async () => trainFields(left).filter((f) => f.heading !== "Segmentation"), // the page shows images with labels
  check: async (values: TrainValues) => fieldErrors(values),
  async open(files) {
    await current().open(files);
    return null;
  },
  look: (values) => current().look(values),
  train: (request) => current().train(request),
  async stop() {
    current().stop();
    return null;
  },
  runs: () => current().runs(),
  events: (folder) => current().events(folder),
  file: (path) => current().file(path),
  async remove(folder) {
    await current().remove(folder);
    return null;
  },
};

/** Pictures are moved, not copied. */
const bitmapsOf = (name: RequestName, answer: unknown): readonly Transferable[] =>
  name === "look" ? (answer as Look).data.thumbnails.map((t) => t.bitmap) : []; // what `look` answers

self.addEventListener("message", async ({ data }: MessageEvent<Request>) => {
  const { id, name, ask } = data;
  try {
    const handle = handlers[name] as (ask: unknown) => Promise<unknown>; // trainer.ts asks what the name takes
    const answer = await handle(ask);
    post({ id, answer }, bitmapsOf(name, answer));
  } catch (error) {
    post({ id, error: packError(error) });
  }
});
