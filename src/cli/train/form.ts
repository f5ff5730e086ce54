/** @file The options of `metalr train` as a form: the same words, checks and messages as on the command line. */
import { MetalrError } from "../../common/errors.js";
import type { FileSystem } from "../../platform/types.js";
import type { FormField, FormValues, TrainForm } from "../../studio/protocol.js";
import { longName, type OptionSpec } from "../options.js";
import { parseOptions } from "../program.js";
import { trainFlags } from "./flags.js";
import { methodOf } from "./method.js";

/** What the studio decides by itself, or shows better. */
const left = new Set(["out", "resume", "logInterval"]);

const specs: readonly (readonly [string, OptionSpec<unknown>])[] = Object.entries(trainFlags).filter(
  ([key]) => !left.has(key),
);

/** Paths of files that have to be there; "none" stands for no weights. */
const existing = new Set(["data", "pretrainedPath", "groupsFile"]);

/** "Conv: is missing" of an option's own message: the field stands beside it. */
const withoutName = (error: MetalrError): string => {
  const more = [
    error.expected === undefined ? "" : `; expected ${error.expected}`,
    error.hint === undefined ? "" : ` – ${error.hint}`,
  ];
  return error.problem + more.join("");
};

function fieldOf(key: string, spec: OptionSpec<unknown>): FormField {
  const choices =
    "of" in spec && Array.isArray(spec.of) ? spec.of.filter((w): w is string => typeof w === "string") : [];
  const named = /<([^>]+)>/.exec(spec.flags)?.[1] ?? "";
  const kind =
    spec.parse === null
      ? "flag"
      : choices.length > 0
        ? "choice"
        : existing.has(key)
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
  };
}

/** @param quoted a command line as a shell reads it */
export function trainForm(files: FileSystem, quoted: (words: readonly string[]) => string): TrainForm {
  const words = (values: FormValues) => [
    "train",
    ...specs.flatMap(([key, spec]) => {
      const value = values[key]?.trim() ?? "";
      if (value === "") return [];
      return spec.parse === null
        ? value === "yes"
          ? [longName(spec.flags)]
          : []
        : [`${longName(spec.flags)}=${value}`];
    }),
  ];
  return {
    fields: specs.map(([key, spec]) => fieldOf(key, spec)),
    words,
    async check(values) {
      const errors: Record<string, string> = {};
      for (const [key, spec] of specs) {
        const value = values[key]?.trim() ?? "";
        if (value === "" || spec.parse === null) continue;
        try {
          spec.parse(value);
          if (existing.has(key) && value !== "none" && (await files.kind(value)) === "missing")
            errors[key] = "does not exist";
        } catch (error) {
          if (!(error instanceof MetalrError)) throw error;
          errors[key] = withoutName(error);
        }
      }
      if (Object.keys(errors).length === 0) {
        try {
          methodOf(parseOptions("train", trainFlags, words(values).slice(1)));
        } catch (error) {
          if (!(error instanceof MetalrError)) throw error;
          const about = specs.find(([, spec]) => longName(spec.flags) === error.where)?.[0] ?? "method";
          errors[about] = withoutName(error);
        }
      }
      return { errors, command: quoted(words(values)) };
    },
  };
}
