/** @file The options of `metalr compare`: those of train that every method shares, and what is compared. */
import { UsageError } from "../../common/errors.js";
import { printable } from "../../formats/bytes.js";
import { type MethodSpec, parseMethod } from "../../methods/index.js";
import { type OptionSpec, type OptionValues, path, pick, readNumber, reals, section, whole } from "../options.js";
import { trainFlags } from "../train/flags.js";
import type { JobsWanted } from "./jobs.js";

/** Several methods with commas. */
const methods: OptionSpec<readonly MethodSpec[]> = {
  flags: "--methods <list>",
  help: `methods with commas, each as for train's --method: metalr,finetune,l2sp:alpha=0.01`,
  default: "finetune,lastLayer,metalr",
  parse: (given) => given.split(",").map(parseMethod),
};

const reference: OptionSpec<string> = {
  flags: "--reference <method>",
  help: "the method that the others are tested against",
  default: "finetune, else the first",
  parse: (given) => parseMethod(given).text,
};

/** A number of processes, or as many as there is room for. */
const jobs: OptionSpec<JobsWanted> = {
  flags: "--jobs <n>",
  help: "trainings at once, each in a process of its own; auto: as many as cores and free memory allow, the cores divided among them",
  default: "auto",
  parse: (given) => {
    if (given.toLowerCase() === "auto") return "auto";
    const n = readNumber(given);
    if (Number.isSafeInteger(n) && n >= 1 && n <= 1024) return n;
    throw new UsageError("--jobs", {
      problem: `must be auto or a whole number from 1 to 1024, got "${printable(given)}"`,
    });
  },
};

/** Of the trainings; the same words and defaults as for train. */
const shared = [
  "folds",
  "splitFolds",
  "testShare",
  "groupsFile",
  "labelsFile",
  "window",
  "saltFile",
  "leakCheck",
  "byGroup",
  "metaData",
  "metaBatches",
  "metaDisjoint",
  "imageSize",
  "mean",
  "std",
  "workers",
  "pretrainedPath",
  "model",
  "width",
  "head",
  "lr",
  "backboneLrRatio",
  "schedule",
  "ema",
  "optimizer",
  "weightDecay",
  "momentum",
  "adamEps",
  "maxEpoch",
  "batchSize",
  "microBatch",
  "seed",
  "select",
  "valInterval",
  "checkpointEvery",
  "device",
  "executor",
  "precision",
  "threads",
  "name",
] as const satisfies readonly (keyof typeof trainFlags)[];

export const compareFlags = {
  ...section("Comparison", {
    methods,
    reference,
    seeds: whole({ flags: "--seeds <n>", help: "how many seeds, from --seed on", default: "1", min: 1, max: 1000 }),
    grid: reals({
      flags: "--grid <list>",
      help: "factors on the learning rate that every method tries with the first seed, the best on validation images is taken",
      default: "1, which tries nothing",
      above: 0,
    }),
    jobs,
    externalTest: path({
      flags: "--external-test <path>",
      help: "images from elsewhere, of the same classes: the selected networks are tested on them, too, reported apart",
    }),
    out: path({
      flags: "-o, --out <folder>",
      help: "folder of the comparison; one that holds it already is continued",
      default: "runs/<time>-compare",
    }),
  }),
  data: {
    ...trainFlags.data,
    help: `${trainFlags.data.help}. Further data sets are given as arguments`,
  },
  ...pick(trainFlags, shared),
};

export type CompareFlags = OptionValues<typeof compareFlags>;

/** @throws {UsageError} a reference that is not compared */
export function referenceOf(methods: readonly MethodSpec[], given: string | undefined): string {
  const keys = methods.map((m) => m.text);
  if (given === undefined) return keys.includes("finetune") ? "finetune" : (keys[0] ?? "");
  if (keys.includes(given)) return given;
  throw new UsageError("--reference", {
    problem: "is not among the methods",
    expected: keys.join(", "),
    got: given,
  });
}
