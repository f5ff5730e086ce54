/** @file `metalr plot`: draws the learning-rate curves of a run, or of every fold, as SVG and PNG. */
import { FileError } from "../../common/errors.js";
import { join } from "../../records/files.js";
import {
  accuracyPicture,
  lossPicture,
  lrEpochPicture,
  lrPicture,
  type PictureOptions,
} from "../../records/pictures.js";
import { foldFolders, kindOfFolder, readRun } from "../../records/read.js";
import type { RunRecord } from "../../records/run-record.js";
import { type Context, defineCommand, many } from "../command.js";
import { choice, path, section, text, whole } from "../options.js";

const pictures = {
  lr: lrPicture,
  "lr-epochs": lrEpochPicture,
  loss: lossPicture,
  accuracy: accuracyPicture,
  dice: accuracyPicture,
} as const;
const fileNames = {
  lr: "lr-curves",
  "lr-epochs": "lr-curves-epochs",
  loss: "loss",
  accuracy: "accuracy",
  dice: "dice",
} as const;
const titles = {
  lr: "Learning rates",
  "lr-epochs": "Learning rates",
  loss: "Loss",
  accuracy: "Accuracy",
  dice: "Dice",
} as const;

export const plot = defineCommand({
  name: "plot",
  summary: "Draw the learning-rate curves of a run as SVG and PNG",
  description:
    "Draws a run anew from its record, also while it is still going on: the learning rate of every layer group over the\niterations or epochs on a log scale, or the loss or accuracy. Pictures go into the run folder unless --out says where.",
  args: { runs: many("run folders, or folders with folds") },
  options: {
    ...section("Picture", {
      what: choice({
        flags: "--what <name>",
        help: "what to draw: lr (over the iterations), lr-epochs, loss, accuracy, or dice of segmentations",
        default: "lr",
        of: ["lr", "lr-epochs", "loss", "accuracy", "dice"],
      }),
      out: path({
        flags: "-o, --out <path>",
        help: "folder for the pictures, or one file ending in .svg or .png",
        default: "the run folder",
      }),
      title: text({
        flags: "--title <text>",
        help: "title above the picture",
        default: "what it shows, and the method",
      }),
      width: whole({
        flags: "--width <pixels>",
        help: "width of the SVG; PNG has twice as many pixels",
        default: "760",
        min: 240,
        max: 8000,
      }),
      height: whole({ flags: "--height <pixels>", help: "height of the SVG", default: "430", min: 160, max: 8000 }),
    }),
  },
  examples: [
    ["metalr plot runs/demo", "draws lr-curves.svg and lr-curves.png in the run folder, or in every fold"],
    ["metalr plot runs/a/fold-1 -o figure3.svg --title 'Fold 1'", "one picture for a paper"],
  ],
  async run(context, { args, options }) {
    const { files } = context.platform;
    const folders: string[] = [];
    for (const run of args.runs) {
      const kind = await kindOfFolder(files, run);
      if (kind === "folds") folders.push(...(await foldFolders(files, run)).map((fold) => join(run, fold)));
      else folders.push(run);
    }
    const { what = "lr" } = options;
    const single = /\.(svg|png)$/i.test(options.out ?? "");
    if (single && folders.length > 1) {
      throw new FileError(options.out ?? "", {
        problem: "is one file, but there are several runs",
        got: `${folders.length} runs`,
        hint: "give --out a folder, or name one run",
      });
    }
    for (const folder of folders) {
      const { record, torn } = await readRun(files, folder);
      const picture: PictureOptions = {
        title:
          options.title ??
          `${titles[what]}, ${record.info.method}${record.info.name === "run" ? "" : `, ${record.info.name}`}`,
        ...(options.width === undefined ? {} : { width: options.width }),
        ...(options.height === undefined ? {} : { height: options.height }),
      };
      const svg = pictures[what](record, picture);
      if (svg === null) throw nothingToDraw(folder, record);
      if (torn)
        context.say(
          `${folder}: the record's last line is cut off (the run was killed, or is going on); drawn without it`,
        );
      const base =
        options.out === undefined
          ? join(folder, fileNames[what])
          : join(options.out, named(record, fileNames[what], folders));
      for (const file of single ? [options.out ?? ""] : [`${base}.svg`, `${base}.png`]) await write(context, file, svg);
    }
    return undefined;
  },
});

/** In a folder for all runs every picture needs a name of its own. */
const named = (record: RunRecord, name: string, folders: readonly string[]): string =>
  folders.length === 1 ? name : `${record.info.name}-${name}`;

async function write(context: Context, file: string, svg: string): Promise<void> {
  const { files } = context.platform;
  const folder = file.includes("/") ? file.slice(0, file.lastIndexOf("/")) : "";
  if (folder !== "") await files.makeFolder(folder);
  await files.writeAtomic(file, /\.png$/i.test(file) ? await context.rasterize(svg) : svg);
  context.print(file);
}

const nothingToDraw = (folder: string, record: RunRecord): FileError =>
  new FileError(folder, {
    problem: "has nothing to draw yet",
    got: `${record.step} steps, ${record.epochs.length} epochs`,
    hint: "wait for the first epoch, or continue the run with metalr train --resume",
  });
