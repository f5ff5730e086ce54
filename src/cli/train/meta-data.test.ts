/** @file Tests of --meta-data PATH from the command line: identity in the record, resuming, refusals before anything is written. */
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, expect, test } from "vitest";
import type { Tensor } from "../../common/tensor.js";
import { writeNpz } from "../../formats/npz.js";
import { run } from "../host.testing.js";

const home = mkdtempSync(join(tmpdir(), "metalr-meta-"));
afterAll(() => rmSync(home, { recursive: true, force: true }));
const at = (name: string) => join(home, name);

/** Images 8×8, classes by brightness. @param step makes the pixels of one file differ from another's */
function images(name: string, n: number, step: number, classes = 2): string {
  const pixels: Tensor = {
    dtype: "uint8",
    shape: [n, 8, 8],
    data: Uint8Array.from({ length: n * 64 }, (_, i) => 40 + 80 * (Math.floor(i / 64) % classes) + ((i * step) % 37)),
  };
  const labels: Tensor = { dtype: "uint8", shape: [n], data: Uint8Array.from({ length: n }, (_, i) => i % classes) };
  writeFileSync(
    at(name),
    writeNpz(
      new Map([
        ["images", pixels],
        ["labels", labels],
      ]),
    ),
  );
  return at(name);
}
const data = images("data.npz", 24, 7);
const site = images("site.npz", 6, 11);
const words = (...more: string[]) => [
  ...["train", "-d", data, "--test-share", "0.25", "-p", "none", "--model", "resnet20", "--image-size", "8"],
  ...["-e", "2", "-b", "8", "--threads", "1", ...more],
];
const json = (path: string): unknown => JSON.parse(readFileSync(path, "utf8"));

test("the rates are judged on the other images, whose identity is in the record", async () => {
  const { code, out, err } = await run(words("--meta-data", site, "-o", at("run")));
  expect([code, err]).toEqual([0, ""]);
  expect(out).toContain("learning rates judged on site.npz: 6 images\n");
  expect(json(join(at("run"), "run.json"))).toMatchObject({
    data: {
      name: "data.npz",
      parts: { meta: 6 },
      meta: { name: "site.npz", fingerprint: expect.stringMatching(/^[0-9a-f]{64}$/) },
    },
  });
  expect(readFileSync(join(at("run"), "report.html"), "utf8")).toContain(
    "<dt>learning rates judged on</dt><dd>site.npz</dd>",
  );
  const inspected = await run(["inspect", at("run")]);
  expect(inspected.out).toContain("learning rates judged on site.npz\n");
}, 60_000);

test("stopped, it goes on; with other images in that file it does not", async () => {
  const stop = new AbortController();
  const first = await run(words("--meta-data", site, "-o", at("stopped")), {
    whenInterrupted: () => stop.signal,
    onOutput: (text) => /epoch 1\/2 {2}train loss/.test(text) && stop.abort(),
  });
  expect(first.code).toBe(130);
  const before = readFileSync(site);
  images("site.npz", 6, 13);
  const other = await run(["train", "--resume", at("stopped"), "--threads", "1"]);
  expect([other.code, other.err.split("\n")[0]]).toEqual([
    1,
    "checkpoint: is of a run with another data set for the learning rates",
  ]);
  writeFileSync(site, before);
  const whole = await run(["train", "--resume", at("stopped"), "--threads", "1"]);
  expect([whole.code, whole.err]).toEqual([0, ""]);
  const bytes = (name: string) => readFileSync(join(at(name), "checkpoints/last.safetensors")).toString("base64");
  expect(bytes("stopped")).toBe(bytes("run"));
}, 60_000);

test.each([
  [
    "nowhere.npz",
    1,
    "nowhere.npz: does not exist\n  hint     --meta-data takes train, split, or the path of labelled images\n",
  ],
  ["data.npz", 1, /^data\.npz: holds the very images that are trained on\n {2}hint/],
  [
    "three.npz",
    1,
    "three.npz: has other classes than the data that are trained on\n  expected 0, 1\n  got      0, 1, 2\n  hint     name its classes as those of the training data\n",
  ],
])("%s is refused", async (file, code, message) => {
  images("three.npz", 6, 3, 3);
  const outcome = await run(words("--meta-data", at(file), "-o", at("never")));
  expect(outcome.code).toBe(code);
  const plain = outcome.err.replaceAll(`${home}/`, "");
  if (typeof message === "string") expect(plain).toBe(message);
  else expect(plain).toMatch(message);
  expect(existsSync(at("never"))).toBe(false);
});
