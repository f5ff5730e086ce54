/** @file Colours of plots: a pair for light and dark paper, and a sequential ramp that the colour-blind and a grey printer can follow. */

/** A colour on light and on dark background. */
export interface Ink {
  readonly light: string;
  readonly dark: string;
}

export const inks = {
  paper: { light: "#ffffff", dark: "#15181d" },
  text: { light: "#1b1f24", dark: "#e6e8eb" },
  muted: { light: "#59626d", dark: "#a3adb8" },
  axis: { light: "#4a525c", dark: "#8d97a3" },
  grid: { light: "#e4e7eb", dark: "#2c323a" },
  /** Training, validation, test: blue, orange, green of Okabe and Ito's set, adjusted for contrast of 3 : 1 and more. */
  train: { light: "#0072b2", dark: "#56b4e9" },
  validation: { light: "#c75300", dark: "#ff9d4d" },
  test: { light: "#00785a", dark: "#2fc79b" },
  accent: { light: "#a3286f", dark: "#f08cc0" },
} as const satisfies Record<string, Ink>;

/** The OKLCH colour (Ottosson 2020) with its chroma reduced until sRGB has it. `hue` in degrees. */
function fitChroma(lightness: number, chroma: number, hue: number) {
  for (let c = chroma; ; c -= 0.005) {
    const rgb = linearRgb(lightness, Math.max(c, 0), hue);
    if (c > 0 && rgb.some((v) => v < -1e-4 || v > 1.0001)) continue;
    const angle = (hue * Math.PI) / 180;
    return { lightness, a: c * Math.cos(angle), b: c * Math.sin(angle), hex: hex(rgb) };
  }
}

/** sRGB hex of an OKLCH colour; `hue` in degrees. */
const oklch = (lightness: number, chroma: number, hue: number): string => fitChroma(lightness, chroma, hue).hex;

function linearRgb(lightness: number, chroma: number, hue: number): [number, number, number] {
  const a = chroma * Math.cos((hue * Math.PI) / 180);
  const b = chroma * Math.sin((hue * Math.PI) / 180);
  const l = (lightness + 0.3963377774 * a + 0.2158037573 * b) ** 3;
  const m = (lightness - 0.1055613458 * a - 0.0638541728 * b) ** 3;
  const s = (lightness - 0.0894841775 * a - 1.291485548 * b) ** 3;
  return [
    4.0767416621 * l - 3.3077115913 * m + 0.2309699292 * s,
    -1.2684380046 * l + 2.6097574011 * m - 0.3413193965 * s,
    -0.0041960863 * l - 0.7034186147 * m + 1.707614701 * s,
  ];
}

function hex(rgb: readonly number[]): string {
  const byte = (v: number) => {
    const x = Math.min(Math.max(v, 0), 1);
    const encoded = x <= 0.0031308 ? 12.92 * x : 1.055 * x ** (1 / 2.4) - 0.055;
    return Math.round(255 * encoded)
      .toString(16)
      .padStart(2, "0");
  };
  return `#${rgb.map(byte).join("")}`;
}

/** Hue in degrees by position, from plum over blue, teal and green to orange. */
const hues = [
  [0, 330],
  [0.35, 262],
  [0.55, 220],
  [0.7, 150],
  [1, 50],
] as const;

function hueAt(t: number): number {
  for (let i = 1; i < hues.length; i++) {
    const [t0, h0] = hues[i - 1]!; // i is in 1 … length − 1
    const [t1, h1] = hues[i]!;
    if (t <= t1) return h0 + ((t - t0) / (t1 - t0)) * (h1 - h0);
  }
  return 50;
}

/**
 * Positions along the hue path at even distances of colour: the hues alone would crowd the blues, whose chroma is small.
 * Distances in OKLab over 128 pieces.
 */
function evenly(lightness: (t: number) => number): (t: number) => string {
  const pieces = 128;
  const points = Array.from({ length: pieces + 1 }, (_, i) => {
    const t = i / pieces;
    return fitChroma(lightness(t), 0.2, hueAt(t));
  });
  const lengths = [0];
  for (let i = 1; i <= pieces; i++) {
    const [p, q] = [points[i - 1]!, points[i]!]; // pieces + 1 points
    lengths.push(lengths[i - 1]! + Math.hypot(p.lightness - q.lightness, p.a - q.a, p.b - q.b));
  }
  return (t) => {
    const target = t * lengths[pieces]!; // pieces + 1 lengths
    return points[lengths.findIndex((l) => l >= target - 1e-12)]?.hex ?? "#000000";
  };
}

const onLight = evenly((t) => 0.3 + 0.42 * t);
const onDark = evenly((t) => 0.55 + 0.28 * t);

/** The sequential palette at t in 0 … 1: lightness grows evenly, so that order survives colour blindness and grey print. */
export const ramp = (t: number): Ink => ({ light: onLight(t), dark: onDark(t) });

/** One colour for each of `count` layer groups, stem first. A single one gets the middle. */
export const rampOf = (count: number): Ink[] =>
  Array.from({ length: count }, (_, i) => ramp(count === 1 ? 0.35 : i / (count - 1)));

/** Shades from paper (t = 0) to strong blue (t = 1), and the text colour that reads on them. */
export function shade(t: number): { readonly fill: Ink; readonly text: Ink } {
  return {
    fill: { light: oklch(0.985 - 0.545 * t, 0.125 * t, 252), dark: oklch(0.23 + 0.5 * t, 0.02 + 0.1 * t, 252) },
    text: { light: t > 0.5 ? "#ffffff" : "#1b1f24", dark: t > 0.62 ? "#0b0d10" : "#e6e8eb" },
  };
}
