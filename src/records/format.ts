/** @file Numbers and times as people read them, the same in the terminal, in plots and in reports. */

/** Stands where there is no number. */
export const NONE = "–";

/** A learning rate or loss in `digits` significant digits: "0.00105", "9.50e-5", "1.2e+4"; "–" for NaN. */
export function formatNumber(x: number | null | undefined, digits = 3): string {
  if (x === null || x === undefined || Number.isNaN(x)) return NONE;
  if (!Number.isFinite(x)) return x > 0 ? "∞" : "−∞";
  if (x === 0) return "0";
  const size = Math.abs(x);
  if (!(size >= 1e-3 && size < 1e5)) return x.toExponential(digits - 1);
  const text = x.toPrecision(digits); // 1234 in three digits is "1.23e+3": a whole number reads better
  return text.includes("e") ? String(Math.round(x)) : text;
}

/** A learning rate, always with an exponent, so that a column of them compares at a glance: "1.54e-3"; "frozen" for 0. */
export function formatRate(lr: number | undefined): string {
  if (lr === undefined || Number.isNaN(lr)) return NONE;
  return lr === 0 ? "frozen" : lr.toExponential(2);
}

/** "1.54e-3" → "1.54×10⁻³". */
export const withSuperscript = (text: string): string =>
  text.replace(/e([+-])(\d+)$/, (_, sign: string, digits: string) => {
    const raised = [...digits].map((d) => "⁰¹²³⁴⁵⁶⁷⁸⁹"[Number(d)]).join("");
    return `×10${sign === "-" ? "⁻" : ""}${raised}`;
  });

/** A share as percent: 0.8767 → "87.67 %" with two decimals. */
export const formatPercent = (share: number | null | undefined, decimals = 1): string =>
  share === null || share === undefined || Number.isNaN(share) ? NONE : `${(100 * share).toFixed(decimals)} %`;

/** A share with a fixed number of decimals: "0.877". */
export const formatShare = (share: number | null | undefined, decimals = 3): string =>
  share === null || share === undefined || Number.isNaN(share) ? NONE : share.toFixed(decimals);

/** 1234567 → "1,234,567". */
export const formatCount = (n: number): string => String(Math.round(n)).replace(/\B(?=(\d{3})+$)/g, ",");

/** "0.84 s", "12.3 s", "3 min 05 s", "2 h 05 min", "1 d 03 h". */
export function formatDuration(ms: number): string {
  if (!Number.isFinite(ms) || ms < 0) return NONE;
  const pad = (n: number) => String(n).padStart(2, "0");
  if (ms < 9_995) return `${(ms / 1000).toFixed(2)} s`;
  if (ms < 59_950) return `${(ms / 1000).toFixed(1)} s`;
  const s = Math.round(ms / 1000);
  if (s < 3600) return `${Math.floor(s / 60)} min ${pad(s % 60)} s`;
  const min = Math.round(s / 60);
  if (min < 24 * 60) return `${Math.floor(min / 60)} h ${pad(min % 60)} min`;
  const h = Math.round(min / 60);
  return `${Math.floor(h / 24)} d ${pad(h % 24)} h`;
}

/** How much a rate changed: "×0.87", "×12"; "–" where it was or is 0 or unknown. */
export function formatFactor(from: number | undefined, to: number | undefined): string {
  const factor = (to ?? Number.NaN) / (from ?? Number.NaN);
  return Number.isFinite(factor) && factor > 0 ? `×${formatNumber(factor)}` : NONE;
}

/** A value of a configuration in one line: text as it is, lists with commas, the rest as JSON. */
export function formatValue(value: unknown): string {
  if (value === null || value === undefined) return NONE;
  if (typeof value === "string") return value;
  if (typeof value === "number") {
    return value !== 0 && Math.abs(value) < 1e-3 ? value.toExponential() : String(value); // 1e-6, not 0.000001
  }
  if (Array.isArray(value) && value.every((v) => typeof v !== "object")) return value.map(formatValue).join(", ");
  return JSON.stringify(value) ?? NONE;
}
