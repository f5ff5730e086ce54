/** @file Our side of the bench speaks its protocol: it loads, steps, reports its memory, and says what it cannot do. */
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, expect, test } from "vitest";
import { Contender } from "./protocol.js";
import { workload } from "./workloads.js";

const tiny = workload("resnet20-8-b2");
let ours: Contender;

beforeAll(() => {
  const program = fileURLToPath(new URL("./ours.ts", import.meta.url));
  ours = new Contender("ours", process.execPath, ["--import", "tsx", program]);
});
afterAll(() => ours.close());

test("a step before anything is loaded is an error in words", async () => {
  await expect(ours.step("metalr")).rejects.toThrow("ours: nothing is loaded");
});

test("an executor that there is none of is refused by name, and the process goes on", async () => {
  await expect(ours.load(tiny, { kind: "metalr", executor: "abacus" })).rejects.toThrow(
    /no such executor\n.*\n {2}got {6}abacus/,
  );
});

test("a device that there is none of, too", async () => {
  await expect(ours.load(tiny, { kind: "metalr", device: "abacus" })).rejects.toThrow(
    /--device: no such device\n {2}expected auto, cpu, .*\n {2}got {6}abacus/,
  );
});

test("every kind of step runs", async () => {
  expect(await ours.load(tiny, { kind: "metalr" })).toMatchObject({ groups: 11 });
  for (const kind of ["metalr", "trainingPass", "validationPass", "update", "finetune", "inference"] as const) {
    expect(await ours.step(kind)).toBeGreaterThan(0);
  }
  expect(await ours.peak()).toBeGreaterThan(1);
});

test("the groups can be dealt anew", async () => {
  expect(await ours.load(tiny, { kind: "metalr", groups: 1 })).toMatchObject({ groups: 1 });
  await expect(ours.load(tiny, { kind: "metalr", groups: 1000 })).rejects.toThrow(
    "--groups: more groups than parameters",
  );
});

test("micro-batches, and the data pipeline as a contender", async () => {
  expect(await ours.load(workload("resnet20-8-b4"), { kind: "metalr", microBatch: 2 })).toMatchObject({
    startMs: expect.any(Number),
  });
  expect(await ours.step("metalr")).toBeGreaterThan(0);
  const program = fileURLToPath(new URL("./pipeline.ts", import.meta.url));
  const pipeline = new Contender("pipeline", process.execPath, ["--import", "tsx", program]);
  expect(await pipeline.load(workload("resnet20-8-b128"), { kind: "pipeline" })).toMatchObject({ images: 1721 });
  expect(await pipeline.step("pipeline")).toBeGreaterThan(0);
  await pipeline.close();
});

test("a program that is not there says so", async () => {
  const nobody = new Contender("nobody", "/no/such/program", []);
  await expect(nobody.peak()).rejects.toThrow("nobody ended: spawn /no/such/program ENOENT");
  await nobody.close();
});
