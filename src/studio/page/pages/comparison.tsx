/** @file What `metalr compare` found: methods beside each other with intervals and paired tests, and what may be said of them. */
import { useEffect, useState } from "preact/hooks";
import { formatDuration, formatShare, NONE } from "../../../records/format.js";
import type { ComparedMethod, ComparisonFacts, Interval } from "../../protocol.js";
import { address, get } from "../api.js";
import type { List } from "../list.js";
import { Missing } from "../parts/notices.js";
import { FigureTable } from "../parts/table.js";
import { percent } from "../parts/words.js";
import { linkTo } from "../route.js";

const choices: Readonly<Record<string, string>> = {
  validation: "accuracy, by validation",
  last: "accuracy, last epoch",
  leaky: "accuracy, best on test (leaky)",
};

/** "−1.2": percentage points with their sign. */
const points = (x: number | null): string =>
  x === null ? NONE : `${x < 0 ? "−" : "+"}${Math.abs(100 * x).toFixed(1)}`;
const pValue = (p: number | null): string => (p === null ? NONE : p < 0.001 ? "< 0.001" : p.toFixed(3));

export function ComparisonPage({ id, list }: { id: string; list: List }) {
  const summary = list.comparisons.find((c) => c.id === id);
  const [facts, setFacts] = useState<ComparisonFacts | null>(null);
  useEffect(() => {
    document.title = `${summary?.name ?? "comparison"} – metalr studio`;
    let current = true;
    void get<ComparisonFacts>(`/api/comparisons/${id}`).then((a) => current && setFacts("ok" in a ? a.ok : null));
    return () => {
      current = false;
    };
  }, [id, summary?.created]);
  if (list.loaded && summary === undefined) {
    return <Missing what="This comparison is" why="Its folder was deleted or moved, or it has not ended yet." />;
  }
  return (
    <>
      <div class="title">
        <h1>{summary?.name ?? "…"}</h1>
        <span class="muted">
          {summary === undefined ? "" : `${summary.methods.length} methods, ${summary.trainings} trainings`}
        </span>
        <span class="grow" />
        {facts?.report ? (
          <a class="button" href={address(`/api/comparisons/${id}/report`)} target="_blank" rel="noopener">
            Report
          </a>
        ) : null}
        <a class="button" href={linkTo.runs}>
          All runs
        </a>
      </div>
      {facts === null ? <p class="card empty">…</p> : facts.data.map((d) => <DataSection key={d.data} d={d} />)}
    </>
  );
}

function DataSection({ d }: { d: ComparisonFacts["data"][number] }) {
  const shown = Object.keys(choices).filter((c) => d.methods.some((m) => m.accuracy[c] !== undefined));
  const tested = d.methods.some((m) => m.p !== null || m.difference !== null);
  const reference = d.methods.find((m) => m.method === d.reference)?.title ?? d.reference;
  const heads = [
    "method",
    ...shown.map((c) => choices[c]),
    "balanced",
    "AUC",
    ...(tested ? ["points", "95 % interval", "p", "p (Holm)"] : []),
    "time a run",
  ];
  return (
    <section class="card" aria-label={d.data}>
      <h2>{d.data}</h2>
      <p class="about">
        Means over {d.units} {d.unit}
        {d.units === 1 ? "" : "s"} of images that were never seen in training
        {d.units > 1 ? ", with 95 % intervals" : ""}.{tested ? ` Differences are paired, against ${reference}.` : ""}
      </p>
      <FigureTable name={`Methods on ${d.data}`} heads={heads}>
        {d.methods.map((m) => (
          <tr key={m.method}>
            <th scope="row">{m.title}</th>
            {shown.map((c) => (
              <td key={c}>
                <Accuracy of={m.accuracy[c]} />
              </td>
            ))}
            <td>{percent(m.balancedAccuracy)}</td>
            <td>{formatShare(m.macroAuc)}</td>
            {tested ? <Tests m={m} /> : null}
            <td>{formatDuration(m.trainingMs ?? Number.NaN)}</td>
          </tr>
        ))}
      </FigureTable>
      {d.words.length === 0 ? null : (
        <ul class="words">
          {d.words.map((line) => (
            <li key={line}>{line}</li>
          ))}
        </ul>
      )}
    </section>
  );
}

const Accuracy = ({ of }: { of: Interval | undefined }) => (
  <>
    {percent(of?.mean)}
    {of?.low == null || of.high === null ? null : (
      <small class="under">
        {(100 * of.low).toFixed(1)} … {(100 * Math.min(of.high ?? 1, 1)).toFixed(1)}
      </small>
    )}
  </>
);

const Tests = ({ m: { difference: diff, p, pHolm } }: { m: ComparedMethod }) =>
  diff === null ? (
    <td colSpan={4} class="reference">
      reference
    </td>
  ) : (
    <>
      <td>{points(diff.mean)}</td>
      <td>{diff.low === null ? NONE : `${points(diff.low)} … ${points(diff.high)}`}</td>
      <td>{pValue(p)}</td>
      <td>{pValue(pHolm)}</td>
    </>
  );
