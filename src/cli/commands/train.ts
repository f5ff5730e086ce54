/** @file `metalr train`: fine-tunes a network on a data set, fold by fold, into run folders. */
import { UsageError } from "../../common/errors.js";
import type { Split } from "../../data/types.js";
import { join } from "../../records/files.js";
import { formatDuration } from "../../records/format.js";
import { readRun } from "../../records/read.js";
import { choiceInWords, headlineOf } from "../../records/run-record.js";
import type { CrossValidationSummary } from "../../records/schema.js";
import { evaluationText, headlineText, lrTable, summaryText } from "../../records/text.js";
import type { TrainRunOptions } from "../../records/train-options.js";
import { crossValidate, trainRun } from "../../records/trainRun.js";
import { chooseCompiler } from "../../runtime/lowering.js";
import { type Command, type Context, defineCommand } from "../command.js";
import { exitCodes } from "../exit-codes.js";
import { parseOptions } from "../program.js";
import { executorOf } from "../speed.js";
import { type TrainFlags, trainFlags } from "../train/flags.js";
import { header } from "../train/header.js";
import { type Plan, planTraining } from "../train/plan.js";
import { Progress } from "../train/progress.js";
import { argumentsToResume } from "../train/stored.js";

export const train: Command = defineCommand({
  name: "train",
  summary: "Fine-tune a network, learning one rate per layer",
  description:
    "Fine-tunes a pre-trained network on a data set. Data with folds are cross-validated: one run for each fold, tested on it;\n" +
    "data with official train, validation and test parts, such as MedMNIST's, are one run. Options of the released program\n" +
    "have its names, meaning and defaults. Every run leaves a folder with its record, checkpoints, learning-rate curves,\n" +
    "report.html and model.onnx. Ctrl-C stops after the step under way; --resume goes on from there.",
  args: {},
  options: trainFlags,
  examples: [
    ["metalr train", "the released protocol's files: data/pocus_data_all.pkl, pretrained/best_model.pth, five folds"],
    ["metalr train --variant released", "the same, bug for bug"],
    ["metalr train -d breastmnist.npz -p none --model resnet18 -e 20", "from random weights"],
    ["metalr train -d images/ -p resnet20.th --method finetune --out runs/plain", "plain fine-tuning, to compare with"],
    ["metalr train --resume runs/2026-03-01-0930-images", "goes on after Ctrl-C, a crash or a power failure"],
  ],
  run: async (context, { options }) => {
    const resume = options.resume;
    const given = resume === undefined ? options : await resumedOptions(context, resume, options);
    const plan = await planTraining(given, context.platform);
    const folder = resume ?? given.out ?? (await freshFolder(context, given.name ?? plan.dataset.name));
    return trainPlan(context, plan, given, folder, resume !== undefined);
  },
});

/** Trains what is planned. @returns the exit code */
async function trainPlan(
  context: Context,
  plan: Plan,
  given: TrainFlags,
  folder: string,
  resume: boolean,
): Promise<number | undefined> {
  const { print, platform, style } = context;
  const { dataset, splits, method, opened, meta } = plan;
  const executor = await executorOf(context, given);
  const { lowering } = await chooseCompiler(executor);
  print(`${header(plan, `${executor.description}, ${lowering} lowering`, folder, context)}\n`);
  const progress = new Progress({
    context,
    epochs: plan.settings.epochs ?? 30,
    logInterval: given.logInterval ?? 2,
  });
  const signal = context.whenInterrupted(() =>
    progress.say(style.warn("Stopping after the step under way … (Ctrl-C again stops at once)")),
  );
  const shared: Omit<TrainRunOptions, "model" | "data"> = {
    ...plan.settings,
    platform,
    method,
    signal,
    resume,
    executor,
    rasterize: context.rasterize,
    versions: context.versions,
    command: context.commandLine,
    facts: {
      weights: plan.weights ?? "random",
      arguments: resume ? await argumentsToResume(platform.files, folder) : context.argv.filter((w) => w !== "train"),
    },
  };
  const single = splits.length === 1 && plan.folds === 1 ? splits[0] : undefined;
  try {
    if (single) {
      progress.begin("", 0, 1);
      const run = await trainRun(folder, {
        ...shared,
        ...(await plan.forSplit(single, opened.model)),
        data: { dataset, split: single, ...(meta && { meta }) },
        model: opened.model,
        report: (event) => progress.add(event),
      });
      progress.close();
      if (run.reason === "stopped") return stopped(context, folder, `after step ${run.step}`);
      await concludeRun(context, folder);
      return undefined;
    }
    const summary = await crossValidate(folder, {
      ...shared,
      dataset,
      splits,
      ...(meta && { meta }),
      name: given.name ?? dataset.name,
      model: () => opened.model,
      forSplit: plan.forSplit,
      onRun: ({ split, index, count, finished }) => {
        progress.begin(split.name, index, count);
        if (finished) progress.say(`${split.name}  is finished already`);
        else progress.say(style.bold(`${split.name}: ${partsOf(split)}`));
      },
      report: (event, split) => {
        progress.add(event);
        if (event.type === "end" && event.reason === "finished" && split && event.test) {
          const which = `${split.name}: test images, epoch ${event.selectedEpoch} of ${event.epoch} (${choiceInWords(event.select)})`;
          progress.say(`\n${which}\n\n${evaluationText(event.test, dataset.classes, style)}\n`);
        }
      },
    });
    progress.close();
    if (summary === null) return stopped(context, folder, "");
    conclude(context, folder, summary);
    return undefined;
  } finally {
    progress.close();
    await dataset.close();
    await meta?.dataset.close();
  }
}

const partsOf = ({ train: t, meta, validation, test }: Split): string =>
  [
    `${t.length} training images`,
    ...(meta === t || meta.length === 0 ? [] : [`${meta.length} for the learning rates`]),
    ...(validation.length > 0 ? [`${validation.length} validation`] : []),
    ...(test.length > 0 ? [`${test.length} test`] : []),
  ].join(", ");

function stopped({ print }: Context, folder: string, where: string): number {
  print(
    `Stopped${where === "" ? "" : ` ${where}`}; everything so far is kept. Continue with:\n  metalr train --resume ${folder}`,
  );
  return exitCodes.interrupted;
}

/** The end of a single run. */
async function concludeRun({ print, style, platform }: Context, folder: string): Promise<void> {
  const { record } = await readRun(platform.files, folder);
  const headline = headlineOf(record);
  print("");
  if (headline?.selected) print(`${evaluationText(headline.selected, record.info.classes, style)}\n`);
  print(`${lrTable(record, style)}\n`);
  if (headline) print(headlineText(headline, style));
  print(
    `learning-rate curves: ${join(folder, "lr-curves.png")}, trained in ${formatDuration(record.timing.elapsedMs)}`,
  );
  print(`\nNext: open ${join(folder, "report.html")}`);
}

/** The end of a cross-validation: all test images as one set, the folds beside each other. */
function conclude({ print, style }: Context, folder: string, summary: CrossValidationSummary): void {
  const { folds, pooled, classes, select } = summary;
  const words = choiceInWords(select);
  if (pooled.selected && folds.length > 1) {
    const chosen = select === "test" ? style.warn(words) : words;
    print(style.bold(`\nAll test images of ${folds.length} folds, the epoch of each fold ${chosen}:\n`));
    print(`${evaluationText(pooled.selected, classes, style)}\n`);
  }
  print(`${summaryText(summary, style)}\n`);
  if (select === "test") {
    print(
      style.warn(
        "Leaky: the epochs were chosen by the test images themselves. The last epoch's figures are the fair ones.\n",
      ),
    );
  }
  print(`learning-rate curves: ${folds.map((f) => join(folder, `${f.folder}/lr-curves.png`)).join(", ")}`);
  print(`\nNext: open ${join(folder, "report.html")}`);
}

/** runs/<time>-<name>, with a number where that is taken. */
async function freshFolder({ platform, now }: Context, name: string): Promise<string> {
  const time = now().toISOString().slice(0, 16).replace("T", "-").replace(":", "");
  const plain = name.replace(/\.(pkl|npz|csv|zip)(\.\d+)?$/i, "").replace(/\.(pkl|pickle)$/i, "");
  const base = `runs/${time}-${plain.replace(/[^\w.-]+/g, "-").slice(0, 60)}`;
  for (let n = 1; ; n++) {
    const folder = n === 1 ? base : `${base}-${n}`;
    if ((await platform.files.kind(folder)) === "missing") return folder;
  }
}

/** Options that may differ between a run's start and its continuation: they do not change what comes out. */
const free = [
  "device",
  "executor",
  "threads",
  "workers",
  "logInterval",
  "data",
  "pretrainedPath",
] as const satisfies readonly (keyof TrainFlags)[];

/** The options that a run was started with, those of the command line over them. */
async function resumedOptions({ platform }: Context, folder: string, now: TrainFlags): Promise<TrainFlags> {
  for (const [key, value] of Object.entries(now)) {
    if (value === undefined || key === "resume" || free.some((k) => k === key)) continue;
    const flags = Object.entries(trainFlags).find(([k]) => k === key)?.[1].flags ?? key;
    throw new UsageError(/--[a-z-]+/.exec(flags)?.[0] ?? flags, {
      problem: "has no meaning with --resume: the run goes on with the options it was started with",
      hint: `only ${free.map((k) => /--[a-z-]+/.exec(trainFlags[k].flags)?.[0] ?? k).join(", ")} may be given beside it`,
    });
  }
  const stored = await argumentsToResume(platform.files, folder);
  const then = parseOptions("train", trainFlags, stored);
  const changes = Object.fromEntries(Object.entries(now).filter(([, value]) => value !== undefined));
  return { ...then, ...changes };
}
