/** @file Tells by the content what a path is, and describes it. */
import { FileError, MetalrError } from "../../common/errors.js";
import { openDataset } from "../../data/open.js";
import { looksLikeSafetensors } from "../../formats/safetensors.js";
import { describeContent } from "../../formats/sniff.js";
import { openFile } from "../../formats/zip.js";
import { readOnnx } from "../../models/open-onnx.js";
import { foldFolders, kindOfFolder } from "../../records/read.js";
import { openWeights } from "../../weights/index.js";
import type { Context } from "../command.js";
import { describeData } from "./data.js";
import { describeModelFile } from "./onnx.js";
import { describeFolds, describeRun } from "./run.js";
import type { Inspected } from "./types.js";
import { describeWeightsFile } from "./weights.js";

/** @throws {FileError | DataError} missing, damaged, or of a kind that is not read here */
export async function inspectPath(
  path: string,
  context: Pick<Context, "platform" | "style">,
  groups: boolean,
): Promise<Inspected> {
  const { platform, style } = context;
  const { files } = platform;
  // The files inside a run folder stand for the folder.
  const folder = /(?:^|\/)(?:run\.json|events\.jsonl|summary\.json)$/.test(path)
    ? path.slice(0, path.lastIndexOf("/")) || "."
    : path;
  const kind = await kindOfFolder(files, folder);
  if (kind === "run") return describeRun(files, folder, groups, style);
  if (kind === "folds") return describeFolds(files, folder, await foldFolders(files, folder), style);
  if ((await files.kind(path)) === "folder") return data(path, context);

  const source = await openFile(path, files);
  try {
    const head = await source.read(0, Math.min(source.size, 512));
    if (looksLikeSafetensors(head, source.size)) return await weights(path, context, groups);
    const content = describeContent(head);
    if (content.includes("ONNX")) {
      return describeModelFile(path, await readOnnx(path, platform), groups);
    }
    if (/ image$/.test(content)) {
      const { width, height, channels } = await platform.images.decode(await source.read(0, source.size), path);
      return {
        facts: { kind: "image", content, width, height, channels },
        text: `${path}: ${content}, ${width}×${height}, ${channels === 1 ? "grey" : "colour"}`,
      };
    }
    return await dataOrWeights(path, context, groups, content);
  } finally {
    await source.close();
  }
}

async function data(path: string, { platform, style }: Pick<Context, "platform" | "style">): Promise<Inspected> {
  const dataset = await openDataset(path, { platform });
  try {
    return describeData(path, dataset, style);
  } finally {
    await dataset.close();
  }
}

const weights = async (
  path: string,
  { platform, style }: Pick<Context, "platform" | "style">,
  groups: boolean,
): Promise<Inspected> => describeWeightsFile(path, await openWeights(path, platform), groups, style);

const weightsName = /\.(pth|pt|th|ckpt|bin|tar)(\.zip)?(\.\d{3,})?$/i;

/** Zips and pickles may be either: what opens, is it. Where neither does, the name says which error helps. */
async function dataOrWeights(
  path: string,
  context: Pick<Context, "platform" | "style">,
  groups: boolean,
  content: string,
): Promise<Inspected> {
  const errors: MetalrError[] = [];
  for (const attempt of [() => data(path, context), () => weights(path, context, groups)]) {
    try {
      return await attempt();
    } catch (error) {
      if (!(error instanceof MetalrError) || error.code === "internal") throw error;
      errors.push(error);
    }
  }
  const [asData, asWeights] = errors;
  if (/zip|pickle/.test(content)) throw weightsName.test(path) ? asWeights : asData;
  throw new FileError(path, {
    problem: "is nothing that is read here",
    expected:
      "a data set (pickle, npz, zip, folder, CSV), weights (.pth, .safetensors), an ONNX model, an image, or a run folder",
    got: content,
  });
}
