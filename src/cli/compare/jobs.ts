/** @file How many trainings go on at once, and with how many threads each: what cores and memory allow. */

/** --jobs: a number, or as many as the machine has room for. */
export type JobsWanted = number | "auto";

export interface Room {
  /** Processor cores that may be used. */
  readonly cores: number;
  /** Memory that is free before anything is trained, in bytes. */
  readonly freeBytes: number;
}

export interface Division {
  readonly jobs: number;
  /** Of one job. */
  readonly threads: number;
}

/** Share of the free memory that is taken. */
const usable = 0.8;
/** A later evaluation may need more than the first steps have shown. */
const margin = 1.3;

/**
 * One thread a job is the best use of the cores as long as memory suffices: small networks do not gain twice from two threads. What
 * memory leaves idle goes to the jobs as threads. Results do not depend on any of it.
 *
 * @param o.trainings that are left to do
 * @param o.threads --threads, where it was given
 * @param o.peakBytes memory of one job as measured on the first, null before that
 */
export function divideWork(
  wanted: JobsWanted,
  { cores, freeBytes }: Room,
  o: { readonly trainings: number; readonly threads?: number; readonly peakBytes: number | null },
): Division {
  const most = Math.max(1, o.trainings);
  const fit = o.peakBytes === null ? cores : Math.max(1, Math.floor((usable * freeBytes) / (margin * o.peakBytes)));
  const byCores = Math.max(1, Math.floor(cores / (o.threads ?? 1)));
  const jobs = Math.min(most, wanted === "auto" ? Math.min(byCores, fit) : wanted);
  return { jobs, threads: o.threads ?? Math.max(1, Math.floor(cores / jobs)) };
}
