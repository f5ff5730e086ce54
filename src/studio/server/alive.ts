/** @file Whether the process that records a run is still there. */
import { readFile, stat } from "node:fs/promises";
import { hostname } from "node:os";
import { join } from "node:path";
import { z } from "zod";
import { runFiles } from "../../records/files.js";

const writerSchema = z.object({ pid: z.int().positive(), host: z.string().max(1000) });

/** A step may take long, and an evaluation longer: silence of this many milliseconds is still life. */
const QUIET = 20_000;

/**
 * By the process that the run folder names; where it names none, or one of another machine, by how long ago something was
 * written.
 *
 * @param changedAt when events.jsonl was written last, in ms since 1970
 * @param stepMs time of a step
 */
export async function isAlive(folder: string, changedAt: number, stepMs: number): Promise<boolean> {
  const path = join(folder, runFiles.writer);
  const writer = await readWriter(path);
  if (writer !== null && writer.host === hostname()) {
    return exists(writer.pid) && !(await isYounger(writer.pid, (await stat(path).catch(() => null))?.mtimeMs ?? 0));
  }
  return Date.now() - changedAt < Math.max(QUIET, 6 * stepMs);
}

/** Whether the process that a file of this machine names as its writer is there, and is another one than `own`. */
export async function isOfAnother(
  path: string,
  own: { readonly pid: number; readonly host: string },
): Promise<boolean> {
  const writer = await readWriter(path);
  if (writer === null || writer.host !== own.host || writer.pid === own.pid) return false;
  return exists(writer.pid) && !(await isYounger(writer.pid, (await stat(path).catch(() => null))?.mtimeMs ?? 0));
}

async function readWriter(path: string): Promise<{ readonly pid: number; readonly host: string } | null> {
  try {
    const parsed = writerSchema.safeParse(JSON.parse((await readFile(path, "utf8")).slice(0, 1 << 20)));
    return parsed.success ? parsed.data : null;
  } catch {
    return null; // not there, or just being replaced
  }
}

/** Whether there is such a process, whoever owns it. */
export function exists(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return error instanceof Error && "code" in error && error.code === "EPERM";
  }
}

let bootedAt: number | null = null;

/**
 * Whether a process began after that time, so that it cannot be the one that wrote the file, only one that got its number;
 * or has ended and waits for its parent. Known on Linux only; false elsewhere.
 */
async function isYounger(pid: number, time: number): Promise<boolean> {
  try {
    const line = await readFile(`/proc/${pid}/stat`, "utf8");
    const fields = line.slice(line.lastIndexOf(")") + 2).split(" "); // proc(5): the third field is the first one here
    if (fields[0] === "Z" || fields[0] === "X") return true;
    bootedAt ??= 1000 * Number(/^btime (\d+)$/m.exec(await readFile("/proc/stat", "utf8"))?.[1]);
    const began = bootedAt + 10 * Number(fields[19]); // starttime, in hundredths of a second
    return began > time + 2000;
  } catch {
    return false;
  }
}
