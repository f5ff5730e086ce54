/** @file All runs in a table: sorted, filtered, chosen for comparison; it changes by itself. */
import { useEffect, useMemo, useState } from "preact/hooks";
import { formatCount, formatDuration, formatNumber } from "../../../records/format.js";
import type { ComparisonSummary, RunState } from "../../protocol.js";
import type { List } from "../list.js";
import { Jobs } from "../parts/jobs.js";
import { Spark } from "../parts/spark.js";
import { Ago, figures, Progress, State } from "../parts/words.js";
import { linkTo } from "../route.js";
import { fits, type Key, rowsOf, sorted, type TableRow } from "../table.js";
import type { Mode } from "../theme.js";

const columns: readonly { readonly key: Key; readonly name: string; readonly number?: boolean }[] = [
  { key: "name", name: "Run" },
  { key: "state", name: "State" },
  { key: "method", name: "Method" },
  { key: "data", name: "Data" },
  { key: "progress", name: "Progress" },
  { key: "trainLoss", name: "Loss", number: true },
  { key: "validationAccuracy", name: "Validation", number: true },
  { key: "testAccuracy", name: "Test", number: true },
  { key: "elapsedMs", name: "Time", number: true },
  { key: "created", name: "Started", number: true },
];

const states: readonly RunState[] = ["running", "finished", "stopped", "interrupted"];

export function RunsPage({ list, mode }: { list: List; mode: Mode }) {
  const [key, setKey] = useState<Key>("created");
  const [down, setDown] = useState(true);
  const [words, setWords] = useState("");
  const [state, setState] = useState<RunState | "all">("all");
  const [together, setTogether] = useState(true);
  const [chosen, setChosen] = useState<ReadonlySet<string>>(new Set());
  const [now, setNow] = useState(Date.now());
  useEffect(() => {
    document.title = "Runs – metalr studio";
    const timer = setInterval(() => setNow(Date.now()), 20_000);
    return () => clearInterval(timer);
  }, []);
  const all = useMemo(() => rowsOf([...list.runs.values()], together), [list.runs, together]);
  const hasFolds = [...list.runs.values()].some((r) => r.folds !== null);
  const shown = useMemo(
    () =>
      sorted(
        all.filter((r) => fits(r, words) && (state === "all" || r.state === state)),
        key,
        down,
      ),
    [all, words, state, key, down],
  );
  const ids = [...chosen].filter((id) => list.runs.has(id));
  const sortBy = (next: Key) => {
    setDown(next === key ? !down : !["name", "method", "data", "state"].includes(next));
    setKey(next);
  };
  const isChosen = (row: TableRow) => row.ids.every((id) => chosen.has(id));
  const choose = (row: TableRow) => {
    const next = new Set(chosen);
    const away = isChosen(row);
    for (const id of row.ids) {
      if (away) next.delete(id);
      else next.add(id);
    }
    setChosen(next);
  };
  const waiting = list.jobs.filter(
    (j) => ["held", "queued", "failed"].includes(j.state) || (j.runs.length === 0 && j.state !== "ended"),
  );
  return (
    <>
      <div class="title">
        <h1>Runs</h1>
        <span class="muted">{list.loaded ? `${formatCount(list.runs.size)} in ${list.where}` : "…"}</span>
        <span class="grow" />
        <button
          type="button"
          disabled={ids.length < 2}
          onClick={() => {
            location.hash = linkTo.compare(ids);
          }}
        >
          Compare{ids.length > 0 ? ` ${ids.length}` : ""}
        </button>
        <a class="button primary" href={linkTo.new}>
          New run
        </a>
      </div>
      <Jobs jobs={waiting} />
      <div class="filters">
        <label>
          <span class="unseen">Filter</span>
          <input
            type="search"
            placeholder="Filter by name, method, data …"
            value={words}
            onInput={(e) => setWords(e.currentTarget.value)}
          />
        </label>
        <fieldset class="choice">
          <legend class="unseen">State</legend>
          {(["all", ...states] as const).map((s) => (
            <button type="button" key={s} aria-pressed={state === s} onClick={() => setState(s)}>
              {s} <small>{s === "all" ? all.length : all.filter((r) => r.state === s).length}</small>
            </button>
          ))}
        </fieldset>
        {hasFolds ? (
          <button type="button" aria-pressed={!together} class="toggle" onClick={() => setTogether(!together)}>
            Each fold by itself
          </button>
        ) : null}
      </div>
      <Comparisons all={list.comparisons} words={words} now={now} />
      <div class="card flush">
        <table class="runs">
          <caption class="unseen">Runs, newest first unless sorted otherwise</caption>
          <thead>
            <tr>
              <th scope="col">
                <span class="unseen">Compare</span>
              </th>
              {columns.map((c) => (
                <th
                  scope="col"
                  key={c.key}
                  class={c.number ? "number" : ""}
                  aria-sort={key === c.key ? (down ? "descending" : "ascending") : undefined}
                >
                  <button type="button" onClick={() => sortBy(c.key)}>
                    {c.name} <span aria-hidden="true">{key === c.key ? (down ? "↓" : "↑") : ""}</span>
                  </button>
                </th>
              ))}
              <th scope="col">Rates</th>
            </tr>
          </thead>
          <tbody>
            {shown.map((run) => (
              <Row key={run.id} run={run} now={now} mode={mode} chosen={isChosen(run)} choose={() => choose(run)} />
            ))}
          </tbody>
        </table>
        {shown.length > 0 ? null : (
          <p class="empty">
            {!list.loaded ? "…" : all.length === 0 ? <Nothing where={list.where} /> : "No run fits the filter."}
          </p>
        )}
      </div>
    </>
  );
}

const Nothing = ({ where }: { where: string }) => (
  <>
    There are no runs in <code>{where}</code> yet. <a href={linkTo.new}>Start one here</a>, or with{" "}
    <code>metalr train</code> or <code>metalr demo</code>: it shows up by itself.
  </>
);

/** What `metalr compare` has left; nothing where there is none. */
function Comparisons({ all, words, now }: { all: readonly ComparisonSummary[]; words: string; now: number }) {
  const shown = all.filter((c) =>
    words
      .toLowerCase()
      .split(/\s+/)
      .every((word) => [c.name, ...c.data, ...c.methods].join(" ").toLowerCase().includes(word)),
  );
  if (shown.length === 0) return null;
  return (
    <section class="card comparisons" aria-labelledby="comparisons">
      <h2 id="comparisons">Comparisons</h2>
      <ul>
        {shown.map((c) => (
          <li key={c.id}>
            <a href={linkTo.comparison(c.id)}>{c.name}</a>
            <span class="muted">
              {c.data.join(", ")}: {c.methods.join(", ")} · {c.trainings} trainings · <Ago time={c.created} now={now} />
            </span>
          </li>
        ))}
      </ul>
    </section>
  );
}

/** Accuracy is what everybody expects; of Dice it is said. */
const Figure = ({ of, run }: { of: number | null; run: TableRow }) => (
  <>
    {figures[run.figure].of(of)}
    {run.figure === "dice" && of !== null ? <small>Dice</small> : null}
  </>
);

function Row({
  run,
  now,
  mode,
  chosen,
  choose,
}: {
  run: TableRow;
  now: number;
  mode: Mode;
  chosen: boolean;
  choose: () => void;
}) {
  return (
    <tr class={chosen ? "chosen" : ""}>
      <td class="pick">
        <label class="pickable">
          <input type="checkbox" checked={chosen} onChange={choose} aria-label={`Compare ${run.name}`} />
        </label>
      </td>
      <th scope="row" class="name">
        <a href={run.parts === "" ? linkTo.run(run.id) : linkTo.folds(run.id)}>{run.name}</a>
        <small>{[run.network, run.parts].filter((t) => t !== "").join(" · ")}</small>
      </th>
      <td data-name="State">
        <State state={run.state} />
      </td>
      <td data-name="Method">{run.method}</td>
      <td data-name="Data" class="data">
        {run.data}
      </td>
      <td data-name="Progress" class="progressing">
        <Progress run={run} />
        <small>
          epoch {run.epoch}/{run.epochs}
          {run.leftMs === null ? "" : ` · ${formatDuration(run.leftMs)} left`}
        </small>
      </td>
      <td data-name="Loss" class="number">
        {formatNumber(run.trainLoss)}
      </td>
      <td data-name="Validation" class="number">
        <Figure of={run.validationAccuracy} run={run} />
      </td>
      <td data-name="Test" class="number">
        <Figure of={run.testAccuracy} run={run} />
        {run.select === "test" ? <small>leaky</small> : null}
      </td>
      <td data-name="Time" class="number">
        {formatDuration(run.elapsedMs)}
      </td>
      <td data-name="Started" class="number">
        <Ago time={run.created} now={now} />
      </td>
      <td data-name="Rates" class="rates">
        <Spark rows={run.sparks} mode={mode} />
      </td>
    </tr>
  );
}
