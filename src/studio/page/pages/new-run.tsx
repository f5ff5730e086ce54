/** @file A new run: the options of `metalr train` as a form, checked as they are typed, and the command line that they make. */
import { useEffect, useState } from "preact/hooks";
import type { TrainField } from "../../../cli/train/fields.js";
import type { FormCheck, Refusal } from "../../protocol.js";
import { get, post } from "../api.js";
import type { List } from "../list.js";
import { Field, type FieldProps } from "../parts/field.js";
import { Folded } from "../parts/folded.js";
import { Jobs } from "../parts/jobs.js";
import { Refused } from "../parts/notices.js";
import { linkTo } from "../route.js";

/** What most people choose; the rest waits under its heading. */
const first = ["data", "pretrainedPath", "model", "method", "maxEpoch", "name"];

type Values = Readonly<Record<string, string>>;

export function NewRunPage({ list }: { list: List }) {
  const [fields, setFields] = useState<readonly TrainField[]>([]);
  const [values, setValues] = useState<Values>({});
  const [check, setCheck] = useState<FormCheck>({ errors: {}, command: "metalr train" });
  const [refused, setRefused] = useState<Refusal | null>(null);
  const [job, setJob] = useState<string | null>(null);
  useEffect(() => {
    document.title = "New run – metalr studio";
    void get<readonly TrainField[]>("/api/form").then((a) => ("ok" in a ? setFields(a.ok) : setRefused(a.refused)));
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
  const fitsMethod = (f: TrainField) => f.method === null || f.method === (values["method"] || "metalr");
  const fieldOf = (f: TrainField) => (
    <CommandField
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
          <Folded
            fields={fields.filter((f) => !first.includes(f.key) && fitsMethod(f))}
            values={values}
            errors={check.errors}
            fieldOf={fieldOf}
          />
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
          <Refused refused={refused} />
          <Jobs jobs={started === undefined ? [] : [started]} />
        </aside>
      </div>
    </form>
  );
}

/** Paths are completed by what lies in the machine's folders. */
function CommandField(props: FieldProps) {
  const { field } = props;
  const [offered, setOffered] = useState<readonly string[]>([]);
  const offer = async (typed: string) => {
    const answer = await get<readonly string[]>("/api/browse", { path: typed });
    setOffered("ok" in answer ? answer.ok : []);
  };
  const path = field.kind === "path" ? { offered, typing: (typed: string) => void offer(typed) } : {};
  return <Field {...props} flag={field.flag} {...path} />;
}
