/** @file What a page says beside its content: that the server refused, what a run was warned of, that something is gone. */
import type { Refusal } from "../../protocol.js";
import { linkTo } from "../route.js";

/** Why the server did not do what was asked; nothing where it did. */
export const Refused = ({ refused }: { refused: Refusal | null }) =>
  refused === null ? null : (
    <p class="notice" role="alert">
      {refused.problem}
      {refused.hint === undefined ? null : `: ${refused.hint}`}
    </p>
  );

export const Warnings = ({ warnings }: { warnings: readonly string[] }) =>
  warnings.length === 0 ? null : (
    <section class="card">
      <h2>Warnings</h2>
      <ul>
        {warnings.map((w) => (
          <li key={w}>{w}</li>
        ))}
      </ul>
    </section>
  );

/** Instead of a page whose folder is not found. @param what "This run is" @param why what may have happened */
export const Missing = ({ what, why }: { what: string; why: string }) => (
  <div class="card">
    <h1>{what} not there</h1>
    <p>{why}</p>
    <a href={linkTo.runs}>All runs</a>
  </div>
);
