/** @file Tests of `metalr compare --jobs`: real processes, killed and interrupted; what comes out is the same as from one. */
import { type ChildProcess, spawn } from "node:child_process";
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, test } from "vitest";

const bin = fileURLToPath(new URL("../bin.ts", import.meta.url));
const home = mkdtempSync(join(tmpdir(), "metalr-jobs-"));
afterAll(() => rmSync(home, { recursive: true, force: true }));

const words = (out: string, ...more: string[]) => [
  "compare",
  ..."-d fixtures/datasets/pocus_five_folds.pkl -p fixtures/golden/resnet-w8/init.pth --folds 1-3 --image-size 16 -e 1 -b 4 --checkpoint-every 1 --threads 1 --methods finetune".split(
    " ",
  ),
  "--out",
  join(home, out),
  ...more,
];

interface Ended {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly out: string;
  readonly err: string;
}

/** Runs the program. @param watch called with all output so far, and the process */
function live(argv: readonly string[], watch: (out: string, child: ChildProcess) => void = () => {}): Promise<Ended> {
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, ["--import", "tsx", bin, ...argv], { stdio: ["ignore", "pipe", "pipe"] });
    let [out, err] = ["", ""];
    child.stdout.on("data", (data: Buffer) => {
      out += data.toString();
      watch(out, child);
    });
    child.stderr.on("data", (data: Buffer) => {
      err += data.toString();
    });
    child.on("error", reject);
    child.on("close", (code, signal) => resolve({ code, signal, out, err }));
  });
}

/** Processes of the system whose parent is this one; Linux only. */
function childrenOf(pid: number | undefined): number[] {
  return readdirSync("/proc")
    .filter((name) => /^\d+$/.test(name))
    .flatMap((name) => {
      try {
        const stat = readFileSync(`/proc/${name}/stat`, "utf8");
        const parent = Number(stat.slice(stat.lastIndexOf(")") + 2).split(" ")[1]);
        // tsx keeps a helper of its own beside: ours have the command in their arguments.
        return parent === pid && readFileSync(`/proc/${name}/cmdline`, "utf8").includes("compare-cells")
          ? [Number(name)]
          : [];
      } catch {
        return []; // it ended meanwhile
      }
    });
}

const cells = [1, 2, 3].map((k) => `pocus_five_folds/finetune/seed-1/fold-${k}`);
/** What has to be equal. */
const content = (out: string) =>
  cells.map((cell) =>
    ["checkpoints/last.safetensors", "predictions/selected.safetensors", "model.onnx"].map((file) =>
      readFileSync(join(home, out, cell, file)).toString("base64"),
    ),
  );
const figures = (out: string) => {
  const all = JSON.parse(readFileSync(join(home, out, "comparison.json"), "utf8")) as {
    data: Record<string, unknown>[];
  };
  return JSON.stringify(all.data, (key, value: unknown) => (/Ms$/.test(key) ? 0 : value));
};

const linux = existsSync("/proc/self/stat");

/** True once a process is no more (or waits for its parent to notice). */
async function ends(pid: number): Promise<boolean> {
  for (let i = 0; i < 200; i++) {
    try {
      const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
      if (stat.slice(stat.lastIndexOf(")") + 2).startsWith("Z")) return true;
    } catch {
      return true;
    }
    await new Promise((done) => setTimeout(done, 50));
  }
  return false;
}

describe.skipIf(!linux)("metalr compare in several processes", () => {
  beforeAll(async () => {
    const alone = await live(words("one", "--jobs", "1"));
    expect([alone.code, alone.err]).toEqual([0, ""]);
  }, 120_000);

  test("the same bits and figures; nothing is left running", async () => {
    let children: number[] = [];
    const two = await live(words("two", "--jobs", "2"), (out, child) => {
      if (/2\/3 /.test(out) && children.length < 2) children = childrenOf(child.pid);
    });
    expect([two.code, two.err]).toEqual([0, ""]);
    expect(two.out).toContain(
      "1/3  pocus_five_folds  finetune  seed 1  fold-1\n2/3  pocus_five_folds  finetune  seed 1  fold-2\n",
    );
    expect(content("two")).toEqual(content("one"));
    expect(figures("two")).toBe(figures("one"));
    expect(children.length).toBeGreaterThan(0);
    for (const pid of children) expect(await ends(pid)).toBe(true);
  }, 120_000);

  test("killed processes, a killed comparison, Ctrl-C: the same command goes on to the same bits", async () => {
    let victim: number | undefined;
    let orphans: number[] = [];
    const killed = await live(words("three", "--jobs", "2"), (out, child) => {
      if (victim === undefined && /2\/3 /.test(out)) {
        [victim] = childrenOf(child.pid);
        if (victim !== undefined) process.kill(victim, "SIGKILL");
      }
      if (orphans.length === 0 && /a process ended by itself \(SIGKILL\)/.test(out)) {
        orphans = childrenOf(child.pid);
        child.kill("SIGKILL");
      }
    });
    expect([killed.signal, killed.err]).toEqual(["SIGKILL", ""]);
    for (const pid of orphans) expect(await ends(pid)).toBe(true);

    let asked = false;
    const stopped = await live(words("three", "--jobs", "2"), (out, child) => {
      if (asked || !/2\/3 /.test(out)) return;
      asked = true;
      setTimeout(() => child.kill("SIGINT"), 1000);
    });
    expect(stopped.out).toContain("Stopping after the step under way …");
    expect(stopped.out).toContain(`The same command with --out ${join(home, "three")} goes on from here.`);
    expect([stopped.code, stopped.err]).toEqual([130, ""]);

    const whole = await live(words("three", "--jobs", "2"));
    expect([whole.code, whole.err]).toEqual([0, ""]);
    expect(content("three")).toEqual(content("one"));
    expect(figures("three")).toBe(figures("one"));
  }, 180_000);

  test("a finished training of other images is refused", async () => {
    const run = join(home, "one", "pocus_five_folds/finetune/seed-1/fold-2/run.json");
    const before = readFileSync(run, "utf8");
    writeFileSync(run, before.replaceAll(/"(fingerprint|data)": "([0-9a-f]{64})"/g, `"$1": "${"0".repeat(64)}"`));
    const again = await live(words("one"));
    writeFileSync(run, before);
    expect(again.code).toBe(1);
    expect(again.err).toMatch(
      /finetune\/seed-1\/fold-2: is of a run with another data set\n {2}expected "0{64}"\n {2}got {6}"[0-9a-f]{64}"\n {2}hint {5}use the data and options that the comparison was started with, or another folder with --out\n$/,
    );
  }, 60_000);
});
