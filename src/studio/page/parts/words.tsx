/** @file Small pieces that every page uses: the state of a run, tiles of figures, progress, numbers in words. */
import type { ComponentChildren } from "preact";
import { formatCount, formatShare, NONE } from "../../../records/format.js";
import type { FigureName, RunState, RunSummary } from "../../protocol.js";

const signs: Readonly<Record<RunState, string>> = { running: "●", finished: "✓", stopped: "❚❚", interrupted: "✕" };

/** State by word and sign, not by colour alone. */
export const State = ({ state }: { state: RunState }) => (
  <span class={`state ${state}`}>
    <span aria-hidden="true">{signs[state]}</span> {state}
  </span>
);

export const percent = (x: number | null | undefined, digits = 1): string =>
  x === null || x === undefined || Number.isNaN(x) ? NONE : `${(100 * x).toFixed(digits)} %`;

/** How a figure is called and written: "accuracy" in percent, "Dice" as a number below 1. */
export const figures: Readonly<
  Record<
    FigureName,
    { readonly title: string; readonly noun: string; readonly of: typeof percent; readonly axis: (v: number) => string }
  >
> = {
  accuracy: { title: "Accuracy", noun: "accuracy", of: percent, axis: (v) => `${Math.round(100 * v)} %` },
  dice: { title: "Mean Dice", noun: "Dice", of: (x) => formatShare(x), axis: (v) => String(Number(v.toPrecision(3))) },
};

export const Tile = ({
  name,
  children,
  note,
}: {
  name: string;
  children: ComponentChildren;
  note?: string | undefined;
}) => (
  <div class="tile">
    <dt>{name}</dt>
    <dd>
      {children}
      <small>{note ?? ""}</small>
    </dd>
  </div>
);

/** What may be wider than the screen: scrolled by finger, wheel and keyboard. */
export const Scroll = ({ name, children, more = "" }: { name: string; children: ComponentChildren; more?: string }) => (
  // biome-ignore lint/a11y/noNoninteractiveTabindex: by the arrow keys
  <section class={`scroll ${more}`} aria-label={name} tabIndex={0}>
    {children}
  </section>
);

/** How far a run is. */
export function Progress({ run }: { run: RunSummary }) {
  const share = run.steps > 0 ? Math.min(run.step / run.steps, 1) : 0;
  const label = `step ${formatCount(run.step)} of ${run.steps > 0 ? formatCount(run.steps) : "?"}`;
  return <progress class={run.state} value={share} max={1} aria-label={label} title={label} />;
}

/** "3 min ago"; the exact time for those who ask. */
export function Ago({ time, now }: { time: string; now: number }) {
  const seconds = Math.max((now - Date.parse(time)) / 1000, 0);
  const steps = [
    [60, 1, "just now"],
    [3600, 60, "min ago"],
    [86_400, 3600, "h ago"],
    [Number.POSITIVE_INFINITY, 86_400, "d ago"],
  ] as const;
  const [, unit, words] = steps.find(([limit]) => seconds < limit) ?? steps[3];
  const text = Number.isNaN(seconds) ? NONE : unit === 1 ? words : `${Math.floor(seconds / unit)} ${words}`;
  return (
    <time dateTime={time} title={time}>
      {text}
    </time>
  );
}
