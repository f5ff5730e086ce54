/** @file Several runs in the same plots, and their figures beside each other. */
import { useEffect, useMemo, useState } from "preact/hooks";
import { formatDuration, formatNumber, formatRate, withSuperscript } from "../../../records/format.js";
import type { RunSummary } from "../../protocol.js";
import { address } from "../api.js";
import { type Followed, useRuns } from "../follow.js";
import { Chart, type Line } from "../parts/chart.js";
import { plain, positive } from "../parts/series.js";
import { FigureTable } from "../parts/table.js";
import { figures, State } from "../parts/words.js";
import { linkTo } from "../route.js";
import type { Mode } from "../theme.js";

/** Okabe and Ito's colours in an order of growing likeness, made dark or light enough for either paper; dashes tell the next eight. */
const colors: Readonly<Record<Mode, readonly string[]>> = {
  light: ["#0072b2", "#c75300", "#00785a", "#a3286f", "#1b1f24", "#7a5c00", "#3b53c4", "#5d6670"],
  dark: ["#56b4e9", "#ff9d4d", "#2fc79b", "#f08cc0", "#e6e8eb", "#f0e442", "#9daeff", "#a3adb8"],
};
const MOST = 16;

export function ComparePage({ ids, mode }: { ids: readonly string[]; mode: Mode }) {
  const runs = useRuns(ids.slice(0, MOST));
  const groups = useMemo(() => [...new Set(runs.flatMap((r) => r.facts.groups))], [runs]);
  const [group, setGroup] = useState<string | null>(null);
  const shownGroup = group ?? groups.at(-1) ?? "";
  useEffect(() => {
    document.title = "Compare – metalr studio";
  }, []);
  const kinds = new Set(runs.map((r) => r.facts.summary.figure));
  // Shares of images and Dice are both of 0 to 1, but not the same: the axis is a plain number where both are there.
  const shown = figures[kinds.has("dice") ? "dice" : "accuracy"];
  const name = [...kinds].map((k) => figures[k].noun).join(" or ") || "accuracy";
  // Folds of one cross-validation share a colour where several are compared.
  const families = [...new Set(runs.map(familyOf))];
  const byFamily = families.length > 1 && families.length < runs.length;
  const place = (i: number) => {
    const run = runs[i];
    return byFamily && run !== undefined ? families.indexOf(familyOf(run)) : i;
  };
  const ink = (i: number) => colors[mode][place(i) % 8] ?? "";
  const dash = (i: number) => (place(i) < 8 ? {} : { dash: [6, 4] });
  const rates = overlay(runs, (r) => {
    const j = r.facts.groups.indexOf(shownGroup);
    return { x: Array.from(r.curves.steps), y: j < 0 ? [] : positive(r.curves.values[3 + j]) };
  });
  const loss = overlay(runs, (r) => ({ x: Array.from(r.curves.steps), y: plain(r.curves.values[0]) }));
  const accuracy = overlay(runs, (r) => ({
    x: r.facts.epochs.map((e) => e.epoch),
    y: r.facts.epochs.map((e) => e.validationAccuracy),
  }));
  const lines = (rows: readonly (readonly (number | null)[])[], more: Partial<Line> = {}) =>
    runs.map(
      (r, i): Line => ({ name: r.facts.summary.name, color: ink(i), values: rows[i] ?? [], ...dash(i), ...more }),
    );
  return (
    <>
      <div class="title">
        <h1>{runs.length} runs side by side</h1>
        <span class="grow" />
        <a class="button" href={address("/api/compare", { ids: ids.join(",") })} target="_blank" rel="noopener">
          Report
        </a>
        <a class="button" href={linkTo.runs}>
          All runs
        </a>
      </div>
      <Figures runs={runs} ink={ink} />
      <div class="charts">
        <Chart
          title={`Validation ${name}`}
          x={accuracy.x}
          xName="epoch"
          lines={lines(accuracy.rows, { points: true })}
          mode={mode}
          range={[null, 1]}
          format={(v) => shown.of(v)}
          formatAxis={shown.axis}
        />
        <Chart
          title="Training loss"
          x={loss.x}
          lines={lines(loss.rows, { width: 1.5, points: false })}
          mode={mode}
          range={[0, null]}
          format={(v) => formatNumber(v)}
          formatAxis={(v) => String(Number(v.toPrecision(4)))}
        />
        <div class="wide">
          <label class="inline">
            Layer group
            <select value={shownGroup} onChange={(e) => setGroup(e.currentTarget.value)}>
              {groups.map((g) => (
                <option key={g}>{g}</option>
              ))}
            </select>
          </label>
          <Chart
            title={`Learning rate of ${shownGroup}`}
            x={rates.x}
            lines={lines(rates.rows)}
            mode={mode}
            log
            format={(v) => withSuperscript(formatRate(v ?? Number.NaN))}
            formatAxis={(v) => withSuperscript(v.toExponential(0)).replace(/^1×/, "")}
          />
        </div>
      </div>
    </>
  );
}

const familyOf = ({ facts: { summary: s } }: Followed): string => s.folds?.id ?? s.id;

/** Rows over one x that has every point of every run; between its own points a run's value is carried along. */
function overlay(
  runs: readonly Followed[],
  of: (run: Followed) => { readonly x: readonly number[]; readonly y: readonly (number | null)[] },
): { readonly x: number[]; readonly rows: (number | null)[][] } {
  const parts = runs.map(of);
  const x = [...new Set(parts.flatMap((p) => p.x))].sort((a, b) => a - b);
  const rows = parts.map(({ x: own, y }) => {
    let i = -1;
    return x.map((at) => {
      while (i + 1 < own.length && (own[i + 1] ?? 0) <= at) i++;
      return i < 0 || at > (own.at(-1) ?? 0) ? null : (y[i] ?? null);
    });
  });
  return { x, rows };
}

function Figures({ runs, ink }: { runs: readonly Followed[]; ink: (i: number) => string }) {
  const kinds = new Set(runs.map((r) => r.facts.summary.figure));
  // Accuracy and Dice do not compete.
  const best = (value: (r: Followed) => number | null) =>
    kinds.size > 1 ? null : Math.max(...runs.map((r) => value(r) ?? Number.NEGATIVE_INFINITY));
  const [validation, test] = [
    best((r) => r.facts.summary.validationAccuracy),
    best((r) => r.facts.summary.testAccuracy),
  ];
  const noun = kinds.size === 1 && kinds.has("dice") ? " Dice" : "";
  const write = ({ figure }: RunSummary, x: number | null) =>
    `${figures[figure].of(x)}${kinds.size > 1 && figure === "dice" && x !== null ? " Dice" : ""}`;
  const heads = [
    "run",
    "state",
    "method",
    "epoch",
    "training loss",
    `validation${noun} (best)`,
    `test${noun}`,
    ...(noun === "" ? ["AUC"] : []),
    "time",
  ];
  return (
    <FigureTable name="Figures" look="compared" frame="card flush" heads={heads}>
      {runs.map(({ facts: { summary: s } }, i) => (
        <tr key={s.id}>
          <th scope="row">
            <span class="swatch" style={{ background: ink(i) }} /> <a href={linkTo.run(s.id)}>{s.name}</a>
          </th>
          <td>
            <State state={s.state} />
          </td>
          <td>{s.method}</td>
          <td>
            {s.epoch}/{s.epochs}
          </td>
          <td>{formatNumber(s.trainLoss)}</td>
          <td class={s.validationAccuracy === validation ? "best" : ""}>{write(s, s.validationAccuracy)}</td>
          <td class={s.testAccuracy === test ? "best" : ""}>
            {write(s, s.testAccuracy)}
            {s.select === "test" ? " (leaky)" : ""}
          </td>
          {noun === "" ? <td>{formatNumber(s.testAuc)}</td> : null}
          <td>{formatDuration(s.elapsedMs)}</td>
        </tr>
      ))}
    </FigureTable>
  );
}
