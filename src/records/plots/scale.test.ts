import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { linearScale, logScale, type Scale } from "./scale.js";

const labels = (scale: Scale) =>
  scale.ticks.flatMap(({ label }) =>
    label === undefined ? [] : [label.exponent === undefined ? label.text : `${label.text}^${label.exponent}`],
  );

describe("linearScale", () => {
  test.each([
    [0, 1, ["0.0", "0.2", "0.4", "0.6", "0.8", "1.0"]],
    [0, 330, ["0", "100", "200", "300"]],
    [0, 12_000, ["0", "2,500", "5,000", "7,500", "10,000"]],
    [-1, 1, ["−1.0", "−0.5", "0.0", "0.5", "1.0"]],
    [0, 0.0012, ["0.00000", "0.00025", "0.00050", "0.00075", "0.00100"]],
  ])("from %d to %d", (low, high, expected) => {
    expect(labels(linearScale(low, high))).toEqual(expected);
  });

  test("whole numbers only, for iterations and epochs", () => {
    expect(labels(linearScale(0, 3, { whole: true, count: 6 }))).toEqual(["0", "1", "2", "3"]);
    expect(labels(linearScale(7, 7, { whole: true }))).toEqual(["7"]);
  });

  test("nice: the axis ends at ticks", () => {
    expect(linearScale(0, 1.3, { nice: true }).domain).toEqual([0, 1.5]);
  });
});

describe("logScale", () => {
  test("decades are labelled, 2 … 9 are minor", () => {
    const scale = logScale(1e-6, 1e-2);
    expect(labels(scale)).toEqual(["10^−6", "10^−5", "10^−4", "10^−3", "10^−2"]);
    expect(scale.ticks.filter((t) => t.label === undefined).length).toBeGreaterThanOrEqual(32);
  });

  test("a factor of ten that holds one decade is labelled at 1, 2, 5", () => {
    expect(labels(logScale(3e-4, 3e-3))).toEqual(["5×10^−4", "10^−3", "2×10^−3"]);
  });

  test("a few percent are labelled at round values with one exponent", () => {
    expect(labels(logScale(9.3e-4, 1.07e-3))).toEqual([
      "0.90×10^−3",
      "0.95×10^−3",
      "1.00×10^−3",
      "1.05×10^−3",
      "1.10×10^−3",
    ]);
  });

  test("many decades: every second or third is labelled", () => {
    expect(labels(logScale(1e-12, 1))).toEqual(["10^−12", "10^−10", "10^−8", "10^−6", "10^−4", "10^−2", "10^0"]);
  });

  test("what is not above 0 has no place", () => {
    expect(logScale(1e-3, 1).at(0)).toBeNaN();
    expect(logScale(1e-3, 1).at(-1)).toBeNaN();
  });

  test("any range has two to eight labels, inside the axis and in order", () => {
    fc.assert(
      fc.property(
        fc.double({ min: -12, max: 3, noNaN: true }),
        fc.double({ min: 0.05, max: 12, noNaN: true }),
        (start, span) => {
          const scale = logScale(10 ** start, 10 ** (start + span));
          const labelled = scale.ticks.filter((t) => t.label !== undefined);
          expect(labelled.length).toBeGreaterThanOrEqual(2);
          expect(labelled.length).toBeLessThanOrEqual(8);
          for (const { value } of scale.ticks) {
            expect(scale.at(value)).toBeGreaterThanOrEqual(-1e-6);
            expect(scale.at(value)).toBeLessThanOrEqual(1 + 1e-6);
          }
          const values = labelled.map((t) => t.value);
          expect(values).toEqual([...values].sort((a, b) => a - b));
          expect(new Set(labels(scale)).size).toBe(labelled.length);
        },
      ),
    );
  });
});
