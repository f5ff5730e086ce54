/** @file The data and the plan as they were understood: counts by class and part, small pictures, what became of the weights. */
import { useEffect, useRef } from "preact/hooks";
import { formatCount } from "../../../records/format.js";
import type { DataFacts, Look, PlanFacts, Thumbnail } from "../../../web/protocol.js";
import { FigureTable } from "../parts/table.js";

function Picture({ of: { bitmap }, name }: { of: Thumbnail; name: string }) {
  const place = useRef<HTMLCanvasElement>(null);
  useEffect(() => {
    place.current?.getContext("2d")?.drawImage(bitmap, 0, 0);
  }, [bitmap]);
  return (
    <figure class="thumbnail">
      <canvas ref={place} width={bitmap.width} height={bitmap.height} role="img" aria-label={`an image of ${name}`} />
      <figcaption>{name}</figcaption>
    </figure>
  );
}

const Notes = ({ notes }: { notes: readonly string[] }) =>
  notes.length === 0 ? null : (
    <ul class="notes">
      {notes.map((note) => (
        <li key={note}>{note}</li>
      ))}
    </ul>
  );

export function SeenData({ look }: { look: Look }) {
  const { data, plan } = look;
  const name = (label: number) => data.classes[label]?.name ?? String(label);
  return (
    <>
      <p>
        <strong>{data.name}</strong>: {formatCount(data.count)} images, {data.classes.length} classes
        {data.groups === null ? "" : `, ${formatCount(data.groups)} groups (patients, videos)`}
        {plan?.fold ? `; ${plan.fold} is its test part` : ""}
      </p>
      <div class="thumbnails">
        {data.thumbnails.map((t, i) => (
          <Picture key={`${t.label} ${i}`} of={t} name={name(t.label)} />
        ))}
      </div>
      <Counts data={data} plan={plan} />
      <Notes notes={plan?.notes ?? data.notes} />
    </>
  );
}

function Counts({ data, plan }: { data: DataFacts; plan: PlanFacts | null }) {
  return (
    <FigureTable name="Images by class" heads={["class", "images", "training", "validation", "test"]}>
      {data.classes.map(({ name, count }, c) => {
        const parts = plan?.classes[c];
        return (
          <tr key={name}>
            <th scope="row">{name}</th>
            <td>{formatCount(count)}</td>
            <td>{parts ? formatCount(parts.train) : "–"}</td>
            <td>{parts ? formatCount(parts.validation) : "–"}</td>
            <td>{parts ? formatCount(parts.test) : "–"}</td>
          </tr>
        );
      })}
    </FigureTable>
  );
}

export const SeenNetwork = ({ plan }: { plan: PlanFacts }) => (
  <p>
    <strong>{plan.network}</strong>: {formatCount(plan.parameters)} parameters in {plan.layerGroups.length} layer groups
    {plan.matched === null
      ? ""
      : `; ${plan.matched.taken} tensors taken from the weights${
          plan.matched.fresh.length === 0
            ? ""
            : `, new: ${plan.matched.fresh.slice(0, 4).join(", ")}${plan.matched.fresh.length > 4 ? ", …" : ""}`
        }`}
  </p>
);
