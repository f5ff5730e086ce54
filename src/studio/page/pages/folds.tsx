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
import { Dice, WorstVolumes } from "../parts/dice.js";
import { Jobs } from "../parts/jobs.js";
import { Missing, Refused } from "../parts/notices.js";
import { FigureTable } from "../parts/table.js";
import { figures, Progress, percent, State, Tile } from "../parts/words.js";
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
    return <Missing what="These runs are" why="Their folder was deleted or moved." />;
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
      <Refused refused={refused} />
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
const dicePlusMinus = (spread: Spread | undefined): string =>
  spread?.mean == null
    ? NONE
    : `${formatShare(spread.mean)}${spread.deviation === null ? "" : ` ± ${formatShare(spread.deviation)}`}`;

function Facts({ facts, row, mode }: { facts: FoldsFacts; row: TableRow; mode: Mode }) {
  const { pooled, spread, select, folds, ended, figure, volumes } = facts;
  const leaky = select === "test" ? " (leaky)" : "";
  const images = pooled.selected ? `${pooled.selected.count} test images` : "after the first fold";
  const dice = figure === "dice";
  const title = `All test images of ${ended} of ${folds.length} folds, epoch of each ${chosen[select]}`;
  const shown = pooled.selected === null ? null : { title, evaluation: pooled.selected, volumes };
  const waits = "After the first fold has ended.";
  return (
    <>
      <section class="card" aria-label="All folds together">
        <div class="bar">
          <Progress run={row} />
        </div>
        <dl class="tiles">
          {dice ? (
            <>
              <Tile name={`Mean Dice, all volumes${leaky}`} note={pooled.selected ? (volumes ?? "") : images}>
                {formatShare(pooled.selected?.dice?.mean)}
              </Tile>
              <Tile name="Mean Dice, mean of folds" note="± standard deviation">
                {dicePlusMinus(spread.selected.dice)}
              </Tile>
            </>
          ) : (
            <>
              <Tile name={`Accuracy, pooled${leaky}`} note={images}>
                {percent(pooled.selected?.accuracy)}
              </Tile>
              <Tile name={`Balanced, pooled${leaky}`}>{percent(pooled.selected?.balancedAccuracy)}</Tile>
              <Tile name={`Macro AUC, pooled${leaky}`}>{formatShare(pooled.selected?.macroAuc)}</Tile>
              <Tile name="Accuracy, mean of folds" note="± standard deviation">
                {plusMinus(spread.selected.accuracy)}
              </Tile>
            </>
          )}
          {select === "last" ? null : (
            <Tile name="Last epochs, pooled" note={figures[figure].noun}>
              {dice ? formatShare(pooled.last?.dice?.mean) : percent(pooled.last?.accuracy)}
            </Tile>
          )}
          <Tile name="Time, all folds">{formatDuration(folds.reduce((sum, f) => sum + f.elapsedMs, 0))}</Tile>
        </dl>
      </section>
      <FoldTable facts={facts} />
      <div class="charts">
        {dice ? (
          <Dice shown={shown} classes={facts.classes} waits={waits} />
        ) : (
          <Confusion shown={shown} classes={facts.classes} mode={mode} waits={waits} />
        )}
        <Rates facts={facts} />
      </div>
      <WorstVolumes shown={shown} classes={facts.classes} />
    </>
  );
}

function FoldTable({ facts: { folds, pooled, spread, select, figure, classes } }: { facts: FoldsFacts }) {
  // The columns of test images: their names, their values, their spread over the folds.
  const columns: readonly { name: string; of: (e: Evaluation | null) => string; spread: string }[] =
    figure === "dice"
      ? [
          { name: "mean Dice", of: (e) => formatShare(e?.dice?.mean), spread: dicePlusMinus(spread.selected.dice) },
          ...classes.slice(1).map((name, c) => ({
            name,
            of: (e: Evaluation | null) => formatShare(e?.dice?.perClass[c + 1]),
            spread: "",
          })),
        ]
      : [
          { name: "accuracy", of: (e) => percent(e?.accuracy), spread: plusMinus(spread.selected.accuracy) },
          {
            name: "balanced",
            of: (e) => percent(e?.balancedAccuracy),
            spread: plusMinus(spread.selected.balancedAccuracy),
          },
          { name: "AUC", of: (e) => formatShare(e?.macroAuc), spread: formatShare(spread.selected.macroAuc.mean) },
        ];
  const test = [...columns, { name: "loss", of: (e: Evaluation | null) => formatNumber(e?.loss), spread: "" }];
  return (
    <section class="card">
      <h2>Folds</h2>
      <p class="about">Test images of each fold, with the weights of the epoch {chosen[select]}.</p>
      <FigureTable
        name="Folds"
        look="folds"
        heads={["fold", "state", "epoch", "validation", ...test.map((c) => c.name), "time"]}
      >
        {folds.map((f: FoldFacts) => (
          <tr key={f.id}>
            <th scope="row">
              <a href={linkTo.run(f.id)}>{f.name}</a>
            </th>
            <td>
              <State state={f.state} />
            </td>
            <td>{f.selectedEpoch > 0 ? `${f.selectedEpoch} of ${f.lastEpoch}` : f.lastEpoch}</td>
            <td>{figures[figure].of(f.validationAccuracy)}</td>
            {test.map((c) => (
              <td key={c.name}>{c.of(f.selected)}</td>
            ))}
            <td>{formatDuration(f.elapsedMs)}</td>
          </tr>
        ))}
        <tr>
          <th scope="row">mean ± sd</th>
          <td colSpan={3} />
          {test.map((c) => (
            <td key={c.name}>{c.spread}</td>
          ))}
          <td />
        </tr>
        <tr>
          <th scope="row">pooled</th>
          <td colSpan={3} />
          {test.map((c) => (
            <td key={c.name}>{c.of(pooled.selected)}</td>
          ))}
          <td />
        </tr>
      </FigureTable>
    </section>
  );
}

function Rates({ facts: { folds, groups } }: { facts: FoldsFacts }) {
  return (
    <section class="card">
      <h2>Rate of each layer group</h2>
      <p class="about">After the last step of each fold.</p>
      <FigureTable name="Rates" heads={["group", ...folds.map((f) => f.name)]}>
        {groups.map((group, j) => (
          <tr key={group}>
            <th scope="row">{group}</th>
            {folds.map((f) => (
              <td key={f.id}>{withSuperscript(formatRate(f.lastLr[j] ?? Number.NaN))}</td>
            ))}
          </tr>
        ))}
      </FigureTable>
    </section>
  );
}
