/** @file `metalr evaluate`: the network of a run, or of every fold, on labelled images. */
import { formatPercent, formatShare } from "../../records/format.js";
import { readRunInfo } from "../../records/read.js";
import { evaluationText, table } from "../../records/text.js";
import { evaluateRun, openRun } from "../../records/use-run.js";
import { mergeEvaluations } from "../../training/metrics.js";
import type { Evaluation } from "../../training/types.js";
import { defineCommand, one } from "../command.js";
import { choice, flag, section } from "../options.js";
import { dataOfRun, runFolders, sharedFlags } from "../runs.js";
import { executorOf, speedFlags } from "../speed.js";

interface Evaluated {
  readonly run: string;
  readonly epoch: number;
  readonly part: string;
  readonly evaluation: Evaluation;
}

export const evaluate = defineCommand({
  name: "evaluate",
  summary: "Evaluate the network of a run on labelled images",
  description:
    "Evaluates the network of a run: confusion matrix, precision and recall of every class, total and balanced accuracy, macro\n" +
    "AUC. Without -d on the test images of its own data, with -d on all images of other data. For a folder with folds every\n" +
    "fold's network is evaluated, on its own data also pooled.",
  args: { run: one("run folder, or folder with folds") },
  options: {
    ...section("Images", {
      data: sharedFlags.data,
      part: choice({
        flags: "--part <name>",
        help: "which images of the run's own data: test, validation, train or all",
        default: "test, for other data all",
        of: ["test", "validation", "train", "all"],
      }),
    }),
    ...section("Network", { weights: sharedFlags.weights }),
    ...section("Output", { json: flag({ flags: "--json", help: "print JSON alone on standard output" }) }),
    ...section("Speed", {
      batchSize: sharedFlags.batchSize,
      workers: sharedFlags.workers,
      ...speedFlags,
    }),
  },
  examples: [
    ["metalr evaluate runs/lung/fold-1", "on the fold's own test images"],
    ["metalr evaluate runs/lung/fold-1 -d other-hospital/", "on images of another hospital"],
  ],
  async run(context, { args, options }) {
    const { platform, style, print } = context;
    const folders = await runFolders(context, args.run);
    const executor = await executorOf(context, options);
    const dataset = await dataOfRun(context, folders[0] ?? args.run, options.data);
    const results: Evaluated[] = [];
    let classes = dataset.classes;
    try {
      for (const folder of folders) {
        const use = {
          platform,
          executor,
          weights: options.weights ?? "selected",
          workers: options.workers ?? 0,
          ...(options.batchSize !== undefined && { batchSize: options.batchSize }),
          ...(options.part && { part: options.part }),
        } as const;
        const { epoch } = await openRun(folder, use);
        const { part, evaluation } = await evaluateRun(folder, dataset, use);
        classes = (await readRunInfo(platform.files, folder)).classes;
        results.push({ run: folder, epoch, part, evaluation });
        if (options.json) continue;
        print(`${style.bold(`${folder}, epoch ${epoch}: ${partInWords(part)} of ${dataset.name}`)}\n`);
        print(`${evaluationText(evaluation, classes, style)}\n`);
      }
    } finally {
      await dataset.close();
    }
    // The same images seen by several networks are not more images.
    const pooled =
      results.length > 1 && results.every((r) => r.part === "test")
        ? mergeEvaluations(results.map((r) => r.evaluation))
        : null;
    if (options.json) {
      print(JSON.stringify({ data: dataset.name, classes, runs: results, ...(pooled && { pooled }) }, null, 1));
      return undefined;
    }
    if (results.length > 1) print(overview(results, pooled, style));
    return undefined;
  },
});

const partInWords = (part: string): string => (part === "all" ? "all images" : `the ${part} images`);

function overview(
  results: readonly Evaluated[],
  pooled: Evaluation | null,
  style: Parameters<typeof table>[2],
): string {
  const row = (name: string, epoch: string, e: Evaluation): string[] => [
    name,
    epoch,
    String(e.count),
    formatPercent(e.accuracy, 2),
    formatPercent(e.balancedAccuracy, 2),
    formatShare(e.macroAuc),
  ];
  return table(
    [
      { header: "run", align: "left" },
      { header: "epoch" },
      { header: "images" },
      { header: "accuracy" },
      { header: "balanced" },
      { header: "AUC" },
    ],
    [...results.map((r) => row(r.run, String(r.epoch), r.evaluation)), ...(pooled ? [row("pooled", "", pooled)] : [])],
    style,
  );
}
