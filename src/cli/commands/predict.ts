/** @file `metalr predict`: class probabilities of images, as CSV. */

import { FileError, UsageError } from "../../common/errors.js";
import { type NiftiImage, niftiEnding, openNiftiImage } from "../../data/nifti/pairs.js";
import { holdsDicom, openDataset } from "../../data/open.js";
import { join, picturesIn, visible } from "../../data/walk.js";
import type { RunInfo } from "../../records/schema.js";
import { segmentImages } from "../../records/segment-run.js";
import type { ImageSource, OpenedRun, Predictions } from "../../records/train-options.js";
import { imagesFromFiles, openRun, predictRun } from "../../records/use-run.js";
import { type Context, defineCommand, many, one } from "../command.js";
import { csvLine } from "../csv.js";
import { path, section } from "../options.js";
import { sharedFlags, singleRun } from "../runs.js";
import { executorOf, type SpeedChoice, speedFlags } from "../speed.js";
import { storedOptions } from "../train/stored.js";

export const predict = defineCommand({
  name: "predict",
  summary: "Class probabilities of images as CSV",
  description:
    "Predicts images with the network of a run and writes a CSV with one row an image: its name, the most probable class, and the\n" +
    "probability of every class. Images are files, folders of files, DICOM files, or one data set (.npz, pickle, CSV); labels are\n" +
    "not needed for files and folders. A run of a segmentation takes NIfTI volumes and writes label volumes with their geometry into --out.",
  args: {
    run: one("run folder"),
    images: many("image files, folders of images, or one data set"),
  },
  options: {
    ...section("Output", {
      out: path({
        flags: "-o, --out <path>",
        help: "where the CSV goes; of a segmentation the folder for its label volumes",
        default: "standard output",
      }),
    }),
    ...section("Network", { weights: sharedFlags.weights }),
    ...section("Speed", {
      batchSize: sharedFlags.batchSize,
      workers: sharedFlags.workers,
      ...speedFlags,
    }),
  },
  examples: [
    ["metalr predict runs/lung/fold-1 scan1.png scan2.png", "prints the probabilities"],
    ["metalr predict runs/lung/fold-1 new-patients/ -o out.csv", "all images of a folder"],
    ["metalr predict runs/brain volumes/ -o masks/", "a segmentation: volumes/a.nii.gz → masks/a.nii.gz"],
  ],
  async run(context, { args, options }) {
    const { platform, print, say } = context;
    const folder = await singleRun(context, args.run);
    const opened = await openRun(folder, { platform, weights: options.weights ?? "selected" });
    if (opened.model.task === "segmentation") return segment(context, opened, args.images, options);
    const images = await openImages(context, args.images, opened.info);
    const executor = await executorOf(context, options);
    const predictions = await predictRun(folder, images, {
      platform,
      executor,
      weights: options.weights ?? "selected",
      workers: options.workers ?? 0,
      ...(options.batchSize !== undefined && { batchSize: options.batchSize }),
    });
    const csv = predictionsCsv(predictions);
    if (options.out === undefined) {
      print(csv.trimEnd());
      return undefined;
    }
    await platform.files.writeAtomic(options.out, csv);
    say(`${predictions.names.length} images predicted: ${options.out}`);
    return undefined;
  },
});

/** Label volumes into a folder, and what is in them as CSV. */
async function segment(
  context: Context,
  run: OpenedRun,
  paths: readonly string[],
  options: SpeedChoice & { readonly out: string | undefined; readonly batchSize: number | undefined },
): Promise<undefined> {
  const { platform, print, say } = context;
  const { out } = options;
  if (out === undefined || /\.csv$/i.test(out)) {
    throw new UsageError("--out", {
      problem: "has to name a folder: the run is a segmentation, and its label volumes go there",
    });
  }
  const images = await openVolumes(context, paths);
  const executor = await executorOf(context, options);
  await platform.files.makeFolder(out);
  const foreground = run.classes.slice(1);
  print(csvLine(["volume", ...foreground.map((c) => `${c} (voxels)`), ...foreground.map((c) => `${c} (ml)`)]));
  const use = { platform, executor, ...(options.batchSize !== undefined && { batchSize: options.batchSize }) };
  for await (const { name, voxels, millilitres, nifti } of segmentImages(run, images, use)) {
    await platform.files.writeAtomic(join(out, `${name}.nii.gz`), nifti);
    print(csvLine([name, ...voxels.slice(1).map(String), ...millilitres.slice(1).map((ml) => ml.toFixed(4))]));
  }
  say(`${images.length} label volumes in ${out}`);
  return undefined;
}

/** The NIfTI volumes of files and folders. @throws {FileError | UsageError} none, or two of one name */
async function openVolumes({ platform }: Context, paths: readonly string[]): Promise<NiftiImage[]> {
  const files: string[] = [];
  for (const path of paths) {
    if ((await platform.files.kind(path)) !== "folder") {
      files.push(path);
      continue;
    }
    for (const { name, kind } of await visible(platform.files, path)) {
      if (kind === "file" && niftiEnding.test(name)) files.push(join(path, name));
    }
  }
  if (files.length === 0) {
    throw new FileError(paths.join(", "), { problem: "has no volumes in it", expected: ".nii or .nii.gz files" });
  }
  const images: NiftiImage[] = [];
  for (const file of files) {
    const image = await openNiftiImage(file, platform);
    if (images.some((other) => other.name === image.name)) {
      throw new UsageError(image.name, { problem: "is the name of two volumes, and both would go to one file" });
    }
    images.push(image);
  }
  return images;
}

const dataEndings = /\.(npz|npy|pkl|pickle|p|zip|csv|tsv)(\.\d{3,})?$/i;

async function openImages({ platform }: Context, paths: readonly string[], info: RunInfo): Promise<ImageSource> {
  const [first = ""] = paths;
  if (paths.length === 1 && (await holdsDicom(first, platform))) {
    const { openDicomDataset } = await import("../../data/dicom/open.js"); // only where it is needed
    const window = storedOptions(info)?.window; // grey values become what they were in training
    return openDicomDataset(first, platform, { unlabelled: true, ...(window !== undefined && { image: { window } }) });
  }
  const data = paths.find((p) => dataEndings.test(p));
  if (data !== undefined) {
    if (paths.length === 1) return openDataset(data, { platform });
    throw new UsageError(data, {
      problem: "is a data set and has to stand alone",
      got: `${paths.length} paths`,
      hint: "predict it in a run of its own",
    });
  }
  const files: string[] = [];
  for (const path of paths) {
    if ((await platform.files.kind(path)) !== "folder") {
      files.push(path);
      continue;
    }
    const { pictures } = await picturesIn(platform.files, path);
    if (pictures.length === 0) {
      throw new FileError(path, {
        problem: "has no images in it",
        expected: "PNG, JPEG, WebP, TIFF, BMP or GIF files",
      });
    }
    for (const picture of pictures) files.push(picture);
  }
  return imagesFromFiles(files, platform);
}

/** Header and one line an image; probabilities with six decimals. */
function predictionsCsv({ classes, names, predicted, probabilities }: Predictions): string {
  const k = classes.length;
  const lines = [csvLine(["image", "predicted", ...classes])];
  for (const [i, name] of names.entries()) {
    const row = Array.from(probabilities.subarray(i * k, (i + 1) * k), (p) => p.toFixed(6));
    lines.push(csvLine([name, classes[predicted[i] ?? 0] ?? "", ...row]));
  }
  return `${lines.join("\n")}\n`;
}
