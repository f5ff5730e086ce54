/** @file A new run: the options of `metalr train` as a form, checked as they are typed, and the command line that they make. */
import { useEffect, useState } from "preact/hooks";
import type { FormCheck, FormField, Refusal } from "../../protocol.js";
import { get, post } from "../api.js";
import type { List } from "../list.js";
import { Jobs } from "../parts/jobs.js";
import { linkTo } from "../route.js";

/** What most people choose; the rest waits under its heading. */
const first = ["data", "pretrainedPath", "model", "method", "maxEpoch", "name"];

const names: Readonly<Record<string, string>> = {
  lr: "Learning rate",
  pretrainedPath: "Weights",
  maxEpoch: "Epochs",
  hyperLr: "Hyper learning rate",
  std: "Deviation",
  ema: "Averaged weights (EMA)",
};

/** "batchSize" → "Batch size". */
export const labelOf = (key: string): string => {
  const words = key
    .replace(/^.*\./, "")
    .replace(/[A-Z]/g, (c) => ` ${c.toLowerCase()}`)
    .replace(/\blr\b/, "rate");
  return names[key] ?? words.charAt(0).toUpperCase() + words.slice(1);
};

type Values = Readonly<Record<string, string>>;

export function NewRunPage({ list }: { list: List }) {
  const [fields, setFields] = useState<readonly FormField[]>([]);
  const [values, setValues] = useState<Values>({});
  const [check, setCheck] = useState<FormCheck>({ errors: {}, command: "metalr train" });
  const [refused, setRefused] = useState<Refusal | null>(null);
  const [job, setJob] = useState<string | null>(null);
  useEffect(() => {
    document.title = "New run – metalr studio";
    void get<readonly FormField[]>("/api/form").then((a) => ("ok" in a ? setFields(a.ok) : setRefused(a.refused)));
  }, []);
  useEffect(() => {
    let current = true;
    const timer = setTimeout(() => {
      void post<FormCheck>("/api/check", values).then((a) => current && "ok" in a && setCheck(a.ok));
    }, 200);
    return () => {
      current = false;
      clearTimeout(timer);
    };
  }, [values]);
  // As soon as the process has a run to show, the page shows it.
  const started = list.jobs.find((j) => j.id === job);
  const run = started?.runs[0];
  useEffect(() => {
    if (run !== undefined) location.hash = linkTo.run(run);
  }, [run]);

  const busy = list.jobs.some((j) => ["starting", "running", "stopping"].includes(j.state));
  const wrong = Object.keys(check.errors).length;
  const start = async (event: Event) => {
    event.preventDefault();
    const answer = await post<{ job: string }>("/api/start", values);
    if ("ok" in answer) {
      setJob(answer.ok.job);
      setRefused(null);
    } else setRefused(answer.refused);
  };
  /** Options of other methods are left out. */
  const fitsMethod = (f: FormField) => f.method === null || f.method === (values["method"] || "metalr");
  const headings = [...new Set(fields.map((f) => f.heading))];
  const fieldOf = (f: FormField) => (
    <Field
      key={f.key}
      field={f}
      value={values[f.key] ?? ""}
      error={check.errors[f.key]}
      set={(v) => setValues((old) => ({ ...old, [f.key]: v }))}
    />
  );
  return (
    <form class="new" onSubmit={start}>
      <div class="title">
        <h1>New run</h1>
      </div>
      <div class="columns">
        <div class="fields">
          <section class="card grid">
            {first.flatMap((key) => fields.filter((f) => f.key === key)).map(fieldOf)}
          </section>
          {headings.map((heading) => {
            const inside = fields.filter((f) => f.heading === heading && !first.includes(f.key) && fitsMethod(f));
            const set = inside.filter((f) => (values[f.key] ?? "") !== "").length;
            const bad = inside.some((f) => check.errors[f.key] !== undefined);
            if (inside.length === 0) return null;
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
        </div>
        <aside class="card sum" aria-label="What will run">
          <h2>Command</h2>
          <pre>
            <code>{check.command}</code>
          </pre>
          <p class="muted" role="status">
            {wrong === 0
              ? "The options fit together. Data and weights are read when it starts."
              : `${wrong === 1 ? "One field needs" : `${wrong} fields need`} another look.`}
          </p>
          <button type="submit" class="primary large" disabled={wrong > 0}>
            {busy ? "Add to the queue" : "Start"}
          </button>
          {refused === null ? null : (
            <p class="notice" role="alert">
              {refused.problem}
              {refused.hint === undefined ? null : `: ${refused.hint}`}
            </p>
          )}
          <Jobs jobs={started === undefined ? [] : [started]} />
        </aside>
      </div>
    </form>
  );
}

function Field({
  field: f,
  value,
  error,
  set,
}: {
  field: FormField;
  value: string;
  error: string | undefined;
  set: (value: string) => void;
}) {
  const id = `field-${f.key}`;
  const [offered, setOffered] = useState<readonly string[]>([]);
  const offer = async (typed: string) => {
    const answer = await get<readonly string[]>("/api/browse", { path: typed });
    setOffered("ok" in answer ? answer.ok : []);
  };
  const shared = {
    id,
    "aria-describedby": `${id}-help${error === undefined ? "" : ` ${id}-error`}`,
    "aria-invalid": error !== undefined,
  };
  const shownDefault = f.default ?? "";
  return (
    <div class={`field${error === undefined ? "" : " wrong"}`}>
      <label for={id}>
        {labelOf(f.key)} <code>{f.flag}</code>
      </label>
      {f.kind === "choice" ? (
        <select {...shared} value={value} onChange={(e) => set(e.currentTarget.value)}>
          <option value="">{shownDefault === "" ? "as usual" : `default: ${shownDefault}`}</option>
          {f.choices.map((c) => (
            <option key={c} value={c}>
              {c}
            </option>
          ))}
        </select>
      ) : f.kind === "flag" ? (
        <input
          {...shared}
          type="checkbox"
          checked={value === "yes"}
          onChange={(e) => set(e.currentTarget.checked ? "yes" : "")}
        />
      ) : (
        <input
          {...shared}
          type="text"
          inputMode={f.kind === "number" ? "decimal" : undefined}
          autocomplete="off"
          spellcheck={false}
          placeholder={shownDefault}
          value={value}
          list={f.kind === "path" ? `${id}-offered` : undefined}
          onFocus={() => f.kind === "path" && void offer(value)}
          onInput={(e) => {
            set(e.currentTarget.value);
            if (f.kind === "path") void offer(e.currentTarget.value);
          }}
        />
      )}
      {f.kind === "path" ? (
        <datalist id={`${id}-offered`}>
          {offered.map((o) => (
            <option key={o} value={o} />
          ))}
        </datalist>
      ) : null}
      <p id={`${id}-help`} class="help">
        {f.help}
      </p>
      <p id={`${id}-error`} class="error" role={error === undefined ? undefined : "alert"}>
        {error ?? ""}
      </p>
    </div>
  );
}
