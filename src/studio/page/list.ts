/** @file The runs and processes as the server tells of them, kept up to date. */
import { useEffect, useState } from "preact/hooks";
import type { ComparisonSummary, Job, ListMessage, RunSummary } from "../protocol.js";
import { get, listen } from "./api.js";

export interface List {
  /** Before the first message there is nothing to say. */
  readonly loaded: boolean;
  /** False while the server does not answer. */
  readonly connected: boolean;
  readonly runs: ReadonlyMap<string, RunSummary>;
  readonly jobs: readonly Job[];
  readonly comparisons: readonly ComparisonSummary[];
  /** The watched folders, in words. */
  readonly where: string;
}

export const emptyList: List = {
  loaded: false,
  connected: true,
  runs: new Map(),
  jobs: [],
  comparisons: [],
  where: "",
};

const byId = (runs: readonly RunSummary[]) => new Map(runs.map((r) => [r.id, r]));

/** Milliseconds between looks of a page in a hidden tab, whose title says how far a run is. */
const UNSEEN_PERIOD = 5000;

/** The list after a message. */
export function afterMessage(list: List, message: ListMessage): List {
  if (message.type === "all") {
    const { runs, jobs, comparisons, where } = message;
    return { loaded: true, connected: true, runs: byId(runs), jobs, comparisons, where };
  }
  if (message.type === "jobs") return { ...list, jobs: message.jobs };
  if (message.type === "comparisons") return { ...list, comparisons: message.comparisons };
  const runs = new Map(list.runs);
  if (message.type === "run") runs.set(message.run.id, message.run);
  else runs.delete(message.id);
  return { ...list, runs };
}

export function useList(): List {
  const [list, setList] = useState(emptyList);
  useEffect(() => {
    const end = listen<ListMessage>(
      "/api/events",
      {},
      (message) => setList((old) => afterMessage(old, message)),
      (connected) => setList((old) => ({ ...old, connected })),
    );
    const timer = setInterval(async () => {
      if (!document.hidden) return;
      const answer = await get<readonly RunSummary[]>("/api/runs");
      if ("ok" in answer) setList((old) => ({ ...old, runs: byId(answer.ok) }));
    }, UNSEEN_PERIOD);
    return () => {
      clearInterval(timer);
      end();
    };
  }, []);
  return list;
}
