/** @file What the cells of a comparison say together: means with intervals, paired tests against a reference, and that in words. */
import type { Evaluation } from "../training/types.js";
import type { FinishedCell, FinishedComparison, MethodRow, Tuning } from "./compare-plan.js";
import { formatPercent } from "./format.js";
import { headlineOf } from "./run-record.js";
import { holm, type MeanInterval, meanInterval, pairedTTest, wilcoxonExact } from "./statistics.js";

/** How the epochs were chosen whose figures are in a column. */
export type Choice = "validation" | "last" | "leaky";

/** Figures of one method on one data set. */
export interface MethodFigures {
  readonly method: string;
  readonly title: string;
  /** Factor on the learning rate that tuning chose. */
  readonly factor: number;
  /** Test accuracy of every unit, by choice of the epoch: fold (its seeds averaged), or seed where there is one split only. */
  readonly accuracy: Readonly<Partial<Record<Choice, MeanInterval & { readonly values: readonly number[] }>>>;
  /** At the selected epoch, means over all cells; null where a class is missing. */
  readonly balancedAccuracy: number;
  readonly macroAuc: number | null;
  /** Summed confusion matrix at the selected epoch over all cells. */
  readonly confusion: readonly (readonly number[])[];
  /** Mean wall time of one training, and of one step, milliseconds. */
  readonly trainingMs: number;
  readonly stepMs: number;
  /** Accuracy of the selected networks on images from elsewhere, over all cells; null where none were given. */
  readonly external: MeanInterval | null;
  /** Against the reference, selected epoch; null for the reference itself. */
  readonly test: PairedTest | null;
}

export interface PairedTest {
  /** Differences of accuracy, method − reference. */
  readonly difference: MeanInterval;
  /** Two-sided; null where there is nothing to test. `pHolm` is p of the t test, corrected for all methods of the data set. */
  readonly p: number | null;
  readonly pHolm: number | null;
  readonly pWilcoxon: number | null;
}

export interface DataFigures {
  readonly data: string;
  readonly classes: readonly string[];
  /** What one value stands for. */
  readonly unit: "fold" | "seed";
  readonly units: number;
  readonly seeds: number;
  readonly folds: number;
  readonly reference: string;
  /** Name of the data set from elsewhere; null where none was given. */
  readonly external: string | null;
  readonly methods: readonly MethodFigures[];
  /** Sentences that say what the numbers allow one to say. */
  readonly words: readonly string[];
}

export interface ComparisonFigures {
  readonly format: "metalr-comparison";
  readonly version: 1;
  readonly created: string;
  readonly seeds: readonly number[];
  readonly grid: readonly number[];
  readonly trainings: number;
  readonly tuning: readonly Tuning[];
  readonly data: readonly DataFigures[];
}

/** Choices that the cells have: selected by the run's own rule, and the last epoch. */
function choicesOf(cells: readonly FinishedCell[]): readonly Choice[] {
  const select = cells[0]?.record.end?.select ?? "last";
  return select === "last" ? ["last"] : [select === "test" ? "leaky" : "validation", "last"];
}

const testOf = ({ record }: FinishedCell, choice: Choice): Evaluation | null => {
  const headline = headlineOf(record);
  return (choice === "last" ? headline?.last : headline?.selected) ?? null;
};

/**
 * @param reference key of the method that the others are held against; must be among the methods
 * @param now ISO 8601
 */
export function summariseComparison(
  { cells, tuning, trainings }: FinishedComparison,
  o: {
    methods: readonly MethodRow[];
    seeds: readonly number[];
    grid: readonly number[];
    reference: string;
    now: string;
    /** Accuracy of each cell's selected network on another data set. */
    external?: { readonly name: string; readonly accuracy: ReadonlyMap<FinishedCell, number> };
  },
): ComparisonFigures {
  const names = [...new Set(cells.map((c) => c.data))];
  return {
    format: "metalr-comparison",
    version: 1,
    created: o.now,
    seeds: o.seeds,
    grid: o.grid,
    trainings,
    tuning,
    data: names.map((data) =>
      summariseData(
        cells.filter((c) => c.data === data),
        o,
      ),
    ),
  };
}

function summariseData(
  cells: readonly FinishedCell[],
  {
    methods,
    reference,
    external,
  }: Pick<Parameters<typeof summariseComparison>[1], "methods" | "reference" | "external">,
): DataFigures {
  const folds = [...new Set(cells.map((c) => c.split))];
  const seeds = [...new Set(cells.map((c) => c.seed))];
  const unit = folds.length > 1 ? "fold" : "seed";
  const units: readonly (string | number)[] = unit === "fold" ? folds : seeds;
  const choices = choicesOf(cells);
  const main = choices[0] ?? "last";
  const of = (method: string) => cells.filter((c) => c.method === method);
  /** Accuracy of each unit, its cells averaged: seeds of one fold share their test images and are no units of their own. */
  const values = (method: string, choice: Choice): number[] =>
    units.map((u) =>
      mean(
        of(method)
          .filter((c) => (unit === "fold" ? c.split : c.seed) === u)
          .map((c) => testOf(c, choice)?.accuracy ?? Number.NaN),
      ),
    );
  const base = values(reference, main);
  const tests = methods.map(({ key }) =>
    key === reference ? null : paired(values(key, main).map((v, i) => v - (base[i] ?? Number.NaN))),
  );
  const tested = tests.flatMap((t, i) => (t?.p === null || t === null ? [] : [{ i, p: t.p }]));
  const corrected = holm(tested.map((t) => t.p));
  const figures = methods.map(({ key, title }, i): MethodFigures => {
    const own = of(key);
    const evaluations = own.map((c) => testOf(c, main)).filter((e) => e !== null);
    const test = tests[i] ?? null;
    const at = tested.findIndex((t) => t.i === i);
    const aucs = evaluations.map((e) => e.macroAuc).filter((a) => a !== null);
    return {
      method: key,
      title,
      factor: own[0]?.factor ?? 1,
      accuracy: Object.fromEntries(
        choices.map((choice) => {
          const all = values(key, choice);
          return [choice, { ...meanInterval(all), values: all }];
        }),
      ),
      balancedAccuracy: mean(evaluations.map((e) => e.balancedAccuracy)),
      macroAuc: aucs.length === evaluations.length && aucs.length > 0 ? mean(aucs) : null,
      confusion: evaluations
        .map((e) => e.confusion)
        .reduce<readonly (readonly number[])[]>(
          (sum, c) => c.map((row, r) => row.map((n, k) => n + (sum[r]?.[k] ?? 0))),
          [],
        ),
      trainingMs: mean(own.map((c) => c.record.timing.elapsedMs)),
      external: external ? meanInterval(own.flatMap((c) => external.accuracy.get(c) ?? [])) : null,
      stepMs: mean(own.map(({ record: { timing } }) => timing.stepMs / Math.max(1, timing.steps))),
      test: test && { ...test, pHolm: at < 0 ? null : (corrected[at] ?? null) },
    };
  });
  const facts = { unit, units: units.length, seeds: seeds.length, folds: folds.length, reference } as const;
  const first = cells[0];
  return {
    data: first?.data ?? "",
    classes: first?.record.info.classes ?? [],
    ...facts,
    external: external?.name ?? null,
    methods: figures,
    words: [
      ...inWords(figures, facts, main),
      ...(external
        ? [
            `On ${external.name}, images from elsewhere that no choice has seen, the same networks have: ${figures.map((m) => `${m.title} ${formatPercent(m.external?.mean)}`).join("; ")}.`,
          ]
        : []),
    ],
  };
}

const mean = (values: readonly number[]): number => values.reduce((a, b) => a + b, 0) / values.length;

function paired(differences: readonly number[]): Omit<PairedTest, "pHolm"> {
  return {
    difference: meanInterval(differences),
    p: pairedTTest(differences)?.p ?? null,
    pWilcoxon: wilcoxonExact(differences)?.p ?? null,
  };
}

/** Points of a percentage, with a sign: "+1.3". */
export const points = (share: number): string => {
  const text = (100 * share).toFixed(1);
  return /^-?0\.0$/.test(text) ? "0.0" : share > 0 ? `+${text}` : text.replace("-", "−");
};

/** p as papers write it: "p = 0.031", "p < 0.001". */
export const formatP = (p: number | null): string => (p === null ? "–" : p < 0.001 ? "< 0.001" : p.toFixed(3));

/** What the numbers allow one to say. */
export function inWords(
  methods: readonly MethodFigures[],
  o: { unit: "fold" | "seed"; units: number; seeds: number; folds: number; reference: string },
  main: Choice,
): string[] {
  const base = methods.find((m) => m.method === o.reference);
  if (!base) return [];
  const chosen = {
    validation: "the epoch chosen on validation images",
    last: "the last epoch",
    leaky: "the epoch chosen on the test images themselves (leaky: too high, and not to be quoted)",
  }[main];
  const lines = [`Accuracy on the test images at ${chosen}. ${base.title}: ${meanText(base, main)}.`];
  for (const m of methods) {
    if (m.test === null) continue;
    const { difference, p, pHolm } = m.test;
    const { low, high } = difference;
    const start = `${m.title}: ${meanText(m, main)}, ${points(difference.mean)} points against ${base.title.toLowerCase()}`;
    if (low === null || high === null) {
      lines.push(`${start}. With one ${o.unit} nothing can be said about chance: add seeds.`);
    } else if (p === null || pHolm === null) {
      lines.push(`${start}, the same difference in every ${o.unit}: there is no spread to test it against.`);
    } else {
      const interval = `95 % interval ${points(low)} to ${points(high)}, ${o.units} ${o.unit}s, p = ${formatP(p)}${methods.length > 2 ? `, ${formatP(pHolm)} after Holm's correction` : ""}`;
      const verdict =
        pHolm < 0.05
          ? `${m.title} is ${difference.mean > 0 ? "better" : "worse"} here by more than chance explains at the 5 % level`
          : p < 0.05
            ? "a hint, which does not survive that several methods were tested"
            : "no difference is shown; what the interval holds is possible in either direction";
      lines.push(`${start} (${interval}): ${verdict.replace("= <", "<")}.`);
    }
  }
  if (o.units >= 2 && o.units < 6) {
    lines.push(
      `${o.units} pairs are few: the exact rank test cannot give a p below ${(2 / 2 ** o.units).toFixed(3)}, and the t test believes that differences are normally distributed.`,
    );
  }
  if (o.unit === "seed") {
    lines.push(
      "All runs share one division into training and test images, so the intervals say how well training repeats itself, not how other patients would fare.",
    );
  } else {
    const seeds = o.seeds > 1 ? ` Each fold's value is the mean over ${o.seeds} seeds.` : "";
    lines.push(
      `The folds share most of their training images, which makes the tests somewhat too sure of themselves.${seeds}`,
    );
  }
  return lines.map((l) => l.replaceAll("p = <", "p <"));
}

function meanText(m: MethodFigures, choice: Choice): string {
  const figure = m.accuracy[choice];
  if (!figure) return "–";
  const half = figure.high === null ? "" : ` ± ${(100 * (figure.high - figure.mean)).toFixed(1)}`;
  return half === "" ? formatPercent(figure.mean) : `${(100 * figure.mean).toFixed(1)}${half} %`;
}

/** Mean ± half the 95 % interval, in percent: "84.3 ± 2.1"; without ± for one value. */
export const meanCell = (m: MethodFigures, choice: Choice): string => meanText(m, choice).replace(" %", "");
