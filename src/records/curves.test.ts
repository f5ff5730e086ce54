import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { CurveBuffer, reduceCurves } from "./curves.js";

const fill = (values: readonly number[], capacity: number) => {
  const buffer = new CurveBuffer(1, capacity);
  for (const [i, v] of values.entries()) buffer.push(i + 1, () => v);
  const { steps, values: rows } = buffer.points();
  return { steps: [...steps], values: [...rows[0]!] }; // one series
};

describe("CurveBuffer", () => {
  test("keeps every value while there is room", () => {
    expect(fill([3, 1, 2], 4)).toEqual({ steps: [1, 2, 3], values: [3, 1, 2] });
  });

  test("five values in four buckets: pairs keep their extremes in the order they came", () => {
    expect(fill([3, 1, 2, 5, 4], 4)).toEqual({ steps: [1, 2, 3, 4, 5], values: [3, 1, 2, 5, 4] });
  });

  test("nine values in four buckets: a bucket of four keeps its peak and its valley", () => {
    const { steps, values } = fill([1, 9, 0, 2, 5, 5, 5, 5, 7], 4);
    expect(steps).toEqual([1, 4, 5, 8, 9]);
    expect(values).toEqual([9, 0, 5, 5, 7]);
  });

  test("a gap inside a bucket is bridged, a bucket of gaps stays a gap", () => {
    const { values } = fill([1, Number.NaN, Number.NaN, Number.NaN, 2, 3], 2);
    expect(values).toEqual([1, 1, 2, 3]);
    expect(fill([Number.NaN, Number.NaN, 1, 2], 2).values).toEqual([Number.NaN, Number.NaN, 1, 2]);
  });

  test("minimum, maximum, first and last step and the last value survive any length", () => {
    fc.assert(
      fc.property(fc.array(fc.double({ noNaN: true, min: -1, max: 1 }), { minLength: 1, maxLength: 300 }), (values) => {
        const { steps, values: kept } = fill(values, 8);
        expect(kept.length).toBeLessThanOrEqual(16);
        expect(steps[0]).toBe(1);
        expect(steps.at(-1)).toBe(values.length);
        expect(kept.at(-1)).toBe(values.at(-1));
        const [low, high] = [Math.min(...values), Math.max(...values)];
        // The very last point is the last value, which may take the place of an extreme of its own bucket.
        const bucketOfLast = values.slice((steps.at(-2) ?? 1) - 1);
        if (!bucketOfLast.includes(low)) expect(Math.min(...kept)).toBe(low);
        if (!bucketOfLast.includes(high)) expect(Math.max(...kept)).toBe(high);
        expect([...steps].sort((a, b) => a - b)).toEqual(steps);
      }),
    );
  });
});

test("reduceCurves leaves short curves alone and cuts 10,000 points to the width of the picture", () => {
  expect([...reduceCurves([1, 2], [[5, 6]], 100).values[0]!]).toEqual([5, 6]);
  const steps = Array.from({ length: 10_000 }, (_, i) => i);
  const reduced = reduceCurves(
    steps,
    [steps.map((i) => Math.sin(i / 500)), steps.map((i) => (i === 7777 ? 1 : 0))],
    500,
  );
  expect(reduced.steps.length).toBeLessThanOrEqual(1000);
  expect(reduced.steps.length).toBeGreaterThan(500);
  expect(Math.max(...reduced.values[1]!)).toBe(1); // a spike of one step is still there
});
