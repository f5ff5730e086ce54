/** @file How long a comparison still takes: by what trainings of the same data and method took so far. */

/** What decides how long a training takes. */
export interface Kind {
  readonly data: string;
  readonly method: string;
}

const mean = (values: readonly number[]): number => values.reduce((a, b) => a + b, 0) / values.length;

export class TimeLeft {
  private readonly taken: (Kind & { readonly ms: number })[] = [];
  private readonly waiting = new Map<string, Kind & { count: number }>();
  /** By job. */
  private readonly running = new Map<number, Kind & { share: number; elapsedMs: number }>();

  /** @param all trainings that are not finished yet */
  constructor(all: readonly Kind[]) {
    for (const { data, method } of all) {
      const key = JSON.stringify([data, method]);
      const known = this.waiting.get(key);
      if (known) known.count++;
      else this.waiting.set(key, { data, method, count: 1 });
    }
  }

  /** How long a whole training took. */
  learn({ data, method }: Kind, ms: number): void {
    this.taken.push({ data, method, ms });
  }

  start(job: number, { data, method }: Kind): void {
    const known = this.waiting.get(JSON.stringify([data, method]));
    if (known && known.count > 0) known.count--;
    this.running.set(job, { data, method, share: 0, elapsedMs: 0 });
  }

  /** @param share of the training's steps that are done, 0 … 1 @param elapsedMs that these took */
  progress(job: number, share: number, elapsedMs: number): void {
    const run = this.running.get(job);
    if (run) Object.assign(run, { share, elapsedMs });
  }

  end(job: number): void {
    this.running.delete(job);
  }

  /** Until all trainings end, in ms; NaN before anything is known. */
  leftMs(jobs: number): number {
    const guesses = [...this.running.values()]
      .filter((r) => r.share > 0.02)
      .map((r) => ({ ...r, ms: r.elapsedMs / r.share }));
    const known = [...this.taken, ...guesses];
    const whole = ({ data, method }: Kind): number => {
      for (const fits of [
        (k: Kind) => k.data === data && k.method === method,
        (k: Kind) => k.data === data,
        () => true,
      ]) {
        const alike = known.filter(fits).map((k) => k.ms);
        if (alike.length > 0) return mean(alike);
      }
      return Number.NaN;
    };
    const running = [...this.running.values()].map((r) => (1 - r.share) * whole(r));
    const waiting = [...this.waiting.values()].map((w) => (w.count === 0 ? 0 : w.count * whole(w)));
    const sum = [...running, ...waiting].reduce((a, b) => a + b, 0);
    // The last ones cannot be shared out: it takes at least as long as the longest of them.
    return Math.max(sum / Math.max(1, jobs), ...running, 0);
  }
}
