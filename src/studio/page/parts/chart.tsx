/** @file A plot that grows: uPlot, with a legend that is read and operated by keyboard as well. */
import type { ComponentChildren } from "preact";
import { useEffect, useId, useMemo, useRef, useState } from "preact/hooks";
import uPlot from "uplot";
import { inks } from "../../../records/plots/color.js";
import type { Mode } from "../theme.js";

export interface Line {
  readonly name: string;
  readonly color: string;
  /** As long as the chart's `x`; null is a gap. */
  readonly values: readonly (number | null)[];
  readonly width?: number;
  readonly dash?: readonly number[];
  /** Drawn behind, half transparent, and left out of the legend's values. */
  readonly faint?: boolean;
  /** Values stand far apart: they are joined over the gaps, and marked. */
  readonly points?: boolean;
}

export interface ChartProps {
  readonly title: string;
  readonly about?: string;
  readonly x: readonly number[];
  readonly xName?: string;
  readonly lines: readonly Line[];
  readonly mode: Mode;
  readonly log?: boolean;
  /** Lowest and highest value that the axis shows at least. */
  readonly range?: readonly [number | null, number | null];
  readonly format: (value: number | null | undefined) => string;
  /** Of the axis; default: `format`. */
  readonly formatAxis?: (value: number) => string;
  readonly height?: number;
  readonly wide?: boolean;
  /** Charts with the same word move their cursors together. */
  readonly sync?: string;
  /** Beside the title. */
  readonly extra?: ComponentChildren;
}

/** How much larger than on a laptop letters are: the root's size grows with the screen. */
const scaleOf = (): number => Number.parseFloat(getComputedStyle(document.documentElement).fontSize) / 15;

function optionsOf(
  p: ChartProps,
  width: number,
  height: number,
  onCursor: (index: number | null) => void,
): uPlot.Options {
  const ink = (name: keyof typeof inks) => inks[name][p.mode];
  const scale = scaleOf();
  const axis: uPlot.Axis = {
    stroke: ink("muted"),
    font: `${Math.round(12 * scale)}px system-ui, sans-serif`,
    grid: { stroke: ink("grid"), width: 1 },
    ticks: { stroke: ink("grid"), width: 1, size: 5 },
  };
  const [low, high] = p.range ?? [null, null];
  const text = p.formatAxis ?? p.format;
  return {
    width,
    height,
    padding: [10, 12, 0, 0],
    legend: { show: false },
    cursor: {
      ...(p.sync === undefined ? {} : { sync: { key: p.sync } }),
      drag: { x: true, y: false },
      points: { size: 7 },
      focus: { prox: 24 },
    },
    focus: { alpha: 0.35 },
    scales: {
      x: { time: false },
      y: p.log
        ? { distr: 3, log: 10 }
        : {
            range: (_, min, max) => {
              const [a, b] = [Math.min(min ?? 0, low ?? min ?? 0), Math.max(max ?? 1, high ?? max ?? 1)];
              const pad = 0.05 * Math.max(b - a, 1e-12);
              return [low !== null && a >= low ? a : a - pad, high !== null && b <= high ? b : b + pad];
            },
          },
    },
    axes: [
      {
        ...axis,
        size: Math.round(34 * scale),
        space: 50 * scale,
        values: (_, splits) => splits.map((v) => (Number.isInteger(v) ? v.toLocaleString("en") : "")),
      },
      {
        ...axis,
        size: Math.round(62 * scale),
        space: 30 * scale,
        values: (_, splits) => splits.map((v) => (v === null ? "" : text(v))),
      },
    ],
    series: [
      {},
      ...p.lines.map(
        (line): uPlot.Series => ({
          label: line.name,
          stroke: line.color,
          width: line.width ?? 2,
          alpha: line.faint ? 0.4 : 1,
          spanGaps: line.points === true,
          points: line.points ? { show: true, size: 5, fill: line.color } : { show: false },
          ...(line.dash === undefined ? {} : { dash: [...line.dash] }),
        }),
      ),
    ],
    hooks: { setCursor: [(u) => onCursor(u.cursor.idx ?? null)] },
  };
}

/** The value at a place; the last one before it where values stand far apart, or where no place is pointed at. */
const valueAt = (line: Line, index: number | null): number | null => {
  const last = line.values.length - 1;
  for (let i = Math.min(index ?? last, last); i >= 0; i--) {
    const v = line.values[i];
    if (v !== null && v !== undefined) return v;
    if (!line.points && index !== null) return null;
  }
  return null;
};

export function Chart(p: ChartProps) {
  const { title, about, x, lines, mode, height = 260, xName = "step" } = p;
  const place = useRef<HTMLDivElement>(null);
  const plot = useRef<uPlot | null>(null);
  const zoomed = useRef(false);
  const seen = useRef(true);
  const waiting = useRef<(() => void) | null>(null);
  const [index, setIndex] = useState<number | null>(null);
  const [hidden, setHidden] = useState<ReadonlySet<string>>(new Set());
  const [spoken, setSpoken] = useState("");
  const name = useId();
  const data = useMemo(
    () => [x, ...lines.map((l) => l.values)] as unknown as uPlot.AlignedData, // rows of one length, as uPlot wants them
    [x, ...lines.map((l) => l.values)],
  );
  const shape = JSON.stringify([mode, p.log, lines.map((l) => [l.name, l.color, l.width, l.faint, l.points])]);
  useEffect(() => {
    const box = place.current;
    if (box === null) return;
    const u = new uPlot(optionsOf(p, Math.max(box.clientWidth, 120), box.clientHeight, setIndex), data, box);
    u.over.addEventListener("dblclick", () => {
      zoomed.current = false;
    });
    u.over.addEventListener("mouseup", () => {
      if (u.select.width > 4) zoomed.current = true;
    });
    for (const [i, l] of lines.entries()) if (hidden.has(l.name)) u.setSeries(i + 1, { show: false });
    plot.current = u;
    const watch = new ResizeObserver(() =>
      u.setSize({ width: Math.max(box.clientWidth, 120), height: box.clientHeight }),
    );
    watch.observe(box);
    const look = new IntersectionObserver(
      (entries) => {
        seen.current = entries.some((e) => e.isIntersecting);
        if (seen.current) waiting.current?.();
      },
      { rootMargin: "200px" },
    );
    look.observe(box);
    return () => {
      look.disconnect();
      watch.disconnect();
      u.destroy();
      plot.current = null;
    };
  }, [shape]);

  useEffect(() => {
    // What nobody sees is drawn when it is scrolled to.
    const draw = () => {
      waiting.current = null;
      plot.current?.setData(data, !zoomed.current);
    };
    waiting.current = draw;
    const frame = requestAnimationFrame(() => seen.current && waiting.current === draw && draw());
    return () => cancelAnimationFrame(frame);
  }, [data]);

  const toggle = (line: string) => {
    const next = new Set(hidden);
    if (!next.delete(line)) next.add(line);
    setHidden(next);
    plot.current?.setSeries(lines.findIndex((l) => l.name === line) + 1, { show: !next.has(line) });
  };
  const told = lines.filter((l) => !l.faint);
  const move = (event: KeyboardEvent) => {
    const u = plot.current;
    const stride = event.shiftKey ? Math.max(Math.round(x.length / 20), 1) : 1;
    const at = index ?? x.length - 1;
    const to = { ArrowLeft: at - stride, ArrowRight: at + stride, Home: 0, End: x.length - 1 }[event.key];
    if (u === null || to === undefined || x.length === 0) return;
    event.preventDefault();
    const i = Math.min(Math.max(to, 0), x.length - 1);
    u.setCursor({ left: u.valToPos(x[i] ?? 0, "x"), top: u.over.clientHeight / 2 });
    setSpoken(`${xName} ${x[i]}: ${told.map((l) => `${l.name} ${p.format(valueAt(l, i))}`).join(", ")}`);
  };
  const shownAt = index ?? x.length - 1;
  return (
    <figure class={`chart${p.wide ? " wide" : ""}`} aria-labelledby={name}>
      <figcaption>
        <h2 id={name}>{title}</h2>
        <span class="at">{x.length > 0 ? `${xName} ${(x[shownAt] ?? 0).toLocaleString("en")}` : ""}</span>
        {p.extra}
        {about === undefined ? null : <p>{about}</p>}
      </figcaption>
      <div class="plotted">
        {/* biome-ignore lint/a11y/useSemanticElements: a plot is moved through by arrow keys, and is no set of fields */}
        <div
          ref={place}
          class="plot"
          style={{ height: `${height / 15}rem` }}
          role="group"
          // biome-ignore lint/a11y/noNoninteractiveTabindex: a plot is moved through by arrow keys
          tabIndex={0}
          aria-label={`${title}: plot; arrow keys move along the ${xName}s`}
          onKeyDown={move}
        />
        <ul class="legend" style={{ "--tall": `${height / 15}rem` }}>
          {lines.map((line) => (
            <li key={line.name}>
              <button
                type="button"
                aria-pressed={!hidden.has(line.name)}
                onClick={() => toggle(line.name)}
                title="show or hide"
              >
                <svg width="18" height="10" aria-hidden="true">
                  <line
                    x1="0"
                    y1="5"
                    x2="18"
                    y2="5"
                    stroke={line.color}
                    stroke-width={line.faint ? 1.5 : 3}
                    stroke-dasharray={line.dash?.join(" ")}
                    opacity={line.faint ? 0.6 : 1}
                  />
                </svg>
                <span class="name">{line.name}</span>
                <span class="value">{p.format(valueAt(line, index))}</span>
              </button>
            </li>
          ))}
        </ul>
      </div>
      <p class="unseen" aria-live="polite">
        {spoken}
      </p>
    </figure>
  );
}
