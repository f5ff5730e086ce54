/** @file Tests of `metalr compare` from the command line to the report, on a data set and a network of moments. */
import { mkdtemp, readdir, readFile, rm, stat } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { finetune, metalr, parseMethod } from "../../methods/index.js";
import { forMethod } from "../compare/cells.js";
import { run } from "../host.testing.js";
import { methodFor } from "../train/method.js";

let root = "";
beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), "metalr-compare-"));
});
afterAll(() => rm(root, { recursive: true, force: true }));

const words = (...more: string[]) => [
  "compare",
  ..."-d fixtures/datasets/pocus_five_folds.pkl -p fixtures/golden/resnet-w8/init.pth --folds 1-2 --image-size 16 -e 1 -b 4".split(
    " ",
  ),
  "--out",
  join(root, "out"),
  ...more,
];

describe("metalr compare", () => {
  const methods = ["--methods", "finetune,metalr:metaEvery=2:ema=0.5"];

  test("trains every cell, prints the table and writes the report", async () => {
    const { code, out, err } = await run(words(...methods));
    expect([code, err]).toEqual([0, ""]);
    expect(out).toContain("4/4  pocus_five_folds  metalr:metaEvery=2:ema=0.5  seed 1  fold-2\n");
    expect(out).toMatch(/^Full fine-tuning +\S+/m);
    expect(out).toContain("No method was tuned: 4 trainings in all, each method with its defaults.");
    expect((await readdir(join(root, "out", "pocus_five_folds"))).sort()).toEqual([
      "finetune",
      "metalr-metaEvery-2-ema-0.5",
    ]);
    const report = await readFile(join(root, "out", "report.html"), "utf8");
    expect(report).toContain("MetaLR (metaEvery=2, ema=0.5), seed 1, fold-1");
  }, 60_000);

  test("again: nothing is trained twice, the figures are the same", async () => {
    const file = join(root, "out", "pocus_five_folds/finetune/seed-1/fold-1/events.jsonl");
    const [before, figures] = [await stat(file), await readFile(join(root, "out", "comparison.json"), "utf8")];
    const { code, out } = await run(words(...methods));
    expect(code).toBe(0);
    expect(out.match(/ {2}is finished already/g)?.length).toBe(4);
    expect((await stat(file)).mtimeMs).toBe(before.mtimeMs);
    expect(await readFile(join(root, "out", "comparison.json"), "utf8")).toBe(figures);
  }, 60_000);

  test("the selected networks on images from elsewhere, in a column of their own", async () => {
    const figures = async () =>
      JSON.parse(await readFile(join(root, "out", "comparison.json"), "utf8")) as {
        data: { external: unknown; methods: { external: unknown }[]; words: string[] }[];
      };
    const before = await figures();
    const { code, out, err } = await run(
      words(...methods, "--external-test", "fixtures/datasets/pocus_five_folds.pkl"),
    );
    expect([code, err]).toEqual([0, ""]);
    // Apart: every other figure, and so every choice and every test, is what it was without them.
    const after = await figures();
    const apart = ({ data }: typeof before) =>
      data.map(({ external: _, methods: rows, words: w, ...d }) => ({
        ...d,
        methods: rows.map(({ external: _e, ...row }) => row),
        words: w.filter((line) => !line.includes("images from elsewhere")),
      }));
    expect(apart(after)).toEqual(apart(before));
    expect([before.data[0]?.external, after.data[0]?.external]).toEqual([null, "pocus_five_folds.pkl"]);
    expect(before.data[0]?.methods[0]?.external).toBeNull();
    expect(after.data[0]?.methods[0]?.external).toMatchObject({ n: 2 });
    const report = await readFile(join(root, "out", "report.html"), "utf8");
    expect(report).toContain("Elsewhere (pocus_five_folds.pkl)");
    // They are the very images of the comparison, and that is told.
    expect(report).toMatch(
      /\d+ of the 19 images of pocus_five_folds\.pkl are not from elsewhere, but near-identical to images/,
    );
    expect(out).toMatch(/^method .* elsewhere /m);
    expect(out).toContain(
      "On pocus_five_folds.pkl, images from elsewhere that no choice has seen, the same networks have: Full ",
    );
    const stored = join(root, "out", "pocus_five_folds/finetune/seed-1/fold-1/external-test.json");
    expect(JSON.parse(await readFile(stored, "utf8"))).toMatchObject({ data: "pocus_five_folds.pkl" });
  }, 60_000);

  test("the folder of a comparison with other options is refused", async () => {
    const { code, err } = await run(words(...methods, "--lr", "0.5"));
    expect(code).toBe(2);
    expect(err).toContain('holds a comparison with another value of "finetune"');
    expect(err).toContain("use the options that it was started with, or choose another folder with --out");
  });

  test("a reference that is not compared, and no data, are told", async () => {
    const { code, err } = await run(words("--methods", "metalr", "--reference", "finetune"));
    expect([code, err]).toEqual([2, "--reference: is not among the methods\n  expected metalr\n  got      finetune\n"]);
    expect((await run(["compare"])).err).toContain("--data: is missing");
  });

  test("images from elsewhere that are not there, or that judge the rates, are told before anything is trained", async () => {
    const out = ["--out", join(root, "never")];
    const missing = await run(words(...out, "--external-test", "nowhere/"));
    expect([missing.code, missing.err]).toEqual([
      1,
      "nowhere/: does not exist\n  hint     --external-test names labelled images\n",
    ]);
    const same = await run(words(...out, "--external-test", "package.json", "--meta-data", "package.json"));
    expect([same.code, same.err]).toEqual([
      2,
      "--external-test: names the images that judge the learning rates (--meta-data): they would be no test any more\n  hint     test on others, or judge the rates on others\n",
    ]);
    expect(await readdir(root)).not.toContain("never");
  });
});

test("options that a method does not know are not for it", () => {
  const given = { lr: 0.02, backboneLrRatio: 0.5, ema: 0.9, optimizer: "sgd", momentum: 0.9 } as const;
  const of = (text: string) => methodFor(parseMethod(text), { ...nothing, ...given }).options;
  expect(of("finetune")).toMatchObject({ lr: 0.02, backboneRatio: 0.5, ema: 0.9, optimizer: { name: "sgd" } });
  expect(of("ldog")).toMatchObject({ lr: 1, gamma: 8, optimizer: { momentum: 0 } });
  expect(of("lastLayer")).not.toHaveProperty("backboneRatio");
});
const nothing = {
  method: undefined,
  schedule: undefined,
  ema: undefined,
  variant: undefined,
  lr: undefined,
  backboneLrRatio: undefined,
  hyperLr: undefined,
  lrUpdate: undefined,
  lrBounds: undefined,
  headWarmupEpochs: undefined,
  metaData: undefined,
  metaBatches: undefined,
  metaDisjoint: undefined,
  optimizer: undefined,
  weightDecay: undefined,
  momentum: undefined,
  adamEps: undefined,
};

test("images held out for MetaLR's rates train the methods that learn none", () => {
  const of = (...images: number[]) => Uint32Array.from(images);
  const split = { name: "run", train: of(4, 1, 7), meta: of(5, 2), validation: of(0), test: of(9) };
  expect(forMethod(metalr(), split)).toBe(split);
  expect([...forMethod(finetune(), split).train]).toEqual([1, 2, 4, 5, 7]);
});
