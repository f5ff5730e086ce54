/** @file "Private fine-tune": data and weights are opened, trained on and kept by the browser; nothing leaves the machine. */
import { useEffect, useState } from "preact/hooks";
import { MetalrError } from "../../../common/errors.js";
import { unpackError } from "../../../platform/thread-errors.js";
import { formatCount } from "../../../records/format.js";
import { Field } from "../parts/field.js";
import { Folded } from "../parts/folded.js";
import { State } from "../parts/words.js";
import type { Mode } from "../theme.js";
import { Choose } from "./choose.js";
import { Kept } from "./kept.js";
import { LiveView } from "./live.js";
import { SeenData, SeenNetwork } from "./seen.js";
import { initial, type State as SessionState, session } from "./session.js";

/** What most people choose; the rest waits under its heading. */
const first = ["method", "maxEpoch", "batchSize", "imageSize", "lr", "model"];

const always = Promise.resolve();

/** @param allowed resolves when workers may be started: where a service worker has to guard them first */
export function PrivatePage({ mode, allowed = always }: { mode: Mode; allowed?: Promise<unknown> }) {
  const [state, setState] = useState<SessionState>(initial);
  const [refused, setRefused] = useState<string | null>(null);
  useEffect(() => {
    document.title = "Private fine-tune – metalr";
    const deaf = session.listen(setState);
    void session.begin(allowed);
    return deaf;
  }, []);
  const { live, look, errors, fields, values } = state;
  const busy = session.busy;
  useEffect(() => {
    if (!busy) return;
    const warn = (event: BeforeUnloadEvent) => event.preventDefault();
    addEventListener("beforeunload", warn);
    return () => removeEventListener("beforeunload", warn);
  }, [busy]);
  const fail = (error: unknown) => setRefused(error instanceof MetalrError ? error.message : String(error));
  const took = <T,>(take: (files: T) => Promise<void>) => {
    return (files: T) => {
      setRefused(null);
      void take(files);
    };
  };
  const wrong = Object.keys(errors).length;
  const planProblem = look?.problem ? unpackError(look.problem).message : null;
  const problem = refused ?? state.problem ?? planProblem;
  const ready = look?.plan != null && wrong === 0 && !state.looking && !busy;
  const start = (event: Event) => {
    event.preventDefault();
    void navigator.storage?.persist?.();
    void session.start(new Date());
    scrollTo(0, 0);
  };
  const method = values["method"] || "metalr";
  const shown = fields.filter((f) => f.method === null || f.method === method);
  const fieldOf = (f: (typeof fields)[number]) => (
    <Field
      key={f.key}
      field={f}
      value={values[f.key] ?? ""}
      error={errors[f.key]}
      disabled={busy}
      set={(v) => void session.setValue(f.key, v)}
    />
  );
  const plan = look?.plan;
  return (
    <form class="new private" onSubmit={start}>
      <div class="title">
        <h1>Private fine-tune</h1>
        <span class="state finished">
          <span aria-hidden="true">✓</span> nothing leaves this machine
        </span>
      </div>
      {live === null ? null : (
        <section class="training" aria-label="Training">
          <div class="title">
            <h2>{live.folder}</h2>
            <State state={live.state === "finished" ? "finished" : busy ? "running" : "stopped"} />
            <span class="grow" />
            {busy ? (
              <button
                type="button"
                class="stop"
                disabled={live.state === "stopping"}
                onClick={() => void session.stop()}
              >
                {live.state === "stopping" ? "Stopping …" : "Stop"}
              </button>
            ) : null}
            {live.state === "stopped" && state.data !== null ? (
              <button type="button" class="primary" onClick={() => void session.resume(live.folder)}>
                Resume
              </button>
            ) : null}
            {live.state === "finished" ? (
              <>
                <button type="button" class="primary" onClick={() => void session.download(live.folder, "model.onnx")}>
                  Download model (.onnx)
                </button>
                <button type="button" onClick={() => void session.download(live.folder, "model.safetensors")}>
                  Weights (.safetensors)
                </button>
              </>
            ) : null}
          </div>
          <LiveView live={live} mode={mode} />
        </section>
      )}
      <div class="columns">
        <div class="fields">
          <section class="card" aria-label="Data">
            <h2>1 Data</h2>
            <Choose
              name="images"
              hint="A folder with one folder for each class, .npz (MedMNIST), DICOM, a CSV with its images, or the released pickle (also zipped)"
              folders
              many
              disabled={busy}
              take={took((files) => session.pickData(files))}
              fail={fail}
            />
            <div aria-live="polite" aria-busy={state.looking}>
              {look === null ? (
                <p class="empty">
                  {state.looking ? "Reading …" : "Counts and small pictures show here when data are open."}
                </p>
              ) : (
                <SeenData look={look} />
              )}
            </div>
          </section>
          <section class="card" aria-label="Weights">
            <h2>2 Weights</h2>
            <Choose
              name="weights"
              hint="PyTorch (.pth, .pt, .th), safetensors, or a network with its weights (.onnx)"
              disabled={busy}
              take={took(([file]) => session.pickWeights(file ?? null))}
              fail={fail}
            />
            <p>
              {state.weights === null ? (
                <span class="muted">None: the network starts from random weights.</span>
              ) : (
                <>
                  {state.weights.path}{" "}
                  <button type="button" class="small" disabled={busy} onClick={() => void session.pickWeights(null)}>
                    Leave out
                  </button>
                </>
              )}
            </p>
            {plan ? <SeenNetwork plan={plan} /> : null}
          </section>
          <section class="card" aria-label="Options">
            <h2>3 Options</h2>
            <div class="grid">{first.flatMap((key) => fields.filter((f) => f.key === key)).map(fieldOf)}</div>
          </section>
          <Folded
            fields={shown.filter((f) => !first.includes(f.key))}
            values={values}
            errors={errors}
            fieldOf={fieldOf}
          />
        </div>
        <aside class="card sum" aria-label="What will run">
          <h2>4 Train</h2>
          {plan ? (
            <p>
              {plan.method}, {plan.epochs} epochs of {formatCount(plan.stepsPerEpoch)} steps on{" "}
              {formatCount(plan.parts.train)} images; {formatCount(plan.parts.validation)} choose the epoch,{" "}
              {formatCount(plan.parts.test)} test the result.
            </p>
          ) : (
            <p class="muted">Open data first.</p>
          )}
          <label class="field">
            <strong>Compute with</strong>
            <select
              value={state.provider}
              disabled={busy}
              onChange={(e) =>
                void session.setRuntime({ provider: e.currentTarget.value === "webgpu" ? "webgpu" : "wasm" })
              }
            >
              <option value="wasm">WebAssembly</option>
              <option value="webgpu" disabled={state.gpu === "none"}>
                WebGPU
              </option>
            </select>
          </label>
          <p class="about">
            {state.gpuProblem === null
              ? gpuWords[state.gpu]
              : `WebGPU failed (${state.gpuProblem}): WebAssembly computes.`}
          </p>
          <label class="field">
            <strong>Threads</strong>
            <select
              value={String(state.threads)}
              disabled={busy || globalThis.crossOriginIsolated !== true}
              onChange={(e) => void session.setRuntime({ threads: Number(e.currentTarget.value) })}
            >
              <option value="0">as many as there are processors</option>
              {[1, 2, 4, 8].map((n) => (
                <option key={n} value={String(n)}>
                  {n}
                </option>
              ))}
            </select>
          </label>
          {globalThis.crossOriginIsolated ? null : (
            <p class="about">
              The page is not isolated (COOP and COEP headers): one thread computes, several times slower.
            </p>
          )}
          <button type="submit" class="primary large" disabled={!ready}>
            Start
          </button>
          {state.trained === null ? null : <p class="about">Computed by {state.trained.executor}.</p>}
          <p class="muted" role="status">
            {live === null ? (state.ready ? "Ready." : "Getting ready …") : statusOf[live.state]}
          </p>
          {problem === null ? null : (
            <pre class="notice" role="alert">
              {problem}
            </pre>
          )}
        </aside>
      </div>
      <Kept runs={state.runs} busy={busy} canResume={state.data !== null} />
    </form>
  );
}

const gpuWords = {
  hardware: "This browser has WebGPU with a graphics card.",
  software: "WebGPU is only imitated by the processor here, and far slower than WebAssembly.",
  none: "This browser offers no WebGPU here: WebAssembly computes.",
} as const;

const statusOf = {
  preparing: "Compiling the training step …",
  running: "Training.",
  stopping: "Stopping after the step under way.",
  stopped: "Stopped. It can be resumed.",
  finished: "Finished. The model is kept in this browser and can be downloaded.",
} as const;
