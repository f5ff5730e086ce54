import { readdirSync } from "node:fs";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";

/** What each example has to say, line by line; numbers that training decides are left open. */
const says: Readonly<Record<string, readonly RegExp[]>> = {
  "fine-tune.ts": [
    /^scanner A, trained from scratch: \d+ % on patients never seen$/,
    /^scanner B, fine-tuned with MetaLR: \d+ %$/,
    ...["stem", ...[1, 2, 3].flatMap((s) => [0, 1, 2].map((b) => `layer${s}.${b}`)), "linear"].map(
      (group) => new RegExp(`^  ${group} +\\d\\.\\d\\de-\\d$`),
    ),
  ],
  "run-folder.ts": [
    /^stopped after step \d+$/,
    /^finished after step \d+, epoch [123] chosen on validation images$/,
    /^test images: accuracy \d\.\d\d, confusion \[\[/,
    /^first image: (A-lines|B-lines|consolidation), p = \d\.\d\d$/,
  ],
  "own-method.ts": [/^training loss by epoch: \d\.\d{3}, \d\.\d{3}, \d\.\d{3}$/],
  "in-the-browser.ts": [/^epoch 1: rates \d+, loss \d\.\d\d$/, /^3 classes, finished after step \d+$/],
  "own-graph.ts": [/^graph least squares\(/, /^\d+ ONNX nodes; loss 14, gradient -8,-10$/],
};

test("every example is run", () => {
  const files = readdirSync(new URL(".", import.meta.url)).filter((f) => f.endsWith(".ts") && !f.endsWith(".test.ts"));
  expect(files.sort()).toEqual(Object.keys(says).sort());
});

describe("examples", () => {
  const lines: string[] = [];
  beforeEach(() => {
    lines.length = 0;
    vi.spyOn(console, "log").mockImplementation((line: unknown) => {
      lines.push(String(line));
    });
  });
  afterEach(() => {
    vi.restoreAllMocks();
  });

  // They train real networks: on a machine that is busy with other work that takes its time.
  test.each(Object.entries(says))("%s", { timeout: 300_000 }, async (file, expected) => {
    await import(/* @vite-ignore */ new URL(file, import.meta.url).href);
    expect(lines).toHaveLength(expected.length);
    for (const [i, pattern] of expected.entries()) expect(lines[i]).toMatch(pattern);
  });
});
