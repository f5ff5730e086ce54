/** @file Tests of time-left.ts, with numbers to check by hand. */
import { expect, test } from "vitest";
import { TimeLeft } from "./time-left.js";

const a = { data: "a", method: "finetune" };
const b = { data: "a", method: "metalr" };
const c = { data: "c", method: "metalr" };

test("nothing is known before something has run", () => {
  expect(new TimeLeft([a, b]).leftMs(1)).toBeNaN();
});

test("by method and data, else by data, else by all", () => {
  const left = new TimeLeft([a, a, b, c]);
  left.learn(a, 100);
  expect(left.leftMs(1)).toBe(400);
  left.learn(b, 300);
  expect(left.leftMs(1)).toBe(2 * 100 + 300 + 200); // c: the mean of all
  expect(left.leftMs(2)).toBe(350);
});

test("what runs counts by the share that is done, and bounds the end", () => {
  const left = new TimeLeft([a, b]);
  left.start(0, a);
  left.progress(0, 0.25, 50); // 200 in all
  expect(left.leftMs(1)).toBe(150 + 200);
  left.end(0);
  left.learn(a, 200);
  left.start(1, b);
  expect(left.leftMs(2)).toBe(200);
});
