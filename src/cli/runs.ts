/** @file What the commands that use runs have in common: which folders are meant, and on which data they were trained. */
import { FileError } from "../common/errors.js";
import { openDataset } from "../data/open.js";
import type { Dataset } from "../data/types.js";
import { join } from "../records/files.js";
import { foldFolders, kindOfFolder, readRunInfo } from "../records/read.js";
import type { Context } from "./command.js";
import { choice, path, whole } from "./options.js";
import { openAlike, openingOf } from "./train/plan.js";
import { findReleasedData } from "./train/released.js";
import { storedOptions } from "./train/stored.js";

/** Options that several commands share. */
export const sharedFlags = {
  weights: choice({
    flags: "--weights <which>",
    help: "weights of the selected epoch, or of the last step",
    default: "selected",
    of: ["selected", "last"],
  }),
  batchSize: whole({ flags: "-b, --batch-size <n>", help: "images at once", default: "64", min: 1, max: 100_000 }),
  workers: whole({
    flags: "-w, --workers <n>",
    help: "threads that prepare images; 0 for the main thread",
    default: "0",
    min: 0,
    max: 256,
  }),
  data: path({
    flags: "-d, --data <path>",
    help: "labelled images, as for metalr train",
    default: "those that the run was trained on",
    aliases: ["data-path"],
  }),
};

/** The run itself, or its folds. */
export async function runFolders({ platform }: Pick<Context, "platform">, folder: string): Promise<readonly string[]> {
  if ((await kindOfFolder(platform.files, folder)) !== "folds") return [folder];
  return (await foldFolders(platform.files, folder)).map((fold) => join(folder, fold));
}

/** One run. @throws {FileError} a folder with folds */
export async function singleRun({ platform }: Pick<Context, "platform">, folder: string): Promise<string> {
  if ((await kindOfFolder(platform.files, folder)) !== "folds") return folder;
  const folds = await foldFolders(platform.files, folder);
  throw new FileError(folder, {
    problem: `holds ${folds.length} runs`,
    expected: "one run",
    got: folds.join(", "),
    hint: `name one of them: ${join(folder, folds[0] ?? "fold-1")}`,
  });
}

/** The data that are named, else those that the run was trained on. @throws {FileError} they are not where they were */
export async function dataOfRun(
  context: Pick<Context, "platform">,
  folder: string,
  named: string | undefined,
): Promise<Dataset> {
  const { platform } = context;
  const info = await readRunInfo(platform.files, folder);
  const options = storedOptions(info);
  if (named !== undefined)
    return options === null ? openDataset(named, { platform }) : openAlike(named, options, platform);
  const path = options?.data ?? (options && (await findReleasedData(platform.files)));
  if (!path || (await platform.files.kind(path)) === "missing") {
    throw new FileError(path ?? info.data.name, {
      problem: path
        ? "does not exist (any more): the run was trained on it"
        : "is what the run was trained on, but where it lies is not known",
      hint: "say where the images are: -d PATH",
    });
  }
  return openDataset(path, { platform, ...(options && (await openingOf(options, platform))) });
}
