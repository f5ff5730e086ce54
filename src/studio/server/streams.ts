/** @file Server-sent events: the list of runs, and single runs that are looked at; a slow reader never holds up the others. */
import type { Context } from "hono";
import { streamSSE } from "hono/streaming";
import type { Job, ListMessage, RunMessage } from "../protocol.js";
import { LiveRun } from "./live.js";
import type { RunStore } from "./store.js";

/** Milliseconds between looks at a run that is shown. */
const PERIOD = 250;
/** Milliseconds between lines that only say that the server is there. */
const BEAT = 10_000;
/** A reader that is this many messages behind is let go; the page connects again. */
const MOST_BEHIND = 2000;

/** Sends what is pushed, one message after the other, until the reader goes. */
function stream<T>(c: Context, begin: (push: (message: T) => void) => () => void): Response {
  return streamSSE(c, async (out) => {
    const waiting: T[] = [];
    let wake = () => {};
    const end = begin((message) => {
      waiting.push(message);
      wake();
    });
    out.onAbort(() => {
      end();
      wake();
    });
    while (!out.aborted && !out.closed && waiting.length < MOST_BEHIND) {
      for (let message = waiting.shift(); message !== undefined; message = waiting.shift()) {
        await out.writeSSE({ data: JSON.stringify(message) });
      }
      let timer: NodeJS.Timeout | undefined;
      await new Promise<void>((resolve) => {
        wake = resolve;
        if (waiting.length > 0 || out.aborted) resolve();
        else timer = setTimeout(resolve, BEAT);
      });
      clearTimeout(timer);
      if (waiting.length === 0 && !out.aborted) await out.write(": still here\n\n");
    }
    end();
  });
}

/** A run that pages look at. */
interface Looked {
  live: LiveRun;
  readonly readers: Set<(message: RunMessage) => void>;
  shown: string;
}

export class Streams {
  private readonly looked = new Map<string, Looked>();
  private readonly listReaders = new Set<(message: ListMessage) => void>();
  private readonly timer: NodeJS.Timeout;
  private busy = false;
  private jobsShown = "[]";

  constructor(
    private readonly store: RunStore,
    private readonly jobs: () => readonly Job[],
    /** Of the watched folders, for people. */
    private readonly where: string,
  ) {
    this.timer = setInterval(() => void this.tick(), PERIOD);
  }

  close(): void {
    clearInterval(this.timer);
  }

  list(c: Context): Response {
    return stream<ListMessage>(c, (push) => {
      push({
        type: "all",
        runs: this.store.all(),
        jobs: this.jobs(),
        comparisons: this.store.allComparisons(),
        where: this.where,
      });
      this.listReaders.add(push);
      const stop = this.store.listen({
        run: (run) => push({ type: "run", run }),
        gone: (id) => push({ type: "gone", id }),
        comparisons: (comparisons) => push({ type: "comparisons", comparisons }),
      });
      return () => {
        stop();
        this.listReaders.delete(push);
      };
    });
  }

  /** Several runs in one stream: a browser opens no more than six to one server. */
  runs(c: Context, ids: readonly string[]): Response {
    return stream<RunMessage>(c, (push) => {
      const ends = ids.map((id) => this.follow(id, push));
      return () => {
        for (const end of ends) end();
      };
    });
  }

  /** @returns a function that ends it */
  private follow(id: string, push: (message: RunMessage) => void): () => void {
    const entry = this.store.get(id);
    if (entry === null) {
      push({ type: "gone", id });
      return () => {};
    }
    const looked: Looked = this.looked.get(id) ?? {
      live: new LiveRun(entry.folder, entry.glance.info),
      readers: new Set(),
      shown: "",
    };
    this.looked.set(id, looked);
    let ended = false;
    const begin = async () => {
      await looked.live.update();
      if (ended) return;
      // Readers that were here before still wait for what is new; a page passes over steps that it has.
      if (looked.readers.size === 0) looked.live.settle();
      looked.readers.add(push);
      push(await looked.live.whole(this.store.get(id)?.summary ?? entry.summary));
    };
    void begin().catch(() => push({ type: "gone", id }));
    return () => {
      ended = true;
      looked.readers.delete(push);
      if (looked.readers.size === 0 && this.looked.get(id) === looked) this.looked.delete(id);
    };
  }

  private async tick(): Promise<void> {
    if (this.busy) return;
    this.busy = true;
    try {
      const jobs = this.jobs();
      const shown = JSON.stringify(jobs);
      if (shown !== this.jobsShown) {
        this.jobsShown = shown;
        const message: ListMessage = { type: "jobs", jobs };
        for (const push of this.listReaders) push(message);
      }
      for (const [id, looked] of this.looked) await this.look(id, looked);
    } finally {
      this.busy = false;
    }
  }

  private async look(id: string, looked: Looked): Promise<void> {
    if (looked.readers.size === 0) return;
    const entry = this.store.get(id);
    if (entry === null) {
      for (const push of looked.readers) push({ type: "gone", id });
      this.looked.delete(id);
      return;
    }
    // Another run.json is another run in the same folder.
    if (looked.live.info !== entry.glance.info) looked.live = new LiveRun(entry.folder, entry.glance.info);
    const fresh = await looked.live.update();
    const shown = JSON.stringify(entry.summary);
    if (!fresh && shown === looked.shown) return;
    looked.shown = shown;
    const message = await looked.live.more(entry.summary);
    for (const push of looked.readers) push(message);
  }
}
