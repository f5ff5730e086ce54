/** @file One run, live: rates by layer, hypergradients, loss, accuracy or Dice, pace, confusion matrix; stop and resume. */
import { useEffect, useState } from "preact/hooks";
import { formatCount, formatDuration, formatFactor, formatNumber, NONE } from "../../../records/format.js";
import type { Refusal, RunFacts, RunSummary } from "../../protocol.js";
import { address, post } from "../api.js";
import { type Followed, useRun } from "../follow.js";
import type { List } from "../list.js";
import { Confusion } from "../parts/confusion.js";
import { Delete } from "../parts/delete.js";
import { Dice, WorstVolumes } from "../parts/dice.js";
import { Jobs } from "../parts/jobs.js";
import { Missing, Refused, Warnings } from "../parts/notices.js";
import { RunCharts, rate } from "../parts/run-charts.js";
import { FigureTable } from "../parts/table.js";
import { figures, Progress, State, Tile } from "../parts/words.js";
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
    return <Missing what="This run is" why="Its folder was deleted or moved." />;
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
      <Refused refused={refused} />
      <Jobs jobs={list.jobs.filter((job) => job.runs.includes(id) && job.state === "failed")} />
      <Tiles run={run} facts={followed?.facts} />
      <div class="charts">
        <RunCharts
          curves={followed?.curves ?? nothing}
          groups={followed?.facts.groups ?? []}
          epochs={followed?.facts.epochs ?? []}
          figure={followed?.facts.summary.figure}
          mode={mode}
          waits={followed === undefined}
        />
      </div>
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

function Tables({ facts, mode }: { facts: RunFacts; mode: Mode }) {
  return (
    <>
      <Warnings warnings={facts.warnings} />
      <div class="charts">
        {facts.summary.figure === "dice" ? (
          <Dice shown={facts.shown} classes={facts.classes} />
        ) : (
          <Confusion shown={facts.shown} classes={facts.classes} mode={mode} />
        )}
        <section class="card">
          <h2>Rate of each layer group</h2>
          <FigureTable name="Rates" heads={["group", "first", "now", "change"]}>
            {facts.groups.map((group, j) => (
              <tr key={group}>
                <th scope="row">{group}</th>
                <td>{rate(facts.firstLr[j])}</td>
                <td>{rate(facts.lastLr[j])}</td>
                <td>{formatFactor(facts.firstLr[j], facts.lastLr[j])}</td>
              </tr>
            ))}
          </FigureTable>
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
