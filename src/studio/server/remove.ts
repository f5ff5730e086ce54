/** @file Deletes runs: only what a run consists of, only inside the watched folders, and through no link. */
import { lstat, readdir, realpath, rm, rmdir } from "node:fs/promises";
import { join, relative, resolve, sep } from "node:path";
import { runFiles, summaryFile } from "../../records/files.js";

const folders: ReadonlySet<string> = new Set([runFiles.checkpoints, runFiles.predictions, runFiles.tensorBoard]);
/** Records, pictures, the report, the network; and what a killed writer left of one of them. */
const ofRun = /^[\w.-]+\.(json|jsonl|svg|png|html|onnx|onnx\.data|tmp)$/;
const ofFolds: ReadonlySet<string> = new Set([summaryFile, runFiles.report]);

/** The folder as the system knows it; null where it is no folder strictly inside a root, or a link leads to it. */
async function placeInside(roots: readonly string[], folder: string): Promise<string | null> {
  const own = await lstat(folder).catch(() => null);
  if (own === null || !own.isDirectory()) return null;
  const path = await realpath(folder).catch(() => "");
  for (const root of roots) {
    const top = await realpath(root).catch(() => null);
    if (top === null) continue;
    const inside = relative(resolve(root), resolve(folder));
    if (inside === "" || inside.split(sep).includes("..")) continue;
    if (path === join(top, inside)) return path;
  }
  return null;
}

/** Whether a folder is a watched one, or lies in one, through no link. */
export const isInside = async (roots: readonly string[], folder: string): Promise<boolean> =>
  roots.some((root) => resolve(root) === folder) || (await placeInside(roots, folder)) !== null;

/**
 * Deletes a run's files, the record first, so that it is gone for everybody at once; then its folder, where nothing else is in it.
 * @returns "gone"; "rest" where files of others stay; "outside" where nothing was touched
 */
export async function removeRun(roots: readonly string[], folder: string): Promise<"gone" | "rest" | "outside"> {
  const path = await placeInside(roots, folder);
  if (path === null) return "outside";
  await rm(join(path, runFiles.info), { force: true });
  for (const entry of await readdir(path, { withFileTypes: true })) {
    const known = entry.isDirectory() ? folders.has(entry.name) : entry.isFile() && ofRun.test(entry.name);
    if (known) await rm(join(path, entry.name), { recursive: true, force: true });
  }
  return (await rmdir(path).then(
    () => true,
    () => false,
  ))
    ? "gone"
    : "rest";
}

/** The folds that are named, then what stands over them. @returns as `removeRun` */
export async function removeFolds(
  roots: readonly string[],
  parent: string,
  folds: readonly string[],
): Promise<"gone" | "rest" | "outside"> {
  let result: "gone" | "rest" | "outside" = "gone";
  for (const fold of folds) {
    const removed = await removeRun(roots, fold);
    if (removed === "outside") return "outside";
    if (removed === "rest") result = "rest";
  }
  const path = await placeInside(roots, parent);
  if (path === null) return result; // the watched folder itself stays
  for (const name of ofFolds) await rm(join(path, name), { force: true });
  const empty = await rmdir(path).then(
    () => true,
    () => false,
  );
  return empty ? result : "rest";
}
