/** @file `metalr replay` against the reference trajectories of PyTorch (fixtures/golden), with the tolerances that belong to them. */
import { existsSync } from "node:fs";
import { mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { openNpz } from "../../formats/npz.js";
import { nodePlatform } from "../../platform/node/index.js";
import { findNative } from "../../platform/node/onednn.js";
import { run } from "../host.testing.js";

const golden = "fixtures/golden";

interface Reference {
  readonly hyper: {
    readonly optimizer: string;
    readonly update: string;
    readonly bounds: readonly [number, number] | null;
    readonly eta: number;
    readonly lr: number;
    readonly wd: number;
    readonly eps: number;
    readonly sign: 1 | -1;
    readonly pinned: number;
  };
  readonly groups: Readonly<Record<string, readonly string[]>>;
  readonly float32: readonly { train_loss: number; val_loss: number; hypergradient: number[]; lr: number[] }[];
}

/** The tolerances of the trajectories: train losses relative, rates as a share of the step's largest. */
const strict = { loss: 1e-4, lr: 3e-4 };
/** Adam's eps of 1e-8 divides rounding noise by its own size: 1e-3 in step 1, 2 % in later losses, nothing on later rates. */
const loose = (step: number) => (step === 0 ? { loss: 1e-3, lr: 1e-3 } : { loss: 2e-2, lr: Number.POSITIVE_INFINITY });
const isLoose = (variant: string) => variant === "adam-proportional-bounded" || variant === "released-adam";

const argumentsOf = ({ hyper: h }: Reference): string[] => [
  ...["--variant", h.sign === 1 ? "released" : "paper", "--optimizer", h.optimizer, "--adam-eps", String(h.eps)],
  ...["--lr", String(h.lr), "--backbone-lr-ratio", "0.1", "--hyper-lr", String(h.eta), "--lr-update", h.update],
  ...["--lr-bounds", h.bounds?.join(",") ?? "none", "--weight-decay", String(h.wd)],
  ...["--head-warmup-steps", String(h.pinned), "--threads", "1"],
];

const variants = await Promise.all(
  ["resnet-w8", "resnet-w16"].map(async (network) =>
    (await readdir(join(golden, network)))
      .filter((file) => file.endsWith(".json"))
      .map((file) => [network, file.slice(0, -".json".length)] as const),
  ),
);

let folder = "";
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "metalr-replay-"));
});
afterAll(async () => rm(folder, { recursive: true, force: true }));

const readNpz = async (path: string) => openNpz(await nodePlatform.files.open(path), nodePlatform);

const native = findNative();
const executors = [
  ["onnxruntime", /^onnxruntime-node \d\S*, cpu, (blocked|portable) lowering\n$/],
  ["onednn", /^oneDNN \d\S*, 1 thread, float32 \(with onnxruntime-node \d\S*, cpu\), onednn lowering\n$/],
] as const;
const here = (executor: string) => executor !== "onednn" || "module" in native;

describe.each(
  executors.flatMap(([executor, words]) => variants.flat().map(([n, v]) => [executor, n, v, words] as const)),
)("%s: %s, %s", (executor, network, variant, words) => {
  const why = here(executor) || !("missing" in native) ? "" : ` (skipped: ${native.missing})`;
  test.skipIf(!here(executor))(`the trajectory of the reference${why}`, async () => {
    const reference = JSON.parse(await readFile(join(golden, network, `${variant}.json`), "utf8")) as Reference;
    const end = join(folder, `${executor}-${network}-${variant}.npz`);
    const { code, out, err } = await run([
      "replay",
      join(golden, network),
      ...argumentsOf(reference),
      ...["--executor", executor, "--final", end],
    ]);
    expect(code).toBe(0);
    expect(err).toMatch(words);
    const { steps, groups } = JSON.parse(out) as {
      steps: { trainLoss: number; valLoss: number; hypergradient: number[]; lr: number[] }[];
      groups: string[];
    };
    expect(groups).toEqual(Object.keys(reference.groups));
    expect(steps).toHaveLength(reference.float32.length);
    for (const [t, expected] of reference.float32.entries()) {
      const step = steps[t]!; // as many as expected
      const tolerance = isLoose(variant) ? loose(t) : strict;
      expect(Math.abs(step.trainLoss - expected.train_loss), `loss of step ${t + 1}`).toBeLessThanOrEqual(
        tolerance.loss * expected.train_loss,
      );
      const largest = Math.max(...expected.lr);
      for (const [j, lr] of expected.lr.entries()) {
        const error = Math.abs(step.lr[j]! - lr); // one rate a group
        expect(error, `rate of ${groups[j]} in step ${t + 1}`).toBeLessThanOrEqual(tolerance.lr * largest);
      }
    }
    const finalPath = join(golden, network, `${variant}.final.npz`);
    if (!existsSync(finalPath) || isLoose(variant)) return; // noise of its own size has grown for four steps
    const [mine, theirs] = [await readNpz(end), await readNpz(finalPath)];
    const names = theirs.names.filter((name) => !name.endsWith("num_batches_tracked"));
    expect([...mine.names].sort()).toEqual([...names].sort());
    for (const name of names) {
      const [a, b] = [await mine.read(name), await theirs.read(name)];
      expect(a.shape).toEqual(b.shape);
      let worst = 0;
      b.data.forEach((x, i) => {
        worst = Math.max(worst, Math.abs(Number(x) - Number(a.data[i])));
      });
      expect(worst, name).toBeLessThan(1e-4);
    }
    await mine.close();
    await theirs.close();
  });
});

describe("what cannot be replayed", () => {
  test("a folder that is not there", async () => {
    expect(await run(["replay", join(folder, "nothing")])).toEqual({
      code: 1,
      out: "",
      err: `${folder}/nothing/init.pth: does not exist\n  hint     check the path\n`,
    });
  });

  test("a file that is no checkpoint", async () => {
    await writeFile(join(folder, "init.pth"), "<html>not found</html>");
    expect((await run(["replay", folder])).err).toBe(
      `${folder}/init.pth: is not a checkpoint
  expected PyTorch (.pth, .pt, .th), safetensors or npz
  got      a web page
  hint     save the weights with torch.save(model.state_dict(), path)
`,
    );
  });

  test("weights without their batches", async () => {
    await writeFile(join(folder, "init.pth"), await readFile(join(golden, "resnet-w8", "init.pth")));
    expect((await run(["replay", folder])).err).toBe(
      `${folder}/batches.npz: does not exist\n  hint     check the path\n`,
    );
  });
});
