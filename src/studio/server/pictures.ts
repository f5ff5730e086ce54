/** @file Names and small pictures of images of the data that a run was trained on, read in a thread: the server never waits for a file. */
import { resolve } from "node:path";
import { MetalrError, RuntimeError } from "../../common/errors.js";
import type { FileSystem, Thread, Threads } from "../../platform/types.js";
import type { RunInfo } from "../../records/schema.js";
import type { DataFacts } from "../protocol.js";
import type { PictureNames, PictureQuestion } from "./pictures-thread.js";

/** Milliseconds after the last question at which the thread ends, and with it the open data set. */
const IDLE = 60_000;
/** Pictures that are kept. */
const KEPT = 400;

export interface PicturesOptions {
  readonly files: FileSystem;
  /** Without threads there are no pictures. */
  readonly threads: Threads | undefined;
  /** Relative paths of data are meant from here. */
  readonly root: string;
  /** Where the data of a run lie, as the run was told; null where that is not known. */
  readonly dataOf: (info: RunInfo) => Promise<string | null>;
}

export class Pictures {
  private thread: Thread | null = null;
  private timer: NodeJS.Timeout | undefined;
  private asked = 0;
  private readonly kept = new Map<string, Uint8Array<ArrayBuffer>>();
  /** Paths whose content was compared with a run's record, with what was found there. */
  private readonly fingerprints = new Map<string, string>();

  constructor(private readonly options: PicturesOptions) {}

  /** Names of images, or in words why there are none: the data were moved, or are others. */
  async names(info: RunInfo, indices: readonly number[]): Promise<DataFacts> {
    const path = await this.options.dataOf(info).catch(() => null);
    if (path === null) return { problem: "Where the data of this run lie is not known.", names: [] };
    const at = resolve(this.options.root, path);
    if ((await this.options.files.kind(at)) === "missing") {
      return { problem: `The data are not there any more: ${path}`, names: [] };
    }
    try {
      const { fingerprint, names } = (await this.ask({
        ask: "names",
        path: at,
        indices: [...indices],
      })) as PictureNames; // as the thread answers
      this.fingerprints.set(at, fingerprint);
      if (fingerprint !== info.data.fingerprint) {
        return { problem: `The data have changed since this run: ${path}`, names: [] };
      }
      return { problem: null, names };
    } catch (error) {
      return { problem: `The data cannot be read: ${error instanceof MetalrError ? error.problem : path}`, names: [] };
    }
  }

  /** A PNG; null where there is no such image, or the data are others than the run's. */
  async picture(info: RunInfo, index: number): Promise<Uint8Array<ArrayBuffer> | null> {
    const key = `${info.data.fingerprint} ${index}`;
    const before = this.kept.get(key);
    if (before !== undefined) return before;
    const path = await this.options.dataOf(info).catch(() => null);
    if (path === null) return null;
    const at = resolve(this.options.root, path);
    if (this.fingerprints.get(at) === undefined) await this.names(info, []);
    if (this.fingerprints.get(at) !== info.data.fingerprint) return null;
    const png = await this.ask({ ask: "picture", path: at, index }).catch(() => null);
    if (!(png instanceof Uint8Array)) return null;
    const bytes = new Uint8Array(png);
    for (const old of this.kept.keys()) {
      if (this.kept.size < KEPT) break;
      this.kept.delete(old);
    }
    this.kept.set(key, bytes);
    return bytes;
  }

  async close(): Promise<void> {
    clearTimeout(this.timer);
    await this.thread?.close();
    this.thread = null;
  }

  private async ask(question: PictureQuestion): Promise<unknown> {
    const { threads } = this.options;
    if (threads === undefined) throw new RuntimeError("pictures", { problem: "this machine has no threads" });
    if (this.thread === null || !this.thread.alive) {
      this.thread = threads.start(new URL("./pictures-thread.js", import.meta.url));
    }
    clearTimeout(this.timer);
    this.asked++;
    try {
      return await this.thread.call(question);
    } finally {
      if (--this.asked === 0) this.timer = setTimeout(() => void this.close(), IDLE).unref();
    }
  }
}
