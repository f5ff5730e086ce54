/** @file The options that a run was started with, from its run.json. */
import { FileError } from "../../common/errors.js";
import type { FileSystem } from "../../platform/types.js";
import { join } from "../../records/files.js";
import { foldFolders, kindOfFolder, readRunInfo } from "../../records/read.js";
import type { RunInfo } from "../../records/schema.js";
import { parseOptions } from "../program.js";
import { type TrainFlags, trainFlags } from "./flags.js";
import { findReleasedData } from "./released.js";

/** The words of the command line behind "train"; null where the run was started by another program. */
function storedArguments({ options }: RunInfo): readonly string[] | null {
  const words = options["arguments"];
  return Array.isArray(words) && words.every((w): w is string => typeof w === "string") ? words : null;
}

/** The options of the start; null where the run was started by another program. @throws {UsageError} not understood (any more) */
export function storedOptions(info: RunInfo): TrainFlags | null {
  const words = storedArguments(info);
  return words === null ? null : parseOptions("train", trainFlags, words);
}

/** Where the data lay that a run was trained on, as its command line named them; null where that is not known. */
export async function dataPathOf(files: FileSystem, info: RunInfo): Promise<string | null> {
  const { dataPath } = info.options;
  if (typeof dataPath === "string") return dataPath;
  const options = storedOptions(info);
  return options && (options.data ?? (await findReleasedData(files)));
}

/** The command line of a run that is to go on. @throws {FileError} not a run of this command, or one of several folds */
export async function argumentsToResume(files: FileSystem, folder: string): Promise<readonly string[]> {
  const kind = await kindOfFolder(files, folder);
  const [fold] = kind === "folds" ? await foldFolders(files, folder) : [];
  const info = await readRunInfo(files, fold === undefined ? folder : join(folder, fold));
  if (kind === "run" && /^fold-\d+$/.test(info.name)) {
    throw new FileError(folder, {
      problem: "is one fold of a cross-validation",
      hint: `continue all of it: metalr train --resume ${folder.replace(/\/?fold-\d+\/*$/, "") || ".."}`,
    });
  }
  const words = storedArguments(info);
  if (words !== null) return words;
  throw new FileError(folder, {
    problem: "is a run that was not started by metalr train, so its options are not known",
    hint: "continue it with the program that started it",
  });
}
