/**
 * @file The options of `metalr train` as fields of a form, and the texts of such a form as options: the same words, checks and
 * messages as on the command line, for the studio's server and for pages that train in the browser.
 */
import { MetalrError, UsageError } from "../../common/errors.js";
import { methodNames, optionsOfMethod, parseMethod } from "../../methods/index.js";
import { longName, type OptionSpec } from "../options.js";
import { type TrainFlags, trainFlags } from "./flags.js";
import { methodOf } from "./method.js";

/** One option as a field. */
export interface TrainField {
  /** "batchSize"; an option of one method has its name in front: "metalr.direction". */
  readonly key: string;
  /** "--batch-size". */
  readonly flag: string;
  readonly help: string;
  readonly default: string | null;
  readonly heading: string;
  readonly kind: "flag" | "choice" | "number" | "text" | "path";
  readonly choices: readonly string[];
  /** The method that alone has it; null for an option of every run. */
  readonly method: string | null;
}

/** Text of every field that was filled in; "yes" for a flag. */
export type TrainValues = Readonly<Record<string, string>>;

/** Paths of files that have to be there; "none" stands for no weights. */
export const filePaths: ReadonlySet<string> = new Set([
  "data",
  "pretrainedPath",
  "groupsFile",
  "labelsFile",
  "saltFile",
]);

const specs: readonly (readonly [string, OptionSpec<unknown>])[] = Object.entries(trainFlags);

/** An option's own message without its name: the field stands beside it. */
const withoutName = (error: MetalrError): string => {
  const more = [
    error.expected === undefined ? "" : `; expected ${error.expected}`,
    error.hint === undefined ? "" : ` – ${error.hint}`,
  ];
  return error.problem + more.join("");
};

function fieldOf(key: string, spec: OptionSpec<unknown>): TrainField {
  const choices =
    "of" in spec && Array.isArray(spec.of) ? spec.of.filter((w): w is string => typeof w === "string") : [];
  const named = /<([^>]+)>/.exec(spec.flags)?.[1] ?? "";
  const kind =
    spec.parse === null
      ? "flag"
      : choices.length > 0
        ? "choice"
        : filePaths.has(key)
          ? "path"
          : /^(n|x|rate|η|λ|μ|ε)$/.test(named)
            ? "number"
            : "text";
  return {
    key,
    flag: longName(spec.flags),
    help: spec.help,
    default: spec.default ?? null,
    heading: spec.heading ?? "Options",
    kind,
    choices,
    method: null,
  };
}

/** What one method alone has: behind its name on the command line, a field of its own here. */
const own: readonly TrainField[] = methodNames.flatMap((name) =>
  optionsOfMethod(name).map(
    ({ key, help, default: standard, choices }): TrainField => ({
      key: `${name}.${key}`,
      flag: `--method ${name}:${key}`,
      help,
      default: standard,
      heading: trainFlags.method.heading ?? "Method",
      kind: choices.length > 0 ? "choice" : "number",
      choices,
      method: name,
    }),
  ),
);

/** Options of the chosen method that are filled in, as they stand behind its name: "direction=optimizer". */
function ownValues(values: TrainValues): { readonly field: TrainField; readonly text: string }[] {
  const chosen = values["method"]?.trim() || "metalr";
  return own.flatMap((field) => {
    const value = values[field.key]?.trim() ?? "";
    return field.method === chosen && value !== ""
      ? [{ field, text: `${field.key.slice(chosen.length + 1)}=${value}` }]
      : [];
  });
}

/** The text of --method with the options of its own; empty where none is given. */
function methodValue(values: TrainValues): string {
  const texts = ownValues(values).map(({ text }) => text);
  const name = values["method"]?.trim() ?? "";
  return texts.length === 0 ? name : [name || "metalr", ...texts].join(":");
}

const textAt = (values: TrainValues, key: string): string =>
  key === "method" ? methodValue(values) : (values[key]?.trim() ?? "");

/** @param left options that the form does not show */
export const trainFields = (left: ReadonlySet<string>): TrainField[] => [
  ...specs.filter(([key]) => !left.has(key)).map(([key, spec]) => fieldOf(key, spec)),
  ...own,
];

/** The command line behind "metalr", "train" first. */
export const trainWords = (values: TrainValues, left: ReadonlySet<string>): string[] => [
  "train",
  ...specs.flatMap(([key, spec]) => {
    const value = textAt(values, key);
    if (value === "" || left.has(key)) return [];
    return spec.parse === null ? (value === "yes" ? [longName(spec.flags)] : []) : [`${longName(spec.flags)}=${value}`];
  }),
];

/**
 * The options that the texts mean. Keys that are no option are passed over.
 * @throws {UsageError} a text that an option does not take
 */
export function flagsOf(values: TrainValues): TrainFlags {
  const given = specs.map(([key, spec]) => {
    const value = textAt(values, key);
    if (value === "") return [key, undefined];
    return [key, spec.parse === null ? value === "yes" || undefined : spec.parse(value)];
  });
  return Object.fromEntries(given) as TrainFlags; // every key, each parsed by its own option
}

/** The problem that `check` finds, if it is one of ours. */
function problemOf(check: () => unknown): MetalrError | null {
  try {
    check();
    return null;
  } catch (error) {
    if (error instanceof MetalrError) return error;
    throw error;
  }
}

/** What is wrong with the texts, by field; empty where all go together. Files are not looked for. */
export function fieldErrors(values: TrainValues): Record<string, string> {
  const errors: Record<string, string> = {};
  for (const [key, { parse }] of specs) {
    const value = values[key]?.trim() ?? "";
    const problem = value === "" || parse === null ? null : problemOf(() => parse(value));
    if (problem !== null) errors[key] = withoutName(problem);
  }
  for (const { field, text } of ownValues(values)) {
    const problem = problemOf(() => {
      if (/[:=].*[:=]/.test(text)) throw new UsageError(field.key, { problem: "cannot be this" });
      parseMethod(`${field.method}:${text}`);
    });
    if (problem !== null) errors[field.key] = withoutName(problem);
  }
  if (Object.keys(errors).length > 0) return errors;
  const problem = problemOf(() => methodOf(flagsOf(values)));
  if (problem === null) return errors;
  const mine = ownValues(values).find(({ field }) => field.key.endsWith(`.${problem.where}`))?.field.key;
  const about = specs.find(([, spec]) => longName(spec.flags) === problem.where)?.[0] ?? mine ?? "method";
  return { [about]: withoutName(problem) };
}
