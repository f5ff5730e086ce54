/** @file Tests of events.jsonl: lines, damage, and cutting it back. */
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { nodePlatform } from "../platform/node/index.js";
import type { FileSystem } from "../platform/types.js";
import type { TrainingEvent } from "../training/types.js";
import { cutEventLog, type DamagedLine, readEvents } from "./event-log.js";
import { formatEvent, parseEvent, parseRunInfo } from "./schema.js";
import { syntheticConfig, syntheticEvents } from "./synthetic.testing.js";

const { files } = nodePlatform;
let folder = "";
let path = "";
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "metalr-events-"));
  path = join(folder, "events.jsonl");
});
afterEach(() => rm(folder, { recursive: true, force: true }));

const events = syntheticEvents({ epochs: 2, stepsPerEpoch: 3 });
const log = events.map(formatEvent).join("");
const step = { type: "step", step: 1, epoch: 1, trainLoss: 1, trainAccuracy: 0, lr: [1e-3] } as const;
const time = { elapsedMs: 1, stepMs: 1, waitMs: 0, images: 4 };

/** The whole log at once. */
async function readEventLog(files: FileSystem, path: string) {
  const events: TrainingEvent[] = [];
  const damaged: DamagedLine[] = [];
  let torn = false;
  const lines = readEvents(files, path, (damage) => {
    if (damage.torn) torn = true;
    else damaged.push({ line: damage.line, problem: damage.problem });
  });
  for await (const { event } of lines) events.push(event);
  return { events, damaged, torn };
}

describe("lines", () => {
  test("every event survives its line, to the last bit", () => {
    for (const event of events) expect(parseEvent(formatEvent(event))).toEqual({ event });
  });

  test("NaN and infinity are written as null and read as NaN", () => {
    const line = formatEvent({ ...step, ...time, trainLoss: Number.NaN, lr: [Number.POSITIVE_INFINITY, 1e-3] });
    expect(line).toContain('"trainLoss":null');
    expect(parseEvent(line)).toMatchObject({ event: { trainLoss: Number.NaN, lr: [Number.NaN, 1e-3] } });
  });

  test.each([
    ["{", "not JSON"],
    ["3", "Invalid input: expected object, received number"],
    ['{"type":"step","step":-1}', "step: Too small: expected number to be >=0"],
    [
      '{"type":"checkpoint","epoch":1,"step":1,"file":"a","best":1}',
      "best: Invalid input: expected boolean, received number",
    ],
  ])("%s is damage: %s", (line, damage) => {
    expect(parseEvent(line)).toEqual({ damage });
  });
});

describe("reading", () => {
  test("a missing file and an empty one have no events", async () => {
    const nothing = { events: [], damaged: [], torn: false };
    expect(await readEventLog(files, path)).toEqual(nothing);
    await writeFile(path, "");
    expect(await readEventLog(files, path)).toEqual(nothing);
  });

  test("a damaged line is named, the others are read", async () => {
    await writeFile(
      path,
      `${formatEvent({ type: "warning", message: "a" })}\u0000\n\n${formatEvent({ type: "warning", message: "b" })}`,
    );
    const read = await readEventLog(files, path);
    expect(read.events).toEqual([
      { type: "warning", message: "a" },
      { type: "warning", message: "b" },
    ]);
    expect(read.damaged).toEqual([{ line: 2, problem: "not JSON" }]);
  });

  test("a log cut at any byte gives the whole lines before the cut and says that it is torn", async () => {
    const bytes = new TextEncoder().encode(log);
    const ends = [...bytes.keys()].filter((i) => bytes[i] === 10);
    await fc.assert(
      fc.asyncProperty(fc.integer({ min: 1, max: bytes.length }), async (cut) => {
        await writeFile(path, bytes.subarray(0, cut));
        const read = await readEventLog(files, path);
        // Without its line break a line may still be whole.
        const whole = ends.filter((end) => end <= cut).length;
        expect(read.events).toEqual(events.slice(0, whole));
        expect(read.torn).toBe(!ends.includes(cut) && !ends.includes(cut - 1));
        expect(read.damaged).toEqual([]);
      }),
      { numRuns: 60 },
    );
  });

  test("bytes of any kind are damage, never an error", async () => {
    await fc.assert(
      fc.asyncProperty(fc.uint8Array({ minLength: 1, maxLength: 400 }), async (bytes) => {
        await writeFile(path, bytes);
        expect((await readEventLog(files, path)).events).toEqual([]);
      }),
      { numRuns: 60 },
    );
  });

  test("lines longer than a megabyte are damage; the chunks of reading do not show", async () => {
    const warning = formatEvent({ type: "warning", message: "ü".repeat(300_000) });
    await writeFile(path, `${warning}${"x".repeat(2_500_000)}\n${warning}${warning}`);
    const read = await readEventLog(files, path);
    expect(read.events.map((e) => formatEvent(e) === warning)).toEqual([true, true, true]);
    expect(read.damaged).toEqual([{ line: 2, problem: "longer than 1048576 bytes" }]);
  });
});

describe("cutEventLog", () => {
  test("keeps everything up to the step of the checkpoint, byte for byte", async () => {
    await writeFile(path, log);
    const kept = await cutEventLog(files, path, 3);
    expect(kept).toEqual(events.slice(0, 6)); // start, three steps, epoch, checkpoint
    expect(await readFile(path, "utf8")).toBe(events.slice(0, 6).map(formatEvent).join(""));
  });

  test("a step in the middle of an epoch leaves no epoch event behind", async () => {
    await writeFile(path, log);
    const kept = await cutEventLog(files, path, 5);
    expect(kept.filter((e) => e.type === "step").length).toBe(5);
    expect(kept.filter((e) => e.type === "epoch").length).toBe(1);
  });

  test("the end of a stopped run goes, so that the run can end again", async () => {
    await writeFile(path, log);
    const kept = await cutEventLog(files, path, 6);
    expect(kept).toEqual(events.slice(0, -1));
  });

  test("without a checkpoint nothing stays", async () => {
    await writeFile(path, log);
    expect(await cutEventLog(files, path, 0)).toEqual([]);
    expect(await readFile(path, "utf8")).toBe("");
  });

  test("torn and damaged lines go; a last line without its break gets it back", async () => {
    const head = events.slice(0, 4).map(formatEvent).join("");
    await writeFile(path, `${head}garbage\n{"type":"st`);
    expect(await cutEventLog(files, path, 3)).toEqual(events.slice(0, 4));
    expect(await readFile(path, "utf8")).toBe(head);
    await writeFile(path, head.slice(0, -1));
    await cutEventLog(files, path, 3);
    expect(await readFile(path, "utf8")).toBe(head);
  });
});

describe("run.json", () => {
  test("that is no JSON, or another file, is refused by name", () => {
    expect(() => parseRunInfo("{", "r/run.json")).toThrow(
      "r/run.json: is damaged: not JSON\n  expected a run record\n  got      1 characters",
    );
    expect(() => parseRunInfo('{"format":"metalr-run","version":2}', "r/run.json")).toThrow(
      "r/run.json: is not a run record of this version\n  got      version: Invalid input: expected 1",
    );
  });

  test("survives its file", () => {
    const info = {
      format: "metalr-run",
      version: 1,
      created: "2022-06-03T10:00:00.000Z",
      ...syntheticConfig(),
    } as const;
    expect(parseRunInfo(JSON.stringify(info), "run.json")).toEqual(info);
  });
});
