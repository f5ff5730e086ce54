/** @file The released preset from the command line: on data of the POCUS layout it prints what the published program prints. */
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type Outcome, run } from "../host.testing.js";

const home = mkdtempSync(join(tmpdir(), "metalr-released-run-"));
afterAll(() => rmSync(home, { recursive: true, force: true }));
const out = join(home, "out");
const folds = [1, 2, 3, 4, 5];
const classes = ["covid19", "pneumonia", "regular"];

describe("metalr train --variant released", () => {
  let told: Outcome;
  beforeAll(async () => {
    const words =
      "-d fixtures/datasets/pocus_five_folds.pkl -p fixtures/golden/resnet-w8/init.pth --image-size 16 -e 2 -b 4";
    told = await run(["train", "--variant", "released", ...words.split(" "), "--threads", "1", "-o", out]);
  }, 120_000);

  test("five folds, each trained on all four others: nothing is held out", () => {
    expect([told.code, told.err]).toEqual([0, ""]);
    expect(told.out.match(/^fold-\d: .* test$/gm)).toEqual(
      [15, 15, 16, 15, 15].map((n, f) => `fold-${f + 1}: ${n} training images, ${19 - n} test`),
    );
  });

  test("every second iteration: epoch, iteration, loss and accuracy of the training batches", () => {
    for (const fold of folds) {
      for (const epoch of [1, 2]) {
        for (const step of [2, 4]) {
          expect(told.out).toMatch(
            new RegExp(
              `^fold-${fold}  epoch ${epoch}/2  step ${step}/4  loss \\d+\\.\\d+  accuracy \\d+\\.\\d %  `,
              "m",
            ),
          );
        }
      }
    }
  });

  test("every epoch: loss and accuracy on the test fold, and of the training images", () => {
    for (const fold of folds) {
      for (const epoch of [1, 2]) {
        expect(told.out).toMatch(
          new RegExp(
            `^fold-${fold}  epoch ${epoch}/2  train loss \\S+, accuracy \\S+ %  \\|  test loss \\S+, accuracy \\S+ %, `,
            "m",
          ),
        );
      }
    }
  });

  test("every fold: the best epoch, its confusion matrix, precision and recall of each class, total accuracy, that agree", () => {
    for (const fold of folds) {
      const begin = told.out.search(new RegExp(`^fold-${fold}: test images, epoch [12] of 2 \\(leaky: `, "m"));
      expect(begin).toBeGreaterThan(0);
      const text = told.out.slice(begin, told.out.indexOf("macro AUC", begin));
      const numbers = (line: string | undefined) =>
        (line?.match(/\s(\d+(\.\d+)?|–)/g) ?? []).map((n) => Number(n.trim().replace("–", "NaN")));
      const lines = (name: string) =>
        text
          .split("\n")
          .filter((l) => l.startsWith(`${name} `))
          .map(numbers);
      const matrix = classes.map((name) => lines(name)[0] ?? []);
      const counts = matrix.flat().reduce((a, b) => a + b);
      const right = matrix.reduce((sum, row, c) => sum + (row[c] ?? 0), 0);
      expect(text).toContain(`total accuracy ${(right / counts).toFixed(4)} (${right} of ${counts})`);
      for (const [c, name] of classes.entries()) {
        const [precision = 0, recall = 0, images] = lines(name)[1] ?? [];
        const [own, column] = [matrix[c] ?? [], matrix.map((row) => row[c] ?? 0)];
        const sum = (values: readonly number[]) => values.reduce((a, b) => a + b, 0);
        expect(images).toBe(sum(own));
        expect(recall).toBeCloseTo((own[c] ?? 0) / sum(own), 4);
        if (sum(column) === 0) expect(precision).toBeNaN();
        else expect(precision).toBeCloseTo((own[c] ?? 0) / sum(column), 4);
      }
    }
  });

  test("over the folds: the best epochs under the word leaky, the last epochs beside them", () => {
    expect(told.out).toMatch(/\nleaky best epoch +epoch +accuracy/);
    expect(told.out).toMatch(/\nlast epoch +epoch +accuracy/);
    expect(told.out.match(/^mean ± deviation /gm)?.length).toBe(2);
    expect(told.out).toContain("Leaky: the epochs were chosen by the test images themselves.");
  });

  test("its habits: always the first validation batch, the other sign, rates rounded to six decimals after every epoch", () => {
    const info = JSON.parse(readFileSync(join(out, "fold-1", "run.json"), "utf8")) as {
      options: object;
      select: string;
    };
    expect(info.options).toMatchObject({ metaBatches: "first", lookAhead: 1, roundDecimals: 6 });
    expect(info.select).toBe("test");
    const epochs = readFileSync(join(out, "fold-1", "events.jsonl"), "utf8")
      .trim()
      .split("\n")
      .map((line) => JSON.parse(line) as { type: string; lr: number[] })
      .filter((event) => event.type === "epoch");
    expect(epochs.length).toBe(2);
    for (const { lr } of epochs) for (const rate of lr) expect(rate).toBeCloseTo(Number(rate.toFixed(6)), 9);
    expect(epochs[1]?.lr.slice(0, -1).some((rate) => rate !== 0.001)).toBe(true); // they do move
  });
});
