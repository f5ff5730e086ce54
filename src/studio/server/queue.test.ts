/** @file Facts of the studio's queue on disk: what waits is there after a studio has ended, however it ended, and begins only when asked. */
import { spawn } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { hostname, tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { nodeFiles } from "../../platform/node/files.js";
import type { Job, ListMessage, RunSummary } from "../protocol.js";
import { Queue, queueFile, type Task } from "./queue.js";
import { messagesOf, type TestStudio, testStudio, until, writeRun } from "./studio.testing.js";

const train = (folder: string, values: Readonly<Record<string, string>> = {}): Task => ({
  kind: "train",
  values,
  folder,
});

describe("the file", () => {
  let home: string;
  let runs: string;
  const logged: string[] = [];
  beforeEach(() => {
    home = mkdtempSync(join(tmpdir(), "metalr-queue-"));
    runs = join(home, "runs");
    mkdirSync(runs);
    logged.length = 0;
  });
  afterEach(() => rmSync(home, { recursive: true, force: true }));

  const queue = (pid = process.pid) =>
    new Queue({
      files: nodeFiles,
      runsFolder: runs,
      folders: [runs],
      process: { pid, host: hostname() },
      log: (line) => logged.push(line),
    });
  const path = () => join(runs, queueFile);
  const write = (changes: object) =>
    writeFileSync(
      path(),
      JSON.stringify({ format: "metalr-queue", version: 1, pid: 1 << 30, host: hostname(), tasks: [], ...changes }),
    );

  test("keeps tasks in their order, and is gone when nothing waits", async () => {
    writeRun(join(runs, "old"));
    const first = queue();
    const tasks: Task[] = [train(join(runs, "a"), { lr: "0.1" }), { kind: "resume", folder: join(runs, "old") }];
    first.save(tasks.map((t) => ({ ...t, started: false })));
    await first.saved();
    expect(await queue().read()).toEqual(tasks);
    first.save([]);
    await first.saved();
    expect(existsSync(path())).toBe(false);
  });

  test("nothing is written where nothing ever waited", async () => {
    const none = queue();
    expect(await none.read()).toEqual([]);
    none.save([]);
    await none.saved();
    expect(existsSync(path())).toBe(false);
  });

  test("of many changes at once the last one is kept", async () => {
    const busy = queue();
    for (let n = 1; n <= 50; n++)
      busy.save(Array.from({ length: n }, (_, k) => ({ ...train(join(runs, `r${k}`)), started: false })));
    busy.save([{ ...train(join(runs, "last")), started: false }]);
    await busy.saved();
    expect(await queue().read()).toEqual([train(join(runs, "last"))]);
  });

  test("what had begun is a run by itself; what was killed before it had a folder waits again", async () => {
    writeRun(join(runs, "begun"));
    const killed = queue();
    killed.save([
      { ...train(join(runs, "begun")), started: true },
      { ...train(join(runs, "not-yet")), started: true },
      { kind: "resume", folder: join(runs, "begun"), started: true },
    ]);
    await killed.saved();
    expect(await queue().read()).toEqual([train(join(runs, "not-yet"))]);
  });

  test("leads nowhere else: names with a path, folders that are not watched, more than a queue has", async () => {
    mkdirSync(join(home, "outside"));
    writeRun(join(runs, "old"));
    const started = false;
    write({
      tasks: [
        { kind: "resume", folder: join(home, "outside"), started },
        { kind: "resume", folder: join(runs, "..", "outside"), started },
        { kind: "resume", folder: join(runs, "nothing"), started },
        { kind: "resume", folder: join(runs, "old"), started },
      ],
    });
    expect(await queue().read()).toEqual([{ kind: "resume", folder: join(runs, "old") }]);
    expect(logged).toEqual([]);
    for (const task of [
      { kind: "train", values: {}, name: "../outside/x", started },
      { kind: "train", values: {}, name: ".hidden", started },
      { kind: "train", values: { "--out": "x" }, name: "a", started },
      { kind: "train", values: { lr: 1 }, name: "a", started },
      { kind: "shell", command: "ls", started },
    ]) {
      write({ tasks: [task] });
      expect(await queue().read()).toEqual([]);
      expect(logged.splice(0)).toEqual(["studio-queue.json cannot be read: what waited is forgotten"]);
    }
  });

  test.each(["nothing", "{", "[]", '{"format":"metalr-queue"}', `"${"x".repeat(2 << 20)}"`])(
    "damaged: %#",
    async (text) => {
      writeFileSync(path(), text);
      expect(await queue().read()).toEqual([]);
      expect(logged).toEqual(["studio-queue.json cannot be read: what waited is forgotten"]);
    },
  );

  test("is left to another studio that lives", async () => {
    const other = spawn(process.execPath, ["-e", "setTimeout(() => {}, 60000)"]);
    write({ pid: other.pid, tasks: [{ kind: "train", values: {}, name: "theirs", started: false }] });
    const before = readFileSync(path(), "utf8");
    const mine = queue();
    expect(await mine.read()).toEqual([]);
    mine.save([{ ...train(join(runs, "mine")), started: false }]);
    await mine.saved();
    expect(readFileSync(path(), "utf8")).toBe(before);
    expect(logged).toEqual(["another studio keeps its queue in this folder: that of this one ends with it"]);
    const ended = new Promise((done) => other.once("exit", done));
    other.kill("SIGKILL");
    await ended;
    expect(await queue().read()).toEqual([train(join(runs, "theirs"))]);
  });
});

describe("in the studio", () => {
  let studio: TestStudio;
  const post = (path: string, values: Record<string, string> = {}) =>
    studio.ask(path, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify({ values }),
    });
  const jobsUntil = async (fits: (jobs: readonly Job[]) => boolean): Promise<readonly Job[]> => {
    const list = messagesOf<ListMessage>(await studio.ask("/api/events"));
    const message = await until(list, (m) => (m.type === "all" || m.type === "jobs") && fits(m.jobs));
    await list.return(undefined);
    return message.type === "all" || message.type === "jobs" ? message.jobs : [];
  };

  test("runs that wait are there again after Ctrl-C, and begin when somebody says so", async () => {
    studio = await testStudio();
    const { runs } = studio;
    for (const name of ["first", "second", "third"]) await post("/api/start", { name });
    await jobsUntil(([first]) => first?.state === "running");
    // On the disk while it runs: kill -9 leaves the same.
    await expect
      .poll(() =>
        JSON.parse(readFileSync(join(runs, queueFile), "utf8")).tasks.map((t: { started: boolean }) => t.started),
      )
      .toEqual([true, false, false]);
    await studio.close();
    expect(JSON.parse(readFileSync(join(runs, queueFile), "utf8")).tasks).toMatchObject([
      { kind: "train", values: { name: "second" }, started: false },
      { kind: "train", values: { name: "third" }, started: false },
    ]);

    const again = await testStudio(() => {}, { folders: [runs] });
    const ended = studio;
    studio = again;
    const held = await jobsUntil(() => true);
    expect(held.map((j) => j.state)).toEqual(["held", "held"]);
    expect(held[0]?.command).toMatch(/^metalr train --name=second --out .*-second$/);
    expect((await post(`/api/jobs/${held[1]?.id}/go`)).status).toBe(200);
    expect((await post(`/api/jobs/${held[1]?.id}/go`)).status).toBe(404);
    await jobsUntil((jobs) => jobs[1]?.runs.length === 1 && jobs[0]?.state === "held");
    const list = (await (await studio.ask("/api/runs")).json()) as RunSummary[];
    expect(list.map((r) => r.name.replace(/^.*-/, "")).sort()).toEqual(["first", "third"]);
    await post(`/api/jobs/${held[0]?.id}/stop`); // taken out
    await post(`/api/jobs/${held[1]?.id}/stop`);
    await jobsUntil((jobs) => jobs.every((j) => j.state === "ended"));
    await again.end();
    expect(existsSync(join(runs, queueFile))).toBe(false);
    await ended.end();
  });
});
