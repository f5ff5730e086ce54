/** @file `metalr predict`: class probabilities of images, as CSV. */

import { FileError, UsageError } from "../../common/errors.js";
import { openDataset } from "../../data/open.js";
import { picturesIn } from "../../data/walk.js";
import type { ImageSource, Predictions } from "../../records/train-options.js";
import { imagesFromFiles, predictRun } from "../../records/use-run.js";
import { type Context, defineCommand, many, one } from "../command.js";
import { csvLine } from "../csv.js";
import { path, section } from "../options.js";
import { sharedFlags, singleRun } from "../runs.js";
import { executorOf, speedFlags } from "../speed.js";

export const predict = defineCommand({
  name: "predict",
  summary: "Class probabilities of images as CSV",
  description:
    "Predicts images with the network of a run and writes a CSV with one row an image: its name, the most probable class, and the\n" +
    "probability of every class. Images are files, folders of files, or one data set (.npz, pickle, CSV); labels are not needed\n" +
    "for files and folders.",
  args: {
    run: one("run folder"),
    images: many("image files, folders of images, or one data set"),
  },
  options: {
    ...section("Output", {
      out: path({ flags: "-o, --out <file.csv>", help: "where the CSV goes", default: "standard output" }),
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
  ],
  async run(context, { args, options }) {
    const { platform, print, say } = context;
    const folder = await singleRun(context, args.run);
    const images = await openImages(context, args.images);
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

const dataEndings = /\.(npz|npy|pkl|pickle|p|zip|csv|tsv)(\.\d{3,})?$/i;

async function openImages({ platform }: Context, paths: readonly string[]): Promise<ImageSource> {
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
export function predictionsCsv({ classes, names, predicted, probabilities }: Predictions): string {
  const k = classes.length;
  const lines = [csvLine(["image", "predicted", ...classes])];
  for (const [i, name] of names.entries()) {
    const row = Array.from(probabilities.subarray(i * k, (i + 1) * k), (p) => p.toFixed(6));
    lines.push(csvLine([name, classes[predicted[i] ?? 0] ?? "", ...row]));
  }
  return `${lines.join("\n")}\n`;
}
