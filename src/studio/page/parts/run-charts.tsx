/** @file The curves of one run: rates by layer on a log axis, loss, accuracy or Dice, hypergradients. */
import { useMemo, useState } from "preact/hooks";
import type { Curves } from "../../../records/curves.js";
import { formatNumber, formatRate, withSuperscript } from "../../../records/format.js";
import { inks, rampOf } from "../../../records/plots/color.js";
import type { EpochRow, FigureName } from "../../protocol.js";
import type { Mode } from "../theme.js";
import { Chart, type Line } from "./chart.js";
import { atEpochs, plain, positive, runningMean, some } from "./series.js";
import { figures } from "./words.js";

export const rate = (v: number | null | undefined) => withSuperscript(formatRate(v ?? Number.NaN));
const decade = (v: number) => withSuperscript(v.toExponential(0)).replace(/^1×/, "");
const compact = (v: number | null | undefined) => formatNumber(v);
const axisNumber = (v: number) => (v === 0 ? "0" : String(Number(v.toPrecision(4))));

/** The charts alone; what holds them is the page's. */
export function RunCharts({
  curves,
  groups,
  epochs,
  figure = "accuracy",
  mode,
  waits = false,
}: {
  curves: Curves;
  /** Names of the layer groups. */
  groups: readonly string[];
  epochs: readonly EpochRow[];
  figure?: FigureName | undefined;
  mode: Mode;
  /** The run is not known yet: an empty chart keeps the place of each that may come. */
  waits?: boolean;
}) {
  const [everyStep, setEveryStep] = useState(false);
  const d = groups.length;
  const { title, of, axis } = figures[figure];
  const colors = useMemo(() => rampOf(Math.max(d, 1)).map((ink) => ink[mode]), [d, mode]);
  const x = useMemo(() => Array.from(curves.steps), [curves]);
  const shared = { x, mode, sync: "run" } as const;
  const ink = (name: "train" | "validation" | "test") => inks[name][mode];

  const [rates, hyper] = useMemo(() => {
    const of = (first: number, read: typeof plain, width: number) =>
      groups.map((name, j): Line => ({ name, color: colors[j] ?? "", values: read(curves.values[first + j]), width }));
    return [of(3, positive, 2), of(3 + d, plain, 1.25)];
  }, [curves, colors]);
  const hasHyper = hyper.some((l) => some(l.values));
  const means = useMemo(
    () => (everyStep ? hyper : hyper.map((l) => ({ ...l, values: runningMean(l.values), width: 2 }))),
    [hyper, everyStep],
  );
  const line = (name: string, color: string, values: (number | null)[], more: Partial<Line> = {}): Line => ({
    name,
    color,
    values,
    ...more,
  });
  const ofEpochs = (name: string, color: string, figure: Parameters<typeof atEpochs>[2]) =>
    line(name, color, atEpochs(curves, epochs, figure), { points: true });
  const batches = { faint: true, width: 1 };
  const losses = [
    line("training batches", ink("train"), plain(curves.values[0]), batches),
    line("look-ahead batches", ink("validation"), plain(curves.values[2]), batches),
    ofEpochs("training", ink("train"), (e) => e.trainLoss),
    ofEpochs("validation", ink("validation"), (e) => e.validationLoss),
    ofEpochs("test", ink("test"), (e) => e.testLoss),
  ].filter((l, i) => i === 0 || i === 2 || some(l.values));
  const shares = [
    line("training batches", ink("train"), plain(curves.values[1]), batches),
    ofEpochs("training", ink("train"), (e) => e.trainAccuracy),
    ofEpochs("validation", ink("validation"), (e) => e.validationAccuracy),
    ofEpochs("test", ink("test"), (e) => e.testAccuracy),
  ].filter((l, i) => i < 2 || some(l.values));
  return (
    <>
      <Chart
        {...shared}
        title="Learning rates"
        about="One line for each layer group, on a logarithmic axis."
        lines={rates}
        log
        wide
        height={360}
        format={rate}
        formatAxis={decade}
      />
      <Chart {...shared} title="Loss" lines={losses} range={[0, null]} format={compact} formatAxis={axisNumber} />
      <Chart {...shared} title={title} lines={shares} range={[0, 1]} format={(v) => of(v)} formatAxis={axis} />
      {hasHyper || waits ? (
        <Chart
          {...shared}
          title="Hypergradients"
          about="Change of the validation loss with each rate, as a running mean; below zero a larger rate helps."
          lines={means}
          extra={
            <button type="button" class="small" aria-pressed={everyStep} onClick={() => setEveryStep(!everyStep)}>
              every step
            </button>
          }
          wide
          format={compact}
          formatAxis={axisNumber}
        />
      ) : null}
    </>
  );
}
