import { describe, expect, test } from "vitest";
import { svgToPng } from "../../platform/node/raster.js";
import { resnetGroups } from "../synthetic.testing.js";
import { fitText, textWidth } from "./_measure.js";
import { ramp, rampOf } from "./color.js";
import { comparePlot } from "./compare.js";
import { confusionMatrix } from "./confusion.js";
import { polyline } from "./frame.js";
import { type LrCurvesData, lrCurves } from "./lr-curves.js";
import { escapeXml } from "./svg.js";
import { accuracyCurves, lossCurves } from "./training-curves.js";

const steps = (n: number) => Array.from({ length: n }, (_, i) => i + 1);
const wave = (n: number, j: number) => Float64Array.from({ length: n }, (_, i) => 1e-3 * Math.exp(Math.sin(i / 9 + j)));
const pathsOf = (svg: string) => [...svg.matchAll(/<path d="([^"]*)"/g)].map((m) => m[1] ?? "");
const textsOf = (svg: string) => [...svg.matchAll(/<text[^>]*>([^<]*)/g)].map((m) => m[1] ?? "");
const curves = (data: Partial<LrCurvesData> & Pick<LrCurvesData, "lr">) =>
  lrCurves({ groups: resnetGroups.slice(0, data.lr.length), steps: steps(data.lr[0]?.length ?? 0), ...data });

/** Elements open and close in order, attributes are quoted, & is escaped: what an XML reader asks for. */
function expectWellFormed(svg: string) {
  const open: string[] = [];
  expect(svg.replace(/<[^>]*>/g, "")).not.toMatch(/[<>]|&(?!(amp|lt|gt|quot);)/);
  for (const [tag, name, rest] of svg.matchAll(/<\/?([a-zA-Z]+)([^>]*)>/g)) {
    if (tag.startsWith("</")) expect(open.pop()).toBe(name);
    else {
      const attributes = [...(rest ?? "").matchAll(/ ([a-zA-Z0-9:-]+)="[^"<]*"/g)].map((m) => m[1]);
      expect(new Set(attributes).size, tag).toBe(attributes.length);
      expect((rest ?? "").replace(/ [a-zA-Z0-9:-]+="[^"<]*"/g, "")).toMatch(/^\/?$/);
      if (!tag.endsWith("/>")) open.push(name ?? "");
    }
  }
  expect(open).toEqual([]);
  expect(svg).not.toMatch(/NaN|Infinity|undefined/);
}

describe("lrCurves", () => {
  test("one line and one legend entry for each of ten groups, decades on the axis", () => {
    const svg = curves({ lr: resnetGroups.map((_, j) => wave(100, j)), title: "Learning rates" });
    expectWellFormed(svg);
    expect(pathsOf(svg).length).toBe(10);
    expect(textsOf(svg)).toEqual(
      expect.arrayContaining([...resnetGroups, "Learning rates", "Iteration", "Learning rate", "Layer group"]),
    );
  });

  test("62 groups share a colour ramp that names the first, the last and some between", () => {
    const groups = Array.from({ length: 62 }, (_, j) => `block${j}`);
    const svg = lrCurves({ groups, steps: steps(50), lr: groups.map((_, j) => wave(50, j)) });
    expectWellFormed(svg);
    expect(pathsOf(svg).length).toBe(62);
    const named = textsOf(svg)
      .map((t) => t.trim())
      .filter((t) => t.startsWith("block"));
    expect([named[0], named.at(-1), named.length]).toEqual(["block0", "block61", 9]);
  });

  test("10,000 points become at most two a pixel, and a spike of one step is still drawn", () => {
    const flat = new Float64Array(10_000).fill(1e-3);
    const spiky = flat.map((v, i) => (i === 6789 ? 1e-2 : v));
    const [first = "", second = ""] = pathsOf(curves({ lr: [flat, spiky] }));
    expect(second.length).toBeLessThan(20_000);
    expect(second.split("l").length).toBeLessThan(1600);
    const highest = Math.max(...[...second.matchAll(/l-?[\d.]+ ?(-?[\d.]+)/g)].map((m) => Math.abs(Number(m[1]))));
    expect(highest).toBeGreaterThan(200); // the spike goes up most of the picture
    expect(first).not.toBe(second);
  });

  test("constant and equal rates take turns along one line", () => {
    const svg = curves({
      lr: [new Float64Array(9).fill(1e-3), new Float64Array(9).fill(1e-3), new Float64Array(9).fill(1e-2)],
    });
    expectWellFormed(svg);
    expect(svg.match(/stroke-dasharray="10 10"/g)?.length).toBe(2);
  });

  test("one point is a dot", () => {
    const svg = curves({ lr: [[1e-3], [2e-3]] });
    expectWellFormed(svg);
    expect(svg.match(/<circle/g)?.length).toBe(2);
  });

  test("NaN breaks a line, 0 is frozen, and what else is not above 0 is said", () => {
    const svg = curves({
      lr: [
        [1e-3, Number.NaN, 1e-3, 1e-3],
        [0, 0, 0, 0],
        [1e-3, 1e-4, -1e-5, 0],
      ],
    });
    expectWellFormed(svg);
    expect(pathsOf(svg)[0]?.match(/M/g)?.length).toBe(2);
    expect(textsOf(svg)).toContain("(frozen)");
    expect(textsOf(svg)).toContain("2 rates are not above 0 and have no place on a logarithmic axis");
  });

  test("nothing but frozen rates, no rates and no steps still make a picture", () => {
    expectWellFormed(curves({ lr: [[0, 0]] }));
    expectWellFormed(lrCurves({ groups: ["a"], steps: [], lr: [[]] }));
    expectWellFormed(lrCurves({ groups: [], steps: [], lr: [] }));
    expectWellFormed(curves({ lr: [[1e-3, 1e-3]], bounds: [0, Number.POSITIVE_INFINITY], stepsPerEpoch: 1 }));
  });

  test("bounds near the rates are drawn, far ones are not", () => {
    expect(textsOf(curves({ lr: [[5e-3, 1e-2]], bounds: [1e-6, 1e-2] }))).toContain("upper bound");
    expect(textsOf(curves({ lr: [[5e-3, 1e-2]], bounds: [1e-6, 1e-2] }))).not.toContain("lower bound");
  });

  test("names with markup are text, and long ones are shortened in the middle", () => {
    const svg = lrCurves({
      groups: [`<script>&"`, "features.a.very.long.name.of.a.layer.in.some.network.0"],
      steps: [1],
      lr: [[1e-3], [1e-3]],
    });
    expectWellFormed(svg);
    expect(svg).toContain("&lt;script&gt;&amp;&quot;");
    expect(textsOf(svg).some((t) => t.startsWith("features") && t.includes("…") && t.endsWith("0"))).toBe(true);
  });

  test("on a page, dark colours come by a rule under the figure's own id", () => {
    const svg = curves({ lr: [[1e-3, 2e-3]], theme: { mode: "auto", id: "lr" } });
    expectWellFormed(svg.replace(/<style>.*<\/style>/, ""));
    expect(svg).toMatch(
      /<style>@media screen and \(prefers-color-scheme:dark\)\{(#lr \.c\d+\{(fill|stroke):#[0-9a-f]{6}\})+\}<\/style>/,
    );
  });
});

describe("the other plots", () => {
  test("loss: linear from 0, logarithmic over a factor of 100", () => {
    const plot = (values: number[]) =>
      lossCurves({
        steps: steps(values.length),
        perStep: [{ label: "Training", part: "train", values }],
        epochSteps: [],
        perEpoch: [],
      });
    expectWellFormed(plot([1, 0.5]));
    expect(textsOf(plot([1, 0.5]))).toContain("0.0");
    expect(plot([1, 1e-3])).toContain("<tspan");
    expectWellFormed(plot([]));
    expectWellFormed(plot([Number.NaN]));
  });

  test("accuracy: percent, points where a set was evaluated only now and then", () => {
    const svg = accuracyCurves({
      steps: [],
      epochSteps: [10, 20, 30],
      perEpoch: [
        { label: "Training", part: "train", values: [0.5, 0.7, 0.9] },
        { label: "Test", part: "test", values: [null, 0.8, null] },
      ],
      selected: { step: 20, label: "selected: epoch 2" },
    });
    expectWellFormed(svg);
    expect(textsOf(svg)).toEqual(expect.arrayContaining(["100", "40", "selected: epoch 2"]));
    expect(svg.match(/<circle/g)?.length).toBe(5); // 3 + 1 points, 1 in the legend
  });

  test("confusion matrix: counts and shares; beyond 16 classes shades alone", () => {
    const svg = confusionMatrix({
      classes: ["a", "b"],
      confusion: [
        [9, 1],
        [0, 0],
      ],
    });
    expectWellFormed(svg);
    expect(textsOf(svg)).toEqual(expect.arrayContaining(["9", "90 %", "10 %", "True class", "Predicted class"]));
    expect(svg).toContain("<title>a taken for b: 1</title>");
    const classes = Array.from({ length: 40 }, (_, i) => `c${i}`);
    const many = confusionMatrix({ classes, confusion: classes.map(() => classes.map(() => 123)) });
    expectWellFormed(many);
    expect(textsOf(many)).not.toContain("123");
  });

  test("comparison: mean, interval and points; nothing to show is no error", () => {
    const svg = comparePlot({
      methods: [
        { name: "Full fine-tuning", values: [0.8, 0.9], interval: [0.78, 0.92], reference: true },
        { name: "none", values: [] },
      ],
    });
    expectWellFormed(svg);
    expect(textsOf(svg)).toContain("85.0");
    expect(svg.match(/<circle/g)?.length).toBe(3);
    expectWellFormed(comparePlot({ methods: [] }));
  });
});

describe("palette", () => {
  const luminance = (hex: string) => {
    const [r = 0, g = 0, b = 0] = [1, 3, 5].map((i) => {
      const v = Number.parseInt(hex.slice(i, i + 2), 16) / 255;
      return v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4;
    });
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };

  test("gets lighter from stem to head, so that it keeps its order in grey", () => {
    for (const mode of ["light", "dark"] as const) {
      const grey = rampOf(62).map((ink) => luminance(ink[mode]));
      for (let i = 1; i < grey.length; i++) expect(grey[i]! - grey[i - 1]!).toBeGreaterThan(-0.004); // i is inside
      expect(grey.at(-1)! - grey[0]!).toBeGreaterThan(0.25);
    }
  });

  test("stands out from white and from the dark page by 2.5 : 1 and more", () => {
    for (const ink of rampOf(10)) {
      expect(1.05 / (luminance(ink.light) + 0.05)).toBeGreaterThan(2.5);
      expect((luminance(ink.dark) + 0.05) / (luminance("#15181d") + 0.05)).toBeGreaterThan(2.5);
    }
    expect(ramp(0)).toEqual(rampOf(10)[0]);
  });
});

describe("pieces", () => {
  test("a polyline is drawn in tenths of a pixel, broken by gaps, lone points apart", () => {
    expect(polyline([0, 1, 2, 3, 4, 5], [0, 1.04, Number.NaN, 2, Number.NaN, 7])).toEqual({
      d: "M0 0l1 1M3 2M5 7",
      dots: [
        [3, 2],
        [5, 7],
      ],
    });
  });

  test("text keeps its width and both ends", () => {
    expect(textWidth("00", 10)).toBeCloseTo(12.72, 6);
    expect(fitText("layer1.0", 10, 100)).toBe("layer1.0");
    const short = fitText("features.denseblock4.denselayer16", 10, 100);
    expect(textWidth(short, 10)).toBeLessThanOrEqual(100);
    expect(short).toMatch(/^features.*….*16$/);
  });

  test("characters that XML forbids are replaced", () => {
    expect(escapeXml("a\u0000b\ud800c<&>")).toBe("a\ufffdb\ufffdc&lt;&amp;&gt;");
  });
});

describe("svgToPng", () => {
  const png = (bytes: Uint8Array) => {
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    return { signature: view.getUint32(0), width: view.getUint32(16), height: view.getUint32(20) };
  };
  const svg = curves({ lr: [wave(20, 0)], title: "Learning rates" });

  test("a picture at twice its size", async () => {
    expect(png(await svgToPng(svg))).toEqual({ signature: 0x89504e47, width: 1520, height: 860 });
  });

  test("text is really drawn: without it the picture is another, and two drawings are equal", async () => {
    const [a, b, blank] = await Promise.all(
      [svg, svg, svg.replace(/<text.*?<\/text>/g, "")].map((s) => svgToPng(s, { scale: 1 })),
    );
    expect(a).toEqual(b);
    expect(a?.length).toBeGreaterThan((blank?.length ?? 0) + 3000);
  });

  test("what is too large to draw is refused", async () => {
    await expect(svgToPng(svg, { scale: 100 })).rejects.toThrow("internal: a picture has a size that can be drawn");
  });
});
