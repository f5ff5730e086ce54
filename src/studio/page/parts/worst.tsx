/** @file The images that a run is most wrong about, with the probability of each class. */
import { useEffect, useState } from "preact/hooks";
import type { DataFacts, WorstFacts } from "../../protocol.js";
import { address, get } from "../api.js";
import { percent } from "./words.js";

/** Bars of one image: the true class, and the most probable others. */
const BARS = 3;

/** @param version changes with every evaluation of the run */
export function Worst({ id, classes, version }: { id: string; classes: readonly string[]; version: string }) {
  const [worst, setWorst] = useState<WorstFacts | undefined>(undefined);
  const [data, setData] = useState<DataFacts | null>(null);
  useEffect(() => {
    let current = true;
    const ask = async () => {
      const answer = await get<WorstFacts>(`/api/runs/${id}/worst`);
      if (!current) return;
      const found = "ok" in answer ? answer.ok : null;
      setWorst(found);
      const indices = (found?.images ?? []).flatMap((i) => (i.index === null ? [] : [i.index]));
      if (indices.length === 0) return;
      const names = await get<DataFacts>(`/api/runs/${id}/names`, { ids: indices.join(",") });
      if (current && "ok" in names) setData(names.ok);
    };
    void ask();
    return () => {
      current = false;
    };
  }, [id, version]);
  const names = new Map(
    (worst?.images ?? [])
      .filter((i) => i.index !== null)
      .map((image, k): [number | null, string | null | undefined] => [image.index, data?.names[k]]),
  );
  return (
    <section class="card worst" aria-labelledby="worst-heading">
      <h2 id="worst-heading">Worst-classified images</h2>
      {worst == null ? (
        <p class="empty">{worst === undefined ? "…" : "After the first evaluation, at the end of an epoch."}</p>
      ) : (
        <>
          <p class="about">
            {worst.part === "test" ? "Test" : "Validation"} images
            {worst.epoch === null ? "" : `, epoch ${worst.epoch}`}: {worst.wrong} of {worst.count} are taken for another
            class. The least probability of the true class comes first.
            {data?.problem ? <strong> {data.problem} Pictures cannot be shown.</strong> : null}
          </p>
          <ol class="images">
            {worst.images.map((image, k) => (
              <li key={`${image.index} ${k}`}>
                <Picture id={id} index={data?.problem === null ? image.index : null} />
                <div class="told">
                  <p class="pair">
                    <span class={image.predicted === image.truth ? "right" : "wrong"}>
                      {image.predicted === image.truth ? "✓ right" : "✕ wrong"}
                    </span>
                    <small title={names.get(image.index) ?? undefined}>
                      {names.get(image.index) ?? (image.index === null ? "" : `image ${image.index + 1}`)}
                    </small>
                  </p>
                  <Bars probabilities={image.probabilities} truth={image.truth} classes={classes} />
                </div>
              </li>
            ))}
          </ol>
        </>
      )}
    </section>
  );
}

function Picture({ id, index }: { id: string; index: number | null }) {
  const [failed, setFailed] = useState(false);
  useEffect(() => setFailed(false), [index]);
  if (index === null || failed) return <div class="picture none">{failed ? "cannot be read" : "no picture"}</div>;
  return (
    <img
      class="picture"
      src={address(`/api/runs/${id}/images/${index}`)}
      alt=""
      width={144}
      height={144}
      onError={() => setFailed(true)}
    />
  );
}

function Bars({
  probabilities,
  truth,
  classes,
}: {
  probabilities: readonly number[];
  truth: number;
  classes: readonly string[];
}) {
  const order = probabilities.map((p, c) => ({ p, c })).sort((a, b) => b.p - a.p || a.c - b.c);
  const others = order.filter(({ c }) => c !== truth).slice(0, BARS - 1);
  const shown = order.filter(({ c }) => c === truth || others.some((o) => o.c === c));
  return (
    <ul class="bars">
      {shown.map(({ p, c }) => (
        <li key={c} class={c === truth ? "truth" : ""}>
          <span class="name" title={classes[c]}>
            {classes[c] ?? c}
            {c === truth ? <small> true</small> : null}
          </span>
          <span class="value">{percent(p)}</span>
          <span class="bar" aria-hidden="true">
            <span style={{ width: `${(100 * (Number.isNaN(p) ? 0 : p)).toFixed(1)}%` }} />
          </span>
        </li>
      ))}
    </ul>
  );
}
