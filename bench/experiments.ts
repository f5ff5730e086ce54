/** @file Questions that two variants of ours answer side by side: do groups cost time, what do micro-batches cost, do images come fast enough? */
import { fileURLToPath } from "node:url";
import { interleave } from "./measure.js";
import { Contender, type LoadOptions, type StepKind } from "./protocol.js";
import { ms, type Result, spread, table } from "./report.js";
import { type Workload, workload } from "./workloads.js";

export const experimentNames = ["groups", "micro-batch", "data-pipeline"] as const;
export type ExperimentName = (typeof experimentNames)[number];

interface Variant {
  readonly name: string;
  /** File of the program beside this one. */
  readonly program: "ours.ts" | "pipeline.ts";
  readonly options: LoadOptions;
}

interface Experiment {
  readonly workload: Workload;
  readonly variants: readonly [Variant, Variant];
  /** What the two figures say, as a sentence. */
  readonly words: (first: Result, second: Result, workload: Workload) => string;
}

const step = (name: string, options: Partial<LoadOptions> = {}): Variant => ({
  name,
  program: "ours.ts",
  options: { kind: "metalr", ...options },
});

const experiments: Readonly<Record<ExperimentName, Experiment>> = {
  groups: {
    workload: workload("resnet18-64-b128"),
    variants: [step("1 layer group", { groups: 1 }), step("62 layer groups", { groups: 62 })],
    words: (one, many) => `62 groups take ${more(many.medianMs / one.medianMs)} time than one (medians).`,
  },
  "micro-batch": {
    workload: workload("resnet18-224-b32"),
    variants: [step("whole batches of 32"), step("--micro-batch 16", { microBatch: 16 })],
    words: (whole, parts) =>
      `Micro-batches of 16 take ${more(parts.medianMs / whole.medianMs)} time and ${more(parts.peakMb / whole.peakMb)} memory at the peak.`,
  },
  "data-pipeline": {
    workload: workload("resnet18-64-b128"),
    variants: [
      step("MetaLR step, two threads"),
      {
        name: "data pipeline, two threads, per batch",
        program: "pipeline.ts",
        options: { kind: "pipeline", workers: 2 },
      },
    ],
    words(own, pipeline, { batch }) {
      // A step takes a training batch and a validation batch.
      const [needs, gives] = [(2 * batch * 1000) / own.medianMs, (batch * 1000) / pipeline.medianMs];
      return `A step consumes ${needs.toFixed(0)} images/s (training and validation batch); the pipeline gives ${gives.toFixed(0)}, ${(gives / needs).toFixed(1)} times as many.`;
    },
  },
};

/** "7.0 % less", "3.1 % more". */
export const more = (ratio: number): string =>
  `${Math.abs(100 * (ratio - 1)).toFixed(1)} % ${ratio < 1 ? "less" : "more"}`;

/** What came out, as it is stored. */
export interface ExperimentResult {
  readonly name: ExperimentName;
  readonly workload: string;
  readonly rows: readonly (Result & { readonly name: string })[];
  readonly words: string;
}

/** Both variants in turn. @throws {Error} a variant that fails */
export async function runExperiment(
  name: ExperimentName,
  o: { readonly rounds: number; readonly executor: string; readonly lowering: string; readonly precision: string },
): Promise<ExperimentResult> {
  const { workload: w, variants, words } = experiments[name];
  const running: Contender[] = [];
  try {
    const facts = [];
    for (const { program, name: label, options } of variants) {
      const path = fileURLToPath(new URL(`./${program}`, import.meta.url));
      const contender = new Contender(label, process.execPath, ["--import", "tsx", path]);
      running.push(contender);
      facts.push(
        await contender.load(w, { executor: o.executor, lowering: o.lowering, precision: o.precision, ...options }),
      );
    }
    const turns = variants.map(({ options }, i) => ({ contender: running[i]!, kind: options.kind as StepKind })); // one a variant
    const timings = await interleave(turns, o.rounds, 2);
    const rows = [];
    for (const [i, timing] of timings.entries()) {
      rows.push({ name: variants[i]!.name, ...timing, peakMb: await running[i]!.peak(), facts: facts[i] ?? {} }); // one a variant
    }
    const [first, second] = rows;
    return { name, workload: w.name, rows, words: first && second ? words(first, second, w) : "" };
  } finally {
    await Promise.all(running.map((contender) => contender.close()));
  }
}

export function experimentTable({ workload: w, rows }: ExperimentResult): string {
  return table(
    [w, "median (min – max), ms", "peak, MB"],
    rows.map((r) => [r.name, spread(r), r.peakMb.toFixed(0)]),
  );
}

/** Session start of our own contenders, where they say it. */
export const startTable = (rows: readonly (readonly [workload: string, startMs: number])[]): string =>
  table(
    ["start: network, graph, compiling, session", "ms"],
    rows.map(([name, start]) => [name, ms(start)]),
  );
