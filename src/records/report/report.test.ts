import { describe, expect, test } from "vitest";
import { RunBuilder } from "../run-record.js";
import type { RunConfig } from "../schema.js";
import { type SyntheticOptions, syntheticConfig, syntheticEvents } from "../synthetic.testing.js";
import { comparisonReport } from "./comparison-report.js";
import { html } from "./html.js";
import { runReport } from "./run-report.js";

function record(options: SyntheticOptions = {}, changes: Partial<RunConfig> = {}, keep = Number.POSITIVE_INFINITY) {
  const config = { ...syntheticConfig(options), ...changes };
  const builder = new RunBuilder({ format: "metalr-run", version: 1, created: "2022-06-03T10:15:00.000Z", ...config });
  for (const event of syntheticEvents(options).slice(0, keep)) builder.add(event);
  return builder.record();
}

/** Nothing that a browser would fetch, and ids that occur once. */
function expectSelfContained(page: string) {
  expect(page.replaceAll('xmlns="http://www.w3.org/2000/svg"', "")).not.toMatch(
    /https?:|\/\/\w|@import|<script|<link|<iframe/,
  );
  expect(page).toContain(`content="default-src 'none'; style-src 'unsafe-inline'; img-src data:"`);
  const ids = [...page.matchAll(/ id="([^"]*)"/g)].map((m) => m[1]);
  expect(new Set(ids).size).toBe(ids.length);
  for (const [, id] of page.matchAll(/url\(#([^)]*)\)/g)) expect(ids).toContain(id);
  expect(page).not.toMatch(/undefined|NaN|\[object/);
}

describe("runReport", () => {
  test("says the figures, how the epoch was chosen, the configuration and the versions", () => {
    const page = runReport(record());
    expectSelfContained(page);
    for (const text of [
      "pocus_data_all.pkl: metalr",
      "Figures are those of epoch 2 of 3, chosen on validation images.",
      "accuracy of the last epoch (3)",
      '<th scope="row">layer4.1</th>',
      "<dt>hyperLr</dt><dd>0.1</dd>",
      "<dt>optimizer.weightDecay</dt><dd>1e-4</dd>",
      "onnxruntime-node 1.30.0 (CPU)",
      "metalr train -d data/pocus_data_all.pkl",
      "9f86d081884c7d659a2feaa0c55ad015",
    ]) {
      expect(page).toContain(text);
    }
    expect(page.replace(/<style>[\s\S]*?<\/style>/g, "")).not.toContain("leaky");
  });

  test("a choice by the test images is called leaky", () => {
    const page = runReport(record({ select: "test" }));
    expect(page).toContain("<strong>leaky: chosen on the test images themselves</strong>");
    expect(page).toContain("balanced accuracy (leaky)");
    expect(page).toContain("Test (leaky)");
  });

  test("a run without an end, and one without a step, have reports, too", () => {
    const page = runReport(record({}, {}, 5));
    expectSelfContained(page);
    expect(page).toContain("This run has not ended");
    const empty = runReport(record({}, {}, 1));
    expectSelfContained(empty);
    expect(empty).toContain("No step has been made yet.");
  });

  test("names from files cannot become markup", () => {
    const evil = `<img src=x onerror=alert(1)>"'&`;
    const page = runReport(
      record({}, { classes: [evil, "b", "c"], method: evil, groups: [evil], options: { a: evil } }),
    );
    expect(page).not.toContain("<img");
    expectSelfContained(page);
  });

  test("warnings stand at the top", () => {
    const builder = new RunBuilder({ format: "metalr-run", version: 1, created: "", ...syntheticConfig() });
    for (const event of syntheticEvents()) builder.add(event);
    builder.add({ type: "warning", message: "13 of 62 groups straddle folds" });
    builder.add({ type: "warning", message: "13 of 62 groups straddle folds" });
    expect(runReport(builder.record()).match(/<li>13 of 62 groups straddle folds<\/li>/g)?.length).toBe(1);
  });
});

test("comparisonReport: runs side by side, the leaky one named", () => {
  const page = comparisonReport({
    title: "Three methods",
    introduction: ["Pre-trained on one scanner."],
    runs: [
      { name: "Full fine-tuning", record: record({ constant: true, select: "last" }), reference: true },
      { name: "MetaLR", about: "One rate a layer.", record: record() },
      { name: "Released", record: record({ select: "test" }) },
    ],
    figures: [{ png: Uint8Array.of(1, 2, 3), caption: "Examples", width: 300 }],
    conclusion: ["One seed."],
  });
  expectSelfContained(page);
  expect(page).toContain("Released chose the epoch by the test images themselves");
  expect(page).toContain("data:image/png;base64,AQID");
  expect(page).toContain('<td class="text">test (leaky)</td>');
});

test("the template escapes what it is given and nothing else", () => {
  expect(html`<p>${"<b>"}${html`<i>${1}</i>`}${[html`a`, "&"]}${null}</p>`.markup).toBe(
    "<p>&lt;b&gt;<i>1</i>a&amp;</p>",
  );
});
