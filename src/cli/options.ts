/** @file Options as data: what the help says, and how the text after one becomes a value. */
import { UsageError } from "../common/errors.js";
import { printable } from "../formats/bytes.js";

export interface OptionSpec<T> {
  /** As the help shows them: "-b, --batch-size <n>". */
  readonly flags: string;
  readonly help: string;
  /** The default in words, for the help; the value itself is filled in where the option is used, so that presets can differ. */
  readonly default?: string;
  /** Null for a flag without a value. */
  readonly parse: ((text: string) => T) | null;
  /** Other long names that are understood: "data-path". */
  readonly aliases?: readonly string[];
  /** Heading in the help; set by `section`. */
  readonly heading?: string;
}

type About<T> = Omit<OptionSpec<T>, "parse">;

/** What a command gets for its options: `undefined` where one was not given. */
export type OptionValues<O> = {
  readonly [K in keyof O]: (O[K] extends OptionSpec<infer T> ? T : never) | undefined;
};

/** The long name: "--batch-size". */
export function longName(flags: string): string {
  return /--[a-z][a-z-]*/.exec(flags)?.[0] ?? flags;
}

const wrong = (flags: string, must: string, text: string): UsageError =>
  new UsageError(longName(flags), {
    problem: `must be ${must}, got ${/^[-+.\w]+$/.test(text) ? text : `"${printable(text)}"`}`,
  });

/** A decimal number as people write it: 3, -0.5, .5, 1e-4; NaN for anything else ("0x10", "Infinity", ""). */
export const readNumber = (text: string): number =>
  /^[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?$/i.test(text.trim()) ? Number(text) : Number.NaN;

export const text = (o: About<string>): OptionSpec<string> => ({
  ...o,
  parse: (given) => {
    if (given.trim() === "") throw wrong(o.flags, "something", given);
    return given;
  },
});

/** A file or folder, as the user writes it. */
export const path = (o: About<string>): OptionSpec<string> => ({
  ...o,
  parse: (given) => {
    if (given.trim() === "") throw wrong(o.flags, "a path", given);
    return given;
  },
});

export const whole = (o: About<number> & { readonly min: number; readonly max?: number }): OptionSpec<number> => ({
  ...o,
  parse: (given) => {
    const value = readNumber(given);
    const { min, max = Number.MAX_SAFE_INTEGER } = o;
    if (!Number.isSafeInteger(value) || value < min || value > max) {
      const range = o.max === undefined ? `≥ ${min}` : `from ${min} to ${max}`;
      throw wrong(o.flags, `a whole number ${range}`, given);
    }
    return value;
  },
});

export interface Range {
  /** Smallest value, itself allowed. */
  readonly min?: number;
  /** Smallest value, itself not allowed. */
  readonly above?: number;
  readonly max?: number;
  readonly below?: number;
}

/** "a number > 0", "a number ≥ 0 and < 1". */
function inWords({ min, above, max, below }: Range): string {
  const limits = [
    ...(above === undefined ? [] : [`> ${above}`]),
    ...(min === undefined ? [] : [`≥ ${min}`]),
    ...(max === undefined ? [] : [`≤ ${max}`]),
    ...(below === undefined ? [] : [`< ${below}`]),
  ];
  return `a number${limits.length === 0 ? "" : ` ${limits.join(" and ")}`}`;
}

const inside = (value: number, { min, above, max, below }: Range): boolean =>
  Number.isFinite(value) &&
  (min === undefined || value >= min) &&
  (above === undefined || value > above) &&
  (max === undefined || value <= max) &&
  (below === undefined || value < below);

export const real = (o: About<number> & Range): OptionSpec<number> => ({
  ...o,
  parse: (given) => {
    const value = readNumber(given);
    if (!inside(value, o)) throw wrong(o.flags, inWords(o), given);
    return value;
  },
});

/** Several numbers with commas: 0.485,0.456,0.406. */
export const reals = (o: About<readonly number[]> & Range): OptionSpec<readonly number[]> => ({
  ...o,
  parse: (given) => {
    const values = given.split(",").map(readNumber);
    if (!values.every((v) => inside(v, o))) throw wrong(o.flags, `${inWords(o)}, or several with commas`, given);
    return values;
  },
});

/** Several whole numbers and ranges with commas: 1,3-5. In ascending order, each once. */
export const wholes = (o: About<readonly number[]> & { readonly min: number }): OptionSpec<readonly number[]> => ({
  ...o,
  parse: (given) => {
    const chosen = new Set<number>();
    for (const part of given.split(",")) {
      const match = /^\s*(\d{1,6})(?:\s*-\s*(\d{1,6}))?\s*$/.exec(part);
      const from = Number(match?.[1] ?? Number.NaN);
      const to = Number(match?.[2] ?? from);
      if (!(from >= o.min && to >= from && to - from <= 10_000)) {
        throw wrong(o.flags, `whole numbers ≥ ${o.min} with commas, such as 1,3 or 1-3`, given);
      }
      for (let n = from; n <= to; n++) chosen.add(n);
    }
    return [...chosen].sort((a, b) => a - b);
  },
});

/** MIN,MAX, or none (null). */
export const bounds = (o: About<readonly [number, number] | null>): OptionSpec<readonly [number, number] | null> => ({
  ...o,
  parse: (given) => {
    if (given.trim().toLowerCase() === "none") return null;
    const [min, max, ...rest] = given.split(",").map(readNumber);
    if (min === undefined || max === undefined || rest.length > 0 || !(min >= 0 && min < max && Number.isFinite(max))) {
      throw wrong(o.flags, "MIN,MAX with 0 ≤ MIN < MAX, or none", given);
    }
    return [min, max];
  },
});

/** One of a few words. Letters may be of either case. */
export const choice = <const T extends string>(o: About<T> & { readonly of: readonly T[] }): OptionSpec<T> => ({
  ...o,
  parse: (given) => {
    const found = o.of.find((word) => word.toLowerCase() === given.toLowerCase());
    if (found === undefined) throw wrong(o.flags, `one of ${o.of.join(", ")}`, given);
    return found;
  },
});

/** An option without a value. */
export const flag = (o: About<boolean>): OptionSpec<boolean> => ({ ...o, parse: null });

/** The options under one heading of the help. */
export function section<O extends Readonly<Record<string, OptionSpec<unknown>>>>(heading: string, options: O): O {
  return Object.fromEntries(Object.entries(options).map(([key, spec]) => [key, { ...spec, heading }])) as O; // same keys, same specs
}

/** Some of a table's options, in the order of the names. */
export const pick = <O extends object, const K extends keyof O>(table: O, names: readonly K[]): Pick<O, K> =>
  Object.fromEntries(names.map((name) => [name, table[name]])) as Pick<O, K>; // these very keys
