/** @file Tests of jobs.ts: cores and memory divided among trainings. */
import { expect, test } from "vitest";
import { divideWork } from "./jobs.js";

const GiB = 2 ** 30;
const room = { cores: 16, freeBytes: 100 * GiB };

test("before anything is measured: a training a core, never more than there are", () => {
  expect(divideWork("auto", room, { trainings: 100, peakBytes: null })).toEqual({ jobs: 16, threads: 1 });
  expect(divideWork("auto", room, { trainings: 5, peakBytes: null })).toEqual({ jobs: 5, threads: 3 });
});

test("what memory leaves idle goes to the jobs as threads", () => {
  // 80 GiB may be used, 13 GiB each with the margin: six.
  expect(divideWork("auto", room, { trainings: 100, peakBytes: 10 * GiB })).toEqual({ jobs: 6, threads: 2 });
  expect(divideWork("auto", room, { trainings: 100, peakBytes: 900 * GiB })).toEqual({ jobs: 1, threads: 16 });
});

test("what was asked for is done", () => {
  expect(divideWork(3, room, { trainings: 100, peakBytes: 900 * GiB })).toEqual({ jobs: 3, threads: 5 });
  expect(divideWork(3, room, { trainings: 2, peakBytes: null })).toEqual({ jobs: 2, threads: 8 });
  expect(divideWork("auto", room, { trainings: 100, threads: 4, peakBytes: null })).toEqual({ jobs: 4, threads: 4 });
  expect(divideWork("auto", room, { trainings: 100, threads: 32, peakBytes: null })).toEqual({ jobs: 1, threads: 32 });
});
