/** @file Reads a run folder; damaged lines are reported and never fatal. */
import { FileError } from "../common/errors.js";
import type { FileSystem } from "../platform/types.js";
import type { TrainingEvent } from "../training/types.js";
import { type DamagedLine, readEvents } from "./event-log.js";
import { join, runFiles, summaryFile } from "./files.js";
import { RunBuilder, type RunRecord } from "./run-record.js";
import { type CrossValidationSummary, parseRunInfo, parseSummary, type RunInfo } from "./schema.js";

export interface ReadRun {
  readonly folder: string;
  readonly record: RunRecord;
  /** Every event in order; empty unless asked for. */
  readonly events: readonly TrainingEvent[];
  readonly damaged: readonly DamagedLine[];
  /** The last line is cut off: its writer was killed, or is writing it now. */
  readonly torn: boolean;
}

/** Whether a folder is a run, the folder of a cross-validation, or neither. */
export async function kindOfFolder(files: FileSystem, folder: string): Promise<"run" | "folds" | "none"> {
  if ((await files.kind(join(folder, runFiles.info))) === "file") return "run";
  if ((await files.kind(folder)) !== "folder") return "none";
  return (await foldFolders(files, folder)).length > 0 ? "folds" : "none";
}

/** Names of the run folders "fold-1", "fold-2", … inside a folder, in order of their numbers. */
export async function foldFolders(files: FileSystem, folder: string): Promise<string[]> {
  const names: string[] = [];
  for (const { name, kind } of await files.list(folder)) {
    if (kind !== "folder" || !/^fold-\d+$/.test(name)) continue;
    if ((await files.kind(join(folder, `${name}/${runFiles.info}`))) === "file") names.push(name);
  }
  return names.sort((a, b) => Number(a.slice(5)) - Number(b.slice(5)));
}

/** The content of run.json. @throws {FileError} not a run folder, damaged */
export async function readRunInfo(files: FileSystem, folder: string): Promise<RunInfo> {
  const path = join(folder, runFiles.info);
  if ((await files.kind(path)) !== "file") {
    throw new FileError(folder, {
      problem: "is not a run folder",
      expected: `a folder with ${runFiles.info} in it`,
      hint: "name the folder that `metalr train` wrote (--out), or one of its folds",
    });
  }
  return parseRunInfo(await files.readText(path), path);
}

/**
 * Everything that a run folder says.
 *
 * @param options.events also keep every event, exactly; the record alone is of bounded size
 * @throws {FileError} not a run folder, a damaged run.json
 */
export async function readRun(
  files: FileSystem,
  folder: string,
  options: { readonly events?: boolean } = {},
): Promise<ReadRun> {
  const builder = new RunBuilder(await readRunInfo(files, folder));
  const events: TrainingEvent[] = [];
  const damaged: DamagedLine[] = [];
  let torn = false;
  const lines = readEvents(files, join(folder, runFiles.events), (damage) => {
    if (damage.torn) torn = true;
    else damaged.push({ line: damage.line, problem: damage.problem });
  });
  for await (const { event } of lines) {
    builder.add(event);
    if (options.events) events.push(event);
  }
  return { folder, record: builder.record(), events, damaged, torn };
}

/** The content of summary.json. @throws {FileError} missing, damaged */
export async function readSummary(files: FileSystem, folder: string): Promise<CrossValidationSummary> {
  const path = join(folder, summaryFile);
  return parseSummary(await files.readText(path), path);
}
