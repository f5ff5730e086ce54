/** @file The runs and processes as the server tells of them, kept up to date. */
import { useEffect, useState } from "preact/hooks";
import type { Job, ListMessage, RunSummary } from "../protocol.js";
import { listen } from "./api.js";

export interface List {
  /** Before the first message there is nothing to say. */
  readonly loaded: boolean;
  /** False while the server does not answer. */
  readonly connected: boolean;
  readonly runs: ReadonlyMap<string, RunSummary>;
  readonly jobs: readonly Job[];
  /** The watched folders, in words. */
  readonly where: string;
}

export const emptyList: List = { loaded: false, connected: true, runs: new Map(), jobs: [], where: "" };

/** The list after a message. */
export function afterMessage(list: List, message: ListMessage): List {
  if (message.type === "all") {
    const { runs, jobs, where } = message;
    return { loaded: true, connected: true, runs: new Map(runs.map((r) => [r.id, r])), jobs, where };
  }
  if (message.type === "jobs") return { ...list, jobs: message.jobs };
  const runs = new Map(list.runs);
  if (message.type === "run") runs.set(message.run.id, message.run);
  else runs.delete(message.id);
  return { ...list, runs };
}

export function useList(): List {
  const [list, setList] = useState(emptyList);
  useEffect(
    () =>
      listen<ListMessage>(
        "/api/events",
        (message) => setList((old) => afterMessage(old, message)),
        (connected) => setList((old) => ({ ...old, connected })),
      ),
    [],
  );
  return list;
}
