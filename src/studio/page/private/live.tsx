/** @file A training as it goes: figures, learning rates by layer on a log axis, loss, accuracy, the confusion matrix. */
import { useMemo } from "preact/hooks";
import {
  formatCount,
  formatDuration,
  formatNumber,
  formatRate,
  NONE,
  withSuperscript,
} from "../../../records/format.js";
import { inks, rampOf } from "../../../records/plots/color.js";
import { choiceInWords } from "../../../records/run-record.js";
import type { EpochEvent } from "../../../training/types.js";
import type { EpochRow, ShownEvaluation } from "../../protocol.js";
import { Chart, type Line } from "../parts/chart.js";
import { Confusion } from "../parts/confusion.js";
import { atEpochs, plain, positive, runningMean, some } from "../parts/series.js";
import { percent, Tile } from "../parts/words.js";
import type { Mode } from "../theme.js";
import type { Live } from "./session.js";

const rowOf = (e: EpochEvent): EpochRow => ({
  epoch: e.epoch,
  step: e.step,
  trainLoss: e.trainLoss,
  trainAccuracy: e.trainAccuracy,
  validationLoss: e.validation?.loss ?? null,
  validationAccuracy: e.validation?.accuracy ?? null,
  testLoss: e.test?.loss ?? null,
  testAccuracy: e.test?.accuracy ?? null,
});

function shownOf({ epochs, end }: Live): ShownEvaluation | null {
  if (end?.test) {
    return {
      title: `test images, epoch ${end.selectedEpoch} (${choiceInWords(end.select)})`,
      evaluation: end.test,
      volumes: null,
    };
  }
  const last = epochs.findLast((e) => e.validation !== undefined);
  return last?.validation
    ? { title: `validation images, epoch ${last.epoch}`, evaluation: last.validation, volumes: null }
    : null;
}

const rate = (v: number | null | undefined) => withSuperscript(formatRate(v ?? Number.NaN));
const decade = (v: number) => withSuperscript(v.toExponential(0)).replace(/^1×/, "");
const compact = (v: number | null | undefined) => formatNumber(v);
const axisNumber = (v: number) => (v === 0 ? "0" : String(Number(v.toPrecision(4))));

export function LiveView({ live, mode }: { live: Live; mode: Mode }) {
  const { start, last, epochs, end, curves } = live;
  const groups = start?.groups ?? [];
  const d = groups.length;
  const rows = epochs.map(rowOf);
  const colors = useMemo(() => rampOf(Math.max(d, 1)).map((ink) => ink[mode]), [d, mode]);
  const x = useMemo(() => Array.from(curves.steps), [curves]);
  const shared = { x, mode, sync: "private" } as const;
  const ink = (name: "train" | "validation" | "test") => inks[name][mode];
  const batches = { faint: true, width: 1 };
  const ofEpochs = (name: string, color: string, figure: Parameters<typeof atEpochs>[2]): Line => ({
    name,
    color,
    values: atEpochs(curves, rows, figure),
    points: true,
  });
  const layer = (name: string, j: number, values: (number | null)[]): Line => ({
    name,
    color: colors[j] ?? "",
    values,
  });
  const rates = groups.map((name, j) => layer(name, j, positive(curves.values[3 + j])));
  const hyper = groups.map((name, j) => layer(name, j, runningMean(plain(curves.values[3 + d + j]))));
  const losses: Line[] = [
    { name: "training batches", color: ink("train"), values: plain(curves.values[0]), ...batches },
    { name: "look-ahead batches", color: ink("validation"), values: plain(curves.values[2]), ...batches },
    ofEpochs("training", ink("train"), (e) => e.trainLoss),
    ofEpochs("validation", ink("validation"), (e) => e.validationLoss),
  ].filter((l, i) => i === 0 || some(l.values));
  const accuracies: Line[] = [
    { name: "training batches", color: ink("train"), values: plain(curves.values[1]), ...batches },
    ofEpochs("training", ink("train"), (e) => e.trainAccuracy),
    ofEpochs("validation", ink("validation"), (e) => e.validationAccuracy),
  ].filter((l, i) => i === 0 || some(l.values));
  const steps = (start?.epochs ?? 0) * (start?.stepsPerEpoch ?? 0);
  const evaluated = epochs.findLast((e) => e.validation !== undefined)?.validation;
  return (
    <>
      <section class="card" aria-label="How it stands">
        <progress
          class={live.state === "finished" ? "finished" : live.state === "stopped" ? "stopped" : "running"}
          value={steps > 0 ? Math.min((last?.step ?? 0) / steps, 1) : 0}
          max={1}
          aria-label={`step ${formatCount(last?.step ?? 0)} of ${formatCount(steps)}`}
        />
        <dl class="tiles">
          <Tile name="Step" note={steps > 0 ? `of ${formatCount(steps)}` : undefined}>
            {formatCount(last?.step ?? 0)}
          </Tile>
          <Tile name="Epoch" note={start ? `of ${start.epochs}` : undefined}>
            {last?.epoch ?? NONE}
          </Tile>
          <Tile name="Time left">
            {live.state === "running" && live.leftMs !== null ? formatDuration(live.leftMs) : NONE}
          </Tile>
          <Tile name="Images/s">{live.imagesPerSecond === null ? NONE : formatNumber(live.imagesPerSecond)}</Tile>
          <Tile name="Training loss">{formatNumber(last?.trainLoss)}</Tile>
          <Tile name="Validation accuracy">{percent(evaluated?.accuracy)}</Tile>
          <Tile
            name={end?.select === "test" ? "Test accuracy (leaky)" : "Test accuracy"}
            note={end?.test?.macroAuc == null ? undefined : `AUC ${formatNumber(end.test.macroAuc)}`}
          >
            {percent(end?.test?.accuracy)}
          </Tile>
        </dl>
      </section>
      <div class="charts">
        <Chart
          {...shared}
          title="Learning rates"
          about="One line for each layer group, on a logarithmic axis."
          lines={rates}
          log
          wide
          height={340}
          format={rate}
          formatAxis={decade}
        />
        <Chart {...shared} title="Loss" lines={losses} range={[0, null]} format={compact} formatAxis={axisNumber} />
        <Chart
          {...shared}
          title="Accuracy"
          lines={accuracies}
          range={[0, 1]}
          format={(v) => percent(v)}
          formatAxis={(v) => `${Math.round(100 * v)} %`}
        />
        {hyper.some((l) => some(l.values)) ? (
          <Chart
            {...shared}
            title="Hypergradients"
            about="Change of the validation loss with each rate, as a running mean; below zero a larger rate helps."
            lines={hyper}
            wide
            format={compact}
            formatAxis={axisNumber}
          />
        ) : null}
        <Confusion shown={shownOf(live)} classes={start?.classes ?? []} mode={mode} />
      </div>
      {live.warnings.length === 0 ? null : (
        <section class="card">
          <h2>Warnings</h2>
          <ul>
            {live.warnings.map((w) => (
              <li key={w}>{w}</li>
            ))}
          </ul>
        </section>
      )}
    </>
  );
}
