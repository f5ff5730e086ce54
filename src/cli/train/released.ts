/** @file Where the published program looks for its data and weights, also as the split zips that its repository ships. */
import { FileError } from "../../common/errors.js";
import type { FileSystem } from "../../platform/types.js";

const releasedData = "data/pocus_data_all.pkl";
const releasedWeights = "pretrained/best_model.pth";

/** The file itself, else its name with .zip, or the first of the parts of such a zip; null where there is none. */
async function find(files: FileSystem, path: string): Promise<string | null> {
  if ((await files.kind(path)) === "file") return path;
  const slash = path.lastIndexOf("/");
  const [folder, name] = [path.slice(0, slash), path.slice(slash + 1)];
  if ((await files.kind(folder)) !== "folder") return null;
  const stem = name.replace(/\.[^.]+$/, "");
  const present = new Set((await files.list(folder)).filter((e) => e.kind === "file").map((e) => e.name));
  const candidates = [stem, name].flatMap((s) => [`${s}.zip`, `${s}.zip.001`, `${s}.zip.000`]);
  const found = candidates.find((c) => present.has(c)) ?? (present.has(`${name}.001`) ? `${name}.001` : undefined);
  return found === undefined ? null : `${folder}/${found}`;
}

export const findReleasedData = (files: FileSystem): Promise<string | null> => find(files, releasedData);
export const findReleasedWeights = (files: FileSystem): Promise<string | null> => find(files, releasedWeights);

const repository = "the repository of the paper (arXiv:2206.01408)";

export const noData = (): FileError =>
  new FileError(releasedData, {
    problem: "does not exist, and -d names no other data",
    expected: `data/pocus_data_all.pkl, .zip or .zip.001, as ${repository} has it`,
    hint: "get the data from there, or give your own with -d PATH, or run metalr demo, which needs none",
  });

export const noWeights = (): FileError =>
  new FileError(releasedWeights, {
    problem: "does not exist, and -p names no other weights",
    expected: `pretrained/best_model.pth, .zip or .zip.001, as ${repository} has it`,
    hint: "get the weights from there, or give your own with -p PATH, or start from random ones with -p none, or run metalr demo",
  });
