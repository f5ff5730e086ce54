/** @file How well a segmentation agrees with its labels: Dice of every class, and of the volumes. */
import { formatCount, formatNumber, formatShare } from "../../../records/format.js";
import { volumeCells } from "../../../records/segmentation-text.js";
import type { Evaluation, SegmentationFigures } from "../../../training/types.js";
import type { ShownEvaluation } from "../../protocol.js";
import { FigureTable } from "./table.js";
import { percent } from "./words.js";

type Figures = Evaluation & { readonly dice: SegmentationFigures };

/** One row for every class; the background, which nearly every voxel is, apart from the mean. */
export function Dice({
  shown,
  classes,
  waits = "After the first evaluation, at the end of an epoch.",
}: {
  shown: ShownEvaluation | null;
  classes: readonly string[];
  /** Said while there is nothing to show. */
  waits?: string;
}) {
  const { evaluation, title } = shown ?? {};
  if (!evaluation?.dice) {
    return (
      <section class="card dice">
        <h2>Dice of each class</h2>
        <p class="empty">{waits}</p>
      </section>
    );
  }
  const { dice, precision, recall, confusion, loss } = evaluation;
  return (
    <section class="card dice">
      <h2>Dice of each class</h2>
      <p class="about">{title}. 1 is full agreement, higher is better; precision and recall are of voxels.</p>
      <FigureTable name="Dice of each class" heads={["class", "Dice", "precision", "recall", "voxels"]}>
        {classes.map((name, c) => (
          <tr key={name}>
            <th scope="row">{name}</th>
            <td>{formatShare(dice.perClass[c])}</td>
            <td>{percent(precision[c])}</td>
            <td>{percent(recall[c])}</td>
            <td>{formatCount((confusion[c] ?? []).reduce((a, b) => a + b, 0))}</td>
          </tr>
        ))}
        <tr>
          <th scope="row">mean without {classes[0] ?? "the first"}</th>
          <td class="best">{formatShare(dice.mean)}</td>
          <td colSpan={3} />
        </tr>
      </FigureTable>
      <p class="about">loss {formatNumber(loss)}</p>
    </section>
  );
}

/** Volumes with the lowest Dice first; nothing before the first evaluation. */
export function WorstVolumes({ shown, classes }: { shown: ShownEvaluation | null; classes: readonly string[] }) {
  if (!shown?.evaluation.dice) return null;
  const { volumes } = (shown.evaluation as Figures).dice; // checked on the line above
  const mean = (v: (typeof volumes)[number]) => Number(volumeCells(v).at(-1)) || 0;
  const rows = [...volumes].sort((a, b) => mean(a) - mean(b));
  return (
    <section class="card dice">
      <h2>Dice of each volume</h2>
      <p class="about">
        {shown.title}: {shown.volumes}, the lowest first.
      </p>
      <FigureTable name="Dice of each volume" heads={["volume", ...classes.slice(1), "mean"]}>
        {rows.map((v, at) => (
          <tr key={`${at} ${v.name}`}>
            <th scope="row">{v.name}</th>
            {volumeCells(v).map((text, k) => (
              <td key={k}>{text}</td>
            ))}
          </tr>
        ))}
      </FigureTable>
    </section>
  );
}
