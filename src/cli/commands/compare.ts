/** @file `metalr compare`: several methods × seeds × folds × data sets, with intervals, paired tests and a report. */
import { FileError, UsageError } from "../../common/errors.js";
import { sharedImages } from "../../data/leaks.js";
import type { Dataset } from "../../data/types.js";
import { aboutMethod, type MethodSpec, parseMethod } from "../../methods/index.js";
import { runComparison } from "../../records/compare.js";
import { folderName, type MethodRow } from "../../records/compare-plan.js";
import { budgetInWords, comparisonFile, comparisonText, writeComparison } from "../../records/compare-report.js";
import { summariseComparison } from "../../records/compare-summary.js";
import { join, runFiles } from "../../records/files.js";
import { any, type Command, type Context, defineCommand } from "../command.js";
import { openCells } from "../compare/cells.js";
import { testElsewhere } from "../compare/external.js";
import { type CompareFlags, compareFlags, referenceOf } from "../compare/flags.js";
import { CompareProgress } from "../compare/progress.js";
import { openProtocol } from "../compare/protocol.js";
import { Trainers } from "../compare/trainers.js";
import { exitCodes } from "../exit-codes.js";
import { executorOf } from "../speed.js";
import { methodFor } from "../train/method.js";
import { openAlike } from "../train/plan.js";

export const compare: Command = defineCommand({
  name: "compare",
  summary: "Compare methods over seeds, folds and data sets, with intervals and paired tests",
  description:
    "Trains every method with every seed on every fold, each from the same weights and with the same tuning budget, and says\n" +
    "what the numbers allow one to say: means with 95 % intervals by how the epoch was chosen, paired tests against full\n" +
    "fine-tuning, learning rates, confusion matrices, times. One folder, one report.html. The same command with the same\n" +
    "--out goes on where it was stopped; finished trainings are not repeated.",
  args: { data: any("further data sets, beside that of -d") },
  options: compareFlags,
  examples: [
    ["metalr compare -d breastmnist.npz -p resnet20.th --seeds 5", "fine-tuning, last layer and MetaLR, five seeds"],
    [
      "metalr compare -d a.npz -p none --methods finetune,finetune:schedule=cosine,metalr,metalr:direction=optimizer",
      "two forms of each",
    ],
    ["metalr compare -d a.npz -p w.th --grid 0.3,1,3 --seeds 3", "with three learning rates tried for every method"],
  ],
  run: async (context, { args, options }) => {
    const data = [...(options.data === undefined ? [] : [options.data]), ...args.data];
    if (data.length === 0) {
      throw new UsageError("--data", { problem: "is missing", hint: "name the images to compare on: -d PATH" });
    }
    return compareOn(context, data, options);
  },
});

/** @returns the exit code */
async function compareOn(context: Context, paths: readonly string[], given: CompareFlags): Promise<number | undefined> {
  const { print, platform, style } = context;
  const specs = given.methods ?? ["finetune", "lastLayer", "metalr"].map(parseMethod);
  const reference = referenceOf(specs, given.reference);
  const methods = specs.map(rowOf);
  const firstSeed = given.seed ?? 1;
  const seeds = Array.from({ length: given.seeds ?? 1 }, (_, i) => firstSeed + i);
  const grid = given.grid ?? [1];
  if (grid.length > 1 && given.select === "last") {
    throw new UsageError("--grid", {
      problem: "has no meaning with --select last: there are no validation images to choose a rate by",
      hint: "leave one of them out",
    });
  }
  await checkElsewhere(context, given);
  const names = paths.map(nameOf); // two of one name are refused by `runComparison`
  const folder =
    given.out ?? `runs/${context.now().toISOString().slice(0, 16).replace("T", "-").replace(":", "")}-compare`;
  const protocol = await openProtocol(platform.files, folder, {
    // What a method's options come to, defaults included: a comparison of other numbers is another one.
    methods: Object.fromEntries(specs.map((s) => [s.text, methodFor(s, { ...given, ...noOwn }).options])),
    ...Object.fromEntries(Object.entries(given).filter(([key, v]) => v !== undefined && !free.has(key))),
    data: paths,
  });
  const signal = context.whenInterrupted(() =>
    progress.say(style.warn("Stopping after the step under way … (Ctrl-C again stops at once)")),
  );
  const shared = { context, given, splitSeed: firstSeed };
  const trainers = new Trainers(context, shared, (line) => progress.say(line));
  const leaks: string[] = [];
  const progress = new CompareProgress(context, () => trainers.jobs);
  try {
    const finished = await runComparison({
      folder,
      files: platform.files,
      data: names,
      methods,
      seeds,
      grid,
      signal,
      async prepare(name) {
        const opened = await openCells(shared, paths[names.indexOf(name)] ?? name, firstSeed, true);
        leaks.push(...opened.plan.leaks.map((leak) => `${name}: ${leak}.`));
        try {
          for (const note of opened.plan.notes) progress.note(note);
          protocol.note(name, opened.fingerprints);
          leaks.push(...(await notElsewhere(context, given, name, opened.plan.dataset)));
          if (name === names.at(-1)) await protocol.save();
        } catch (error) {
          await opened.close();
          throw error;
        }
        return { ...opened, splits: opened.plan.splits.map((s) => s.name) };
      },
      begin({ of, finished: before, waiting }) {
        progress.start(
          of,
          waiting,
          before.map(({ data, method, record }) => ({ data, method, ms: record.timing.elapsedMs })),
        );
        return trainers.begin(waiting.length);
      },
      mayTake: (job) => trainers.mayTake(job),
      onCell: (cell, { done, finished: before, job }) => progress.cell(cell, done, before, job),
      train: (cell, job, stop) =>
        trainers.train(job, cell, paths[names.indexOf(cell.data)] ?? cell.data, {
          signal: stop,
          report: (event) => progress.event(job, event),
        }),
    });
    if (finished === null) {
      print(`Stopped; everything so far is kept. The same command with --out ${folder} goes on from here.`);
      return exitCodes.interrupted;
    }
    const elsewhere =
      given.externalTest === undefined
        ? null
        : await testElsewhere(
            context,
            { path: given.externalTest, given, executor: await executorOf(context, given), signal },
            finished,
          );
    progress.close();
    const now = context.now().toISOString();
    const figures = summariseComparison(finished, {
      methods,
      seeds,
      grid,
      reference,
      now,
      ...(elsewhere && { external: elsewhere }),
    });
    await writeComparison(platform.files, folder, {
      title: given.name ?? `Comparison of ${methods.length} methods`,
      introduction: [
        `${methods.length} methods, ${seeds.length === 1 ? "one seed" : `${seeds.length} seeds`}, ${given.maxEpoch === 1 ? "one epoch" : `${given.maxEpoch ?? 30} epochs`} each, from the same weights and on the same division of the images.`,
        ...leaks,
      ],
      figures,
      methods,
      cells: finished.cells,
    });
    print(`\n${budgetInWords(figures)}`);
    for (const d of figures.data) {
      print(style.bold(`\n${d.data}\n`));
      print(`${comparisonText(figures, d, style)}\n`);
      for (const line of d.words) print(line);
    }
    print(`\nfigures: ${join(folder, comparisonFile)}`);
    print(`Next: open ${join(folder, runFiles.report)}`);
    return undefined;
  } finally {
    progress.close();
    await trainers.close();
  }
}

/** Images from elsewhere that are not: near-identical to some of the data. */
async function notElsewhere(
  { platform }: Context,
  given: CompareFlags,
  name: string,
  data: Dataset,
): Promise<string[]> {
  if (given.externalTest === undefined || given.leakCheck === "no") return [];
  const external = await openAlike(given.externalTest, given, platform);
  try {
    const all = (d: Dataset) => Uint32Array.from(d.labels, (_, i) => i);
    const found = await sharedImages(data, all(data), external, all(external));
    if (found === null) return [];
    const [other, own] = found.example;
    return [
      `${name}: ${found.count} of the ${external.count} images of ${external.name} are not from elsewhere, but near-identical to images of these data, such as ${other} and ${own}.`,
    ];
  } finally {
    await external.close();
  }
}

/** What would else be told after the last training only. @throws {FileError | UsageError} */
async function checkElsewhere({ platform }: Context, { externalTest, metaData }: CompareFlags): Promise<void> {
  if (externalTest === undefined) return;
  if ((await platform.files.kind(externalTest)) === "missing") {
    throw new FileError(externalTest, { problem: "does not exist", hint: "--external-test names labelled images" });
  }
  if (externalTest !== metaData) return;
  throw new UsageError("--external-test", {
    problem: "names the images that judge the learning rates (--meta-data): they would be no test any more",
    hint: "test on others, or judge the rates on others",
  });
}

/** Options that do not change what a training gives, or that only add trainings. */
const free = new Set([
  "out",
  "threads",
  "device",
  "executor",
  "jobs",
  "leakCheck",
  "workers",
  "methods",
  "seeds",
  "reference",
  "name",
  "externalTest",
  "checkpointEvery",
]);

const noOwn = {
  method: undefined,
  variant: undefined,
  hyperLr: undefined,
  lrUpdate: undefined,
  lrBounds: undefined,
  headWarmupEpochs: undefined,
} as const;

/** "Full fine-tuning", "Full fine-tuning (schedule=cosine)". */
function rowOf({ name, text }: MethodSpec): MethodRow {
  const { title, about } = aboutMethod(name);
  const own = text.split(":").slice(1).join(", ");
  return { key: text, title: own === "" ? title : `${title} (${own})`, about };
}

/** A data set's name in tables and folders: the file's, without folders. */
const nameOf = (path: string): string =>
  folderName(
    (
      path
        .split(/[\\/]/)
        .filter((p) => p !== "")
        .at(-1) ?? path
    ).replace(/\.(npz|pkl|csv|zip)(\.\d+)?$/i, ""),
  );
