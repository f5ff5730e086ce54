/** @file A window as people write it: full, none, preset:2, 40,400 or percentile:1,99. */
import { UsageError } from "../../common/errors.js";
import { printable } from "../../formats/bytes.js";
import type { WindowOption } from "./_grey.js";

const number = String.raw`[+-]?(?:\d+\.?\d*|\.\d+)(?:e[+-]?\d+)?`;

/** @throws {UsageError} nothing of that form, a width below 1, percentiles out of order */
export function parseWindow(text: string): WindowOption {
  const given = text.trim().toLowerCase();
  if (given === "file" || given === "full" || given === "none") return given;
  const preset = /^preset:(\d{1,3})$/.exec(given)?.[1];
  if (preset !== undefined && Number(preset) >= 1) return { preset: Number(preset) - 1 };
  const [, kind, first, second] = new RegExp(`^(percentile:)?(${number}),(${number})$`).exec(given) ?? [];
  const [a, b] = [Number(first), Number(second)];
  if (kind === undefined && b >= 1) return { center: a, width: b };
  if (kind !== undefined && a >= 0 && a < b && b <= 100) return { percentiles: [a, b] };
  throw new UsageError("--window", {
    problem: "is no window",
    expected:
      "file, full, none, preset:N (from 1), CENTER,WIDTH with a width of at least 1, or percentile:LOW,HIGH within 0 … 100",
    got: `"${printable(text)}"`,
  });
}
