/** @file One run, live: rates by layer, hypergradients, loss, accuracy or Dice, pace, confusion matrix; stop and resume. */
import { useEffect, useMemo, useState } from "preact/hooks";
import {
  formatCount,
  formatDuration,
  formatFactor,
  formatNumber,
  formatRate,
  NONE,
  withSuperscript,
} from "../../../records/format.js";
import { inks, rampOf } from "../../../records/plots/color.js";
import type { Refusal, RunFacts, RunSummary } from "../../protocol.js";
import { address, post } from "../api.js";
import { type Followed, useRun } from "../follow.js";
import type { List } from "../list.js";
import { Chart, type Line } from "../parts/chart.js";
import { Confusion } from "../parts/confusion.js";
import { Delete } from "../parts/delete.js";
import { Dice, WorstVolumes } from "../parts/dice.js";
import { Jobs } from "../parts/jobs.js";
import { atEpochs, plain, positive, runningMean, some } from "../parts/series.js";
import { figures, Progress, Scroll, State, Tile } from "../parts/words.js";
import { Worst } from "../parts/worst.js";
import { linkTo } from "../route.js";
import type { Mode } from "../theme.js";

export function RunPage({ id, list, mode }: { id: string; list: List; mode: Mode }) {
  const followed = useRun(id);
  const run = list.runs.get(id) ?? followed?.facts.summary;
  const [refused, setRefused] = useState<Refusal | null>(null);
  useEffect(() => {
    const share =
      run && run.steps > 0 && run.state === "running" ? `${Math.floor((100 * run.step) / run.steps)} % · ` : "";
    document.title = `${share}${run?.name ?? "run"} – metalr studio`;
  }, [run]);
  if (followed === null || (list.loaded && !list.runs.has(id))) {
    return (
      <div class="card">
        <h1>This run is not there</h1>
        <p>Its folder was deleted or moved. </p>
        <a href={linkTo.runs}>All runs</a>
      </div>
    );
  }
  const act = async (what: "stop" | "resume") => {
    const answer = await post(`/api/runs/${id}/${what}`);
    setRefused("refused" in answer ? answer.refused : null);
  };
  return (
    <>
      <div class="title">
        <h1>{run?.name ?? "…"}</h1>
        {run === undefined ? null : <State state={run.state} />}
        <span class="grow" />
        {run?.state === "running" ? (
          <button type="button" class="stop" onClick={() => void act("stop")}>
            Stop
          </button>
        ) : run?.state === "stopped" || run?.state === "interrupted" ? (
          <button type="button" class="primary" onClick={() => void act("resume")}>
            Resume
          </button>
        ) : null}
        {followed?.facts.files.includes("report.html") ? (
          <a class="button" href={address(`/api/runs/${id}/files/report.html`)} target="_blank" rel="noopener">
            Report
          </a>
        ) : null}
        {followed?.facts.files.includes("model.onnx") ? (
          <a class="button" href={address(`/api/runs/${id}/files/model.onnx`)} download="model.onnx">
            Model (.onnx)
          </a>
        ) : null}
        {run === undefined ? null : (
          <Delete
            path={`/api/runs/${id}/delete`}
            name={run.name}
            what={run.folds === null ? "this run" : "this fold"}
            busy={run.state === "running"}
            done={() => {
              location.hash = linkTo.runs;
            }}
          />
        )}
      </div>
      {run?.folds ? (
        <p class="crumb">
          A fold of <a href={linkTo.folds(run.folds.id)}>{run.folds.name}</a>
        </p>
      ) : null}
      {refused === null ? null : (
        <p class="notice" role="alert">
          {refused.problem}
          {refused.hint === undefined ? null : `: ${refused.hint}`}
        </p>
      )}
      <Jobs jobs={list.jobs.filter((job) => job.runs.includes(id) && job.state === "failed")} />
      <Tiles run={run} facts={followed?.facts} />
      <Charts followed={followed} mode={mode} />
      {followed === undefined ? null : (
        <>
          <Tables facts={followed.facts} mode={mode} />
          {followed.facts.summary.figure === "dice" ? (
            <WorstVolumes shown={followed.facts.shown} classes={followed.facts.classes} />
          ) : (
            <Worst id={id} classes={followed.facts.classes} version={versionOf(followed.facts)} />
          )}
          <Configuration facts={followed.facts} />
        </>
      )}
    </>
  );
}

/** Changes with every evaluation. */
const versionOf = ({ summary, epochs }: RunFacts): string => `${epochs.at(-1)?.epoch ?? 0} ${summary.state}`;

function Tiles({ run, facts }: { run: RunSummary | undefined; facts: RunFacts | undefined }) {
  const epoch = facts?.epochs.at(-1);
  const leaky = run?.select === "test";
  const { noun, of } = figures[run?.figure ?? "accuracy"];
  return (
    <section class="card" aria-label="How it stands">
      <div class="bar">
        {run === undefined ? <progress value={0} max={1} aria-label="progress" /> : <Progress run={run} />}
      </div>
      <dl class="tiles">
        <Tile name="Step" note={run && run.steps > 0 ? `of ${formatCount(run.steps)}` : undefined}>
          {run ? formatCount(run.step) : NONE}
        </Tile>
        <Tile name="Epoch" note={run && run.epochs > 0 ? `of ${formatCount(run.epochs)}` : undefined}>
          {run ? formatCount(run.epoch) : NONE}
        </Tile>
        <Tile name="Time left">{run?.leftMs == null ? NONE : formatDuration(run.leftMs)}</Tile>
        <Tile name="Time so far">{run ? formatDuration(run.elapsedMs) : NONE}</Tile>
        <Tile name={run?.figure === "dice" ? "Patches/s" : "Images/s"}>
          {run?.imagesPerSecond == null ? NONE : formatNumber(run.imagesPerSecond)}
        </Tile>
        <Tile name="Training loss">{formatNumber(run?.trainLoss)}</Tile>
        <Tile
          name={`Validation ${noun}`}
          note={epoch?.validationAccuracy == null ? undefined : `best ${of(run?.validationAccuracy)}`}
        >
          {of(epoch?.validationAccuracy)}
        </Tile>
        <Tile
          name={`Test ${noun}${leaky ? " (leaky)" : ""}`}
          note={run?.testAuc == null ? undefined : `AUC ${formatNumber(run.testAuc)}`}
        >
          {of(run?.testAccuracy)}
        </Tile>
      </dl>
    </section>
  );
}

const nothing: Followed["curves"] = { steps: new Float64Array(0), values: [] };
const rate = (v: number | null | undefined) => withSuperscript(formatRate(v ?? Number.NaN));
const decade = (v: number) => withSuperscript(v.toExponential(0)).replace(/^1×/, "");
const compact = (v: number | null | undefined) => formatNumber(v);
const axisNumber = (v: number) => (v === 0 ? "0" : String(Number(v.toPrecision(4))));

function Charts({ followed, mode }: { followed: Followed | undefined; mode: Mode }) {
  const [everyStep, setEveryStep] = useState(false);
  const curves = followed?.curves ?? nothing;
  const groups = followed?.facts.groups ?? [];
  const epochs = followed?.facts.epochs ?? [];
  const d = groups.length;
  const figure = figures[followed?.facts.summary.figure ?? "accuracy"];
  const colors = useMemo(() => rampOf(Math.max(d, 1)).map((ink) => ink[mode]), [d, mode]);
  const x = useMemo(() => Array.from(curves.steps), [curves]);
  const shared = { x, mode, sync: "run" } as const;
  const ink = (name: "train" | "validation" | "test" | "muted") => inks[name][mode];

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
  const accuracies = [
    line("training batches", ink("train"), plain(curves.values[1]), batches),
    ofEpochs("training", ink("train"), (e) => e.trainAccuracy),
    ofEpochs("validation", ink("validation"), (e) => e.validationAccuracy),
    ofEpochs("test", ink("test"), (e) => e.testAccuracy),
  ].filter((l, i) => i < 2 || some(l.values));
  return (
    <div class="charts">
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
      <Chart
        {...shared}
        title={figure.title}
        lines={accuracies}
        range={[0, 1]}
        format={(v) => figure.of(v)}
        formatAxis={figure.axis}
      />
      {hasHyper || followed === undefined ? (
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
    </div>
  );
}

function Tables({ facts, mode }: { facts: RunFacts; mode: Mode }) {
  return (
    <>
      {facts.warnings.length === 0 ? null : (
        <section class="card">
          <h2>Warnings</h2>
          <ul>
            {facts.warnings.map((w) => (
              <li key={w}>{w}</li>
            ))}
          </ul>
        </section>
      )}
      <div class="charts">
        {facts.summary.figure === "dice" ? (
          <Dice shown={facts.shown} classes={facts.classes} />
        ) : (
          <Confusion shown={facts.shown} classes={facts.classes} mode={mode} />
        )}
        <section class="card">
          <h2>Rate of each layer group</h2>
          <Scroll name="Rates">
            <table class="figures">
              <thead>
                <tr>
                  <th scope="col">group</th>
                  <th scope="col">first</th>
                  <th scope="col">now</th>
                  <th scope="col">change</th>
                </tr>
              </thead>
              <tbody>
                {facts.groups.map((group, j) => (
                  <tr key={group}>
                    <th scope="row">{group}</th>
                    <td>{rate(facts.firstLr[j])}</td>
                    <td>{rate(facts.lastLr[j])}</td>
                    <td>{formatFactor(facts.firstLr[j], facts.lastLr[j])}</td>
                  </tr>
                ))}
              </tbody>
            </table>
          </Scroll>
        </section>
      </div>
    </>
  );
}

function Configuration({ facts }: { facts: RunFacts }) {
  return (
    <details class="card">
      <summary>
        <h2>Configuration</h2>
      </summary>
      <div class="configuration">
        {facts.configuration.map(({ heading, lines }) => (
          <section key={heading}>
            <h3>{heading}</h3>
            <dl>
              {lines.map(([name, value]) => (
                <div key={name}>
                  <dt>{name === "" ? "words" : name}</dt>
                  <dd>{value}</dd>
                </div>
              ))}
            </dl>
          </section>
        ))}
      </div>
    </details>
  );
}
