import { spawn } from "node:child_process";
import { mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { Random } from "../common/random.js";
import { content } from "./content.testing.js";

const script = fileURLToPath(new URL("./trainRun.child.testing.ts", import.meta.url));
const home = mkdtempSync(join(tmpdir(), "metalr-resume-"));
afterAll(() => rmSync(home, { recursive: true, force: true }));

interface Life {
  /** Kill with SIGKILL so many milliseconds … */
  readonly delayMs: number;
  /** … after this many events; never for null. */
  readonly events: number | null;
  readonly workers?: number;
}

/** One process that trains on in `folder`. @returns whether it got to its end, and what it said on stderr */
function live(folder: string, { events, delayMs, workers = 0 }: Life): Promise<{ ended: boolean; errors: string }> {
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, ["--import", "tsx", script, folder, String(workers)], {
      stdio: ["ignore", "pipe", "pipe"],
    });
    let [seen, errors, ended] = [0, "", false];
    const kill = () => {
      events = null; // once is enough
      setTimeout(() => child.kill("SIGKILL"), delayMs);
    };
    if (events === 0) kill();
    child.stdout.on("data", (data: Buffer) => {
      const lines = data.toString().split("\n").slice(0, -1);
      ended ||= lines.includes("finished");
      seen += lines.length;
      if (events !== null && seen >= events) kill();
    });
    child.stderr.on("data", (data: Buffer) => {
      errors += data.toString();
    });
    child.on("error", reject);
    child.on("close", () => resolve({ ended, errors }));
  });
}

describe("a run that was killed and continued is the same as one never killed", () => {
  const reference = join(home, "reference");
  beforeAll(async () => {
    expect(await live(reference, { events: null, delayMs: 0 })).toEqual({ ended: true, errors: "" });
  });

  /** Kills again and again at the given moments, then lets it finish. */
  async function killedAt(name: string, lives: readonly Life[]) {
    const folder = join(home, name);
    for (const life of lives) expect((await live(folder, life)).errors).toBe("");
    expect(await live(folder, { events: null, delayMs: 0 })).toEqual({ ended: true, errors: "" });
    expect(readdirSync(join(folder, "checkpoints")), "nothing half-written is left").toEqual(["last.safetensors"]);
    expect(content(folder)).toEqual(content(reference));
  }

  test("killed before the first step", () => killedAt("early", [{ events: 1, delayMs: 0 }]));
  test("killed between two checkpoints", () => killedAt("between", [{ events: 6, delayMs: 0 }]));
  test("killed as a checkpoint is written", () => killedAt("checkpoint", [{ events: 11, delayMs: 1 }]));
  test("killed at the end of an epoch, twice", () =>
    killedAt("epoch", [
      { events: 9, delayMs: 2 },
      { events: 9, delayMs: 2 },
    ]));
  test("killed in the last evaluation", () => killedAt("end", [{ events: 36, delayMs: 3 }]));
  test("killed at ten random moments, by another number of threads each time", () => {
    const random = new Random(11);
    const lives = Array.from({ length: 10 }, () => ({
      events: random.below(14),
      delayMs: random.between(0, 25),
      workers: random.below(3),
    }));
    return killedAt("random", lives);
  });
});
