/** @file Tests of pool.ts with processes that are played: memory, deaths, errors, stopping. */
import { expect, test } from "vitest";
import { DataError } from "../../common/errors.js";
import { packError } from "../../platform/thread-errors.js";
import type { Cell } from "../../records/compare-plan.js";
import type { StepEvent } from "../../training/types.js";
import type { ChildProgram } from "../command.js";
import type { CompareFlags } from "./flags.js";
import type { FromWorker, ToWorker } from "./messages.js";
import { Pool, type PoolOptions } from "./pool.js";

const GiB = 2 ** 30;
const cell = (seed: number): Cell => ({
  data: "a",
  method: "metalr",
  factor: 1,
  seed,
  split: "run",
  folder: `a/${seed}`,
});
const step: StepEvent = {
  type: "step",
  step: 1,
  epoch: 1,
  trainLoss: 1,
  trainAccuracy: 1,
  lr: [],
  elapsedMs: 1,
  stepMs: 1,
  waitMs: 0,
  images: 1,
};

/** A process: what it does with a training. */
type Script = (say: (message: FromWorker) => void, die: (how: string) => void, message: ToWorker) => void;

function pool(script: Script, over: Partial<PoolOptions> = {}) {
  const started: { threads: number; killed: boolean }[] = [];
  const said: string[] = [];
  const start = (): ChildProgram => {
    const own = { threads: 0, killed: false };
    started.push(own);
    let on: Parameters<ChildProgram["listen"]>[0] | null = null;
    return {
      send(message) {
        const told = message as ToWorker; // the pool sends nothing else
        if (told.type === "begin") own.threads = told.threads;
        else
          queueMicrotask(() =>
            script(
              (m) => on?.message(m),
              (how) => on?.closed(how),
              told,
            ),
          );
      },
      listen(l) {
        on = l;
      },
      kill() {
        own.killed = true;
      },
    };
  };
  const p = new Pool({
    start,
    begin: { given: {} as CompareFlags, splitSeed: 1, commandLine: "metalr compare" }, // nobody reads it here
    wanted: "auto",
    room: { cores: 8, freeBytes: 26 * GiB },
    trainings: 100,
    say: (line) => said.push(line),
    ...over,
  });
  return { p, started, said };
}

const done: Script = (say, _, { type }) => {
  if (type !== "train") return;
  for (let i = 0; i < 3; i++) say({ type: "event", event: step, peakBytes: 4 * GiB });
  say({ type: "trained", finished: true });
};
const never = new AbortController().signal;
const run = { signal: never, report: () => {} };

test("the first training shows how much memory one takes; the others begin as it allows", async () => {
  const { p, started, said } = pool(done);
  expect(p.jobs).toBe(8);
  let others = "waiting";
  const second = p.mayTake(1).then((may) => {
    others = may ? "may" : "may not";
  });
  expect(await p.mayTake(0)).toBe(true);
  await Promise.resolve();
  expect(others).toBe("waiting");
  expect(await p.train(0, cell(1), "a.npz", run)).toBe(true);
  await second;
  // 0.8 · 26 GiB / (1.3 · 4 GiB) = 4 of 8, so that each may use two threads.
  expect([others, p.jobs, await p.mayTake(4)]).toEqual(["may", 4, false]);
  expect(said).toEqual(["4 of 8 possible processes at once: memory allows no more (4096 MiB each)"]);
  await p.train(0, cell(2), "a.npz", run);
  expect(started).toEqual([
    { threads: 1, killed: true },
    { threads: 2, killed: false },
  ]);
  p.close();
  expect(started.every((s) => s.killed)).toBe(true);
});

test("a number that was asked for is not measured", async () => {
  const { p, started, said } = pool(done, { wanted: 3 });
  expect([p.jobs, await p.mayTake(2), await p.mayTake(3)]).toEqual([3, true, false]);
  await p.train(2, cell(1), "a.npz", run);
  expect([started.map((s) => s.threads), said]).toEqual([[2], []]);
});

test("a process that dies is replaced once; then it is an error that says what to do", async () => {
  let deaths = 0;
  const once: Script = (say, die, message) => {
    if (message.type === "train" && deaths++ === 0) die("SIGKILL");
    else done(say, die, message);
  };
  const first = pool(once, { wanted: 2 });
  expect(await first.p.train(1, cell(1), "a.npz", run)).toBe(true);
  expect(first.said).toEqual([
    "a process ended by itself (SIGKILL); its training goes on in another from its last checkpoint",
  ]);
  expect(first.started.length).toBe(2);
  const always = pool((_, die) => die("SIGKILL"), { wanted: 2 });
  await expect(always.p.train(1, cell(7), "a.npz", run)).rejects.toThrow(
    "a/7: its process ended by itself 2 times\n  got      SIGKILL\n  hint     where memory ran out, use fewer processes (--jobs 1) or smaller batches; the same command goes on from here",
  );
});

test("an error of a training is thrown as it was", async () => {
  const failing: Script = (say, _, { type }) =>
    type === "train" && say({ type: "failed", error: packError(new DataError("a.npz", { problem: "is empty" })) });
  const { p } = pool(failing, { wanted: 2 });
  const error = await p.train(0, cell(1), "a.npz", run).catch((e: unknown) => e);
  expect(error).toBeInstanceOf(DataError);
  expect(error).toMatchObject({ where: "a.npz", problem: "is empty" });
});

test("stopping tells the process, whose death then is none", async () => {
  const stop = new AbortController();
  const gentle: Script = (say, _, { type }) => type === "stop" && say({ type: "trained", finished: false });
  const { p } = pool(gentle, { wanted: 2 });
  const training = p.train(0, cell(1), "a.npz", { ...run, signal: stop.signal });
  queueMicrotask(() => stop.abort());
  expect(await training).toBe(false);
  const dying = pool((_, die, { type }) => type === "stop" && die("SIGINT"), { wanted: 2 });
  const again = new AbortController();
  const second = dying.p.train(0, cell(1), "a.npz", { ...run, signal: again.signal });
  queueMicrotask(() => again.abort());
  expect(await second).toBe(false);
  expect(dying.said).toEqual([]);
});
