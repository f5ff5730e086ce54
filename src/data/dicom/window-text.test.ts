/** @file Tests of window-text.ts. */
import { expect, test } from "vitest";
import { parseWindow } from "./window-text.js";

test.each([
  ["file", "file"],
  ["FULL", "full"],
  ["none", "none"],
  ["preset:1", { preset: 0 }],
  ["40,400", { center: 40, width: 400 }],
  ["-600,1500.5", { center: -600, width: 1500.5 }],
  ["percentile:1,99.5", { percentiles: [1, 99.5] }],
])("%s", (text, window) => {
  expect(parseWindow(text)).toEqual(window);
});

test.each([
  "",
  "lung",
  "40",
  "40,0.5",
  "40,400,3",
  "preset:0",
  "preset:x",
  "percentile:99,1",
  "percentile:1,101",
  "0x10,20",
])("%s is refused", (text) => {
  expect(() => parseWindow(text)).toThrow(
    `--window: is no window\n  expected file, full, none, preset:N (from 1), CENTER,WIDTH with a width of at least 1, or percentile:LOW,HIGH within 0 … 100\n  got      "${text}"`,
  );
});
