/** @file Which class was taken for which: a table whose shades follow the share of each true class. */
import { formatNumber } from "../../../records/format.js";
import { shade } from "../../../records/plots/color.js";
import type { ShownEvaluation } from "../../protocol.js";
import type { Mode } from "../theme.js";
import { percent, Scroll } from "./words.js";

export function Confusion({
  shown,
  classes,
  mode,
  waits = "After the first evaluation, at the end of an epoch.",
}: {
  shown: ShownEvaluation | null;
  classes: readonly string[];
  mode: Mode;
  /** Said while there is nothing to show. */
  waits?: string;
}) {
  if (shown === null) {
    return (
      <section class="card confusion">
        <h2>Confusion matrix</h2>
        <p class="empty">{waits}</p>
      </section>
    );
  }
  const { evaluation: e, title } = shown;
  return (
    <section class="card confusion">
      <h2>Confusion matrix</h2>
      <p class="about">{title}</p>
      <Scroll name="Confusion matrix">
        <table>
          <thead>
            <tr>
              <th scope="col">true ↓ predicted →</th>
              {classes.map((c) => (
                <th scope="col" key={c}>
                  {c}
                </th>
              ))}
              <th scope="col">recall</th>
            </tr>
          </thead>
          <tbody>
            {e.confusion.map((row, i) => {
              const sum = row.reduce((a, b) => a + b, 0);
              return (
                <tr key={classes[i]}>
                  <th scope="row">{classes[i]}</th>
                  {row.map((n, j) => {
                    const s = shade(sum > 0 ? n / sum : 0);
                    return (
                      <td
                        class="cell"
                        key={classes[j]}
                        style={{ background: s.fill[mode], color: s.text[mode] }}
                        title={sum > 0 ? percent(n / sum) : ""}
                      >
                        {n}
                      </td>
                    );
                  })}
                  <td>{percent(e.recall[i])}</td>
                </tr>
              );
            })}
            <tr>
              <th scope="row">precision</th>
              {e.precision.map((p, i) => (
                <td key={classes[i]}>{percent(p)}</td>
              ))}
              <td />
            </tr>
          </tbody>
        </table>
      </Scroll>
      <p class="about">
        {e.count} images · accuracy {percent(e.accuracy)} · balanced {percent(e.balancedAccuracy)} · AUC{" "}
        {formatNumber(e.macroAuc)} · loss {formatNumber(e.loss)}
      </p>
    </section>
  );
}
