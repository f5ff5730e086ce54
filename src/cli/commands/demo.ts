/** @file `metalr demo`: all of it on made-up ultrasound images, in about a minute, without files or network. */
import { FileError } from "../../common/errors.js";
import { syntheticClasses } from "../../data/synthetic.js";
import { join } from "../../records/files.js";
import { formatDuration, formatPercent } from "../../records/format.js";
import { comparePlot } from "../../records/plots/compare.js";
import { comparisonReport } from "../../records/report/comparison-report.js";
import { table } from "../../records/text.js";
import { type Context, defineCommand } from "../command.js";
import { type DemoResult, type DemoScale, demoMethods, demoScale, runDemo } from "../demo/demo.js";
import { exampleSheet } from "../demo/pictures.js";
import { comparisonInWords, type MethodResult, ratesInWords } from "../demo/words.js";
import { flag, path, section, whole } from "../options.js";
import { executorOf, speedFlags } from "../speed.js";
import { Progress } from "../train/progress.js";

export const demo = defineCommand({
  name: "demo",
  summary: "See it work in two minutes, without any data",
  description:
    "Makes ultrasound-like images of the lung as two scanners that do not exist would show them, trains a small network on the\n" +
    "one and fine-tunes it on a few images of the other: plain fine-tuning, last layer, and MetaLR, with the same images, rates\n" +
    "and epochs, three times with other patients. Shows how each does on patients never seen, and the learned rates. Needs no\n" +
    "file and no network.",
  args: {},
  options: {
    ...section("Output", {
      out: path({ flags: "-o, --out <folder>", help: "where everything goes", default: "runs/<time>-demo" }),
      open: flag({ flags: "--no-open", help: "do not open the report at the end" }),
    }),
    ...section("Run", {
      seed: whole({
        flags: "-s, --seed <n>",
        help: "of images, weights and order",
        default: "1",
        min: 0,
        max: 2 ** 31,
      }),
      ...speedFlags,
    }),
  },
  examples: [["metalr demo", "ends with a report in the browser, or says where it is"]],
  run: async (context, { options }) => {
    const executor = await executorOf(context, options);
    const folder = options.out ?? (await freshFolder(context));
    const report = await demonstrate(
      { ...context, executor: async () => executor },
      folder,
      options.seed ?? 1,
      demoScale,
    );
    if (options.open !== false) await context.open(report); // without a display its path, which was printed, has to do
    return undefined;
  },
});

/** @returns path of the report */
export async function demonstrate(context: Context, folder: string, seed: number, scale: DemoScale): Promise<string> {
  const { print, style, platform } = context;
  const { files } = platform;
  const began = performance.now();
  if ((await files.kind(join(folder, "report.html"))) !== "missing") {
    throw new FileError(folder, { problem: "already holds a report", hint: "choose another folder with --out" });
  }
  await files.makeFolder(folder);
  const sheet = exampleSheet(scale.size, seed);
  const sheetPng = await context.rasterize(sheet);
  await files.writeAtomic(join(folder, "images.png"), sheetPng);
  const { pretraining, fineTuning, repetitions } = scale;
  const n = (p: { patients: number; frames: number }) => syntheticClasses.length * p.patients * p.frames;
  print(`${style.bold("1  Images")} of two scanners that do not exist: ${join(folder, "images.png")}
   scanner A: ${n(pretraining.train)} to learn from. scanner B: ${n(fineTuning.train)} to fine-tune with, ${n(fineTuning.validation)} to choose the epoch, ${n(fineTuning.test)} of other patients to test`);
  print(`${style.bold("2  Pre-training")} of a small ResNet-20 on scanner A, ${pretraining.epochs} epochs`);
  const progress = new Progress({ context, epochs: fineTuning.epochs, logInterval: 1, quiet: true });
  let result: DemoResult;
  try {
    result = await runDemo({ ...context, executor: await context.executor({}) }, folder, {
      seed,
      scale,
      view: {
        begin: (what, index, count) => progress.begin(what, index, count),
        event: (event) => progress.add(event),
        pretrained: (onA) => {
          progress.say(`   ${formatPercent(onA)} right on ${n(pretraining.test)} images of unseen patients, scanner A`);
          progress.say(
            `${style.bold("3  Fine-tuning")} on scanner B, ${fineTuning.epochs} epochs, ${repetitions} times with other patients; right on unseen ones:`,
          );
        },
        repetition: (r, _, runs) =>
          progress.say(
            `   repetition ${r + 1}: ${runs.map((run) => `${run.method} ${formatPercent(run.accuracy)}`).join(", ")}`,
          ),
      },
    });
  } finally {
    progress.close();
  }
  const methods: MethodResult[] = demoMethods.map(({ name }, m) => ({
    name,
    accuracies: result.runs.map((runs) => runs[m]?.accuracy ?? Number.NaN), // one run a method
  }));
  const done = result.runs.length;
  if (done < repetitions)
    print(`   this machine is busy or slow: ${done} of ${repetitions} repetitions, so that it does not take longer`);
  const conclusion = conclusionOf(methods, result);
  print(`\n${resultTable(methods, result, style)}\n`);
  for (const line of conclusion) print(line);

  const { report, pictures } = await writeReport(context, folder, { result, methods, conclusion, sheetPng });
  print(`
Go on with these data:
  ${calledAs()} train -d ${result.data} -p ${result.weights} --head new --image-size ${scale.size} -b 12 -e ${fineTuning.epochs}

Done in ${formatDuration(performance.now() - began)}. Pictures:
${pictures.map((p) => `  ${p}`).join("\n")}

Next: open ${report}`);
  return report;
}

/** How a shell finds this program: `npm run demo` in a checkout is answered with words that work there. */
const calledAs = (): string => (process.env["npm_execpath"] === undefined ? "metalr" : "npx metalr");

const mean = (values: readonly number[]): number => values.reduce((sum, v) => sum + v, 0) / values.length;

function resultTable(methods: readonly MethodResult[], { onB, runs }: DemoResult, style: Context["style"]): string {
  const row = (name: string, values: readonly number[], time: string) => [
    name,
    ...values.map((v) => formatPercent(v)),
    formatPercent(mean(values)),
    time,
  ];
  return table(
    [
      { header: "unseen images of scanner B", align: "left" },
      ...onB.map((_, r) => ({ header: `repetition ${r + 1}` })),
      { header: "mean" },
      { header: "time of one" },
    ],
    [
      row("without fine-tuning", onB, ""),
      ...methods.map(({ name, accuracies }, m) =>
        row(name, accuracies, formatDuration(mean(runs.map((r) => r[m]?.record.timing.elapsedMs ?? Number.NaN)))),
      ),
    ],
    style,
  );
}

/** What may be said: MetaLR against each rival, and what it did with the rates. */
function conclusionOf(methods: readonly MethodResult[], { runs }: DemoResult): string[] {
  const learned = methods.at(-1);
  const record = runs[0]?.at(-1)?.record;
  return [
    ...methods.slice(0, -1).flatMap((other) => (learned ? [comparisonInWords(learned, other)] : [])),
    ...(record ? [ratesInWords(record.info.groups, record.firstLr, record.lastLr)] : []),
    "These images are made up and few; on your own data, compare for yourself.",
  ].filter((line) => line !== "");
}

async function writeReport(
  context: Context,
  folder: string,
  o: {
    readonly result: DemoResult;
    readonly methods: readonly MethodResult[];
    readonly conclusion: readonly string[];
    readonly sheetPng: Uint8Array;
  },
): Promise<{ readonly report: string; readonly pictures: readonly string[] }> {
  const { files } = context.platform;
  const { result, methods, conclusion, sheetPng } = o;
  const compared = methods.map(({ name, accuracies }) => ({
    name,
    values: accuracies,
    reference: name === demoMethods[0]?.name,
  }));
  const repetitions = result.runs.length;
  const times = repetitions === 1 ? "once" : `${repetitions} times with other patients`;
  const note =
    repetitions === 1
      ? "one repetition"
      : `small dots: ${repetitions} repetitions with other patients; large dots: their mean`;
  const comparison = comparePlot({ title: "Unseen images of scanner B", methods: compared, note });
  await files.writeAtomic(join(folder, "comparison.svg"), comparison);
  await files.writeAtomic(join(folder, "comparison.png"), await context.rasterize(comparison));
  const first = result.runs[0] ?? [];
  const html = comparisonReport({
    title: "MetaLR demo: from one scanner to another",
    introduction: [
      `A small ResNet-20 was trained on ultrasound-like images of scanner A (${formatPercent(result.onA)} right on unseen patients) and fine-tuned, with a new last layer, on few images of scanner B, ${times}. Without fine-tuning it gets ${formatPercent(mean(result.onB))} of scanner B's images right.`,
      "All methods had the same images, optimizer, starting rates and epochs; the epoch was chosen on validation images. Neither scanner nor patients exist: the images are computed.",
    ],
    runs: first.map((run, m) => ({
      name: `${run.method}, repetition 1`,
      about: demoMethods[m]?.about ?? "",
      record: run.record,
      reference: m === 0,
    })),
    methods: compared,
    note,
    conclusion,
    figures: [{ png: sheetPng, caption: "Examples of the three classes, as each scanner shows them.", width: 820 }],
  });
  const report = join(folder, "report.html");
  await files.writeAtomic(report, html);
  const learned = first.at(-1);
  return {
    report,
    pictures: [
      join(folder, "images.png"),
      join(folder, "comparison.png"),
      ...(learned ? [join(learned.folder, "lr-curves.png")] : []),
    ],
  };
}

async function freshFolder({ platform, now }: Context): Promise<string> {
  const base = `runs/${now().toISOString().slice(0, 16).replace("T", "-").replace(":", "")}-demo`;
  for (let n = 1; ; n++) {
    const folder = n === 1 ? base : `${base}-${n}`;
    if ((await platform.files.kind(folder)) === "missing") return folder;
  }
}
