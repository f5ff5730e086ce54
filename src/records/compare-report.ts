/** @file comparison.json, report.html and the table for the terminal, from the figures of a comparison. */
import type { FileSystem } from "../platform/types.js";
import type { FinishedCell, MethodRow } from "./compare-plan.js";
import {
  type Choice,
  type ComparisonFigures,
  type DataFigures,
  formatP,
  type MethodFigures,
  meanCell,
  points,
} from "./compare-summary.js";
import { join, runFiles } from "./files.js";
import { formatDuration, formatPercent, formatShare, NONE } from "./format.js";
import { type ComparedSection, comparisonReport } from "./report/comparison-report.js";
import { type TextStyle, table } from "./text.js";

/** Beside the folders of the data sets. */
export const comparisonFile = "comparison.json";

const headers: Readonly<Record<Choice, string>> = {
  validation: "by validation",
  last: "last epoch",
  leaky: "best on test (leaky)",
};

interface Column {
  readonly header: string;
  /** For the terminal. */
  readonly short: string;
  readonly text?: boolean;
  cell(m: MethodFigures): string;
}

const nameColumn: Column = { header: "Method", short: "method", text: true, cell: (m) => m.title };

/** Two tables: the figures of each method, and the tests against the reference; those that the figures can fill. */
function tablesOf({ methods, units, external, reference }: DataFigures, tuned: boolean): Column[][] {
  const choices = Object.keys(methods[0]?.accuracy ?? {}) as Choice[]; // its keys are choices
  const figures: Column[] = [
    nameColumn,
    ...choices.map(
      (c): Column => ({ header: `Accuracy %, ${headers[c]}`, short: headers[c], cell: (m) => meanCell(m, c) }),
    ),
    { header: "Balanced", short: "balanced", cell: (m) => formatPercent(m.balancedAccuracy) },
    { header: "Macro AUC", short: "AUC", cell: (m) => formatShare(m.macroAuc) },
    ...(external === null
      ? []
      : [
          {
            header: `Elsewhere (${external})`,
            short: "elsewhere",
            cell: (m: MethodFigures) => formatPercent(m.external?.mean),
          },
        ]),
    ...(tuned ? [{ header: "Rate ×", short: "rate ×", cell: (m: MethodFigures) => String(m.factor) }] : []),
    { header: "Time a run", short: "a run", cell: (m) => formatDuration(m.trainingMs) },
    { header: "A step", short: "a step", cell: (m) => formatDuration(m.stepMs) },
  ];
  const base = methods.find((m) => m.method === reference)?.title.toLowerCase() ?? reference;
  const tests: Column[] = [
    nameColumn,
    {
      header: `Points against ${base}`,
      short: `points against ${base}`,
      cell: (m) => (m.test ? points(m.test.difference.mean) : NONE),
    },
    { header: "95 % interval", short: "95 % interval", cell: intervalCell },
    { header: "p (paired t)", short: "p (t)", cell: (m) => formatP(m.test?.p ?? null) },
    { header: "p (Holm)", short: "p (Holm)", cell: (m) => formatP(m.test?.pHolm ?? null) },
    { header: "p (Wilcoxon, exact)", short: "p (rank)", cell: (m) => formatP(m.test?.pWilcoxon ?? null) },
  ];
  return units < 2 || methods.length < 2 ? [figures] : [figures, tests];
}

/** Methods in the table: the reference is not tested against itself. */
const rowsOf = (columns: readonly Column[], d: DataFigures): string[][] =>
  d.methods
    .filter((m) => m.method !== d.reference || !columns.some((c) => c.cell === intervalCell))
    .map((m) => columns.map((c) => c.cell(m)));

const intervalCell = ({ test }: MethodFigures): string =>
  test === null || test.difference.low === null || test.difference.high === null
    ? NONE
    : `${points(test.difference.low)} … ${points(test.difference.high)}`;

/** The tables of one data set for a terminal. */
export const comparisonText = (figures: ComparisonFigures, d: DataFigures, style: TextStyle = {}): string =>
  tablesOf(d, figures.grid.length > 1)
    .map((columns) =>
      table(
        columns.map(({ short, text }) => ({ header: short, ...(text && { align: "left" as const }) })),
        rowsOf(columns, d),
        style,
      ),
    )
    .join("\n\n");

/** The tuning budget in a sentence. */
export function budgetInWords({ grid, trainings }: ComparisonFigures): string {
  const runs = `${trainings} trainings in all`;
  return grid.length === 1
    ? `No method was tuned: ${runs}, each method with its defaults.`
    : `Every method had the same budget: ${grid.length} learning rates (factors ${grid.join(", ")}), chosen by the mean validation accuracy of the first seed; ${runs}.`;
}

function sectionOf(figures: ComparisonFigures, d: DataFigures): ComparedSection {
  const main = (Object.keys(d.methods[0]?.accuracy ?? {})[0] ?? "last") as Choice; // as above
  const bars = d.units > 1 ? "; bars: 95 % interval of the mean" : "";
  return {
    title: `${d.data}: images never seen in training`,
    methods: d.methods.map((m) => {
      const figure = m.accuracy[main];
      const { low = null, high = null } = figure ?? {};
      return {
        name: main === "leaky" ? `${m.title} (leaky)` : m.title,
        values: figure?.values ?? [],
        ...(low !== null && high !== null && { interval: [Math.max(0, low), Math.min(1, high)] as const }),
        reference: m.method === d.reference,
      };
    }),
    note: `points: ${d.unit === "fold" ? `${d.folds} folds` : `${d.seeds} seeds`}${bars}; epoch: ${headers[main]}`,
    tables: tablesOf(d, figures.grid.length > 1).map((columns) => ({
      columns: columns.map(({ header, text }) => ({ header, ...(text && { text }) })),
      rows: rowsOf(columns, d),
    })),
    paragraphs: d.words,
    confusions: d.methods.map((m) => ({ name: m.title, classes: d.classes, confusion: m.confusion })),
  };
}

/**
 * Writes comparison.json and report.html.
 * @param cells of the first seed and fold the learning rates are drawn
 * @throws {FileError} no space
 */
export async function writeComparison(
  files: FileSystem,
  folder: string,
  o: {
    readonly title: string;
    readonly introduction: readonly string[];
    readonly figures: ComparisonFigures;
    readonly methods: readonly MethodRow[];
    readonly cells: readonly FinishedCell[];
  },
): Promise<void> {
  const { figures, cells } = o;
  await files.writeAtomic(join(folder, comparisonFile), `${JSON.stringify(figures, null, 2)}\n`);
  const several = figures.data.length > 1;
  const runs = figures.data.flatMap((d) =>
    o.methods.flatMap(({ key, title, about }) => {
      const cell = cells.find((c) => c.data === d.data && c.method === key);
      if (!cell) return [];
      const place = [`seed ${cell.seed}`, ...(cell.split === "run" ? [] : [cell.split])].join(", ");
      return [
        {
          name: `${several ? `${d.data}, ` : ""}${title}, ${place}`,
          about,
          record: cell.record,
          reference: key === d.reference,
        },
      ];
    }),
  );
  await files.writeAtomic(
    join(folder, runFiles.report),
    comparisonReport({
      title: o.title,
      introduction: [...o.introduction, budgetInWords(figures)],
      runs,
      sections: figures.data.map((d) => sectionOf(figures, d)),
    }),
  );
}
