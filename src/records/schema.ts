/** @file The form of run.json, summary.json and the lines of events.jsonl, checked when they are read. */
import { en } from "zod/locales";
import { z } from "zod/mini";
import { FileError } from "../common/errors.js";
import type { Evaluation, TrainingEvent } from "../training/types.js";

/** zod/mini, a fifth of zod in a page, knows no words by itself. */
export const inWords = { error: en().localeError };

/** JSON knows no NaN: it is written as null and read back as NaN. */
const real = z.pipe(
  z.nullable(z.number()),
  z.transform((x: number | null) => x ?? Number.NaN),
);
const index = z.int().check(z.nonnegative());
const rate = real;
const text = z.string();

const evaluationSchema = z.object({
  count: index,
  loss: real,
  accuracy: real,
  balancedAccuracy: real,
  macroAuc: z.nullable(z.number()),
  confusion: z.array(z.array(index)),
  precision: z.array(z.nullable(z.number())),
  recall: z.array(z.nullable(z.number())),
  dice: z.exactOptional(
    z.object({
      mean: real,
      perClass: z.array(z.nullable(z.number())),
      volumes: z.array(z.object({ name: text, dice: z.array(z.nullable(z.number())) })),
    }),
  ),
});

const select = z.enum(["last", "validation", "test"]);

const eventSchema: z.ZodMiniType<TrainingEvent> = z.discriminatedUnion("type", [
  z.object({
    type: z.literal("start"),
    time: text,
    resumedAt: index,
    groups: z.array(text),
    classes: z.array(text),
    stepsPerEpoch: index,
    epochs: index,
  }),
  z.object({
    type: z.literal("step"),
    step: index,
    epoch: index,
    trainLoss: real,
    trainAccuracy: real,
    trainDice: z.exactOptional(z.nullable(z.number())),
    validationLoss: z.exactOptional(real),
    hypergradient: z.exactOptional(z.array(real)),
    lr: z.array(rate),
    elapsedMs: real,
    stepMs: real,
    waitMs: real,
    images: index,
  }),
  z.object({
    type: z.literal("epoch"),
    epoch: index,
    step: index,
    trainLoss: real,
    trainAccuracy: real,
    trainDice: z.exactOptional(z.nullable(z.number())),
    validation: z.exactOptional(evaluationSchema),
    test: z.exactOptional(evaluationSchema),
    lr: z.array(rate),
    elapsedMs: real,
  }),
  z.object({ type: z.literal("checkpoint"), epoch: index, step: index, file: text, best: z.boolean() }),
  z.object({ type: z.literal("warning"), message: text }),
  z.object({
    type: z.literal("end"),
    reason: z.enum(["finished", "stopped"]),
    epoch: index,
    step: index,
    select,
    selectedEpoch: index,
    test: z.exactOptional(evaluationSchema),
    testLast: z.exactOptional(evaluationSchema),
    elapsedMs: real,
  }),
]);

/** What a run was made with: enough to show it, and for the trainer to continue it. */
export interface RunConfig {
  /** "fold-1" … for cross-validation, "run" otherwise. */
  readonly name: string;
  /** The method's name: "metalr", "finetune", … */
  readonly method: string;
  /** How the model is built again (`Model.config`). */
  readonly model: Readonly<Record<string, unknown>>;
  readonly data: {
    /** File name without folders. */
    readonly name: string;
    /** `Dataset.fingerprint`. */
    readonly fingerprint: string;
    /** Images in each part: train, meta, validation, test. */
    readonly parts: Readonly<Record<string, number>>;
    /** Another data set whose images the part "meta" is, where there is one. */
    readonly meta?: { readonly name: string; readonly fingerprint: string };
  };
  /** How the reported epoch is chosen. */
  readonly select: "last" | "validation" | "test";
  /** Every other option as it took effect: batch size, seed, method options, transforms, … */
  readonly options: Readonly<Record<string, unknown>>;
  readonly groups: readonly string[];
  readonly classes: readonly string[];
  /** metalr, Node, ONNX Runtime, … and the executor that ran. */
  readonly versions: Readonly<Record<string, string>>;
  /** The command line, where there was one. */
  readonly command?: string;
  /** What decides the bits of the run, one key a fact (`Snapshot.identity`). */
  readonly identity?: Readonly<Record<string, unknown>>;
}

/** The content of run.json. */
export interface RunInfo extends RunConfig {
  readonly format: "metalr-run";
  readonly version: 1;
  /** ISO 8601. */
  readonly created: string;
}

const anything = z.record(text, z.unknown());

const runInfoSchema: z.ZodMiniType<RunInfo> = z.object({
  format: z.literal("metalr-run"),
  version: z.literal(1),
  created: text,
  name: text,
  method: text,
  model: anything,
  data: z.object({
    name: text,
    fingerprint: text,
    parts: z.record(text, index),
    meta: z.exactOptional(z.object({ name: text, fingerprint: text })),
  }),
  select,
  options: anything,
  groups: z.array(text),
  classes: z.array(text),
  versions: z.record(text, text),
  command: z.exactOptional(text),
  identity: z.exactOptional(anything),
});

/** Mean and sample standard deviation over folds; null where no fold has the figure, deviation null for one fold. */
export interface Spread {
  readonly mean: number | null;
  readonly deviation: number | null;
}

export type EvaluationSpread = Readonly<Record<"accuracy" | "balancedAccuracy" | "macroAuc", Spread>> & {
  /** Of segmentations: the mean Dice. */
  readonly dice?: Spread;
};

export interface FoldSummary {
  readonly name: string;
  /** Beside summary.json: "fold-1". */
  readonly folder: string;
  readonly selectedEpoch: number;
  readonly lastEpoch: number;
  /** On the fold's test images, with the weights of the selected epoch and of the last; null where not evaluated. */
  readonly selected: Evaluation | null;
  readonly last: Evaluation | null;
  readonly elapsedMs: number;
}

/** The content of summary.json: one cross-validation. */
export interface CrossValidationSummary {
  readonly format: "metalr-summary";
  readonly version: 1;
  readonly created: string;
  readonly name: string;
  readonly method: string;
  readonly select: "last" | "validation" | "test";
  readonly classes: readonly string[];
  readonly folds: readonly FoldSummary[];
  /** All folds' test images as one set; null where a fold lacks the evaluation. */
  readonly pooled: { readonly selected: Evaluation | null; readonly last: Evaluation | null };
  /** Over the folds. */
  readonly spread: { readonly selected: EvaluationSpread; readonly last: EvaluationSpread };
}

const spread = z.object({ mean: z.nullable(z.number()), deviation: z.nullable(z.number()) });
const evaluationSpread = z.object({
  accuracy: spread,
  balancedAccuracy: spread,
  macroAuc: spread,
  dice: z.exactOptional(spread),
});
const both = z.object({ selected: z.nullable(evaluationSchema), last: z.nullable(evaluationSchema) });

const summarySchema: z.ZodMiniType<CrossValidationSummary> = z.object({
  format: z.literal("metalr-summary"),
  version: z.literal(1),
  created: text,
  name: text,
  method: text,
  select,
  classes: z.array(text),
  folds: z.array(z.extend(both, { name: text, folder: text, selectedEpoch: index, lastEpoch: index, elapsedMs: real })),
  pooled: both,
  spread: z.object({ selected: evaluationSpread, last: evaluationSpread }),
});

/** The event of one line, or in words why it is none. */
export function parseEvent(line: string): { readonly event: TrainingEvent } | { readonly damage: string } {
  try {
    const result = eventSchema.safeParse(JSON.parse(line), inWords);
    return result.success ? { event: result.data } : { damage: firstIssue(result.error) };
  } catch {
    return { damage: "not JSON" };
  }
}

/** One line of events.jsonl, with its line break. */
export const formatEvent = (event: TrainingEvent): string => `${JSON.stringify(event)}\n`;

/** @throws {FileError} not JSON, not of that form */
export const parseRunInfo = (json: string, path: string): RunInfo =>
  parseFile(runInfoSchema, json, path, "a run record");

/** @throws {FileError} not JSON, not of that form */
export const parseSummary = (json: string, path: string): CrossValidationSummary =>
  parseFile(summarySchema, json, path, "a cross-validation summary");

function parseFile<T>(schema: z.ZodMiniType<T>, json: string, path: string, kind: string): T {
  let value: unknown;
  try {
    value = JSON.parse(json);
  } catch (cause) {
    throw new FileError(path, {
      problem: `is damaged: not JSON`,
      expected: kind,
      got: `${json.length} characters`,
      cause,
    });
  }
  const result = schema.safeParse(value, inWords);
  if (result.success) return result.data;
  throw new FileError(path, { problem: `is not ${kind} of this version`, got: firstIssue(result.error) });
}

/** "lr.3: Invalid input: expected number, received string". */
function firstIssue(error: z.core.$ZodError): string {
  const issue = error.issues[0];
  if (issue === undefined) return "unknown";
  return issue.path.length > 0 ? `${issue.path.join(".")}: ${issue.message}` : issue.message;
}
