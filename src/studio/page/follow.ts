/** @file One run as it grows: its facts, and its curves in bounded memory. */
import { useEffect, useState } from "preact/hooks";
import { CurveBuffer, type Curves } from "../../records/curves.js";
import { bucketsFor, type RunFacts, type RunMessage, type StepRow } from "../protocol.js";
import { listen } from "./api.js";

/** A page that shows a run spends at most one part of this many of its time on drawing it. */
const REST = 5;

export class GrowingCurves {
  private readonly buffer: CurveBuffer;
  private lastStep = 0;

  constructor(readonly groups: number) {
    this.buffer = new CurveBuffer(3 + 2 * groups, bucketsFor(groups));
  }

  /** Steps that are there already are passed over. */
  add(rows: readonly StepRow[]): void {
    for (const row of rows) {
      const step = row[0] ?? 0;
      if (step <= this.lastStep) continue;
      this.lastStep = step;
      this.buffer.push(step, (j) => row[j + 1] ?? Number.NaN);
    }
  }

  points(): Curves {
    return this.buffer.points();
  }
}

export interface Followed {
  readonly facts: RunFacts;
  /** Series: train loss, train accuracy, look-ahead loss, rates by group, hypergradients by group. */
  readonly curves: Curves;
}

/** @returns undefined before the first message, null where there is no such run (any more) */
export function useRun(id: string): Followed | null | undefined {
  const [followed, setFollowed] = useState<Followed | null | undefined>(undefined);
  useEffect(() => {
    setFollowed(undefined);
    return follow([id], (_, f) => setFollowed(f));
  }, [id]);
  return followed;
}

/** Several runs at once, in the order of their ids; those that are not there (yet) are left out. */
export function useRuns(ids: readonly string[]): readonly Followed[] {
  const [all, setAll] = useState<ReadonlyMap<string, Followed>>(new Map());
  const key = ids.join(",");
  useEffect(() => {
    setAll(new Map());
    if (ids.length === 0) return;
    return follow(ids, (id, f) =>
      setAll((old) => {
        const next = new Map(old);
        if (f === null) next.delete(id);
        else next.set(id, f);
        return next;
      }),
    );
  }, [key]);
  return ids.flatMap((id) => all.get(id) ?? []);
}

function follow(ids: readonly string[], tell: (id: string, followed: Followed | null) => void): () => void {
  const all = new Map<string, { readonly curves: GrowingCurves; facts: RunFacts }>();
  const changed = new Set<string>();
  let timer: ReturnType<typeof setTimeout> | undefined;
  let restUntil = 0;
  /** Shows what has changed, and then rests for as long as its drawing took, several times. */
  const show = () => {
    timer = undefined;
    const begin = performance.now();
    for (const id of changed) {
      const run = all.get(id);
      if (run !== undefined) tell(id, { facts: run.facts, curves: run.curves.points() });
    }
    changed.clear();
    requestAnimationFrame(() =>
      setTimeout(() => {
        const end = performance.now();
        restUntil = end + (REST - 1) * (end - begin);
      }),
    );
  };
  const end = listen<RunMessage>("/api/follow", { ids: ids.join(",") }, (message) => {
    const { id } = message;
    if (message.type === "gone") {
      all.delete(id);
      tell(id, null);
      return;
    }
    const { facts, steps, type } = message;
    const before = all.get(id);
    const curves = type === "whole" || before === undefined ? new GrowingCurves(facts.groups.length) : before.curves;
    all.set(id, { curves, facts });
    curves.add(steps);
    changed.add(id);
    timer ??= setTimeout(show, Math.max(0, restUntil - performance.now()));
  });
  return () => {
    clearTimeout(timer);
    end();
  };
}
