/** @file Processes that the studio started and that have no run to show yet, or failed. */
import type { Job } from "../../protocol.js";
import { post } from "../api.js";
import { linkTo } from "../route.js";

const words: Readonly<Record<Job["state"], string>> = {
  held: "was waiting when the studio ended",
  queued: "waits for the one before it",
  starting: "is starting: data and weights are being read",
  running: "is running",
  stopping: "stops after the step under way",
  ended: "has ended",
  failed: "failed",
};

export function Jobs({ jobs }: { jobs: readonly Job[] }) {
  if (jobs.length === 0) return null;
  return (
    <section class="jobs" aria-label="Processes of the studio">
      {jobs.map((job) => (
        <article class={`card job ${job.state}`} key={job.id}>
          <div class="row">
            <code>{job.command}</code>
            <span class="grow">{words[job.state]}</span>
            {job.runs.map((id) => (
              <a key={id} href={linkTo.run(id)}>
                Show the run
              </a>
            ))}
            {job.state === "held" ? (
              <button type="button" onClick={() => void post(`/api/jobs/${job.id}/go`)}>
                Go on
              </button>
            ) : null}
            {job.state === "ended" || job.state === "failed" ? null : (
              <button type="button" onClick={() => void post(`/api/jobs/${job.id}/stop`)}>
                {job.state === "queued" || job.state === "held" ? "Take it out" : "Stop"}
              </button>
            )}
          </div>
          {job.output === "" ? null : (
            <details open={job.state === "failed"}>
              <summary>Output</summary>
              {/* biome-ignore lint/a11y/noNoninteractiveTabindex: long output is scrolled by keyboard */}
              <pre tabIndex={0}>{job.output}</pre>
            </details>
          )}
        </article>
      ))}
    </section>
  );
}
