/** @file Runs in a thread: opens the data set of a run, and gives names and small pictures of single images of it. */
import { z } from "zod";
import { openDataset } from "../../data/open.js";
import type { Dataset } from "../../data/types.js";
import type { Platform, ThreadHandler } from "../../platform/types.js";
import { thumbnail } from "./thumbnail.js";

const index = z.int().nonnegative();
const questionSchema = z.discriminatedUnion("ask", [
  z.object({ ask: z.literal("names"), path: z.string(), indices: z.array(index) }),
  z.object({ ask: z.literal("picture"), path: z.string(), index }),
]);

export type PictureQuestion = z.infer<typeof questionSchema>;
export interface PictureNames {
  readonly fingerprint: string;
  readonly names: readonly (string | null)[];
}

/** Keeps the data set of the last question open. */
export function createHandler(platform: Platform): ThreadHandler {
  let open: { readonly path: string; readonly dataset: Promise<Dataset> } | null = null;
  const datasetAt = async (path: string): Promise<Dataset> => {
    if (open?.path !== path) {
      const before = open;
      open = { path, dataset: openDataset(path, { platform, cacheBytes: 32 * 1024 * 1024 }) };
      await before?.dataset.then((d) => d.close()).catch(() => {});
    }
    return open.dataset;
  };
  return async (message) => {
    const question = questionSchema.parse(message);
    const dataset = await datasetAt(question.path);
    if (question.ask === "names") {
      const names = question.indices.map((i) => (i < dataset.count ? dataset.imageName(i) : null));
      return { value: { fingerprint: dataset.fingerprint, names } satisfies PictureNames, transfer: [] };
    }
    if (question.index >= dataset.count) return { value: null, transfer: [] };
    const png = await thumbnail(await dataset.image(question.index));
    return { value: png, transfer: png.buffer instanceof ArrayBuffer ? [png.buffer] : [] };
  };
}
