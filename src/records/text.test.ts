import { describe, expect, test } from "vitest";
import { confusionRates } from "../training/metrics.js";
import type { Evaluation } from "../training/types.js";
import {
  formatDuration,
  formatFactor,
  formatNumber,
  formatPercent,
  formatRate,
  formatValue,
  withSuperscript,
} from "./format.js";
import { headlineOf, RunBuilder } from "./run-record.js";
import type { RunInfo } from "./schema.js";
import { syntheticConfig, syntheticEvents } from "./synthetic.testing.js";
import { displayWidth, evaluationText, headlineText, lrTable, sparkline, table } from "./text.js";

describe("numbers", () => {
  test.each([
    [0.0123456, "0.0123"],
    [12.3456, "12.3"],
    [0.00012, "1.20e-4"],
    [123456, "1.23e+5"],
    [0, "0"],
    [Number.NaN, "–"],
    [Number.NEGATIVE_INFINITY, "−∞"],
    [999.6, "1000"],
    [12345.6, "12346"],
  ])("%d is %s", (x, text) => expect(formatNumber(x)).toBe(text));

  test.each([
    [840, "0.84 s"],
    [12_345, "12.3 s"],
    [59_960, "1 min 00 s"],
    [185_000, "3 min 05 s"],
    [7_500_000, "2 h 05 min"],
    [97_200_000, "1 d 03 h"],
    [Number.NaN, "–"],
  ])("%d ms are %s", (ms, text) => expect(formatDuration(ms)).toBe(text));

  test("rates, factors, percent, values", () => {
    expect([formatRate(1e-3), formatRate(0), formatRate(undefined)]).toEqual(["1.00e-3", "frozen", "–"]);
    expect(withSuperscript("9.54e-12")).toBe("9.54×10⁻¹²");
    expect([formatFactor(1e-3, 8.7e-4), formatFactor(0, 1), formatFactor(undefined, 1)]).toEqual(["×0.870", "–", "–"]);
    expect([formatPercent(0.87666, 2), formatPercent(null)]).toEqual(["87.67 %", "–"]);
    expect([formatValue([1e-6, 0.01]), formatValue({ a: 1 }), formatValue(null), formatValue(true)]).toEqual([
      "1e-6, 0.01",
      '{"a":1}',
      "–",
      "true",
    ]);
  });
});

describe("table", () => {
  test("numbers stand right, words left, nothing trails", () => {
    expect(
      table(
        [{ header: "class", align: "left" }, { header: "n" }],
        [
          ["a", "1"],
          ["bcdefg", "234"],
        ],
      ),
    ).toBe(["class     n", "a         1", "bcdefg  234"].join("\n"));
  });

  test("wide characters and accents keep the columns", () => {
    expect([displayWidth("日本"), displayWidth("e\u0301"), displayWidth("ä")]).toEqual([4, 1, 1]);
    expect(
      table(
        [{ header: "x", align: "left" }, { header: "y" }],
        [
          ["日本", "1"],
          ["abcd", "2"],
        ],
      ).split("\n"),
    ).toEqual(["x     y", "日本  1", "abcd  2"]);
  });

  test("colour does not count as width", () => {
    const styled = table([{ header: "a" }, { header: "b" }], [["10", "20"]], { bold: (t) => `<b>${t}</b>` });
    expect(styled.split("\n")[0]).toBe(" <b>a</b>   <b>b</b>");
  });
});

test("an evaluation as the released program prints it: matrix, precision and recall, total accuracy", () => {
  const confusion = [
    [105, 3, 0],
    [5, 111, 4],
    [0, 0, 0],
  ];
  const evaluation: Evaluation = { ...confusionRates(confusion), loss: 0.26512, macroAuc: null, confusion };
  expect(evaluationText(evaluation, ["covid19", "pneumonia", "regular"])).toMatchInlineSnapshot(`
    "truth \\ predicted  covid19  pneumonia  regular
    covid19                105          3        0
    pneumonia                5        111        4
    regular                  0          0        0

    class      precision  recall  images
    covid19       0.9545  0.9722     108
    pneumonia     0.9737  0.9250     120
    regular       0.0000       –       0

    total accuracy 0.9474 (216 of 228), balanced 0.9486, macro AUC –, loss 0.2651"
  `);
});

describe("runs", () => {
  const record = (options: Parameters<typeof syntheticEvents>[0]) => {
    const info: RunInfo = { format: "metalr-run", version: 1, created: "", ...syntheticConfig(options) };
    const builder = new RunBuilder(info);
    for (const event of syntheticEvents(options)) builder.add(event);
    return builder.record();
  };

  test("the headline says how the epoch was chosen", () => {
    const text = (select: "last" | "validation" | "test") => {
      const headline = headlineOf(record({ epochs: 3, select }));
      return headline === null ? "" : headlineText(headline);
    };
    expect(text("validation")).toMatch(
      /^test images, epoch 2 of 3 \(chosen on validation images\): accuracy .*\ntest images, last epoch \(3\): /,
    );
    expect(text("last")).toMatch(/^test images, epoch 3 of 3 \(the last one\): accuracy [^\n]*$/);
    expect(text("test")).toMatch(/^test images, epoch 2 of 3 \(leaky: chosen on the test images themselves\): /);
  });

  test("a stopped run shows its validation figures, or that there are none", () => {
    const events = syntheticEvents({ epochs: 3 });
    const stopped = (epoch: number) => {
      const builder = new RunBuilder({ format: "metalr-run", version: 1, created: "", ...syntheticConfig({}) });
      for (const event of events) if (event.type !== "end") builder.add(event);
      builder.add({
        type: "end",
        reason: "stopped",
        epoch,
        step: 5,
        select: "validation",
        selectedEpoch: epoch,
        elapsedMs: 1,
      });
      const headline = headlineOf(builder.record());
      return headline === null ? "" : headlineText(headline);
    };
    expect(stopped(1)).toMatch(
      /^validation images, epoch 1 of 1 \(chosen on validation images\): accuracy .*; test images are evaluated when the run is finished$/,
    );
    expect(stopped(0)).toBe("no epoch was completed");
  });

  test("rates of every group with their way as a sparkline", () => {
    const lines = lrTable(record({ epochs: 2, stepsPerEpoch: 4 })).split("\n");
    expect(lines.length).toBe(11);
    expect(lines[0]).toBe("layer group  first rate  last rate  change  over the run");
    expect(lines[1]).toMatch(/^stem +\d\.\d\de-\d +\d\.\d\de-\d +×[\d.]+ +[▁▂▃▄▅▆▇█]{8}$/);
  });

  test("sparklines: rising, level, with gaps, in ASCII", () => {
    expect(sparkline([1, 10, 100, 1000])).toBe("▁▃▆█");
    expect(sparkline([1e-3, 1e-3])).toBe("▅▅");
    expect(sparkline([1, 1.01, 1.02])).toBe("▅▅▅"); // two percent are no change to speak of
    expect(sparkline([1, 2])).toBe("▁█");
    expect(sparkline([1, Number.NaN, 0, 10])).toBe("▁  █");
    expect(sparkline([1, 10, 100], 24, true)).toBe("_-^");
    expect(
      sparkline(
        new Float64Array(100).map((_, i) => i + 1),
        10,
      ).length,
    ).toBe(10);
    expect(sparkline([])).toBe("");
  });
});
