/** @file The tables of docs/EVIDENCE.md from what has been collected. */
import { formatP, type MethodFigures, meanCell, points } from "../../src/records/compare-summary.js";
import { formatDuration, formatPercent, formatShare } from "../../src/records/format.js";
import { meanInterval, pairedTTest } from "../../src/records/statistics.js";
import type { Collected } from "./collect.js";
import type { Experiment } from "./experiments.js";

const row = (cells: readonly string[]): string => `| ${cells.join(" | ")} |`;

const table = (headers: readonly string[], rows: readonly (readonly string[])[]): string =>
  [row(headers), row(headers.map((_, i) => (i === 0 ? "---" : "--:"))), ...rows.map(row)].join("\n");

const dataTitles: Readonly<Record<string, string>> = {
  pocus_data_all: "POCUS layout",
  breastmnist: "BreastMNIST",
  retinamnist: "RetinaMNIST",
};
const titleOf = (data: string): string => dataTitles[data] ?? data;

/** What an experiment says, or that it has not got far enough. */
export function experimentMarkdown(e: Experiment, collected: readonly Collected[] | null): string {
  const command = `\`npm run evidence -- ${e.name}\` runs \`metalr compare ${e.words.join(" ")}\`.`;
  const sections = dataOf(e).map((data) => {
    const c = collected?.find(({ figures }) => figures.data === data);
    if (c === undefined) return `**${titleOf(data)}**: *no seed has been through all methods yet: nothing to say.*`;
    const lines = [...c.figures.words, ...signsInWords(c)].map((w) => `- ${w}`).join("\n");
    return [`**${titleOf(data)}** (${stateOf(c, e)})`, accuracyTable(c), ratesTable(c), lines]
      .filter((x) => x !== "")
      .join("\n\n");
  });
  return [`### ${e.title}`, command, ...sections].join("\n\n");
}

/** Names of the data sets of an experiment, as its folders have them. */
const dataOf = (e: Experiment): string[] =>
  e.words
    .filter((w) => /^DATA\/(pocus|medmnist)\/[^/]+\.(zip\.001|npz)$/.test(w))
    .map((w) => (w.split("/").at(-1) ?? "").replace(/\..*$/, ""));

function stateOf({ figures, cells, seeds, beyond, missing }: Collected, e: Experiment): string {
  const spent = cells.reduce((sum, { record }) => sum + record.timing.elapsedMs, 0);
  const folds = figures.folds > 1 ? ` × ${figures.folds} folds` : "";
  const wanted = Number(e.words[e.words.indexOf("--seeds") + 1]);
  return [
    `${figures.methods.length} methods × ${seeds.length} of ${wanted} seed${wanted === 1 ? "" : "s"}${folds} = ${cells.length} trainings, ${formatDuration(spent)} of training in all`,
    ...(missing.length > 0 ? [`still missing: ${missing.join(", ")}`] : []),
    ...(beyond > 0
      ? [`${beyond} further trainings are done, of a seed or method that is not whole, and not counted`]
      : []),
  ].join("; ");
}

function accuracyTable({ figures }: Collected): string {
  const { methods, units } = figures;
  const interval = ({ test }: MethodFigures): string =>
    test?.difference.low == null || test.difference.high == null
      ? "–"
      : `${points(test.difference.low)} … ${points(test.difference.high)}`;
  const tests = units >= 2;
  return table(
    [
      "Method",
      "accuracy %, epoch by validation",
      "last epoch",
      "balanced",
      "AUC",
      ...(tests ? ["points against fine-tuning", "95 % interval", "p", "p (Holm)"] : ["points against fine-tuning"]),
      "a training",
    ],
    methods.map((m) => [
      m.title,
      meanCell(m, "validation"),
      meanCell(m, "last"),
      formatPercent(m.balancedAccuracy),
      formatShare(m.macroAuc),
      m.test ? points(m.test.difference.mean) : "–",
      ...(tests ? [interval(m), formatP(m.test?.p ?? null), formatP(m.test?.pHolm ?? null)] : []),
      formatDuration(m.trainingMs),
    ]),
  );
}

/** By how much each layer's rate has moved at the end, over all trainings of a method that learns rates. */
function ratesTable({ figures, cells }: Collected): string {
  const rows = figures.methods.flatMap((m) => {
    if (!m.method.startsWith("metalr")) return [];
    const own = cells.filter((c) => c.method === m.method);
    const ratios = own.map(({ record }) => {
      const { lr, backboneRatio } = record.info.options;
      const start = Number(lr) * Number(backboneRatio);
      return record.lastLr.slice(0, -1).map((rate) => rate / start);
    });
    const all = ratios.flat().sort((a, b) => a - b);
    const groups = own[0]?.record.info.groups.slice(0, -1) ?? [];
    const means = groups.map((name, g) => ({ name, mean: meanInterval(ratios.map((r) => r[g] ?? Number.NaN)).mean }));
    const top = means.reduce((a, b) => (b.mean > a.mean ? b : a), means[0] ?? { name: "–", mean: Number.NaN });
    const low = means.reduce((a, b) => (b.mean < a.mean ? b : a), top);
    const up = all.filter((r) => r > 1).length / all.length;
    return [
      [
        m.title,
        change(all[Math.floor(all.length / 2)]),
        `${change(all[0])} … ${change(all.at(-1))}`,
        formatPercent(up),
        `${top.name} (${change(top.mean)})`,
        `${low.name} (${change(low.mean)})`,
      ],
    ];
  });
  if (rows.length === 0) return "";
  return table(
    [
      "Rates of the layers below the head, last step against start",
      "median",
      "all trainings and layers",
      "share that rose",
      "rose most",
      "rose least or fell most",
    ],
    rows,
  );
}

const change = (ratio: number | undefined): string =>
  ratio === undefined || Number.isNaN(ratio) ? "–" : `${points(ratio - 1)} %`;

/** The two signs of MetaLR against each other, paired like everything else. */
function signsInWords({ figures }: Collected): string[] {
  const of = (key: string) => figures.methods.find((m) => m.method === key)?.accuracy.validation?.values;
  const [paper, released] = [of("metalr"), of("metalr:variant=released")];
  if (!paper || !released || paper.length < 2) return [];
  const differences = paper.map((v, i) => v - (released[i] ?? Number.NaN));
  const { mean, low, high } = meanInterval(differences);
  const p = pairedTTest(differences)?.p ?? null;
  return [
    `The paper's sign against the released code's: ${points(mean)} points (95 % interval ${points(low ?? Number.NaN)} to ${points(high ?? Number.NaN)}, ${paper.length} ${figures.unit}s, p ${p === null ? "–" : formatP(p).replace(/^0/, "= 0")}).`,
  ];
}
