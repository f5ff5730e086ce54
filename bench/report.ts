/** @file What a bench gives back: plain results, the JSON for machines, tables for people. */
import type { ExperimentResult } from "./experiments.js";
import { fitLine, type Line, type Timing } from "./measure.js";
import type { Facts, StepKind } from "./protocol.js";
import { batchSeries, sizeSeries, type Workload } from "./workloads.js";

export const contenders = ["ours", "released", "twoPass"] as const;
export type ContenderName = (typeof contenders)[number];

export const labels: Readonly<Record<ContenderName, string>> = {
  ours: "metalr",
  released: "PyTorch, released",
  twoPass: "PyTorch, two passes",
};

export interface Result extends Timing {
  /** Peak resident memory of the process after its MetaLR steps, in MB (10^6 bytes). */
  readonly peakMb: number;
  readonly facts: Facts;
}

/** A part of the work, such as a plain fine-tuning step. */
export interface Part {
  readonly contender: ContenderName;
  readonly kind: StepKind;
  readonly timing: Timing;
}

export interface Measured {
  readonly workload: Workload;
  /** null for who did not run. */
  readonly contenders: Readonly<Record<ContenderName, Result | null>>;
  readonly parts: readonly Part[];
}

/** bench.json: everything that a run of the bench measured. */
export interface BenchFile {
  /** Machine, versions and day, in one line. */
  readonly caption: string;
  /** ISO 8601. */
  readonly date: string;
  readonly rounds: number;
  readonly measured: readonly Measured[];
  readonly experiments: readonly ExperimentResult[];
}

const rounded = (x: number, digits: number) => Number(x.toFixed(digits));

/** The form that machines read; nothing else belongs in it. */
export const toJson = (measured: readonly Measured[]) => ({
  workloads: measured.map(({ workload, contenders: { ours, released, twoPass } }) => {
    const entry = (r: Result | null) => r && { medianMs: rounded(r.medianMs, 3), peakMb: rounded(r.peakMb, 1) };
    return { name: workload.name, ours: entry(ours), released: entry(released), twoPass: entry(twoPass) };
  }),
});

/** Columns padded to their widest cell: the first to the left, numbers to the right. Also a valid Markdown table. */
export function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const widths = head.map((cell, i) => Math.max(cell.length, ...rows.map((row) => row[i]?.length ?? 0)));
  const pad = (cell: string, i: number) => (i === 0 ? cell.padEnd(widths[i] ?? 0) : cell.padStart(widths[i] ?? 0));
  const line = (row: readonly string[]) => `| ${row.map(pad).join(" | ")} |`;
  const rule = widths.map((width, i) => (i === 0 ? "-".repeat(width) : `${"-".repeat(width - 1)}:`));
  return [line(head), line(rule), ...rows.map(line)].join("\n");
}

/** Three digits that matter: 1402, 97.4, 8.31. */
export const ms = (x: number) => (x >= 100 ? x.toFixed(0) : x >= 10 ? x.toFixed(1) : x.toFixed(2));

/** Median and range: "819 (804 – 832)". */
export const spread = (t: Timing) => `${ms(t.medianMs)} (${ms(t.minMs)} – ${ms(t.maxMs)})`;

/** The MetaLR step of everybody, ratios first in what a reader asks: how much faster than PyTorch? */
export function stepTable(measured: readonly Measured[]): string {
  const head = [
    "workload",
    ...contenders.map((name) => `${labels[name]}, ms`),
    "ours / released",
    "ours / two passes",
    ...contenders.map((name) => `${labels[name]}, MB`),
  ];
  const rows = measured.map(({ workload, contenders: by }) => {
    const ratio = (other: Result | null) => (by.ours && other ? (by.ours.medianMs / other.medianMs).toFixed(2) : "–");
    const each = (f: (r: Result) => string) => contenders.map((name) => (by[name] ? f(by[name]) : "–"));
    return [workload.name, ...each(spread), ratio(by.released), ratio(by.twoPass), ...each((r) => r.peakMb.toFixed(0))];
  });
  return table(head, rows);
}

const partNames: Readonly<Partial<Record<StepKind, string>>> = {
  trainingPass: "training pass (forward, backward)",
  validationPass: "validation pass (look-ahead, forward, backward)",
  update: "update of rates and parameters",
  finetune: "plain fine-tuning step",
  inference: "inference",
};

/** The parts of a step, or null where none was measured. */
export function partTable({ workload, parts }: Measured): string | null {
  const kinds = [...new Set(parts.map((part) => part.kind))];
  const names = contenders.filter((name) => parts.some((part) => part.contender === name));
  if (kinds.length === 0) return null;
  const rows = kinds.map((kind) => [
    partNames[kind] ?? kind,
    ...names.map((name) => {
      const found = parts.find((part) => part.kind === kind && part.contender === name);
      return found ? spread(found.timing) : "–";
    }),
  ]);
  return table([`${workload.name}, parts`, ...names.map((name) => `${labels[name]}, ms`)], rows);
}

export interface Growth {
  readonly axis: "images in a batch" | "pixels in an image";
  readonly contender: ContenderName;
  /** In the order of the series: x on the axis, median in ms. */
  readonly points: readonly (readonly [x: number, ms: number])[];
  readonly line: Line;
}

/** How the step time grows, for every contender with at least three points on an axis. */
export function growth(measured: readonly Measured[]): Growth[] {
  const series = [
    { axis: "images in a batch", names: batchSeries, x: (w: Workload) => w.batch },
    { axis: "pixels in an image", names: sizeSeries, x: (w: Workload) => w.size ** 2 },
  ] as const;
  return series.flatMap(({ axis, names, x }) =>
    contenders.flatMap((contender) => {
      const points = names.flatMap((name) => {
        const found = measured.find((m) => m.workload.name === name);
        const result = found?.contenders[contender];
        return found && result ? [[x(found.workload), result.medianMs] as const] : [];
      });
      return points.length < 3 ? [] : [{ axis, contender, points, line: fitLine(points) }];
    }),
  );
}

export function growthTable(grown: readonly Growth[]): string {
  const rows = grown.map(({ axis, contender, line }) => [
    axis,
    labels[contender],
    `${ms(line.intercept)} + ${line.slope.toPrecision(3)} · x`,
    `${(100 * line.worstResidual).toFixed(1)} %`,
    line.r2.toFixed(4),
  ]);
  return table(["x", "step", "fit, ms", "worst residual", "R²"], rows);
}

/** Every point of ours beside the line through them. */
export function residualTable(grown: readonly Growth[]): string {
  const rows = grown
    .filter(({ contender }) => contender === "ours")
    .flatMap(({ axis, points, line }) =>
      points.map(([x, measured]) => {
        const fit = line.intercept + line.slope * x;
        const what = axis === "pixels in an image" ? `${Math.sqrt(x)}×${Math.sqrt(x)}, batch 16` : `batch ${x}, 64×64`;
        const residual = (100 * (measured - fit)) / fit;
        return [what, ms(measured), ms(fit), `${residual < 0 ? "−" : "+"}${Math.abs(residual).toFixed(1)} %`];
      }),
    );
  return table(["metalr, ResNet-18", "measured, ms", "line, ms", "residual"], rows);
}
