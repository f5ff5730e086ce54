/** @file The runs that this browser keeps: shown, continued, their files downloaded, deleted. */
import { useState } from "preact/hooks";
import type { StoredRun } from "../../../web/protocol.js";
import { FigureTable } from "../parts/table.js";
import { percent } from "../parts/words.js";
import { session } from "./session.js";

/** Files of a finished run that a person may want. */
const files = [
  ["model.onnx", "ONNX"],
  ["model.safetensors", "safetensors"],
  ["report.html", "report"],
] as const;

export function Kept({
  runs,
  busy,
  canResume,
}: {
  runs: readonly StoredRun[];
  busy: boolean;
  /** Data are open, which a run needs to go on. */
  canResume: boolean;
}) {
  const [asked, setAsked] = useState<string | null>(null);
  if (runs.length === 0) return null;
  return (
    <section class="card" aria-label="Runs kept in this browser">
      <h2>Kept in this browser</h2>
      <p class="about">
        Runs lie in the browser's private storage on this machine, for this page alone. To continue one, open its data
        and weights again.
      </p>
      <FigureTable
        name="Runs"
        look="kept"
        heads={[
          "run",
          "state",
          "accuracy",
          "download",
          <span key="actions" class="unseen">
            actions
          </span>,
        ]}
      >
        {runs.map((run) => (
          <tr key={run.folder}>
            <th scope="row">{run.folder}</th>
            <td>
              {run.state}, epoch {run.epoch}
            </td>
            <td>{percent(run.accuracy)}</td>
            <td>
              {run.state === "finished"
                ? files.map(([file, name]) => (
                    <button
                      type="button"
                      class="small"
                      key={file}
                      aria-label={`Download ${file} of ${run.folder}`}
                      onClick={() => void session.download(run.folder, file)}
                    >
                      {name}
                    </button>
                  ))
                : null}
            </td>
            <td>
              <button type="button" class="small" disabled={busy} onClick={() => void session.show(run.folder)}>
                Show
              </button>
              {run.state === "stopped" ? (
                <button
                  type="button"
                  class="small"
                  disabled={busy || !canResume}
                  onClick={() => void session.resume(run.folder)}
                >
                  Resume
                </button>
              ) : null}
              <button
                type="button"
                class="small"
                disabled={busy}
                onClick={() => {
                  if (asked === run.folder) void session.remove(run.folder);
                  setAsked(asked === run.folder ? null : run.folder);
                }}
              >
                {asked === run.folder ? "Really delete?" : "Delete"}
              </button>
            </td>
          </tr>
        ))}
      </FigureTable>
    </section>
  );
}
