/** @file The options that most people leave alone: under their headings, folded until one is wanted or wrong. */
import type { JSX } from "preact";
import type { TrainField, TrainValues } from "../../../cli/train/fields.js";

/** @param fields those that fit the chosen method, without the ones shown elsewhere */
export function Folded({
  fields,
  values,
  errors,
  fieldOf,
}: {
  fields: readonly TrainField[];
  values: TrainValues;
  /** By field. */
  errors: Readonly<Record<string, string>>;
  fieldOf: (field: TrainField) => JSX.Element;
}) {
  return (
    <>
      {[...new Set(fields.map((f) => f.heading))].map((heading) => {
        const inside = fields.filter((f) => f.heading === heading);
        const set = inside.filter((f) => (values[f.key] ?? "") !== "").length;
        const bad = inside.some((f) => errors[f.key] !== undefined);
        return (
          <details class="card" key={heading} open={bad || undefined}>
            <summary>
              <h2>{heading}</h2>
              <span class="muted">
                {set > 0 ? `${set} set` : `${inside.length} ${inside.length === 1 ? "option" : "options"}`}
              </span>
            </summary>
            <div class="grid">{inside.map(fieldOf)}</div>
          </details>
        );
      })}
    </>
  );
}
