/** @file Facts of the studio's server: runs that come, grow, die and go, and runs that it starts itself. */
import { spawn } from "node:child_process";
import { rmSync, utimesSync, writeFileSync } from "node:fs";
import { hostname } from "node:os";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import type { TrainField } from "../../cli/train/fields.js";
import type { FormCheck, ListMessage, RunMessage, RunSummary } from "../protocol.js";
import { append, messagesOf, type TestStudio, testStudio, until, writeRun } from "./studio.testing.js";

let studio: TestStudio;
let list: AsyncGenerator<ListMessage>;
beforeEach(async () => {
  studio = await testStudio();
  list = messagesOf<ListMessage>(await studio.ask("/api/events"));
});
afterEach(() => studio.end());

const nextRun = async (fits: (run: RunSummary) => boolean): Promise<RunSummary> => {
  const message = await until(list, (m) => m.type === "run" && fits(m.run));
  if (message.type !== "run") throw new Error("unreachable: until() has checked it");
  return message.run;
};

describe("runs that others make", () => {
  test("a finished run is a row with its figures", async () => {
    writeRun(`${studio.runs}/a`);
    const run = await nextRun((r) => r.state === "finished");
    expect(run).toMatchObject({
      name: "a",
      method: "metalr",
      network: "resnet18",
      step: 27,
      steps: 27,
      epoch: 3,
      epochs: 3,
      ours: false,
    });
    expect(run.testAccuracy).toBeGreaterThan(0.5);
    expect(run.validationAccuracy).toBeGreaterThan(0.5);
    expect(run.imagesPerSecond).toBeCloseTo(128 / 0.592, 3);
    expect(run.leftMs).toBeNull();
    expect(run.sparks).toHaveLength(5);
  });

  test("folds are runs, named by their folders", async () => {
    writeRun(`${studio.runs}/cv/fold-1`);
    writeRun(`${studio.runs}/cv/fold-2`);
    const names = [await nextRun(() => true), await nextRun((r) => r.name === "cv/fold-2")].map((r) => r.name);
    expect(names).toEqual(["cv/fold-1", "cv/fold-2"]);
  });

  test("one that grows, whose process dies, that is resumed and then deleted shows each time", async () => {
    const folder = `${studio.runs}/a`;
    const writer = spawn(process.execPath, ["-e", "setTimeout(() => {}, 60000)"]);
    const events = writeRun(folder, { keep: 5 });
    writeFileSync(`${folder}/writer.json`, JSON.stringify({ pid: writer.pid, host: hostname() }));
    const run = await nextRun((r) => r.state === "running" && r.step === 4);
    expect(run.leftMs).toBeCloseTo(23 * 592, 0);
    append(folder, events.slice(5, 8));
    await nextRun((r) => r.step === 7);
    writer.kill("SIGKILL");
    await nextRun((r) => r.state === "interrupted");
    writeFileSync(`${folder}/writer.json`, JSON.stringify({ pid: process.pid, host: hostname() }));
    await nextRun((r) => r.state === "running");
    rmSync(folder, { recursive: true });
    expect(await until(list, (m) => m.type === "gone")).toEqual({ type: "gone", id: run.id });
  });

  test("one without an event is running while it is new, and interrupted when it is old", async () => {
    const folder = `${studio.runs}/new`;
    writeRun(folder, { keep: 0 });
    await nextRun((r) => r.name === "new" && r.state === "running");
    utimesSync(`${folder}/events.jsonl`, 1e9, 1e9);
    utimesSync(`${folder}/run.json`, 1e9, 1e9);
    await nextRun((r) => r.name === "new" && r.state === "interrupted");
  });

  test("damaged records are left out and harm nothing", async () => {
    writeRun(`${studio.runs}/bad`);
    writeFileSync(`${studio.runs}/bad/run.json`, "{");
    const folder = `${studio.runs}/torn`;
    writeRun(folder, { keep: 4 });
    writeFileSync(`${folder}/events.jsonl`, `nonsense\n{"type":"step"}\n${"x".repeat(3 << 20)}`);
    const run = await nextRun((r) => r.name === "torn");
    expect(run.step).toBe(0);
    expect(((await (await studio.ask("/api/runs")).json()) as RunSummary[]).map((r) => r.name)).toEqual(["torn"]);
  });
});

describe("one run", () => {
  test("whole at first, then what is new, then whole again after it was written anew", async () => {
    const folder = `${studio.runs}/a`;
    const events = writeRun(folder, { keep: 5 });
    const { id } = await nextRun(() => true);
    const stream = messagesOf<RunMessage>(await studio.ask(`/api/follow?ids=${id}`));
    const whole = await until(stream, (m) => m.type === "whole");
    if (whole.type !== "whole") throw new Error("unreachable: until() has checked it");
    expect(whole.steps).toHaveLength(4);
    expect(whole.steps[0]).toHaveLength(4 + 2 * 10);
    expect(whole.facts.groups).toHaveLength(10);
    expect(whole.facts.lrBounds).toEqual([1e-6, 1e-2]);
    append(folder, events.slice(5));
    const more = await until(stream, (m) => m.type === "more" && m.steps.length > 0 && m.facts.shown !== null);
    if (more.type !== "more") throw new Error("unreachable: until() has checked it");
    expect(more.facts.shown?.evaluation.confusion).toHaveLength(3);
    expect(more.facts.epochs).toHaveLength(3);
    writeRun(folder, { keep: 3, seed: 5 });
    const again = await until(stream, (m) => m.type === "whole" && m.steps.length === 2);
    expect(again.type).toBe("whole");
    rmSync(folder, { recursive: true });
    await until(stream, (m) => m.type === "gone");
  });

  test("10,000 steps are sent as at most 2048 points", async () => {
    writeRun(`${studio.runs}/long`, { epochs: 4, stepsPerEpoch: 2500 });
    const { id, step } = await nextRun(() => true);
    expect(step).toBe(10_000);
    const stream = messagesOf<RunMessage>(await studio.ask(`/api/follow?ids=${id}`));
    const whole = await until(stream, (m) => m.type === "whole");
    if (whole.type !== "whole") throw new Error("unreachable: until() has checked it");
    expect(whole.steps.length).toBeGreaterThan(1000);
    expect(whole.steps.length).toBeLessThanOrEqual(2048);
  });

  test("several come in one stream, each with its id; of an unknown one it says that it is gone", async () => {
    writeRun(`${studio.runs}/a`);
    writeRun(`${studio.runs}/b`, { constant: true });
    const ids = [await nextRun((r) => r.name === "a"), await nextRun((r) => r.name === "b")].map((r) => r.id);
    const stream = messagesOf<RunMessage>(await studio.ask(`/api/follow?ids=nothing,${ids.join(",")}`));
    const first = [(await stream.next()).value, (await stream.next()).value, (await stream.next()).value];
    expect(first.map((m) => [m?.type, m?.id]).sort()).toEqual(
      [["gone", "nothing"], ...ids.map((id) => ["whole", id])].sort(),
    );
  });

  test("runs side by side are one page", async () => {
    writeRun(`${studio.runs}/a`);
    writeRun(`${studio.runs}/b`, { constant: true });
    const ids = [await nextRun((r) => r.name === "a"), await nextRun((r) => r.name === "b")].map((r) => r.id);
    const answer = await studio.ask(`/api/compare?ids=${ids.join(",")}`);
    expect(answer.headers.get("content-security-policy")).toContain("sandbox");
    expect(await answer.text()).toContain("2 runs");
  });
});

describe("new runs", () => {
  const post = (path: string, values?: Record<string, string>) =>
    studio.ask(path, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify({ values: values ?? {} }),
    });

  test("the form has the options of the command line with their words", async () => {
    const fields = (await (await studio.ask("/api/form")).json()) as TrainField[];
    expect(fields.find((f) => f.key === "valInterval")).toEqual({
      key: "valInterval",
      flag: "--val-interval",
      help: "epochs between evaluations",
      default: "1",
      heading: "Training",
      kind: "number",
      choices: [],
      method: null,
    });
    expect(fields.find((f) => f.key === "l2sp.alpha")).toMatchObject({ method: "l2sp", default: "0.1" });
    expect(fields.find((f) => f.key === "method")?.choices.slice(0, 2)).toEqual(["metalr", "finetune"]);
    expect(fields.map((f) => f.key)).not.toContain("out");
  });

  test("checks are those of the command line", async () => {
    const check = async (values: Record<string, string>) =>
      (await (await post("/api/check", values)).json()) as FormCheck;
    expect(await check({ lr: "0.1", method: "metalr" })).toEqual({
      errors: {},
      command: "metalr train --method=metalr --lr=0.1",
    });
    expect((await check({ lr: "-1" })).errors).toEqual({ lr: "must be a number > 0, got -1" });
    expect((await check({ data: "nothing.npz" })).errors).toEqual({ data: "does not exist" });
    expect((await check({ method: "finetune", hyperLr: "1" })).errors).toEqual({
      hyperLr: "has no meaning with --method finetune – leave one of them out",
    });
    expect((await check({ "metalr.direction": "optimizer", "l2sp.alpha": "x" })).command).toBe(
      "metalr train --method=metalr:direction=optimizer",
    );
    expect((await check({ method: "l2sp", "l2sp.alpha": "-1" })).errors).toEqual({
      "l2sp.alpha": "is not a number ≥ 0",
    });
    expect((await check({ "metalr.metaEvery": "2:lr=5" })).errors).toHaveProperty(["metalr.metaEvery"]);
    const refused = await post("/api/start", { lr: "x" });
    expect(refused.status).toBe(422);
    expect(((await refused.json()) as { problem: string }).problem).toBe("must be a number > 0, got x");
  });

  test("started, stopped and resumed; a second one waits for the first", async () => {
    expect((await post("/api/start", { name: "mine" })).status).toBe(200);
    expect((await post("/api/start", { name: "second" })).status).toBe(200);
    const run = await nextRun((r) => r.state === "running" && r.ours && r.step > 2);
    expect(run.name).toMatch(/^\d{4}-\d\d-\d\d-\d{6}-mine$/);
    expect((await post(`/api/runs/${run.id}/resume`)).status).toBe(409);
    expect((await post(`/api/runs/${run.id}/stop`)).status).toBe(200);
    const stopped = await nextRun((r) => r.id === run.id && r.state === "stopped");
    expect(stopped.step).toBeLessThan(800);
    const second = await nextRun((r) => r.name.endsWith("second") && r.step > 1);
    await post(`/api/runs/${second.id}/stop`);
    await nextRun((r) => r.id === second.id && r.state === "stopped");
    expect((await post(`/api/runs/${run.id}/stop`)).status).toBe(409);
    expect((await post(`/api/runs/${run.id}/resume`)).status).toBe(200);
    await nextRun((r) => r.id === run.id && r.state === "running" && r.step > stopped.step);
  });

  test("what fails says why", async () => {
    await post("/api/start", { seed: "13" });
    const message = await until(list, (m) => m.type === "jobs" && m.jobs.some((job) => job.state === "failed"));
    if (message.type !== "jobs") throw new Error("unreachable: until() has checked it");
    expect(message.jobs[0]?.output).toBe("images: have no labels\n");
  });
});
