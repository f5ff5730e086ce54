/** @file The rates of a run in a picture as small as a word: one line a layer group, stem to head. */
import { useMemo } from "preact/hooks";
import { rampOf } from "../../../records/plots/color.js";
import type { Mode } from "../theme.js";

const WIDTH = 96;
const HEIGHT = 26;

export function Spark({ rows, mode }: { rows: readonly (readonly (number | null)[])[]; mode: Mode }) {
  const colors = useMemo(() => rampOf(Math.max(rows.length, 1)).map((ink) => ink[mode]), [rows.length, mode]);
  const values = rows.flat().filter((v): v is number => v !== null);
  const [min, max] = [Math.min(...values), Math.max(...values)];
  const span = Math.max(max - min, 0.2);
  const count = Math.max(...rows.map((r) => r.length), 2);
  const x = (i: number) => 2 + (i / (count - 1)) * (WIDTH - 4);
  const y = (v: number) => HEIGHT - 3 - ((v - min) / span) * (HEIGHT - 6);
  return (
    <svg
      class="spark"
      viewBox={`0 0 ${WIDTH} ${HEIGHT}`}
      width={WIDTH}
      height={HEIGHT}
      role="img"
      aria-label="learning rates"
    >
      {rows.map((row, k) => (
        <polyline
          key={k}
          points={row.flatMap((v, i) => (v === null ? [] : [`${x(i).toFixed(1)},${y(v).toFixed(1)}`])).join(" ")}
          fill="none"
          stroke={colors[k]}
          stroke-width="1.4"
        />
      ))}
    </svg>
  );
}
