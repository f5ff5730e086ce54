/** @file A cross-validation: its folds beside each other, all their test images as one set, and the rates that they ended with. */
import { useEffect, useState } from "preact/hooks";
import {
  formatDuration,
  formatNumber,
  formatRate,
  formatShare,
  NONE,
  withSuperscript,
} from "../../../records/format.js";
import type { Spread } from "../../../records/schema.js";
import type { Evaluation } from "../../../training/types.js";
import type { FoldFacts, FoldsFacts, Refusal } from "../../protocol.js";
import { address, get, post } from "../api.js";
import type { List } from "../list.js";
import { Confusion } from "../parts/confusion.js";
import { Delete } from "../parts/delete.js";
import { Jobs } from "../parts/jobs.js";
import { Progress, percent, Scroll, State, Tile } from "../parts/words.js";
import { linkTo } from "../route.js";
import { rowsOf, type TableRow } from "../table.js";
import type { Mode } from "../theme.js";

const chosen = {
  validation: "chosen on validation images",
  last: "the last one",
  test: "chosen on test images: leaky",
};

export function FoldsPage({ id, list, mode }: { id: string; list: List; mode: Mode }) {
  const runs = [...list.runs.values()].filter((r) => r.folds?.id === id);
  const [row] = rowsOf(runs, true);
  const [facts, setFacts] = useState<FoldsFacts | null>(null);
  const [refused, setRefused] = useState<Refusal | null>(null);
  // Asked again when a fold begins, ends or finishes an epoch.
  const version = runs.map((r) => `${r.id} ${r.state} ${r.epoch}`).join();
  useEffect(() => {
    document.title = `${row?.name ?? "folds"} – metalr studio`;
    let current = true;
    const ask = async () => {
      const answer = await get<FoldsFacts>(`/api/folds/${id}`);
      if (current) setFacts("ok" in answer ? answer.ok : null);
    };
    if (version !== "") void ask();
    return () => {
      current = false;
    };
  }, [id, version]);
  if (list.loaded && row === undefined) {
    return (
      <div class="card">
        <h1>These runs are not there</h1>
        <p>Their folder was deleted or moved.</p>
        <a href={linkTo.runs}>All runs</a>
      </div>
    );
  }
  const running = runs.filter((r) => r.state === "running");
  const open = running.length === 0 && facts !== null && (facts.ended < facts.folds.length || !facts.report);
  const act = async (path: string) => {
    const answer = await post(path);
    setRefused("refused" in answer ? answer.refused : null);
  };
  return (
    <>
      <div class="title">
        <h1>{row?.name ?? "…"}</h1>
        {row === undefined ? null : <State state={row.state} />}
        <span class="muted">{row?.parts ?? ""}</span>
        <span class="grow" />
        {running[0] === undefined ? null : (
          <button type="button" class="stop" onClick={() => void act(`/api/runs/${running[0]?.id}/stop`)}>
            Stop
          </button>
        )}
        {open ? (
          <button type="button" class="primary" onClick={() => void act(`/api/folds/${id}/resume`)}>
            Resume
          </button>
        ) : null}
        {runs.length > 1 ? (
          <a class="button" href={linkTo.compare(runs.map((r) => r.id))}>
            Curves side by side
          </a>
        ) : null}
        {facts?.report ? (
          <a class="button" href={address(`/api/folds/${id}/report`)} target="_blank" rel="noopener">
            Report
          </a>
        ) : null}
        {row === undefined ? null : (
          <Delete
            path={`/api/folds/${id}/delete`}
            name={row.name}
            what={`all ${runs.length} folds`}
            busy={running.length > 0}
            done={() => {
              location.hash = linkTo.runs;
            }}
          />
        )}
      </div>
      {refused === null ? null : (
        <p class="notice" role="alert">
          {refused.problem}
          {refused.hint === undefined ? null : `: ${refused.hint}`}
        </p>
      )}
      <Jobs jobs={list.jobs.filter((j) => j.state === "failed" && j.runs.some((r) => runs.some((x) => x.id === r)))} />
      {facts === null || row === undefined ? (
        <p class="card empty">…</p>
      ) : (
        <Facts facts={facts} row={row} mode={mode} />
      )}
    </>
  );
}

const plusMinus = ({ mean, deviation }: Spread): string =>
  mean === null ? NONE : `${percent(mean)}${deviation === null ? "" : ` ± ${(100 * deviation).toFixed(1)}`}`;

function Facts({ facts, row, mode }: { facts: FoldsFacts; row: TableRow; mode: Mode }) {
  const { pooled, spread, select, folds, ended } = facts;
  const leaky = select === "test" ? " (leaky)" : "";
  const images = pooled.selected ? `${pooled.selected.count} test images` : "after the first fold";
  const title = `All test images of ${ended} of ${folds.length} folds, epoch of each ${chosen[select]}`;
  return (
    <>
      <section class="card" aria-label="All folds together">
        <div class="bar">
          <Progress run={row} />
        </div>
        <dl class="tiles">
          <Tile name={`Accuracy, pooled${leaky}`} note={images}>
            {percent(pooled.selected?.accuracy)}
          </Tile>
          <Tile name={`Balanced, pooled${leaky}`}>{percent(pooled.selected?.balancedAccuracy)}</Tile>
          <Tile name={`Macro AUC, pooled${leaky}`}>{formatShare(pooled.selected?.macroAuc)}</Tile>
          <Tile name="Accuracy, mean of folds" note="± standard deviation">
            {plusMinus(spread.selected.accuracy)}
          </Tile>
          {select === "last" ? null : (
            <Tile name="Last epochs, pooled" note="accuracy">
              {percent(pooled.last?.accuracy)}
            </Tile>
          )}
          <Tile name="Time, all folds">{formatDuration(folds.reduce((sum, f) => sum + f.elapsedMs, 0))}</Tile>
        </dl>
      </section>
      <FoldTable facts={facts} />
      <div class="charts">
        <Confusion
          shown={pooled.selected === null ? null : { title, evaluation: pooled.selected }}
          classes={facts.classes}
          mode={mode}
          waits="After the first fold has ended."
        />
        <Rates facts={facts} />
      </div>
    </>
  );
}

function FoldTable({ facts: { folds, pooled, spread, select } }: { facts: FoldsFacts }) {
  const figures = (e: Evaluation | null) => [
    percent(e?.accuracy),
    percent(e?.balancedAccuracy),
    formatShare(e?.macroAuc),
    formatNumber(e?.loss),
  ];
  return (
    <section class="card">
      <h2>Folds</h2>
      <p class="about">Test images of each fold, with the weights of the epoch {chosen[select]}.</p>
      <Scroll name="Folds">
        <table class="figures folds">
          <thead>
            <tr>
              {["fold", "state", "epoch", "validation", "accuracy", "balanced", "AUC", "loss", "time"].map((name) => (
                <th scope="col" key={name}>
                  {name}
                </th>
              ))}
            </tr>
          </thead>
          <tbody>
            {folds.map((f: FoldFacts) => (
              <tr key={f.id}>
                <th scope="row">
                  <a href={linkTo.run(f.id)}>{f.name}</a>
                </th>
                <td>
                  <State state={f.state} />
                </td>
                <td>{f.selectedEpoch > 0 ? `${f.selectedEpoch} of ${f.lastEpoch}` : f.lastEpoch}</td>
                <td>{percent(f.validationAccuracy)}</td>
                {figures(f.selected).map((text, k) => (
                  <td key={k}>{text}</td>
                ))}
                <td>{formatDuration(f.elapsedMs)}</td>
              </tr>
            ))}
            <tr>
              <th scope="row">mean ± sd</th>
              <td colSpan={3} />
              <td>{plusMinus(spread.selected.accuracy)}</td>
              <td>{plusMinus(spread.selected.balancedAccuracy)}</td>
              <td>{formatShare(spread.selected.macroAuc.mean)}</td>
              <td colSpan={2} />
            </tr>
            <tr>
              <th scope="row">pooled</th>
              <td colSpan={3} />
              {figures(pooled.selected).map((text, k) => (
                <td key={k}>{text}</td>
              ))}
              <td />
            </tr>
          </tbody>
        </table>
      </Scroll>
    </section>
  );
}

function Rates({ facts: { folds, groups } }: { facts: FoldsFacts }) {
  return (
    <section class="card">
      <h2>Rate of each layer group</h2>
      <p class="about">After the last step of each fold.</p>
      <Scroll name="Rates">
        <table class="figures">
          <thead>
            <tr>
              <th scope="col">group</th>
              {folds.map((f) => (
                <th scope="col" key={f.id}>
                  {f.name}
                </th>
              ))}
            </tr>
          </thead>
          <tbody>
            {groups.map((group, j) => (
              <tr key={group}>
                <th scope="row">{group}</th>
                {folds.map((f) => (
                  <td key={f.id}>{withSuperscript(formatRate(f.lastLr[j] ?? Number.NaN))}</td>
                ))}
              </tr>
            ))}
          </tbody>
        </table>
      </Scroll>
    </section>
  );
}
