/** @file Which images train, validate and test: the file's own folds or parts, or folds made here; by group where groups are known. */
import { DataError, UsageError } from "../common/errors.js";
import { Random } from "../common/random.js";
import { stratify } from "./stratify.js";
import type { Dataset, Split } from "./types.js";

export interface SplitOptions {
  /** How the epoch that counts is chosen; "validation" holds out a part of the training images. */
  readonly select: "last" | "validation" | "test";
  /** Where MetaLR's validation batches come from: the training images, or a held-out part of them. */
  readonly metaData: "train" | "split";
  readonly seed: number;
  /** Number of folds for data that are not divided, and with `byGroup`; default 5, or as many as the file has. */
  readonly folds?: number;
  /** Instead of folds: one run with this share of the images as its test part. */
  readonly testShare?: number;
  /**
   * Share of the training images that is held out, once for `select: "validation"`, once for `metaData: "split"`. Default
   * 0.2; for folds without groups the default is one whole training fold.
   */
  readonly heldOutShare?: number;
  /** Divide anew by group instead of as the file does, so that no group is on both sides; default false. */
  readonly byGroup?: boolean;
}

/**
 * The runs of a data set: one for each fold, or a single one for official parts and for `testShare`. Parts are disjoint and
 * in the order of the file; only `meta` is `train` itself under `metaData: "train"`.
 *
 * A held-out part is taken by group where groups are known; else, for folds, it is the next whole training fold (cyclically:
 * first for validation, then for meta), because neighbouring frames of one video must not be on both sides.
 *
 * @throws {UsageError} options that the data cannot serve; @throws {DataError} a part that would be empty
 */
export function planSplits(data: Dataset, options: SplitOptions): Split[] {
  // Where pixels have classes, images have none: they are divided as images of one kind.
  const dataset: Dataset = data.segmentation === undefined ? data : { ...data, classes: ["image"] };
  check(dataset, options);
  const { division } = dataset;
  if (options.testShare !== undefined) return [shareRun(dataset, options, options.testShare)];
  if (division.kind === "official" && options.byGroup !== true) return [officialRun(dataset, options)];
  const all = Uint32Array.from({ length: dataset.count }, (_, i) => i);
  const own = division.kind === "folds" && options.byGroup !== true ? division.folds : null;
  const k = own?.length ?? options.folds ?? (division.kind === "folds" ? division.folds.length : 5);
  const folds = own ?? divide(dataset, all, new Array<number>(k).fill(1 / k), new Random(options.seed, "folds"));
  for (const [f, fold] of folds.entries()) {
    if (fold.length === 0) {
      throw new DataError(dataset.name, {
        problem: `fold ${f + 1} of ${k} has no images`,
        got: `${dataset.count} images${dataset.groups === null ? "" : ` in ${new Set(dataset.groups).size} groups`}`,
        hint: "use fewer folds",
      });
    }
  }
  return folds.map((_, f) => foldRun(dataset, options, folds, f));
}

const divide = (dataset: Dataset, indices: Uint32Array, shares: readonly number[], random: Random): Uint32Array[] =>
  stratify(
    { indices, labels: dataset.labels, classes: dataset.classes.length, groups: dataset.groups },
    shares,
    random,
  );

function foldRun(dataset: Dataset, options: SplitOptions, folds: readonly Uint32Array[], f: number): Split {
  const k = folds.length;
  const name = `fold-${f + 1}`;
  const test = folds[f] ?? new Uint32Array(0); // f is one of the folds
  const held = wanted(options);
  const wholeFolds = dataset.groups === null && options.heldOutShare === undefined && k - 1 > held.length;
  if (!wholeFolds) return holdOut(dataset, options, name, without(folds, [f]), null, test, k - 1 <= held.length);
  const next = (step: number) => (f + step) % k;
  const part = (what: "validation" | "meta") => {
    const at = held.indexOf(what);
    return at < 0 ? null : (folds[next(at + 1)] ?? null);
  };
  const train = without(folds, [f, ...held.map((_, at) => next(at + 1))]);
  const validation = part("validation") ?? new Uint32Array(0);
  return finish(dataset, options, { name, train, meta: part("meta") ?? train, validation, test }, []);
}

function officialRun(dataset: Dataset, options: SplitOptions): Split {
  const { division } = dataset;
  const empty = new Uint32Array(0);
  if (division.kind !== "official" || division.train.length === 0) {
    throw new DataError(dataset.name, {
      problem: "has no training images",
      hint: "it can be evaluated, but not trained on",
    });
  }
  const { validation, train } = division;
  const test = division.test ?? empty;
  const given = options.select === "validation" ? validation : null;
  return holdOut(dataset, options, "run", train, given, test, false, validation !== null && given === null);
}

function shareRun(dataset: Dataset, options: SplitOptions, testShare: number): Split {
  const all = Uint32Array.from({ length: dataset.count }, (_, i) => i);
  const [test, rest] = divide(dataset, all, [testShare, 1 - testShare], new Random(options.seed, "test"));
  return holdOut(dataset, options, "run", rest ?? all, null, test ?? all, false); // two shares give two parts
}

type Held = "validation" | "meta";

/** The parts that have to be taken from the training images, in this order. */
const wanted = ({ select, metaData }: SplitOptions): Held[] => [
  ...(select === "validation" ? (["validation"] as const) : []),
  ...(metaData === "split" ? (["meta"] as const) : []),
];

/** Takes shares of the training images, by group where known. @param given the official validation images */
function holdOut(
  dataset: Dataset,
  options: SplitOptions,
  name: string,
  training: Uint32Array,
  given: Uint32Array | null,
  test: Uint32Array,
  fewFolds: boolean,
  unused = false,
): Split {
  const parts = wanted(options).filter((what) => what !== "validation" || given === null);
  const share = options.heldOutShare ?? 0.2;
  const shares = [...parts.map(() => share), 1 - share * parts.length];
  const divided =
    parts.length === 0 ? [training] : divide(dataset, training, shares, new Random(options.seed, "held out", name));
  const train = divided.at(-1) ?? training;
  const part = (what: Held) => (parts.includes(what) ? (divided[parts.indexOf(what)] ?? null) : null);
  const notes: string[] = [];
  if (fewFolds && parts.length > 0 && dataset.groups === null) {
    notes.push(
      "too few folds to hold out whole ones: frames of one video may be both in training and in the held-out part",
    );
  }
  if (unused) notes.push("the data's own validation images are not used (they serve select: validation)");
  const validation = given ?? part("validation") ?? new Uint32Array(0);
  return finish(dataset, options, { name, train, meta: part("meta") ?? train, validation, test }, notes);
}

/** Checks that nothing wanted is empty, and says what a reader should know. */
function finish(dataset: Dataset, options: SplitOptions, split: Split, notes: string[]): Split {
  const held = wanted(options);
  const named: [string, Uint32Array][] = [["training", split.train]];
  if (held.includes("meta")) named.push(["meta", split.meta]);
  if (held.includes("validation")) named.push(["validation", split.validation]);
  if (dataset.division.kind !== "official" || options.byGroup === true || split.test.length > 0) {
    named.push(["test", split.test]);
  } else notes.push("the data have no test images");
  for (const [what, indices] of named) {
    if (indices.length === 0) {
      throw new DataError(`${dataset.name}, ${split.name}`, {
        problem: `the ${what} part would have no images`,
        got: dataset.groups === null ? `${dataset.count} images` : `${new Set(dataset.groups).size} groups`,
        hint: "hold out a larger share, or choose select: last and meta data: train",
      });
    }
    const present = new Set(Array.from(indices, (i) => dataset.labels[i]));
    const absent = dataset.classes.filter((_, c) => !present.has(c));
    if (absent.length > 0) notes.push(`the ${what} part has no image of ${absent.join(", ")}`);
  }
  const straddling = straddlingGroups(split, dataset);
  if (straddling.length > 0) {
    const total = new Set(dataset.groups).size;
    notes.push(
      `${straddling.length} of ${total} groups have images both in the test part and in the others: the test result will look better than on new groups`,
    );
  }
  return { ...split, notes };
}

/**
 * Leak check: the groups that have images both in the test part and in what the run learns or selects from.
 *
 * @returns sorted names; empty where groups are not known
 */
export function straddlingGroups(split: Split, dataset: Dataset): string[] {
  const { groups } = dataset;
  if (groups === null) return [];
  const seen = new Set<string>();
  for (const part of [split.train, split.meta, split.validation]) for (const i of part) seen.add(groups[i] ?? "");
  const both = new Set(Array.from(split.test, (i) => groups[i] ?? "").filter((g) => seen.has(g)));
  return [...both].sort((a, b) => (a < b ? -1 : a > b ? 1 : 0));
}

/** The images of all folds but some, in the order of the file. */
function without(folds: readonly Uint32Array[], left: readonly number[]): Uint32Array {
  const kept = folds.filter((_, f) => !left.includes(f));
  const all = new Uint32Array(kept.reduce((n, fold) => n + fold.length, 0));
  let at = 0;
  for (const fold of kept) {
    all.set(fold, at);
    at += fold.length;
  }
  return all.sort();
}

function check(dataset: Dataset, { folds, testShare, heldOutShare, byGroup, select }: SplitOptions): void {
  const refuse = (problem: string, facts: { expected?: string; got?: string; hint?: string }): never => {
    throw new UsageError(dataset.name, { problem, ...facts });
  };
  const { division } = dataset;
  if (folds !== undefined && testShare !== undefined) refuse("folds and a test share exclude each other", {});
  if (folds !== undefined && !(Number.isInteger(folds) && folds >= 2)) {
    refuse("number of folds is out of range", { expected: "a whole number from 2", got: String(folds) });
  }
  for (const [what, share, limit] of [
    ["test share", testShare, 1],
    ["held-out share", heldOutShare, 0.5],
  ] as const) {
    if (share !== undefined && !(share > 0 && share < limit)) {
      refuse(`${what} is out of range`, { expected: `above 0 and below ${limit}`, got: String(share) });
    }
  }
  if (byGroup === true && dataset.groups === null) {
    refuse("cannot be divided by group, because its groups are not known", {
      hint: "give a groups file with fold,index,group",
    });
  }
  if (
    byGroup !== true &&
    division.kind !== "none" &&
    (testShare !== undefined ||
      (folds !== undefined && !(division.kind === "folds" && folds === division.folds.length)))
  ) {
    const own = division.kind === "folds" ? `${division.folds.length} folds` : "parts for training and test";
    refuse(`has its own ${own}`, {
      got: folds === undefined ? `a test share of ${testShare}` : `${folds} folds`,
      hint: "leave the option out, or divide by group",
    });
  }
  if (select === "test" && division.kind === "official" && byGroup !== true && (division.test?.length ?? 0) === 0) {
    refuse("has no test images to select by", { hint: "choose select: validation or last" });
  }
}
